"""Draws the medians as an SVG bar chart: one panel a topic, each with a scale of its own."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from benchmarks.report import OURS, TOPICS, Row, Run, Topic, rows

WIDTH, LABEL, BAR, GAP, TITLE, MARGIN = 860, 250, 18, 6, 34, 20
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.ours{fill:#1f6feb}.peer{fill:#b6bfc9}"
    ".card{fill:#fff}"
)


def svg(run: Run) -> str:
    """Return the picture as SVG text."""
    panels: list[str] = []
    top = MARGIN
    for topic in TOPICS:
        found = [row for row in rows(run, topic.scenario) if row.rates]
        if found:
            panels.extend(_panel(topic, found, top))
            top += TITLE + len(found) * (BAR + GAP) + MARGIN
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" aria-label="Rates by server">'
    )
    card = f'<style>{STYLE}</style><rect class="card" width="{WIDTH}" height="{top}"/>'
    return "\n".join([frame, card, *panels, "</svg>", ""])


def _panel(topic: Topic, found: list[Row], top: int) -> Iterator[str]:
    longest = max(row.rate for row in found)
    title = topic.title.replace("`", "")
    yield f'<text class="title" x="{MARGIN}" y="{top + 16}">{escape(title)} ({topic.unit})</text>'
    for number, row in enumerate(found):
        y = top + TITLE + number * (BAR + GAP)
        length = row.rate / longest * (WIDTH - LABEL - 110)
        name = row.server if row.server != OURS else f"{row.server}, {row.route}"
        yield f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
        kind = "ours" if row.server == OURS else "peer"
        yield f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}"/>'
        yield f'<text x="{LABEL + length + 8:.1f}" y="{y + 14}">{row.rate:,.0f}</text>'
