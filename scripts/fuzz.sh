#!/usr/bin/env bash
# Fuzzes the readers of files that strangers make, under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   scripts/fuzz.sh [MINUTES] [TARGET ...]     MINUTES per target, default 1
#   scripts/fuzz.sh --runs N [TARGET ...]      N runs per target, however long they take
#
# The targets are those of tests/fuzz/targets.def, by default all. Needs clang++-19 and libFuzzer (Debian packages
# clang-19 and libfuzzer-19-dev). What is found stays in build/fuzz/corpus/TARGET, a crash is build/fuzz/crash-*.
# Exit code: 1 if a target failed, 2 for a wrong command line, 77 where the compiler is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

refuse() { echo "fuzz.sh: $1" >&2; exit 2; }

# libFuzzer takes 0 for "no limit": a run without end.
count() { [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || refuse "$1 has to be a whole number from 1 to 999999999, not '$2'"; }

limit=()
case ${1:-} in
  --runs)
    count --runs "${2:-}"
    limit=(-runs="$2")
    shift 2
    ;;
  -*) refuse "unknown argument '$1'; known: --runs N, MINUTES, names of targets" ;;
  [0-9]* | "")
    count MINUTES "${1-1}"
    limit=(-max_total_time=$((${1-1} * 60)))
    shift || true
    ;;
  *) limit=(-max_total_time=60) ;;
esac
mapfile -t known < <(sed -n 's/^REPSIM_TARGET(\([a-z_0-9]*\),.*/\1/p' tests/fuzz/targets.def)
targets=("$@")
[ ${#targets[@]} != 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
  [[ " ${known[*]} " == *" $target "* ]] || refuse "unknown target '$target'; known: ${known[*]}"
done

command -v clang++-19 >/dev/null || { echo "fuzz: clang++-19 is missing: apt-get install clang-19 libfuzzer-19-dev"; exit 77; }
echo 'int x; extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return x; }' |
  clang++-19 -x c++ - -fsanitize=fuzzer -o /dev/null 2>/dev/null ||
  { echo "fuzz: libFuzzer is missing: apt-get install libfuzzer-19-dev"; exit 77; }

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --parallel "$(nproc)" --target "${targets[@]/#/fuzz_}"

for target in "${targets[@]}"; do
  corpus=build/fuzz/corpus/$target
  mkdir -p "$corpus"
  # Long inputs find no more in these readers, and take the time of many short ones.
  length=2048
  [ "$target" != plan_json ] || length=16384
  build/fuzz/bin/fuzz_"$target" "$corpus" tests/fuzz/seeds/"$target" -artifact_prefix=build/fuzz/ -max_len=$length \
    -rss_limit_mb=4096 -timeout=20 "${limit[@]}" -print_final_stats=1 >/dev/null 2>build/fuzz/"$target".log ||
    { tail -40 build/fuzz/"$target".log; echo "fuzz: $target failed: build/fuzz/$target.log"; exit 1; }
  sed -n "s/^stat::number_of_executed_units: */fuzz: $target: runs /p" build/fuzz/"$target".log
done
