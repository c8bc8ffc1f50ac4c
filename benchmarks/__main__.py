"""Runs the comparison, every server in turn and round after round; then writes the tables, the plot and the numbers."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks import beside, buckets, listing, load, machine, plot, presigner, replicas, report
from benchmarks.earlier import Earlier
from benchmarks.peers import INSTALL, ROOT, Peer, all_peers, single_peers
from benchmarks.process import Server, StartError
from benchmarks.scenarios import SCENARIOS
from benchmarks.trial import Measurement, Trial


def main() -> int:
    """Measure, write the report, and return the exit code: 0 also when numbers are bad, for they are not a test."""
    arguments = _arguments()
    peers: list[Peer] = single_peers() if arguments.one_process else all_peers()
    if arguments.against is not None:
        peers.insert(1, Earlier(arguments.against))
    peers = [peer for peer in peers if not arguments.only or peer.name in arguments.only]
    versions = {peer.name: peer.version() for peer in peers}
    installed = [peer for peer in peers if versions[peer.name] is not None]
    absent: dict[str, str] = {}
    if not load.is_installed():
        print(f"The load client wrk is not installed: run {INSTALL}", file=sys.stderr)
        return 1
    for peer in peers:
        if versions[peer.name] is None:
            print(f"{peer.name} is not installed and is left out: run {INSTALL}", file=sys.stderr)
            absent[peer.name] = "not installed, left out"

    arguments.folder.mkdir(parents=True, exist_ok=True)
    if machine.filesystem(arguments.folder) == "tmpfs":
        print(f"{arguments.folder} is in memory; name a folder on a disk with --folder", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        work = Path(folder).absolute()
        facts = machine.facts(work)
        payload = _payload(work, arguments.large_bytes)
        measurements: list[Measurement] = []
        idle: dict[str, list[int]] = {peer.name: [] for peer in installed}
        for number in range(arguments.rounds):
            # Each round begins with another server, so that no place in the order is one server's own.
            shift = number % len(installed)
            for peer in installed[shift:] + installed[:shift]:
                try:
                    measurements += _visit(peer, number, payload, arguments.seconds, work, idle[peer.name])
                except StartError as error:
                    print(error, file=sys.stderr)
                    absent[peer.name] = "did not start"

    run = report.Run(
        facts,
        arguments.rounds,
        arguments.seconds,
        arguments.large_bytes,
        [
            *(report.ServerFacts(peer.name, versions[peer.name], peer.setup, absent.get(peer.name)) for peer in peers),
            *_presigner_facts(measurements),
        ],
        measurements,
        {name: int(statistics.median(values)) for name, values in idle.items() if values},
    )
    _write(run, arguments.docs, "one-process" if arguments.one_process else "latest")
    return 0


def _visit(peer: Peer, number: int, payload: Path, seconds: float, work: Path, idle: list[int]) -> list[Measurement]:
    folder = work / "server"
    found: list[Measurement] = []
    try:
        with Server(peer, folder) as server:
            idle.append(server.peak_memory())
            for scenario in SCENARIOS:
                for measurement in scenario(Trial(server, number, payload, seconds, work)):
                    _show(measurement)
                    found.append(measurement)
    finally:
        shutil.rmtree(folder)
        os.sync()
    return found


def _presigner_facts(measurements: list[Measurement]) -> list[report.ServerFacts]:
    if not any(measurement.server == presigner.NAME for measurement in measurements):
        return []
    return [report.ServerFacts(presigner.NAME, presigner.version(), presigner.SETUP, None)]


def _show(measurement: Measurement) -> None:
    memory = f"{measurement.peak_memory / report.MEBIBYTE:6.0f} MiB" if measurement.peak_memory else ""
    outcome = measurement.problem or f"{measurement.rate:9,.0f}   {memory}".rstrip()
    route = f"{measurement.server}, {measurement.route}"
    print(f"round {measurement.round + 1}  {measurement.scenario:20} {route:42} {outcome}", flush=True)


def _payload(folder: Path, size: int) -> Path:
    payload, block = folder / "payload", os.urandom(1024 * 1024)
    with payload.open("wb") as file:
        # A number in front keeps the blocks apart, for a server or a disk that would notice equal ones.
        for offset in range(0, size, len(block)):
            file.write((offset.to_bytes(8, "big") + block[8:])[: size - offset])
    return payload


def _write(run: report.Run, docs: Path, name: str) -> None:
    pictures = docs / "benchmarks"
    pictures.mkdir(parents=True, exist_ok=True)
    (pictures / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    (pictures / f"{name}.svg").write_text(plot.svg(run))
    report.insert(docs / "benchmarks.md", name, report.markdown(run, f"benchmarks/{name}.svg"))
    print(f"Written: {docs / 'benchmarks.md'}, {pictures / name}.svg and .json")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="`python -m benchmarks listing` measures listing and looking up files among a million instead, "
        "`beside` how long small uploads take beside large work, `replicas` several servers on PostgreSQL, "
        "`buckets` what large files in a bucket cost them.",
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often every server is measured (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=5, help="length of each flood of small files, and of tickets (%(default)s)"
    )
    parser.add_argument("--large-bytes", type=int, default=1024**3, help="size of the large file (%(default)s)")
    parser.add_argument("--only", action="append", metavar="SERVER", help="measure this server only; may be repeated")
    parser.add_argument("--against", metavar="COMMIT", help="measure fileferry as it was at this commit too")
    parser.add_argument(
        "--one-process", action="store_true", help="every server in one process on one core, as its own table"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "data", help="a folder on disk that the servers write below"
    )
    parser.add_argument(
        "--docs", type=Path, default=ROOT / "docs", help="where benchmarks.md and benchmarks/ are written"
    )
    return parser.parse_args()


if __name__ == "__main__":
    others = {
        "beside": beside.main,
        "buckets": buckets.main,
        "listing": listing.main,
        "replicas": replicas.main,
    }
    named = others.get(sys.argv[1]) if len(sys.argv) > 1 else None
    sys.exit(main() if named is None else named(sys.argv[2:]))
