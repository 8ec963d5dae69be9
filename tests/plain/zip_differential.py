#!/usr/bin/env python3
"""What repsim reads of zip directories against libzip's strict check, on mutated archives.

    tests/plain/zip_differential.py --list build/release/bin/repsim_zip_list [--files 10000] [--libzip PATH]

An archive that both open has the same records, and stored ones the same bytes. An archive that repsim opens and libzip refuses is
one whose copies in local headers differ from the directory, which is all that repsim reads; one that repsim refuses and
libzip opens has to have a reason below. Python's standard library only. Exit code: 0 all agree, 1 not, 77 no libzip.
"""

import argparse
import collections
import ctypes
import ctypes.util
import hashlib
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CHECK = 4 | 16  # ZIP_CHECKCONS | ZIP_RDONLY
OURS = ("is encrypted", "packed with a method", "claims to unpack", "has two records", "contradict each other")


class Stat(ctypes.Structure):
    _fields_ = [("valid", ctypes.c_uint64), ("name", ctypes.c_char_p), ("index", ctypes.c_uint64),
                ("size", ctypes.c_uint64), ("comp_size", ctypes.c_uint64), ("mtime", ctypes.c_int64),
                ("crc", ctypes.c_uint32), ("comp_method", ctypes.c_uint16), ("encryption", ctypes.c_uint16),
                ("flags", ctypes.c_uint32)]  # fmt: skip


class LibZip:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        for name, result, arguments in (
            ("zip_open", ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]),
            ("zip_discard", None, [ctypes.c_void_p]),
            ("zip_get_num_entries", ctypes.c_int64, [ctypes.c_void_p, ctypes.c_uint32]),
            ("zip_stat_index", ctypes.c_int, [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.POINTER(Stat)]),
            ("zip_fopen_index", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32]),
            ("zip_fread", ctypes.c_int64, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64]),
            ("zip_fclose", ctypes.c_int, [ctypes.c_void_p]),
        ):  # fmt: skip
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments

    def read(self, archive, index, size):
        """The content, or nothing where its checksum is wrong: repsim compares that elsewhere."""
        file = self.lib.zip_fopen_index(archive, index, 0)
        if not file:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        count = self.lib.zip_fread(file, buffer, size + 1)
        self.lib.zip_fclose(file)
        return buffer.raw[:count] if count >= 0 else None

    def listing(self, path):
        error = ctypes.c_int()
        archive = self.lib.zip_open(str(path).encode(), CHECK, ctypes.byref(error))
        if not archive:
            return {"refused": error.value}
        records = []
        for index in range(self.lib.zip_get_num_entries(archive, 0)):
            stat = Stat()
            if self.lib.zip_stat_index(archive, index, 64, ctypes.byref(stat)) != 0:  # 64: names as they are
                continue
            record = {"name": stat.name, "bytes": stat.size, "crc32": stat.crc}
            if stat.comp_method == 0 and stat.size < 1 << 20:
                record["content"] = self.read(archive, index, stat.size)
            records.append(record)
        self.lib.zip_discard(archive)
        return {"records": records}


def seeds(folder):
    """The seeds of the fuzz target, and small archives of other forms."""
    result = [path.read_bytes() for path in sorted(folder.iterdir())]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", method) as file:
            for i in range(3):
                info = zipfile.ZipInfo(f"m/data/{i}", (1980, 1, 1, 0, 0, 0))
                file.writestr(info, b"content" * i, method)
        result.append(archive.getvalue())
    return result


def mutated(archives, number):
    chance = random.Random(number)
    archive = bytearray(chance.choice(archives))
    # half of the changes hit the directory, which is at the end
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(archive) // 2 if chance.random() < 0.5 else 0, len(archive))
        change = chance.randrange(6)
        if change == 0:
            archive[at] ^= 1 << chance.randrange(8)
        elif change == 1:
            archive[at] = chance.choice((0, 1, 2, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif change == 2:
            del archive[at : at + chance.randrange(1, 9)]
        elif change == 3:
            archive[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif change == 4:
            archive[at : at + 4] = chance.choice((b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"\xff" * 4, b"\0" * 4))
        else:
            archive = archive[:at] if chance.random() < 0.3 else archive + archive[at:]
        if not archive:
            break
    return bytes(archive)



def difference(own, other):
    """A word for what differs, with '!' in front where nothing may."""
    if "refused" in own and "refused" in other:
        return "both refuse"
    if "refused" in own:
        known = [reason for reason in OURS if reason in own["refused"]]
        return f"only repsim refuses: {known[0]}" if known else f"!only repsim refuses: {own['refused']}"
    if "refused" in other:
        return f"only libzip refuses: error {other['refused']}"
    if len(own["records"]) != len(other["records"]):
        return "!another number of records"
    for mine, theirs in zip(own["records"], other["records"]):
        name = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), mine["name"].encode())
        if b"\\" not in theirs["name"] and name.split(b"\0")[0] != theirs["name"]:
            return "!another name"
        if mine["bytes"] != theirs["bytes"] or mine["crc32"] != theirs["crc32"]:
            return "!another size or checksum"
        if theirs.get("content") is not None and mine.get("content") != hashlib.sha256(theirs["content"]).hexdigest():
            return "!another content"
    return "both open"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", required=True, help="the program that prints what repsim reads")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--libzip", default=ctypes.util.find_library("zip"))
    arguments = parser.parse_args()
    if not arguments.libzip:
        print("skipped: there is no libzip (Debian package libzip4)")
        return 77
    libzip = LibZip(arguments.libzip)
    archives = seeds(Path(__file__).resolve().parents[1] / "fuzz/seeds/zip_directory")
    counts, examples = collections.Counter(), {}
    with tempfile.TemporaryDirectory(prefix="repsim-zip-") as folder:
        paths = [Path(folder) / str(i) for i in range(arguments.files)]
        for i, path in enumerate(paths):
            path.write_bytes(mutated(archives, i) if i >= len(archives) else archives[i])
        done = subprocess.run([arguments.list], input="\n".join(map(str, paths)), capture_output=True, text=True,
                              check=True)  # fmt: skip
        for i, (path, line) in enumerate(zip(paths, done.stdout.splitlines(), strict=True)):
            kind = difference(json.loads(line), libzip.listing(path))
            counts[kind] += 1
            examples.setdefault(kind, i)
    for kind, count in counts.most_common():
        print(f"{count:7} {kind} (first: file {examples[kind]})")
    return 1 if any(kind.startswith("!") for kind in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
