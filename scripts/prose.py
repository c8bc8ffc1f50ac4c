"""Reads README and docs for words of our own and for sentences that are too long; exits with what it finds.

What the code says (blocks, tables that are generated) and what is history (decisions, records of trials) is passed over.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 35
"""Words in a sentence."""
OURS = {
    r"flows?(?!\.js)": "API style, or its name: the presigned API",
    r"confine[sd]?": "scoped to",
    r"judg(?:e|es|ed|ing)": "checked, validated or scanned",
    r"(?:long|short)\w* li(?:fe|ves)|life of": "expiry, or time to live",
    r"utili[sz]e[sd]?": "use",
    r"in order to": "to",
}
"""Words that the field does not use so, or that a shorter one says, with what to write."""
HISTORY = {"benchmarks.md", "reliability.md", "development.md"}
OTHERS = {"operating.md"}
"""Pages that are still to be read so."""


def main() -> None:
    """Read every page, and exit with the places that are to be mended."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/flows").glob("*.md"))]
    if found := [fault for page in pages if page.name not in HISTORY | OTHERS for fault in faults(page)]:
        sys.exit("\n".join(found))


def faults(page: Path) -> Iterator[str]:
    """Yield what is wrong with a page, with the line where its sentence begins."""
    name = page.relative_to(ROOT)
    for line, sentence in sentences(page.read_text()):
        words = len(re.findall(r"[\w'-]+", sentence))
        if words > LONGEST:
            yield f"{name}:{line}: {words} words in a sentence, of {LONGEST} at most: {sentence[:60]}…"
        for ours, instead in OURS.items():
            if said := re.search(rf"\b(?:{ours})\b", sentence, re.IGNORECASE):
                yield f"{name}:{line}: {said[0]!r}: write {instead}"


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield each sentence of a page's prose with the number of its first line; a cell of a table is prose too."""
    blanked = re.sub(
        r"^```.*?^```$|<!--.*?-->", _blank, re.sub(GENERATED, _blank, text), flags=re.DOTALL | re.MULTILINE
    )
    # Code is one word, and a link is what it is called.
    plain = re.sub(r"`[^`\n]*`", "code", re.sub(r"\]\([^)]*\)", "]", blanked))
    # A paragraph, an item, a heading or a cell ends a sentence.
    for block in re.finditer(r"(?:(?!\n\s*\n|\n[ ]*[-*|#\d\[]|\|).|\n(?!\s*\n|[ ]*[-*|#\d\[]))+", plain):
        start = block.start()
        for piece in re.finditer(r".+?(?:[.:;?!](?=\s|$)|$)", block[0], re.DOTALL):
            if piece[0].strip():
                ahead = len(piece[0]) - len(piece[0].lstrip())
                yield plain.count("\n", 0, start + piece.start() + ahead) + 1, " ".join(piece[0].split())


GENERATED = re.compile(r"<!-- begin: .*?<!-- end: [\w-]+ -->", re.DOTALL)


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


if __name__ == "__main__":
    main()
