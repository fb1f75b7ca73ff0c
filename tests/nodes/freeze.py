"""Write what the nodes have now into contract.json: `python tests/nodes/freeze.py`. It refuses anything but growth."""

from __future__ import annotations

import json
import re
import sys

from contract import FILE, broken, declared, frozen

NEW_LINE = re.compile(r",\s*\n\s*")
LIST = re.compile(r"\[\n\s+([^\[\]{}]*?)\n\s+\]")
"""A list of words, as json writes it."""


def main() -> None:
    now = declared()
    if faults := broken(frozen(), now):
        sys.exit("Saved workflows would break; nothing is written:\n" + "\n".join(faults))
    FILE.write_text(LIST.sub(on_one_line, json.dumps(now, indent=2)) + "\n")


def on_one_line(match: re.Match[str]) -> str:
    return f"[{', '.join(NEW_LINE.split(match[1]))}]"


if __name__ == "__main__":
    main()
