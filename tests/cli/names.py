#!/usr/bin/env python3
"""Names and paths that a JSON file of cases cannot hold or a shell makes hard: bytes, pipes, folders that are gone.

    tests/cli/names.py --binary build/release/bin/repsim [--only NAME]

Python's standard library only. Exit code: 0 all passed, 1 some failed, 77 all were skipped.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

from small_plan import Place, Report, complaint, temporary_folder

NOBODY = 65534
QUICK = 20  # seconds: a refusal needs no frame, and nothing may be waited for


class Names:
    def __init__(self, arguments, folder, report):
        self.arguments, self.report = arguments, report
        self.place = Place(arguments.binary, arguments.source, folder)
        self.folder = self.place.folder

    def run(self, name, arguments, code, *patterns, cwd=None, timeout=120, prepare=None, left=()):
        """Runs the binary. Nothing new may be there afterwards, except what a run that ends with 0 has written."""
        if self.arguments.only and self.arguments.only not in name:
            return
        try:
            done = subprocess.run(
                [self.place.binary, *arguments], cwd=cwd or self.folder, env=self.place.environment(),
                stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, preexec_fn=prepare,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            self.report.check(name, ["it did not end in time"])
            return
        problems = complaint(done.returncode, done.stderr, code, *patterns)
        new = [path for path in self.place.left() if path not in left]
        if code != 0 and (new or (self.folder / "out").exists()):
            problems.append(f"{new or 'out'} was left behind")
        if any(byte < 32 and byte != 10 for byte in done.stderr + done.stdout):
            problems.append("control characters are printed")
        self.report.check(name, problems)
        for path in ("out", "cache"):
            shutil.rmtree(self.folder / path, ignore_errors=True)

    def both(self, name, arguments, code, *patterns, **options):
        """A dry run refuses what the run refuses."""
        self.run(name, arguments, code, *patterns, timeout=QUICK, **options)
        self.run(f"{name}InADryRun", [*arguments, "--dry-run"], code, *patterns, timeout=QUICK, **options)

    def plan(self, *more, models=("small.pt", "wide.pt"), out="out", cache="cache", video="v.y4m"):
        return ["plan", *models, "--input", "48x48", "--video", video, "--frames", "32", "--max-trials", "1",
                "--min-fidelity", "0", "--threads", "1", "--cache", cache, "--out", out, *more]  # fmt: skip

    def bytes(self):
        bad = b"caf\xe9"
        escaped = b"caf\\xe9"
        shutil.copy(self.folder / "small.pt", os.fsencode(self.folder) + b"/" + bad + b".pt")
        os.mkdir(os.fsencode(self.folder) + b"/" + bad)
        shutil.copy(self.folder / "v.y4m", os.fsencode(self.folder) + b"/" + bad + b"/v.y4m")
        (self.folder / "c.json").write_text(json.dumps({"models": [{"path": "small.pt"}, {"path": "wide.pt"}]}))
        shutil.copy(self.folder / "c.json", os.fsencode(self.folder) + b"/" + bad + b"/c.json")
        self.place.given = self.place.files()
        self.both("ModelThatIsNoUtf8", self.plan(models=(bad + b".pt", "wide.pt")), 3, escaped + b".pt", b"UTF-8")
        self.both("NamedModelThatIsNoUtf8", self.plan("--model", b"front=" + bad + b".pt"), 3, escaped)
        self.both("VideoThatIsNoUtf8", self.plan(video=bad + b"/v.y4m"), 3, escaped)
        self.both("OutThatIsNoUtf8", self.plan(out=bad + b"/out"), 3, escaped)
        self.both("CacheThatIsNoUtf8", self.plan(cache=bad), 3, escaped)
        self.both("ConfigThatIsNoUtf8", self.plan("--config", bad + b"/c.json"), 3, escaped)
        for command in (["inspect", bad + b".pt"], ["verify", bad], ["bundle", bad, "--out", "b.pt"],
                        ["capture", bad + b".pt", "--video", "v.y4m"], ["cache", "ls", "--cache", bad],
                        ["similarity", "small.pt", bad + b".pt", "--video", "v.y4m", "--out", "out"]):  # fmt: skip
            self.run(f"NoUtf8In{command[0].capitalize()}", command, 3, escaped, timeout=QUICK)
        self.run("NoUtf8InTheWorkingDirectory", ["inspect", "../small.pt", "--input", "48x48", "--json"], 0,
                 cwd=os.fsencode(self.folder) + b"/" + bad)  # fmt: skip
        config = b'{"models": [{"path": "caf\xe9.pt"}, {"path": "wide.pt"}]}'
        (self.folder / "bad.json").write_bytes(config)
        self.place.given = self.place.files()
        self.both("NoUtf8InAConfig", ["plan", "--config", "bad.json", "--video", "v.y4m", "--out", "out"], 3,
                  b"bad.json")  # fmt: skip

    def odd(self):
        names = ["[front].pt", "[ab]", "[a,b]", "-front.pt", "--json", "{}", "a b.pt", "a'\"b.pt", "caf\u00e9.pt", "%d.pt",
                 "a\\b.pt", "#1.pt", "x" * 252 + ".pt", "\u6a21\u578b.pt"]  # fmt: skip
        for name in names:
            shutil.copy(self.folder / "small.pt", self.folder / name)
            shutil.copy(self.folder / "wide.pt", self.folder / f"2{name}" if len(name) < 250 else self.folder / "y.pt")
        shutil.copy(self.folder / "small.pt", self.folder / "a\nb.pt")
        shutil.copy(self.folder / "small.pt", self.folder / "a\x1b[2Jb.pt")
        shutil.copy(self.folder / "small.pt", self.folder / "a=b.pt")
        self.place.given = self.place.files()
        for name in names:
            self.run(f"Inspect {name[:12]}", ["inspect", "--input", "48x48", "--", name], 0)
        self.run("PlanOfBracketsAndADash", self.plan("--", "-front.pt", models=("[front].pt", "[ab]")), 0)
        self.run("DryRunAfterADash", ["plan", "--input", "48x48", "--video", "v.y4m", "--out", "out", "--frames", "32", "--dry-run", "--",
                                      "-front.pt", "--json"], 0)  # fmt: skip
        self.run("ADashWithoutAMark", ["inspect", "-front.pt"], 2, b"./-front.pt names the file", timeout=QUICK)
        self.run("LongNamesMakeAPicture", ["similarity", "x" * 252 + ".pt", "y.pt", "--model", "z" * 200 + "=small.pt",
                                           "--input", "48x48", "--video", "v.y4m", "--frames", "32", "--cache", "cache",
                                           "--out", "out"], 0)  # fmt: skip
        for bad, shown in (("a\nb.pt", b"a\\nb"), ("a\x1b[2Jb.pt", b"a\\x1b[2Jb"), ("a=b.pt", b"a=b")):
            self.both(f"NameOf {shown}", self.plan(models=(bad, "wide.pt")), 2, shown, b"--model NAME=")
            self.run(f"NamedOtherwise {shown}", self.plan("--model", f"front={bad}", models=("wide.pt",)), 0)
            self.run(f"Inspect {shown}", ["inspect", bad, "--input", "48x48"], 0)

    def long(self):
        name = "x" * 300
        self.both("OutOfALongName", self.plan(out=name), 3, b"File name too long", b"shorter")
        self.both("ModelOfALongName", self.plan(models=("small.pt", name)), 3, b"File name too long")
        self.both("VideoOfALongName", self.plan(video=name), 3, b"File name too long")
        self.both("CacheOfALongName", self.plan(cache=name), 3)
        self.both("ConfigOfALongName", self.plan("--config", name), 3, b"File name too long")
        self.run("PlanOfALongName", ["verify", name], 3, b"File name too long", timeout=QUICK)
        self.run("BundleOfALongName", ["bundle", name, "--out", "b.pt"], 3, b"File name too long", timeout=QUICK)
        capture = ["capture", "small.pt", "--input", "48x48", "--video", "v.y4m", "--cache", "none", "--frames", "32"]
        self.run("SignaturesOfALongName", [*capture, "--out", name], 3, b"File name too long", timeout=QUICK)
        path = "/".join(["y" * 200] * 25)
        self.both("OutOfALongPath", self.plan(out=path), 3, b"File name too long")

    def no_files(self):
        """Folders, pipes, devices and sockets in place of files. Nobody writes into the pipe."""
        os.mkfifo(self.folder / "pipe")
        (self.folder / "dir").mkdir()
        server = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(self.folder)  # a socket's path has to be short
        server.bind("socket")
        os.chdir(here)
        self.place.given = self.place.files()
        for kind in ("pipe", "dir", "dir/", "socket", "/dev/zero"):
            self.both(f"ModelIs {kind}", self.plan(models=("small.pt", kind)), 3, kind.strip("/").encode())
            self.both(f"VideoIs {kind}", self.plan(video=kind), 3)
            self.both(f"ConfigIs {kind}", self.plan("--config", kind), 3)
            self.both(f"TruthIs {kind}", self.plan("--truth", kind), 3)
            self.both(f"LibraryIs {kind}", self.plan("--library", kind), 3)
            self.run(f"SignaturesAre {kind}", ["similarity", "small.pt", kind, "--video", "v.y4m", "--input", "48x48",
                                               "--out", "out", "--cache", "none"], 3, timeout=QUICK)  # fmt: skip
            if kind != "dir" and kind != "dir/":
                self.both(f"OutIs {kind}", self.plan("--force", out=kind), 3)
                self.both(f"CacheIs {kind}", self.plan(cache=kind), 3)
                self.run(f"PlanIs {kind}", ["verify", kind], 3, timeout=QUICK)
            self.run(f"FileOfSignaturesIs {kind}", ["capture", "small.pt", "--input", "48x48", "--video", "v.y4m",
                                                    "--frames", "32", "--out", kind, "--force"], 3, timeout=QUICK)  # fmt: skip
        server.close()

    def inherited_pipe(self):
        """What a shell makes of --config <(...)."""
        if shutil.which("bash") is None:
            self.report.skip("ConfigFromAPipe", "there is no bash")
            return
        script = 'cd "$1" && shift && exec "$@" --config <(sleep 0.2; echo "{\\"frames\\": {\\"count\\": 32}}")'
        command = ["bash", "-c", script, "bash", str(self.folder), *self.place.command("--dry-run")]
        code, _, stderr = self.place.run(command)
        self.report.check("ConfigFromAPipe", complaint(code, stderr, 0))

    def removed(self):
        """A working directory that is gone: libraries do not run without one."""
        gone = self.folder / "gone"

        def leave():
            gone.rmdir()

        absolute = [str(self.folder / name) for name in ("small.pt", "wide.pt", "v.y4m", "out", "cache")]
        whole = self.plan(models=absolute[:2], video=absolute[2], out=absolute[3], cache=absolute[4])
        for name, arguments in (("RemovedDirectory", whole), ("RemovedDirectoryAndItsFiles", self.plan())):
            for more in ([], ["--dry-run"]):
                gone.mkdir()
                self.run(name, [*arguments, *more], 3, b"working directory was removed", cwd=gone, prepare=leave,
                         timeout=QUICK)  # fmt: skip

    def forbidden(self):
        """Places without permission, for a user who is not root."""
        is_root = os.geteuid() == 0

        def drop():
            if is_root:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)

        shut = self.folder / "shut"
        shut.mkdir()
        shutil.copy(self.folder / "small.pt", shut / "small.pt")
        shutil.copy(self.folder / "small.pt", self.folder / "secret.pt")
        (self.folder / "secret.pt").chmod(0)
        shut.chmod(0)
        (self.folder / "tmp").chmod(0o777)
        self.place.given = self.place.files() | {"shut/small.pt"}
        self.folder.chmod(0o555)
        self.folder.parent.chmod(0o755)
        reads = [self.place.binary, "inspect", str(self.folder / "wide.pt"), "--input", "48x48"]
        if subprocess.run(reads, preexec_fn=drop, capture_output=True, timeout=60).returncode != 0:
            self.report.skip("Forbidden", "another user cannot run the binary or read the folder of the test")
        else:
            for name, arguments in (
                ("ForbiddenModel", self.plan(models=("secret.pt", "wide.pt"), cache="none", out="tmp/out")),
                ("ModelInAForbiddenFolder", self.plan(models=("shut/small.pt", "wide.pt"), cache="none", out="tmp/out")),
                ("ForbiddenOut", self.plan(out="shut/out", cache="none")),
                ("OutInAForbiddenFolder", self.plan(cache="none")),
                ("ForbiddenConfig", self.plan("--config", "shut/c.json", cache="none")),
                ("ForbiddenVideo", self.plan(video="shut/v.y4m", cache="none")),
            ):
                self.both(name, arguments, 3, b"Permission denied", prepare=drop)
            self.both("ForbiddenCache", self.plan(cache="shut/cache"), 3, prepare=drop)
        shut.chmod(0o755)
        self.folder.chmod(0o755)

    def configs(self):
        """Relative paths of a config are relative to it, those of flags to the working directory."""
        (self.folder / "configs").mkdir()
        models = [{"path": "../small.pt"}, {"path": "../wide.pt"}]
        (self.folder / "configs/c.json").write_text(json.dumps({"models": models, "video": "../v.y4m"}))
        (self.folder / "elsewhere").mkdir()
        self.place.given = self.place.files()
        arguments = ["plan", "--config", "../configs/c.json", "--input", "48x48", "--frames", "32", "--max-trials", "1",
                     "--min-fidelity", "0", "--cache", "none", "--out", "../out"]  # fmt: skip
        self.run("ConfigOfAnotherFolder", arguments, 0, cwd=self.folder / "elsewhere")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--source", default=Path(__file__).resolve().parents[2], help="the repository")
    parser.add_argument("--only", help="run what has this in its name")
    arguments = parser.parse_args()
    report = Report()
    parts = ("bytes", "odd", "long", "no_files", "inherited_pipe", "removed", "forbidden", "configs")
    with temporary_folder() as folder:
        for part in parts:
            (Path(folder) / part).mkdir()
            getattr(Names(arguments, Path(folder) / part, report), part)()
    report.end()


if __name__ == "__main__":
    main()
