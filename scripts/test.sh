#!/usr/bin/env bash
# Sets up, builds the release preset and runs all tests. Arguments go to ctest: scripts/test.sh -L cli, -R Config.
# REPSIM_SETUP=no leaves setup out, for machines that install their packages another way.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'test: %s\n' "$*"; }
begin=$SECONDS
lap() {
  say "$1 took $((SECONDS - begin)) s"
  begin=$SECONDS
}

if [ "${REPSIM_SETUP:-yes}" != no ]; then
  scripts/setup.sh --with-runtimes --with-test-tools
  lap setup
fi
cmake --preset release
lap configure
cmake --build --preset release --parallel "$(nproc)"
lap build

# Two at a time: most tests use one core, and threads of two programs on the same cores do not wait for each other
# spinning (src/startup). Not more, for memory. ctest's own lines, durations included, come last.
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-2}
exec ctest --preset release "$@"
