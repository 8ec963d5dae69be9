#!/usr/bin/env bash
# Installs what repsim needs to build, run and test, and nothing that is already there.
#
#   scripts/setup.sh            Debian packages, and a virtual environment .venv that holds LibTorch
#   scripts/setup.sh --no-venv  Debian packages only: for those who bring a Torch of their own (CMAKE_PREFIX_PATH)
#   scripts/setup.sh --with-runtimes  also what takes bundles to ONNX and ncnn (docs/runtimes.md)
#
# Debian 12 or a relative of it. Runs as root, or with sudo where a package is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  build-essential cmake ninja-build ccache git ca-certificates
  libopencv-dev libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libcli11-dev nlohmann-json3-dev libspdlog-dev libssl-dev zlib1g-dev libboost-dev
  libkainjow-mustache-dev libgtest-dev libgmock-dev libvalijson-dev
  opencv-doc # carries vtest.avi, the video of the demo
  python3 python3-venv
)
torch=2.13.0
want_venv=yes
want_runtimes=no
for argument in "$@"; do
  case $argument in
    --no-venv) want_venv=no ;;
    --with-runtimes) want_runtimes=yes ;;
    *) echo "setup.sh: unknown argument '$argument'; known: --no-venv, --with-runtimes" >&2; exit 2 ;;
  esac
done
if [ $want_venv = no ] && [ $want_runtimes = yes ]; then
  echo "setup.sh: --with-runtimes installs into .venv, which --no-venv leaves out" >&2
  exit 2
fi

say() { printf 'setup: %s\n' "$*"; }

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "missing: ${missing[*]}; run this as root, or install sudo"; exit 1; }
    root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  say "Debian packages: all there"
fi

if [ "$want_venv" = yes ]; then
  wanted="$torch $(sha256sum <scripts/requirements.txt)"
  if [ "$(cat .venv/.complete 2>/dev/null || true)" = "$wanted" ]; then
    say ".venv: all there (torch $torch)"
  else
    say "making .venv with torch $torch (some minutes on a slow line)"
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check "torch==$torch" -r scripts/requirements.txt
    printf '%s\n' "$wanted" >.venv/.complete
  fi
fi
if [ "$want_runtimes" = yes ]; then
  # A stamp of its own: a later setup without them neither removes them nor starts over.
  wanted_runtimes="$wanted $(sha256sum <scripts/requirements-runtimes.txt)"
  if [ "$(cat .venv/.complete-runtimes 2>/dev/null || true)" = "$wanted_runtimes" ]; then
    say "other runtimes: all there"
  else
    say "installing onnx, onnxruntime, pnnx and ncnn into .venv"
    .venv/bin/pip install --quiet --disable-pip-version-check "torch==$torch" -r scripts/requirements.txt -r scripts/requirements-runtimes.txt
    printf '%s\n' "$wanted_runtimes" >.venv/.complete-runtimes
  fi
fi
say "done"
