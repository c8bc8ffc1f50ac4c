"""Sizes and durations as a command line writes them: ``16MiB``, ``10m``."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.errors import InvalidExpiry


def size(text: str | int) -> int:
    """Return a size in bytes; end the command for what is none."""
    # The server's own reading; loaded when one is given, as little else of this command needs it.
    from fileferry.units import parse_size

    try:
        return parse_size(str(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def seconds(text: str | int) -> int:
    """Return a duration in seconds; end the command for what is none."""
    from fileferry.units import parse_duration

    try:
        return int(parse_duration(str(text)).total_seconds())
    except InvalidExpiry as error:
        raise typer.BadParameter(error.detail) from None


Patience = Annotated[
    int,
    typer.Option(
        parser=seconds,
        metavar="10m",
        show_default=False,
        help="How long a server that cannot be reached is tried again, without progress; 10m by default.",
    ),
]
