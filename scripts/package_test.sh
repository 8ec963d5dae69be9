#!/usr/bin/env bash
# Makes the packages of a build, installs them into empty roots and uses them there.
#
#   scripts/package_test.sh [BUILD]    default: build/release; takes some minutes and 4 GB in TMPDIR
#
# An empty root holds what a fresh Debian has (its essential packages) and the packages on which repsim's package
# depends, as they are installed on this machine: no LibTorch, no Python package, no source, no environment.
# Runs as root, or as a user who may make user namespaces. Debian and its relatives.
set -euo pipefail
cd "$(dirname "$0")/.."

video=/usr/share/doc/opencv-doc/examples/data/vtest.avi
say() { printf 'package_test: %s\n' "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }
has() { [ -e "$root$1" ] || fail "$1 is missing in the $kind"; }

# Runs a command in the root, with nothing of this environment.
in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }

# Writes the files of some packages and of all that they depend on, and their entries in dpkg's database.
#   package_files PACKAGE... ; files to $work/files, entries to $work/status
package_files() {
  python3 - "$work" "$@" <<'PYTHON'
import os, re, subprocess, sys
work, wanted = sys.argv[1], sys.argv[2:]


def dpkg_query(*words):
    return subprocess.run(["dpkg-query", *words], capture_output=True, text=True, check=True).stdout


form = "${Package}\t${binary:Package}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}\t${Provides}\n"
packages, provided = {}, {}
for line in dpkg_query("-W", "-f", form).splitlines():
    name, full, status, depends, provides = line.split("\t")
    if status != "installed":
        continue
    packages[name] = (full, depends)
    for one in re.findall(r"[a-z0-9][a-z0-9+.-]+", re.sub(r"\([^)]*\)", "", provides)):
        provided.setdefault(one, name)
found = []
while wanted:
    name = wanted.pop()
    name = name if name in packages else provided[name]
    if name in found:
        continue
    found.append(name)
    for group in packages[name][1].split(","):
        names = [re.sub(r"[:(].*", "", one).strip() for one in group.split("|")]
        known = [one if one in packages else provided[one] for one in names if one in packages or one in provided]
        if known:
            wanted.append(known[0])
        elif any(names):
            sys.exit(f"{name} depends on {group.strip()}, which is not installed here")
files, listings = set(), []
for name in found:
    candidates = (f"/var/lib/dpkg/info/{base}.list" for base in (packages[name][0], name))
    listing = next(path for path in candidates if os.path.exists(path))
    listings.append(listing[1:])
    for path in open(listing).read().splitlines():
        is_folder = os.path.isdir(path) and not os.path.islink(path)
        if re.match(r"/usr/share/(doc|man|locale|info|lintian)/", path) or is_folder:
            continue
        if os.path.lexists(path):
            files.add(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))
for folder in {os.path.dirname(path) for path in files if ".so" in path}:  # links that update-alternatives makes
    for entry in os.scandir(folder) if folder.count("/") < 4 else ():
        leads_to = os.readlink(entry.path) if entry.is_symlink() else ""
        if leads_to.startswith("/etc/alternatives/") and os.path.realpath(entry.path) in files:
            files |= {entry.path, leads_to}
with open(f"{work}/files", "w") as out:
    out.writelines(path + "\n" for path in sorted({path[1:] for path in files} | set(listings)))
with open(f"{work}/status", "w") as out:
    out.write(dpkg_query("-s", *sorted(found)))
print(f"package_test: an empty root of {len(found)} packages, {len(files)} files")
PYTHON
}

make_root() {
  root=$work/root-$1
  mkdir -p "$root"/{usr/{bin,sbin,lib,lib64,lib32},etc,tmp,root,proc,dev,job,var/lib/dpkg/{info,updates}}
  local one
  for one in bin sbin lib lib64; do ln -s "usr/$one" "$root/$one"; done
  tar -C / -cf - -T "$work/files" | tar -C "$root" -xf -
  cp "$work/status" "$root/var/lib/dpkg/status"
  ldconfig -r "$root" 2>/dev/null
  mount --rbind /proc "$root/proc"
  mount --rbind /dev "$root/dev"
  cp demo/plain.pt demo/mobile.pt "$video" "$root/job"
  [ -z "$(find "$root/usr" "$root/etc" -name '*torch*' -print -quit)" ] || fail "the empty root has a torch"
}

# Uses the program at the path $1 of the root as people would.
use() {
  in_root "$1" --version
  in_root "$1" doctor || fail "doctor of the $kind"
  in_root sh -c "cd /job && $1 config init plain.pt mobile.pt --video vtest.avi --quiet >/dev/null" ||
    fail "config init of the $kind"
  local ended=0
  in_root sh -c "cd /job && $1 plan --config merge.json --frames 32 --max-trials 1 --min-evidence 1 --out plan -q" ||
    ended=$?
  [ $ended = 0 ] || [ $ended = 4 ] || fail "plan of the $kind ends with $ended"
  has /job/plan/bundle.pt
  in_root sh -c "cd /job && $1 check plan --fast --quiet" || fail "check of the $kind"
}

# Where the loader finds LibTorch for the program $1.
torch_of() { in_root ldd "$1" | sed -n 's/.*libtorch_cpu.so => \([^ ]*\).*/\1/p'; }

test_deb() {
  kind="Debian package" && make_root deb
  dpkg --root="$root" --install "$deb" >/dev/null || fail "dpkg refuses $deb"
  use /usr/bin/repsim
  local torch one
  torch=$(torch_of /usr/bin/repsim)
  [ "$(realpath -m "$torch")" = /usr/lib/repsim/libtorch_cpu.so ] || fail "LibTorch is at $torch"
  for one in man/man1/repsim.1 man/man1/repsim-plan.1 bash-completion/completions/repsim \
    fish/vendor_completions.d/repsim.fish zsh/vendor-completions/_repsim repsim/repsim.schema.json \
    doc/repsim/LICENSE doc/repsim/LICENSE.libtorch; do has "/usr/share/$one"; done
  in_root bash -c 'source /usr/share/bash-completion/completions/repsim; complete -p repsim' | grep -q _repsim ||
    fail "the completion of bash does not load"
  dpkg --root="$root" --remove repsim >/dev/null
  [ -z "$(find "$root/usr" -name '*repsim*' -print -quit)" ] || fail "removing the $kind leaves files"
  say "ok: $(basename "$deb"), installed, used, removed"
}

test_tgz() {
  kind=archive && make_root tgz
  mkdir -p "$root/opt/a b" && tar -C "$root/opt/a b" -xzf "$tgz"
  local folder
  folder="/opt/a b/$(ls "$root/opt/a b")"
  has "$folder/share/man/man1/repsim.1" && has "$folder/share/zsh/site-functions/_repsim"
  in_root ln -s "$folder/bin/repsim" /usr/bin/repsim
  use repsim # by the link
  mv "$root$folder" "$root/opt/moved" && ln -sf /opt/moved/bin/repsim "$root/usr/bin/repsim"
  in_root repsim --version >/dev/null || fail "the archive cannot be moved"
  # The libraries of another installation of the same Torch, as docs/install.md describes.
  mv "$root/opt/moved/lib/repsim" "$root/python-torch-lib" && ln -s /python-torch-lib "$root/opt/moved/lib/repsim"
  in_root repsim doctor --quiet >/dev/null || fail "a link to another LibTorch does not work"
  say "ok: $(basename "$tgz"), unpacked, used, moved"
}

if [ "${1:-}" = --inside ]; then # in a mount namespace of our own: what is mounted ends with it
  work=$2 build=$3
  deb=$(echo "$work"/packages/*.deb) tgz=$(echo "$work"/packages/*.tar.gz)
  essential=$(dpkg-query -W -f '${Package} ${Essential}\n' | sed -n 's/ yes$//p')
  depends=$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/,/ /g')
  # shellcheck disable=SC2086
  package_files $essential $depends
  test_deb
  test_tgz
  exit
fi

build=$(realpath "${1:-build/release}")
[ -f "$build/CPackConfig.cmake" ] || fail "$build is no build: cmake --preset release && cmake --build --preset release"
[ -f $video ] || fail "$video is missing: apt-get install opencv-doc"
work=$(mktemp -d "${TMPDIR:-/tmp}/repsim-packages-XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
say "packages of $build"
(cd "$work" && cpack --config "$build/CPackConfig.cmake" -B "$work/packages" >"$work/log" 2>&1) || {
  tail "$work/log"
  fail "cpack"
}
rm -rf "$work/packages/_CPack_Packages"
ls -sh1 "$work/packages"
user=()
[ "$(id -u)" = 0 ] || user=(--map-root-user)
unshare "${user[@]}" --mount --fork scripts/package_test.sh --inside "$work" "$build"
