"""Counting what a request costs whatever the machine: statements, hand-overs between threads, and syncs of the disk."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from fileferry.db.writer import Writer
from fileferry.groups import GroupThread


class Costs:
    """What was counted since ``begin``. ``statements`` are SQLite's own, with each BEGIN and COMMIT."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.hand_overs: list[str] = []
        self.syncs: list[str] = []

    def begin(self) -> None:
        """Forget what was counted."""
        for counted in (self.statements, self.hand_overs, self.syncs):
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
        yield costs
