#!/usr/bin/env python3
"""Every repsim command in the documentation names a subcommand and flags that the program has.

    doc_commands_test.py --binary build/release/bin/repsim

Reads README.md, CONTRIBUTING.md and docs/: indented and fenced blocks, and code in running text that begins with `repsim`. A
command is compared with the help of its subcommand; nothing is run. docs.tutorial runs the commands of the tutorial,
scripts.ci_recipes those of the recipes. Python's standard library only.
"""
import argparse
import functools
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = re.compile(r"^(?:\$ )?(?:\S*/)?repsim(?= |$)")
INLINE = re.compile(r"`([^`]+)`")
FLAG = re.compile(r"(?<![\w-])(--?[a-z][a-z0-9-]*)")
MAGIC = "signatures"  # `repsim signatures 1` is the first line of a file
HIDDEN = {"--man", "-vv"}  # not in --help
GLOBAL = {"--version", "--help", "-h"} | HIDDEN


def lines_of(page: str) -> list[tuple[int, str]]:
    """Lines of blocks, joined where they end with a backslash, and code in running text, each with its line number."""
    found, joined, begin = [], "", 0
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith("   ") or joined:
            begin = begin if joined else number
            joined += line.strip()
            if joined.endswith("\\"):
                joined = joined[:-1]
                continue
            found.append((begin, joined))
            joined = ""
        found += [(number, code) for code in INLINE.findall(line)]
    # Code that a line break divides.
    for match in re.finditer(r"`(repsim [^`\n]*)\n([^`\n]*)`", page):
        found.append((page.count("\n", 0, match.start()) + 1, f"{match[1]} {match[2].strip()}"))
    return found


def words_of(command: str) -> list[str]:
    command = re.split(r"\s#\s|\s\|\s|\s&&\s|\s2?>\s|;", command)[0]
    try:
        return shlex.split(command)
    except ValueError:  # a quotation mark that belongs to the text
        return command.split()


class Program:
    def __init__(self, binary: Path):
        self.binary = binary
        self.subcommands = set(re.findall(r"^  ([a-z]+)  ", self.help(()), re.MULTILINE))
        assert {"plan", "verify", "check"} <= self.subcommands, self.subcommands

    @functools.cache
    def help(self, words: tuple) -> str:
        return subprocess.run([self.binary, *words, "--help"], capture_output=True, text=True, check=True).stdout

    def problems(self, words: list[str]) -> list[str]:
        """Of the words behind `repsim`."""
        if not words or words[0].startswith("-"):
            return [f"unknown flag {word}" for word in words if word.startswith("-") and word not in GLOBAL]
        if words[0] == MAGIC or not re.fullmatch("[a-z]+", words[0]):
            return []  # or a placeholder
        if words[0] not in self.subcommands:
            return [f"no subcommand '{words[0]}'"]
        path = words[:1]
        if len(words) > 1 and re.search(rf"^  {re.escape(words[1])}  ", self.help((words[0],)), re.MULTILINE):
            path = words[:2]
        known = set(FLAG.findall(self.help(tuple(path)))) | HIDDEN
        words = words[: words.index("--")] if "--" in words else words
        flags = [word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)]
        return [f"{' '.join(path)} has no flag {flag}" for flag in flags if flag not in known]


def self_test(program: Program) -> None:
    assert program.problems(words_of("plan a.pt --frames 3 --vidoe v.mp4")) == ["plan has no flag --vidoe"]
    assert program.problems(words_of("plna a.pt")) == ["no subcommand 'plna'"]
    assert [text for _, text in lines_of("    a \\\n        b\n`repsim x\ny`")] == ["a b", "repsim x y"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=Path, required=True)
    program = Program(parser.parse_args().binary)
    self_test(program)
    count, problems = 0, []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for number, text in lines_of(page.read_text()):
            match = PROGRAM.match(text)
            if not match:
                continue
            count += 1
            words = [word for word in words_of(text[match.end():]) if word not in ("...", "…")]
            problems += [f"{page.relative_to(ROOT)}:{number}: {problem}: {text}" for problem in program.problems(words)]
    print("\n".join(problems) or f"{count} commands, no problem")
    assert count > 40, "the pages have more commands than that"
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
