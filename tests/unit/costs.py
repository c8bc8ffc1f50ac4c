"""Counting what a request costs whatever the machine: statements, hand-overs between threads, syncs of the disk, and calls.

Calls of functions of ours, with each time that one goes on after a wait, stand for the instructions that a processor would count:
those cannot be had on most virtual machines.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import fileferry
from fileferry.db.writer import Writer
from fileferry.groups import GroupThread

_OURS = str(Path(fileferry.__file__).parent)


class Costs:
    """What was counted since ``begin``. ``statements`` are SQLite's own, with each BEGIN and COMMIT."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.hand_overs: list[str] = []
        self.syncs: list[str] = []
        self.calls: list[str] = []

    def begin(self) -> None:
        """Forget what was counted."""
        for counted in (self.statements, self.hand_overs, self.syncs, self.calls):
            counted.clear()

    def trace(self, statement: str) -> None:
        """Take note of a statement, unless the loop of deliveries made it, which each event wakes, or that of the index of names.

        The commit of a write syncs the log, which nothing else tells.
        """
        if "FROM webhooks" in statement or "names_progress" in statement:
            return
        self.statements.append(statement)
        if statement == "BEGIN IMMEDIATE":
            self.syncs.append("the log's")

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        """Take note of a call, for ``sys.setprofile``: it counts what is called in the thread that the services run in."""
        if event == "call" and frame.f_code.co_filename.startswith(_OURS):
            self.calls.append(frame.f_code.co_qualname)


@contextmanager
def counting() -> Iterator[Costs]:
    """Count what services do that are made within."""
    costs = Costs()
    connect, submit = sqlite3.dbapi2.connect, ThreadPoolExecutor.submit

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(costs.trace)
        return connection

    def submitted(self: ThreadPoolExecutor, fn: Any, *args: Any, **options: Any) -> Any:
        costs.hand_overs.append(self._thread_name_prefix)
        return submit(self, fn, *args, **options)

    def noted(cls: type, name: str, into: list[str]) -> Any:
        before = getattr(cls, name)

        def run(*args: Any) -> Any:
            into.append(f"{cls.__name__}.{name}")
            return before(*args)

        return mock.patch.object(cls, name, run)

    def synced(name: str) -> Any:
        before = getattr(os, name)

        def run(descriptor: int) -> None:
            costs.syncs.append(name)
            before(descriptor)

        return mock.patch.object(os, name, run)

    with ExitStack() as stack:
        for patch in (
            mock.patch.object(sqlite3.dbapi2, "connect", traced),
            mock.patch.object(ThreadPoolExecutor, "submit", submitted),
            noted(Writer, "_sync", costs.hand_overs),
            noted(Writer, "_commit", costs.hand_overs),
            noted(GroupThread, "_process_all", costs.hand_overs),
            synced("fsync"),
            synced("fdatasync"),
        ):
            stack.enter_context(patch)
        before = sys.getprofile()
        sys.setprofile(costs.profile)
        stack.callback(sys.setprofile, before)
        yield costs
