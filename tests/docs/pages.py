"""README and docs as data: the pages, their fenced blocks, and the words and links in them. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"```(\w*)")
_EXCUSE = re.compile(r"<!-- not run: (.+?) -->")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ROUTE = re.compile(r"`((?:[A-Z]+, )*[A-Z]+) (/[^`\s]*)`")


@dataclass(frozen=True)
class Block:
    """A fenced block. ``excuse`` is what the line before it says of why no test runs it: ``<!-- not run: … -->``."""

    page: Path
    line: int
    language: str
    text: str
    excuse: str | None

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{name_of(self.page)}:{self.line}"


def pages() -> list[Path]:
    """Return README, CHANGELOG and every page of docs."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return the page's path below the project's root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the page's fenced blocks in order."""
    return list(_blocks(page))


def prose(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    """Return the targets of the page's links that lead to other files of the project."""
    return [target for target in _LINK.findall(prose(page)) if "://" not in target and not target.startswith("#")]


def routes(page: Path) -> set[tuple[str, str]]:
    """Return the method and path of every route that the page names as code: ``GET, HEAD /api/files/{file_id}``."""
    return {
        (method, path.partition("?")[0])
        for methods, path in _ROUTE.findall(page.read_text())
        for method in methods.split(", ")
    }


def _blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text().splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        if fence is None:
            number += 1
            continue
        end = lines.index("```", number + 1)
        excuse = _EXCUSE.fullmatch(lines[number - 1].strip()) if number else None
        text = "\n".join(lines[number + 1 : end])
        yield Block(page, number + 1, fence[1], text, excuse[1] if excuse else None)
        number = end + 1
