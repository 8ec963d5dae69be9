#!/usr/bin/env python3
"""Write the output formats of include/repsim/output_formats.def into the schemas under configs/. Python's standard library only.

    scripts/update_schemas.py [--check]

--check changes nothing and exits with 1 where a schema has another list.
"""
import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A plan says what was recognised, so `auto` is a word of configs only.
SCHEMAS = {"repsim.schema.json": ["auto"], "plan.schema.json": []}


def formats() -> list[str]:
    rows = (ROOT / "include" / "repsim" / "output_formats.def").read_text()
    return re.findall(r'^REPSIM_OUTPUT_FORMAT\(\w+,\s*"([^"]+)"', rows, re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    differ = []
    for name, before in SCHEMAS.items():
        path = ROOT / "configs" / name
        old = path.read_text()
        words = json.dumps([*before, *formats(), "tensor"])
        # The list that ends with the format that has no decoder.
        new, count = re.subn(r'("enum": )\[[^\]]*"tensor"\]', lambda found: found[1] + words, old)
        if count != 1:
            sys.exit(f"{path}: {count} lists that end with \"tensor\", expected 1")
        if new != old:
            differ.append(name)
            if not args.check:
                path.write_text(new)
    print(f"{'differ' if args.check else 'written'}: {', '.join(differ)}" if differ else "the schemas have all formats")
    return 1 if args.check and differ else 0


if __name__ == "__main__":
    sys.exit(main())
