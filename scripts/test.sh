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

# One more than there are cores, since some tests wait for processes that they start; not more than 3, for memory.
# ctest's own lines, durations included, come last.
jobs=$(($(nproc) + 1))
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$((jobs < 3 ? jobs : 3))}
exec ctest --preset release "$@"
