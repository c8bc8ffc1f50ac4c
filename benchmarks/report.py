"""Turns one run's measurements into the Markdown of docs/benchmarks.md: medians, ratios, and where the aims stand."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import calls, completion, earlier, presigner, tickets
from benchmarks.peers import TwoWorkers
from benchmarks.trial import Measurement

MARKS = {
    "latest": "written by make bench",
    "one-process": 'written by make bench ARGS="--one-process"',
}
"""Where the page takes a run, by the name of its files."""
OURS = "fileferry"
MEBIBYTE = 1024 * 1024


class ServerFacts(msgspec.Struct, frozen=True):
    """A server of the run; ``absence`` says why it took no part."""

    name: str
    version: str | None
    setup: str
    absence: str | None


class Run(msgspec.Struct, frozen=True):
    """Everything one run found out; docs/benchmarks/latest.json is this."""

    machine: dict[str, str]
    rounds: int
    seconds: float
    large_bytes: int
    servers: list[ServerFacts]
    measurements: list[Measurement]
    idle_memory: dict[str, int]


@dataclass(frozen=True)
class Topic:
    """How a scenario is shown; CPU time is multiplied by ``cpu_scale`` to be in ``cpu_unit``."""

    scenario: str
    title: str
    unit: str
    cpu_unit: str
    cpu_scale: float
    for_servers: bool = True
    """Whether every server could take part, so that an absent one is named."""


TOPICS = (
    Topic("upload-large", "Upload of a large file, one connection", "MB/s", "s per GB", 1),
    Topic(
        "upload-large-synced", "The same, until every byte is on disk (`sync` after the answer)", "MB/s", "s per GB", 1
    ),
    Topic("download-large", "Download of a large file, one connection", "MB/s", "s per GB", 1),
    Topic("upload-small", "Upload of 10 KiB, 16 connections", "files/s", "ms per file", 1000),
    Topic("download-small", "Download of 10 KiB, 16 connections", "files/s", "ms per file", 1000),
    *(
        Topic(
            tickets.scenario(batch),
            f"Tickets, {batch:,} a request, one connection",
            "tickets/s",
            "µs per ticket",
            1e6,
            False,
        )
        for batch in tickets.BATCHES
    ),
    Topic(calls.MANY_TICKETS, calls.TITLES[calls.MANY_TICKETS], "tickets/s", "ms per ticket", 1000, False),
    *(
        Topic(name, title, "calls/s", "ms per call", 1000, False)
        for name, title in calls.TITLES.items()
        if name != calls.MANY_TICKETS
    ),
)


@dataclass(frozen=True)
class Aim:
    """The rate of ``server`` in a scenario is to be at least ``factor`` times that of ``peer``, there or in ``peers_scenario``."""

    scenario: str
    peer: str
    factor: float
    sentence: str
    server: str = OURS
    peers_scenario: str | None = None


@dataclass(frozen=True)
class Bound:
    """fileferry is to compute no longer than ``most`` for one of a scenario, in the unit of its topic."""

    scenario: str
    most: float
    sentence: str


AIMS = (
    Aim("upload-small", earlier.NAME, 4.0, "10 KiB uploads against the earlier build"),
    Aim("upload-small", "rclone", 1.5, "10 KiB uploads against rclone, with fsync"),
    Aim("upload-small", "copyparty", 2.0, "10 KiB uploads against copyparty, with fsync"),
    Aim("upload-small", "@tus/server", 3.0, "10 KiB uploads against @tus/server, with fsync"),
    Aim("upload-small", OURS, 1.4, "10 KiB uploads by two workers against one", server=TwoWorkers.name),
    Aim("download-small", earlier.NAME, 3.0, "10 KiB downloads against the earlier build"),
    Aim("download-small", "rclone", 1.0, "10 KiB downloads against rclone"),
    Aim("download-large", "nginx", 0.9, "Large download against nginx"),
    Aim("upload-large", "nginx", 1.0, "Large upload against nginx, with checksum and fsync"),
    Aim("upload-large-synced", "nginx", 1.3, "Large upload until it is on disk, against nginx"),
    Aim("tickets-1", earlier.NAME, 3.0, "Tickets, 1 a request, against the earlier build"),
    Aim(calls.MANY_TICKETS, earlier.NAME, 3.0, "The same over 16 connections"),
    *(
        Aim(
            tickets.scenario(batch),
            presigner.NAME,
            1.0 if batch > 1 else 0.7,
            f"Tickets over HTTP, {batch:,} a request, against boto3 presigning in memory",
        )
        for batch in tickets.BATCHES
    ),
    Aim(
        calls.MANY_TICKETS,
        presigner.NAME,
        0.7,
        "The same over 16 connections, 1 a request",
        peers_scenario=tickets.scenario(1),
    ),
)
BOUNDS = (
    Bound("upload-small", 0.4, "Computing for an upload of 10 KiB"),
    Bound("download-small", 0.12, "Computing for a download of 10 KiB"),
    Bound("download-large", 0.35, "Computing for a large download"),
    Bound("confirm", 0.25, "Computing for confirming a file"),
    Bound("get", 0.25, "Computing for looking at a file"),
    Bound("status", 0.25, "Computing for looking at an open ticket"),
)
MOST_IDLE = 80 * MEBIBYTE
"""Bytes that one process may have when nobody asks anything."""


@dataclass(frozen=True)
class Row:
    """One server's line in one topic. ``ratios`` are fileferry's rate over this one's, round by round."""

    server: str
    route: str
    rates: Sequence[float]
    ratios: Sequence[float]
    cpu_seconds: float
    peak_memory: float
    latency: tuple[float, float] | None
    written: float
    problem: str | None

    @property
    def rate(self) -> float:
        """The median rate; 0 when there is none."""
        return statistics.median(self.rates) if self.rates else 0.0


def rows(run: Run, scenario: str) -> list[Row]:
    """Return the lines of a scenario in the order of the servers, fileferry's first way in before its others."""
    keys = list(dict.fromkeys((m.server, m.route) for m in run.measurements if m.scenario == scenario))
    keys.sort(key=lambda key: [server.name for server in run.servers].index(key[0]))
    reference: dict[int, float] = {}
    for m in run.measurements:
        if m.scenario == scenario and m.server == OURS and m.rate is not None:
            reference.setdefault(m.round, m.rate)
    return [_row(run, scenario, server, route, reference) for server, route in keys]


def _row(run: Run, scenario: str, server: str, route: str, reference: dict[int, float]) -> Row:
    found = [m for m in run.measurements if (m.scenario, m.server, m.route) == (scenario, server, route)]
    problem = next((m.problem for m in found if m.problem), None)
    rates = [m.rate for m in found if m.rate is not None]
    latencies = [(m.p50_ms, m.p99_ms) for m in found if m.p50_ms is not None and m.p99_ms is not None]
    return Row(
        server,
        route,
        rates if problem is None else [],
        [reference[m.round] / m.rate for m in found if m.rate and m.round in reference],
        _median([m.cpu_seconds for m in found if m.cpu_seconds is not None]),
        _median([m.peak_memory for m in found if m.peak_memory is not None]),
        (_median([p50 for p50, _ in latencies]), _median([p99 for _, p99 in latencies])) if latencies else None,
        _median([m.written for m in found if m.written is not None]),
        problem,
    )


def markdown(run: Run, plot: str) -> str:
    """Return the generated part of the page; ``plot`` is the path of the picture, relative to the page."""
    sections = [
        _summary(run),
        f"![fileferry and its alternatives, bar by bar]({plot})",
        "### Aims\n\n" + "\n".join(_aims(run)),
        *("\n".join(_table(run, topic)) for topic in TOPICS if rows(run, topic.scenario)),
        *("\n".join(_completions(run, scenario)) for scenario in completion.SCENARIOS if rows(run, scenario)),
        "### Servers\n\n" + "\n".join(_servers(run)),
        "### Machine\n\n" + "\n".join(_facts(run)),
    ]
    return "\n\n".join(sections)


def insert(page: Path, name: str, text: str) -> None:
    """Replace what stands between the markers of a run in ``page``; raise ValueError when they are not there."""
    begin, end = (f"<!-- {word}: {MARKS[name]} -->" for word in ("begin", "end"))
    before, begun, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{page} lacks the lines {begin!r} and {end!r}.")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _summary(run: Run) -> str:
    return (
        f"{run.rounds} rounds on {run.machine['date']}; the large file has {run.large_bytes / MEBIBYTE:,.0f} MiB, each "
        f"flood of small ones and each issuing of tickets lasts {run.seconds:.0f} s. "
        "Rates are medians (lowest–highest); MB is 1,000,000 bytes. "
        "“fileferry ÷” after a rate is fileferry's rate divided by the server's, taken round by round: above 1 "
        "fileferry is faster. After a peak of memory it is fileferry's peak over the server's: below 1 it needs less."
    )


def _aims(run: Run) -> Iterator[str]:
    yield "| aim | wanted | measured | |"
    yield "|---|---|---|---|"
    for aim in AIMS:
        ratios = _ratios(run, aim)
        found = (statistics.median(ratios) >= aim.factor, f"{_spread(ratios)} ×") if ratios else None
        yield _stand(aim.sentence, f"≥ {aim.factor:g} ×", found)
    for bound in BOUNDS:
        topic = next(topic for topic in TOPICS if topic.scenario == bound.scenario)
        row = next((row for row in rows(run, bound.scenario) if row.server == OURS and row.rates), None)
        took = None if row is None else row.cpu_seconds * topic.cpu_scale
        found = None if took is None else (took <= bound.most, f"{took:.2f}")
        yield _stand(bound.sentence, f"≤ {bound.most:g} {topic.cpu_unit}", found)
    idle = run.idle_memory.get(OURS)
    found = None if idle is None else (idle <= MOST_IDLE, f"{idle / MEBIBYTE:.0f}")
    yield _stand("Memory of one process that nobody asks anything", f"≤ {MOST_IDLE / MEBIBYTE:.0f} MiB", found)


def _ratios(run: Run, aim: Aim) -> list[float]:
    """Return the rate of an aim's server over its peer's, round by round."""
    ours, theirs = _rates(run, aim.scenario, aim.server), _rates(run, aim.peers_scenario or aim.scenario, aim.peer)
    return [rate / theirs[number] for number, rate in ours.items() if theirs.get(number)]


def _rates(run: Run, scenario: str, server: str) -> dict[int, float]:
    """Return what a server did in each round, by its first way in; nothing where something went wrong."""
    found = [m for m in run.measurements if (m.scenario, m.server) == (scenario, server)]
    found = [m for m in found if m.route == found[0].route]
    return {} if any(m.problem for m in found) else {m.round: m.rate for m in found if m.rate is not None}


def _stand(sentence: str, wanted: str, found: tuple[bool, str] | None) -> str:
    if found is None:
        return f"| {sentence} | {wanted} | – | not measured |"
    is_met, measured = found
    return f"| {sentence} | {wanted} | {measured} | {'met' if is_met else '**missed**'} |"


def _table(run: Run, topic: Topic) -> Iterator[str]:
    found = rows(run, topic.scenario)
    yield f"### {topic.title}\n"
    yield (
        f"| server | {topic.unit} | fileferry ÷ | p50 / p99, ms | CPU, {topic.cpu_unit} "
        "| peak memory, MiB | fileferry ÷ |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|"
    ours = next((row.peak_memory for row in found if row.server == OURS), 0.0)
    for row in found:
        cells = [f"invalid: {_cell(row.problem)}"] if row.problem else _numbers(row, topic, ours)
        yield _line(f"{row.server}, {row.route}", cells)
    for server in run.servers:
        if server.absence is not None and topic.for_servers:
            yield _line(server.name, [server.absence])


def _completions(run: Run, scenario: str) -> Iterator[str]:
    found = rows(run, scenario)
    yield f"### Completing an upload of parts, {completion.SCENARIOS[scenario]}\n"
    yield f"| upload | ms | ÷ {found[0].route} | written, KB |"
    yield "|---|--:|--:|--:|"
    for row in found:
        if row.problem:
            yield f"| {row.route} | invalid: {_cell(row.problem)} | – | – |"
            continue
        times = [1000 / rate for rate in row.rates]
        spread = f"{statistics.median(times):.1f} ({min(times):.1f}–{max(times):.1f})"
        yield f"| {row.route} | {spread} | {_spread(row.ratios)} | {row.written / 1000:,.0f} |"


def _numbers(row: Row, topic: Topic, ours: float) -> list[str]:
    return [
        f"{row.rate:,.0f} ({min(row.rates):,.0f}–{max(row.rates):,.0f})",
        _spread(row.ratios) if row.ratios else "–",
        f"{row.latency[0]:.1f} / {row.latency[1]:.1f}" if row.latency else "–",
        f"{row.cpu_seconds * topic.cpu_scale:.2f}",
        f"{row.peak_memory / MEBIBYTE:.0f}",
        f"{ours / row.peak_memory:.2f}" if ours and row.peak_memory else "–",
    ]


def _line(label: str, cells: list[str]) -> str:
    return "| " + " | ".join([label, *cells, *["–"] * (6 - len(cells))]) + " |"


def _servers(run: Run) -> Iterator[str]:
    yield "| server | version | idle memory, MiB | how it is run |"
    yield "|---|---|--:|---|"
    for server in run.servers:
        idle = f"{run.idle_memory[server.name] / MEBIBYTE:.0f}" if server.name in run.idle_memory else "–"
        yield f"| {server.name} | {server.absence or server.version} | {idle} | {server.setup} |"


def _facts(run: Run) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name, value in run.machine.items():
        yield f"| {name} | {value} |"


def _spread(values: Sequence[float]) -> str:
    middle = f"{statistics.median(values):.2f}"
    return (
        middle if len(values) == 1 or min(values) == max(values) else f"{middle} ({min(values):.2f}–{max(values):.2f})"
    )


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
