"""Whether output is what a page shows: ``…`` in it stands for anything, everything else for itself."""

from __future__ import annotations

import json
import re
from typing import Any


def check_text(shown: str, output: str) -> None:
    """Raise AssertionError unless the output's lines are those shown; a line of only ``…`` is any number of lines."""
    lines = [r"(?:.*\n)*?" if line.strip() == "…" else _pattern(line) + r"[ \t]*\n" for line in shown.splitlines()]
    assert re.fullmatch("".join(lines), output.strip("\n") + "\n"), f"shown:\n{shown}\n\nprinted:\n{output}"


def check_json(shown: str, output: str) -> None:
    """Raise AssertionError unless the output is JSON with the members and values shown."""
    printed = json.loads(output)
    assert _agree(json.loads(shown), printed), f"shown:\n{shown}\n\nprinted:\n{json.dumps(printed, indent=2)}"


def _agree(shown: Any, printed: Any) -> bool:
    if isinstance(shown, dict):
        same_members = isinstance(printed, dict) and shown.keys() == printed.keys()
        return same_members and all(_agree(value, printed[name]) for name, value in shown.items())
    if isinstance(shown, list):
        same_length = isinstance(printed, list) and len(shown) == len(printed)
        return same_length and all(map(_agree, shown, printed))
    if isinstance(shown, str):
        return isinstance(printed, str) and re.fullmatch(_pattern(shown), printed) is not None
    return type(shown) is type(printed) and bool(shown == printed)


def _pattern(text: str) -> str:
    return ".+".join(map(re.escape, text.rstrip().split("…")))
