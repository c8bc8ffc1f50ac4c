"""The progress bar of a transfer, on stderr and only where a person is watching."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fileferry.cli.session import printable

if TYPE_CHECKING:
    from fileferry.client.transfers.parts import Progress


@contextlib.contextmanager
def metered(name: str) -> Iterator[Progress | None]:
    """Show the transfer of ``name`` while the block runs; yields None, for no progress, when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(escape(printable(name)), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
