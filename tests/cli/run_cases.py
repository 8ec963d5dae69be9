#!/usr/bin/env python3
"""Runs the repsim binary through cases and compares exit code, output and files. Python's standard library only.

    tests/cli/run_cases.py --binary build/release/bin/repsim tests/cli/cases/usage.json [--only NAME]

A case file is {"cases": [...]}; "defaults" beside it fills what a case does not say, "prepare" are setup steps that run
once for the file, every case starts from a copy. A case:

    name      what is expected, in CamelCase
    args      the command line; {source} is the repository, {video} the demo's video, {operators} the library that
              tests/fixtures/custom_op.pt needs, {torch} the folder of the LibTorch that the binary runs with
    setup     steps in an empty folder, which is the working directory:
                {"write": "c.json", "json": {...}} or {"write": "a.txt", "text": "..."}
                {"copy": "{source}/demo/plain.pt", "to": "a.pt", "bytes": 1000}    bytes: only the first so many
                {"copy": "{source}/demo/plain.pt", "to": "a.pt", "drop": "extra/*"} a zip archive without such members
                {"pictures": "shot", "names": "img%d.png", "count": 40, "size": [64, 48]}  PNG files of noise, numbered
                from 1
                {"torchscript": "m.pt", "methods": ["def forward(...) -> NoneType:", "  return None"]}  a small model
                {"edit": "plan/plan.json", "old": "...", "new": "..."}, {"mkdir": "folder"}
                {"edit_bytes": "a.pt", "at": 5000}  flips the bits of one byte
                {"link": "{torch}", "to": "lib"}  a folder of links to a folder's files
                {"run": [args]}  repsim itself, which has to end with 0 or 4
                {"run_at_once": [[args], [args]]}  the same, several at the same time
                {"same": ["a/plan.json", "b/plan.json"]}  these files have to be equal
                {"at_most": "plan/run.json", "key": "peak_rss_bytes", "value": 1000}  no larger number is there
    env       environment variables beside those of the tests; {folder} is the working directory
    exit      expected exit code (default 0)
    stdout    patterns (re.search, ^ and $ match at lines) that must all be found; none given: stdout must be empty
    stderr    the same, but stderr may hold anything when none is given
    stderr_not, stdout_not   patterns that must not be found
    json      "stdout": it is one JSON document; "stderr": every line of it is a JSON object
    creates   files or folders that are there afterwards and were not before; anything else that is new is a failure;
              with * a pattern for names that nobody can foretell
    deletes   patterns of files that are gone afterwards; anything else that is gone is a failure
    changes   files that may change while it runs; any other change is a failure
    signal    {"name": "SIGINT", "when": pattern}: sent as soon as stderr matches
    file_size_limit   bytes that one file may have, then writing fails: stands in for a full disk
    stdout_to a file that takes stdout, for example /dev/full
    needs     files without which the case is skipped
    without   files with which the case is skipped
    timeout_s seconds after which the case has failed (default 120)

What ends with another code than 0 has to say why: exactly one 'repsim: error: ' on stderr, unless it was interrupted.
Exit code: 0 all passed, 1 some failed, 77 all were skipped.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from pathlib import Path

DEMO_VIDEO = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"
SKIPPED = 77
KNOWN_KEYS = {
    "name", "args", "setup", "exit", "stdout", "stderr", "stderr_not", "stdout_not", "json", "creates", "changes",
    "deletes", "signal", "file_size_limit", "stdout_to", "needs", "timeout_s", "env", "without",
}  # fmt: skip


class Runner:
    def __init__(self, binary, source, operators):
        self.prepared = None  # folder that every case starts from
        self.binary = str(Path(binary).resolve())
        self.places = {"{source}": str(Path(source).resolve()), "{video}": DEMO_VIDEO, "{operators}": operators,
                       "{torch}": torch_folder(self.binary)}  # fmt: skip

    def fill(self, text):
        for name, value in self.places.items():
            text = text.replace(name, value)
        return text

    def lacks(self, case):
        """What keeps the case from running: files that are not there, or that are."""
        missing = [f"{path} is not there" for path in map(self.fill, case.get("needs", [])) if not Path(path).exists()]
        return missing + [f"{path} is there" for path in map(self.fill, case.get("without", [])) if Path(path).exists()]

    def setup(self, folder, steps):
        for step in steps:
            if "write" in step:
                text = json.dumps(step["json"]) if "json" in step else step["text"]
                (folder / step["write"]).write_text(self.fill(text))
            elif "copy" in step:
                copy(folder / self.fill(step["copy"]), folder / step["to"], step)
            elif "edit" in step:
                text = (folder / step["edit"]).read_text()
                if step["old"] not in text:
                    raise ValueError(f"{step['edit']} lacks {step['old']}")
                (folder / step["edit"]).write_text(text.replace(step["old"], step["new"]))
            elif "pictures" in step:
                write_pictures(folder / step["pictures"], step["names"], step["count"], *step["size"])
            elif "edit_bytes" in step:
                damaged = bytearray((folder / step["edit_bytes"]).read_bytes())
                damaged[step["at"]] ^= 255
                (folder / step["edit_bytes"]).write_bytes(damaged)
            elif "mkdir" in step:
                (folder / step["mkdir"]).mkdir(parents=True)
            elif "link" in step:
                (folder / step["to"]).mkdir(parents=True)
                for path in Path(self.fill(step["link"])).iterdir():
                    if path.is_file():
                        (folder / step["to"] / path.name).symlink_to(path)
            elif "torchscript" in step:
                write_torchscript(folder / step["torchscript"], step["methods"])
            elif "run" in step or "run_at_once" in step:
                self.run_all(folder, step.get("run_at_once") or [step["run"]])
            elif "same" in step:
                first, second = ((folder / name).read_bytes() for name in step["same"])
                if first != second:
                    raise ValueError(f"{' and '.join(step['same'])} differ")
            elif "at_most" in step:
                found = json.loads((folder / step["at_most"]).read_text())[step["key"]]
                if found > step["value"]:
                    raise ValueError(f"{step['key']} in {step['at_most']} is {found}, above {step['value']}")
            else:
                raise ValueError(f"unknown step {step}")

    def run_all(self, folder, commands):
        pipes = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running = [subprocess.Popen([self.binary, *map(self.fill, arguments)], **pipes) for arguments in commands]
        for process in running:
            _, stderr = process.communicate(timeout=600)
            if process.returncode not in (0, 4):
                raise RuntimeError(f"setup ended with {process.returncode}: {stderr}")

    def execute(self, case, folder):
        """Exit code, stdout, stderr; the exit code is None after a timeout."""

        def limit_files():
            if "file_size_limit" in case:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write() then fails with EFBIG
                limit = case["file_size_limit"]
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        command = [self.binary, *(self.fill(argument) for argument in case.get("args", []))]
        env = {name: self.fill(value).replace("{folder}", str(folder)) for name, value in case.get("env", {}).items()}
        out_path = case.get("stdout_to")
        with open(out_path, "w") if out_path else tempfile.TemporaryFile("w+") as out:
            process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.PIPE, preexec_fn=limit_files,
            )  # fmt: skip
            stderr = []
            reader = threading.Thread(target=self.watch, args=(process, case.get("signal"), stderr))
            reader.start()
            try:
                code = process.wait(case.get("timeout_s", 120))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
            reader.join()
            text = ""
            if not out_path:
                out.seek(0)
                text = out.read()
        return code, text, "".join(stderr)

    @staticmethod
    def watch(process, wanted, stderr):
        sent = False
        for line in process.stderr:
            stderr.append(line.decode(errors="replace"))
            if wanted and not sent and re.search(wanted["when"], stderr[-1]):
                process.send_signal(getattr(signal, wanted["name"]))
                sent = True

    def run(self, case):
        """What is wrong, one text each; None when the case was skipped."""
        unknown = set(case) - KNOWN_KEYS
        if unknown:
            return [f"the case has unknown keys: {', '.join(sorted(unknown))}"]
        if missing := self.lacks(case):
            print(f"  skipped {case['name']}: {missing[0]}")
            return None
        with tempfile.TemporaryDirectory(prefix="repsim-cli-") as name:
            folder = Path(name)
            if self.prepared:
                shutil.copytree(self.prepared, folder, dirs_exist_ok=True)
            self.setup(folder, case.get("setup", []))
            before = contents(folder)
            code, stdout, stderr = self.execute(case, folder)
            problems = judge(case, code, stdout, stderr) + compare(case, before, contents(folder))
        if problems:
            problems += [f"stdout: {stdout.strip() or '(empty)'}", f"stderr: {stderr.strip() or '(empty)'}"]
        return problems


def torch_folder(binary):
    """Where the loader takes libtorch_cpu.so from."""
    libraries = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout
    found = re.search(r"=> (\S+)/libtorch_cpu\.so", libraries)
    if not found:
        raise RuntimeError(f"ldd names no libtorch_cpu.so of {binary}")
    return found.group(1)


def copy(source, target, step):
    target.parent.mkdir(parents=True, exist_ok=True)
    if "drop" not in step:
        target.write_bytes(source.read_bytes()[: step.get("bytes")])
        return
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for member in old.namelist():
            inside = member.split("/", 1)[-1]  # the root folder has the name of the file that was saved
            if not fnmatch.fnmatch(inside, step["drop"]):
                new.writestr(member, old.read(member))


def write_pictures(folder, names, count, width, height):
    """Numbered PNG files, each with noise of its own."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    folder.mkdir(parents=True, exist_ok=True)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    for number in range(1, count + 1):
        noise = random.Random(number)
        rows = b"".join(b"\0" + noise.randbytes(3 * width) for _ in range(height))
        image = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        (folder / (names % number)).write_bytes(image)


def write_torchscript(path, methods):
    """An archive of one class without parameters, as torch.jit.save writes it; its methods are given line by line."""
    lines = ["class M(Module):", "  __parameters__ = []", "  __buffers__ = []", "  training : bool"]
    lines += ["  " + line for line in methods]
    pickled = b"\x80\x02c__torch__\nM\n)\x81}X\x08\x00\x00\x00training\x89sb."  # M(), training = False
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/code/__torch__.py", "\n".join(lines) + "\n")
        archive.writestr("m/constants.pkl", b"\x80\x02).")
        archive.writestr("m/version", "3\n")


def contents(folder):
    """Path -> digest of everything below a folder, hidden files too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = str(path.relative_to(folder))
        is_file = path.is_file() and not path.is_symlink()
        found[relative] = hashlib.sha256(path.read_bytes()).hexdigest() if is_file else "no file"
    return found


def judge(case, code, stdout, stderr):
    problems = []
    expected = case.get("exit", 0)
    if code is None:
        return ["it did not end in time"]
    if code != expected:
        problems.append(f"exit code {code}, expected {expected}")
    for name, text in (("stdout", stdout), ("stderr", stderr)):
        for pattern in case.get(name, []):
            if not re.search(pattern, text, re.MULTILINE):
                problems.append(f"{name} lacks {pattern!r}")
        for pattern in case.get(f"{name}_not", []):
            if re.search(pattern, text, re.MULTILINE):
                problems.append(f"{name} has {pattern!r}")
    if not case.get("stdout") and case.get("json") != "stdout" and stdout:
        problems.append("stdout is not empty")
    problems += judge_json(case.get("json"), stdout, stderr)
    complaints = len(re.findall(r"^repsim: error: ", stderr, re.MULTILINE))
    silent = case.get("json") == "stderr" or expected in (0, 130) or not case.get("args")
    if complaints != (0 if silent else 1):
        problems.append(f"{complaints} lines 'repsim: error: ' on stderr")
    return problems


def judge_json(which, stdout, stderr):
    try:
        if which == "stdout":
            json.loads(stdout)
        if which == "stderr":
            for line in stderr.splitlines():
                if not isinstance(json.loads(line), dict):
                    return [f"no JSON object: {line}"]
    except ValueError as error:
        return [f"{which} is not JSON: {error}"]
    return []


def compare(case, before, after):
    def matches(path, patterns):
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)

    created, deleted = case.get("creates", []), case.get("deletes", [])
    new, gone = sorted(set(after) - set(before)), sorted(set(before) - set(after))
    problems = [f"{pattern} was not created" for pattern in created if not any(matches(path, [pattern]) for path in new)]
    problems += [f"{path} was left behind" for path in new if not matches(path, created)]
    problems += [f"{pattern} was not deleted" for pattern in deleted if not any(matches(p, [pattern]) for p in gone)]
    problems += [f"{path} is gone" for path in gone if not matches(path, deleted)]
    allowed = set(case.get("changes", []))
    same = set(before) & set(after) - allowed
    return problems + [f"{path} was changed" for path in sorted(same) if before[path] != after[path]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="case files")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--source", default=Path(__file__).resolve().parents[2], help="the repository")
    parser.add_argument("--operators", help="default: beside the binary")
    parser.add_argument("--only", help="run the cases whose name contains this")
    arguments = parser.parse_args()
    beside = Path(arguments.binary).resolve().parent / "librepsim_test_operators.so"
    runner = Runner(arguments.binary, arguments.source, arguments.operators or str(beside))
    passed, failed, skipped = 0, [], 0
    for path in arguments.files:
        document = json.loads(Path(path).read_text())
        cases = [{**document.get("defaults", {}), **case} for case in document["cases"]]
        cases = [case for case in cases if not arguments.only or arguments.only in case["name"]]
        with tempfile.TemporaryDirectory(prefix="repsim-cli-") as prepared:
            if any(not runner.lacks(case) for case in cases):
                runner.setup(Path(prepared), document.get("prepare", []))
            runner.prepared = prepared
            for case in cases:
                begin = time.monotonic()
                problems = runner.run(case)
                if problems is None:
                    skipped += 1
                elif problems:
                    failed.append(case["name"])
                    print(f"  FAILED  {case['name']}")
                    print("".join(f"          {line}\n" for text in problems for line in text.splitlines()), end="")
                else:
                    passed += 1
                    print(f"  ok      {case['name']} ({time.monotonic() - begin:.1f} s)")
                sys.stdout.flush()
    print(f"{passed} passed, {len(failed)} failed, {skipped} skipped" + (f": {', '.join(failed)}" if failed else ""))
    if failed:
        return 1
    return SKIPPED if skipped and not passed else 0


if __name__ == "__main__":
    os.environ.pop("TERM", None)
    # What another version of the program left in the user's cache must not decide a test.
    with tempfile.TemporaryDirectory(prefix="repsim-cli-cache-") as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        status = main()
    sys.exit(status)
