"""What the commands of shares and of requests have in common: their passphrases and their ends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fileferry.client.calls.call import Unchanged

Passphrase = Annotated[
    str | None,
    typer.Option(
        "--passphrase", metavar="TEXT|-", help="What people must know to open the link; - reads it from stdin."
    ),
]
NewPassphrase = Annotated[
    str | None,
    typer.Option(
        "--passphrase", metavar="TEXT|-|none", help="Another passphrase; - reads it from stdin, none lifts it."
    ),
]
Expires = Annotated[str | None, typer.Option("--expires", metavar="7d", help="End after 30m, 24h, 7d or seconds.")]
NewExpires = Annotated[
    str | None, typer.Option("--expires", metavar="7d|none", help="End after so long from now; 'none' never ends it.")
]
Message = Annotated[str | None, typer.Option("--message", metavar="TEXT", help="What the page says to people.")]


def passphrase_of(said: str | None) -> str | None:
    """Return the passphrase that was said, or the line of standard input that holds it."""
    return sys.stdin.readline().rstrip("\n") if said == "-" else said


def new_passphrase(said: str | None) -> str | Unchanged | None:
    """Return what to change of a passphrase."""
    from fileferry.client import UNCHANGED

    if said is None:
        return UNCHANGED
    return None if said == "none" else passphrase_of(said)


def new_end(said: str | None) -> dict[str, str | None]:
    """Return what to change of an end."""
    if said is None:
        return {}
    return {"expires_at": None} if said == "none" else {"expires_in": said}
