"""How a server stands, and what each day brought it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A ``serve`` or a ``worker``, as it told of itself."""

    process_id: str
    role: str
    host: str
    pid: int
    version: str
    started_at: datetime
    last_seen_at: datetime
    is_silent: bool
    """Whether it was killed, or is cut off: it tells of itself once a minute."""
    is_own: bool
    """Whether it is the one that answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one process does for all."""

    name: str
    process_id: str
    until: datetime
    """When another takes it, unless this one goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """How a server stands."""

    version: str
    database: str
    """``sqlite`` or ``postgresql``."""
    store: str
    """``disk``, or the address of a bucket."""
    is_scanning: bool
    shortcomings: tuple[str, ...]
    """What does not work now, as ``/readyz`` names it."""
    disks: Mapping[str, int]
    """The folders that the process writes to, and how many bytes are free on the disk of each."""
    processes: tuple[Process, ...]
    tasks: tuple[Task, ...]
    bucket: Mapping[str, Any] | None
    """What the process found of its bucket when it started, by the names of the native API; None where it did not look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What one day, in UTC, brought."""

    date: date
    files: int
    """Those that came and are there."""
    bytes: int
    fetches: int
    """Whole ones, as far as events are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """What an organization keeps, and what the last days brought."""

    bytes: int
    files: int
    """Each version of a file counts as one."""
    days: tuple[Day, ...]
    """The earliest first."""


def server_status_from(said: Mapping[str, Any]) -> ServerStatus:
    """Return what ``/api/server`` describes; raise as ``file_from`` does."""
    return ServerStatus(
        version=said["version"],
        database=said["database"],
        store=said["store"],
        is_scanning=said["is_scanning"],
        shortcomings=tuple(said["shortcomings"]),
        disks={disk["folder"]: disk["free"] for disk in said["disks"]},
        processes=tuple(
            Process(
                process_id=one["id"],
                role=one["role"],
                host=one["host"],
                pid=one["pid"],
                version=one["version"],
                started_at=datetime.fromisoformat(one["started_at"]),
                last_seen_at=datetime.fromisoformat(one["last_seen_at"]),
                is_silent=one["is_silent"],
                is_own=one["is_own"],
            )
            for one in said["processes"]
        ),
        tasks=tuple(
            Task(name=one["name"], process_id=one["process_id"], until=datetime.fromisoformat(one["until"]))
            for one in said["tasks"]
        ),
        bucket=said["bucket"],
    )


def usage_report_from(said: Mapping[str, Any]) -> UsageReport:
    """Return what ``/api/usage`` describes; raise as ``file_from`` does."""
    return UsageReport(
        bytes=said["bytes"],
        files=said["files"],
        days=tuple(
            Day(
                date=date.fromisoformat(day["date"]),
                files=day["files"],
                bytes=day["bytes"],
                fetches=day["fetches"],
            )
            for day in said["days"]
        ),
    )
