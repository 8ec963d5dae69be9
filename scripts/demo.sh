#!/usr/bin/env bash
# The main job on the demo that comes with the repository: three person detectors of different architecture, one video.
# Arguments go to repsim plan: scripts/demo.sh --min-fidelity 0.95
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
cmake --preset release
cmake --build --preset release --parallel "$(nproc)" --target repsim

out=demo-plan
out_given=no
writes=yes
previous=
for argument in "$@"; do
  [ "$previous" != --out ] || out=$argument
  case $argument in
    --out) out_given=yes ;;
    --out=*) out_given=yes out=${argument#--out=} ;;
    --dry-run | --help | -h) writes=no ;;
  esac
  previous=$argument
done
command=(build/release/bin/repsim plan --config configs/demo.json)
[ $out_given = yes ] || command+=(--out "$out" --force)
command+=("$@")
printf '\ndemo: %s\n\n' "${command[*]}"
status=0
"${command[@]}" || status=$?
# 4: nothing could be shared at the asked fidelity; the plan that says why is written all the same.
if [ $writes = yes ] && { [ $status = 0 ] || [ $status = 4 ]; }; then
  cat <<END

demo: look at
  $out/report.html       everything on one page, for a browser
  $out/plan.json         the same for programs
  $out/bundle.pt         the merged models: torch.jit.load("$out/bundle.pt")
  build/release/bin/repsim verify $out
  build/release/bin/repsim run $out --against $out --draw $out/detections.mp4
END
fi
exit $status
