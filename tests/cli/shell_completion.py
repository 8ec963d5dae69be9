#!/usr/bin/env python3
"""Completions of shells, asked as a shell asks them: bash by its variables and by keys on a terminal, fish by
`complete -C`, zsh by keys on a terminal. A shell that is not installed is left out with a message.

    tests/cli/shell_completion.py --binary build/release/bin/repsim [--only bash]

Python's standard library only. Exit code: 0 all passed, 1 some failed.
"""

import argparse
import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from small_plan import Report, temporary_folder

TAB, HOME, ENTER = "\t", "\x01", "\r"
OBJECTIVES = {"bytes", "flops", "latency", "peak-memory"}
FORMATS = {"text", "json", "github", "gitlab", "junit", "markdown"}
COMMANDS = {"plan", "inspect", "capture", "similarity", "bundle", "verify", "check", "diff", "run", "sweep", "measure", "validate", "config",
            "cache", "doctor", "completion"}  # fmt: skip

# The line up to the cursor -> all candidates for its last word.
QUESTIONS = [
    ("AllSubcommands", "repsim ", COMMANDS),
    ("SubcommandsThatBeginSo", "repsim c", {"capture", "check", "config", "cache", "completion"}),
    ("FlagsOfASubcommand", "repsim plan --max-r", {"--max-rank"}),
    ("FlagsOfAnotherSubcommand", "repsim diff --exit", {"--exit-code"}),
    ("FlagsOfTheProgram", "repsim --vers", {"--version"}),
    ("WordsOfTheSettingsTable", "repsim plan --objective ", OBJECTIVES),
    ("WordsThatBeginSo", "repsim plan a.pt b.pt --objective p", {"peak-memory"}),
    ("OnOrOff", "repsim validate --refit ", {"on", "off"}),
    ("FormsOfResults", "repsim check plan --output-format ", FORMATS),
    ("ActionsOfASubcommand", "repsim cache ", {"ls", "gc", "clear"}),
    ("Shells", "repsim completion ", {"bash", "zsh", "fish"}),
    ("KeysOfSettings", "repsim plan --set merge.max_j", {"merge.max_judgements="}),
    ("ModelsOfTheLine", "repsim plan plain.pt sub/mobile.pt --keep ", {"plain", "mobile"}),
    ("ModelsOfTheConfig", "repsim plan --config c.json --keep ", {"front", "back"}),
    ("ModelsOfBoth", "repsim plan --config c.json --model side=plain.pt --explain ", {"front", "back", "side"}),
    ("NoModelOfAConfigThatIsNone", "repsim plan plain.pt --config none.json --keep ", {"plain"}),
    ("TheFormatOfAModel", "repsim plan plain.pt --format plain=yolov5", {"plain=yolov5"}),
    ("Folders", "repsim plan --out su", {"sub"}),
    ("FilesAndFolders", "repsim inspect su", {"sub", "suite.pt"}),
    ("Numbers", "repsim plan --frames ", set()),
    ("ADirection", "repsim plan --config c.json --share 'front<-b", {"front<-back"}),
]


def repsim_script(binary, shell):
    return subprocess.run([binary, "completion", shell], check=True, capture_output=True, text=True).stdout


def readline_words(line):
    """The words as bash splits them for COMP_WORDS: also at '=', ':', '<' and '>', but for those in quotes."""
    return re.findall(r"'[^']*'?|[=:<>]+|[^\s=:<>']+", line) + ([""] if line.endswith(" ") else [])


class Terminal:
    """A shell that reads keys."""

    def __init__(self, words, folder, env):
        pid, self.descriptor = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, {**os.environ, **env, "TERM": "vt100", "PS1": "", "INPUTRC": "/dev/null"})
        self.pid = pid

    def read(self, pattern, seconds):
        """What came until the pattern is in it; all of it when it does not come."""
        text, end = "", time.monotonic() + seconds
        while time.monotonic() < end and not re.search(pattern, text):
            if not select.select([self.descriptor], [], [], 0.2)[0]:
                continue
            try:
                text += os.read(self.descriptor, 65536).decode(errors="replace")
            except OSError:
                break
        return text

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def completed(self, line):
        """The line as the shell completes it: it is echoed, not run."""
        self.type(line + TAB)
        self.read("$^", 1.5)  # the shell answers in this time, or the mark below comes too late
        self.type(HOME + "print_line " + ENTER)
        found = re.search(r"LINE<(.*?)>ENDS", self.read("LINE<.*>ENDS", 20), re.DOTALL)
        return found.group(1) if found else None

    def close(self):
        os.close(self.descriptor)
        os.waitpid(self.pid, 0)


class Completion:
    def __init__(self, arguments, folder, report):
        self.binary = Path(arguments.binary).resolve()
        self.folder, self.report = Path(folder), report
        for name in ("plain.pt", "sub/mobile.pt", "suite.pt"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text("")
        models = [{"name": "front", "path": "plain.pt"}, {"name": "back", "path": "sub/mobile.pt"}]
        (self.folder / "c.json").write_text(json.dumps({"models": models}))
        (self.folder / "bin").mkdir()
        (self.folder / "bin/repsim").symlink_to(self.binary)
        self.env = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder)}
        for shell, name in (("bash", "repsim.bash"), ("zsh", "_repsim"), ("fish", "repsim.fish")):
            (self.folder / "bin" / name).write_text(repsim_script(self.binary, shell))

    def ask(self, words):
        done = subprocess.run(words, cwd=self.folder, env={**os.environ, **self.env}, capture_output=True, text=True)
        return done.stdout.splitlines(), done.stderr

    def check(self, name, found, expected, complaint=""):
        problems = [] if found == expected else [f"{sorted(found)}, not {sorted(expected)} {complaint}"]
        self.report.check(name, problems)

    def bash(self):
        for name, line, expected in QUESTIONS:
            words = readline_words(line)
            script = (f"source bin/repsim.bash; COMP_WORDS=({' '.join(map(shlex.quote, words))}); "
                      f"COMP_CWORD={len(words) - 1}; COMP_LINE={shlex.quote(line)}; COMP_POINT={len(line)}; _repsim; "
                      "printf '%s\\n' \"${COMPREPLY[@]}\"")  # fmt: skip
            lines, stderr = self.ask(["bash", "--norc", "-c", script])
            kept = "plain=" if "plain=" in line else ""  # readline keeps what is before '='
            self.check(f"Bash{name}", {kept + one for one in lines if one}, expected, stderr)
        setup = "source bin/repsim.bash; print_line() { printf 'LINE%s%s>ENDS\\n' '<' \"$*\"; }; bind 'set enable-bracketed-paste off'\r"
        self.keys("bash", ["bash", "--norc", "--noprofile", "-i"], setup)

    def zsh(self):
        setup = ("fpath=($PWD/bin $fpath); autoload -U compinit; compinit -u -D; bindkey -e; unsetopt zle_bracketed_paste; "
                 "print_line() { printf 'LINE%s%s>ENDS\\n' '<' \"$*\" }\r")  # fmt: skip
        self.keys("zsh", ["zsh", "-f", "-i"], setup)

    def keys(self, shell, words, setup):
        terminal = Terminal(words, self.folder, self.env)
        terminal.type(setup + "printf '%s%s\\n' RE ADY\r")
        self.report.check(f"{shell.capitalize()}Starts", [] if "READY" in terminal.read("READY", 20) else ["no answer"])
        for name, line, expected in (
            ("ASubcommand", "repsim simi", "repsim similarity"),
            ("AFlag", "repsim diff a b --exit", "repsim diff a b --exit-code"),
            ("AWord", "repsim plan --objective pe", "repsim plan --objective peak-memory"),
            ("AWordBehindEquals", "repsim plan --objective=pe", "repsim plan --objective=peak-memory"),
            ("AFormatOfAModel", "repsim plan plain.pt --format plain=lan", "repsim plan plain.pt --format plain=landmark-ssd"),
            ("AModelOfTheConfig", "repsim plan --config c.json --keep fr", "repsim plan --config c.json --keep front"),
            ("AFile", "repsim inspect sui", "repsim inspect suite.pt"),
            ("ADirection", "repsim plan --config c.json --share 'front<-b", "repsim plan --config c.json --share front<-back"),
        ):  # fmt: skip
            found = terminal.completed(line)
            problems = [] if found is not None and found.rstrip() == expected else [f"{found!r}, not {expected!r}"]
            self.report.check(f"{shell.capitalize()}Completes{name}", problems)
        terminal.type("exit\r")
        terminal.close()

    def fish(self):
        for name, line, expected in QUESTIONS:
            lines, stderr = self.ask(["fish", "--no-config", "-c", f"source bin/repsim.fish; complete -C {shlex.quote(line)}"])
            found = {one.split("\t")[0].rstrip("/") for one in lines}
            if name == "Folders":
                found -= {"suite.pt"}
            if name in ("AllSubcommands", "SubcommandsThatBeginSo"):
                found = {one for one in found if not one.startswith("-")}
            self.check(f"Fish{name}", found, expected, stderr)

    def run(self, only):
        for shell in ("bash", "zsh", "fish"):
            if only and only != shell:
                continue
            if shutil.which(shell) is None:
                self.report.skip(shell, "it is not installed")
            else:
                getattr(self, shell)()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", help="one shell")
    arguments = parser.parse_args()
    report = Report()
    with temporary_folder() as folder:
        Completion(arguments, folder, report).run(arguments.only)
    report.end()


if __name__ == "__main__":
    main()
