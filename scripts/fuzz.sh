#!/usr/bin/env bash
# Fuzzes the readers of files that strangers make, under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   scripts/fuzz.sh [MINUTES] [TARGET ...]     MINUTES per target, default 1; targets: the files of tests/fuzz
#
# Needs clang++-19 and libFuzzer (Debian packages clang-19 and libfuzzer-19-dev). What is found stays in
# build/fuzz/corpus/TARGET, a crash is build/fuzz/crash-*. Exit code: that of the first target that failed; 77 where the
# compiler is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-1}
shift || true
command -v clang++-19 >/dev/null || { echo "fuzz: clang++-19 is missing: apt-get install clang-19 libfuzzer-19-dev"; exit 77; }
echo 'int x; extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return x; }' |
  clang++-19 -x c++ - -fsanitize=fuzzer -o /dev/null 2>/dev/null ||
  { echo "fuzz: libFuzzer is missing: apt-get install libfuzzer-19-dev"; exit 77; }

cmake --preset fuzz >/dev/null
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for source in tests/fuzz/*.cpp; do targets+=("$(basename "$source" .cpp)"); done
fi
cmake --build --preset fuzz --parallel "$(nproc)" --target "${targets[@]/#/fuzz_}"

for target in "${targets[@]}"; do
  corpus=build/fuzz/corpus/$target
  mkdir -p "$corpus"
  seeds=()
  [ ! -d tests/fuzz/seeds/"$target" ] || seeds=(tests/fuzz/seeds/"$target")
  [ "$target" != plan_json ] || seeds=(tests/report/golden)
  build/fuzz/bin/fuzz_"$target" "$corpus" "${seeds[@]}" -artifact_prefix=build/fuzz/ -max_len=16384 -rss_limit_mb=4096 -timeout=20 \
    -max_total_time=$((minutes * 60)) -print_final_stats=1 2>build/fuzz/"$target".log ||
    { code=$?; tail -40 build/fuzz/"$target".log; exit $code; }
  sed -n "s/^stat::number_of_executed_units: */fuzz: $target: runs /p" build/fuzz/"$target".log
done
