"""What every client command shares: the options that name the server, and how a failure becomes an exit status."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from fileferry.absent import absent
from fileferry.cli.outage import Outage
from fileferry.errors import FerryError, Forbidden, Retry

if TYPE_CHECKING:
    from fileferry.client import Client

FAILED = 1
MISUSED = 2
FAILED_FOR_NOW = os.EX_TEMPFAIL
INTERRUPTED = 130

Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The server. Default: FILEFERRY_URL, or that of the profile.")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY|@FILE",
        help="The API key, or the file that holds it. Default: FILEFERRY_KEY, FILEFERRY_KEY_FILE, or that of the profile.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@contextlib.contextmanager
def session(url: str | None, key: str | None, patience: float = 0.0) -> Iterator[Client]:
    """Open a client; end the command with one line on stderr and its exit status when something expected goes wrong.

    A server that cannot be reached is tried again for ``patience`` seconds without progress.
    """
    # Loaded here: help and a server, which need no client, do not wait for it and do not keep it. Nor is the command loaded
    # that httpx brings with it.
    with absent("pygments", "rich"):
        from fileferry.cli.profiles import connection
        from fileferry.client import Client, RetryPolicy

    outage = Outage(note)
    retries = RetryPolicy(outage=patience, on_outage=outage.lasts, on_wait=outage.waits)
    with told_failures(), Client(*connection(url, key), retries=retries) as client:
        yield client


@contextlib.contextmanager
def told_failures() -> Iterator[None]:
    """End the command with one line on stderr and its exit status when something expected goes wrong."""
    try:
        yield
        sys.stdout.flush()
    except FerryError as error:
        fail(_line_of(error), FAILED if error.retry is Retry.NEVER else FAILED_FOR_NOW)
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), FAILED)
    except KeyboardInterrupt:
        fail("Interrupted. A transfer goes on where it stopped when the same command is run again.", INTERRUPTED)


def fail(line: str, status: int) -> NoReturn:
    """End the command with ``line`` on stderr and this exit status."""
    print(f"fileferry: {printable(line)}", file=sys.stderr)
    raise typer.Exit(status)


def note(line: str) -> None:
    """Say something beside the result, on stderr."""
    print(printable(line), file=sys.stderr)


def printable(text: str) -> str:
    """Return ``text`` on one line and without what could steer a terminal: names come from strangers."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def json_line(noun: Any) -> str:
    """Return a file, key or organization as one line of JSON; times are RFC 3339 in UTC."""
    return json_object(**dataclasses.asdict(noun))


def json_object(**members: Any) -> str:
    """Return an object as one line of JSON, likewise."""
    return json.dumps(members, default=_json_value)


def moment_text(moment: datetime | None) -> str:
    """Return a time as RFC 3339 in UTC to the second, ``-`` for none."""
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _line_of(error: FerryError) -> str:
    known = [error.code]
    if error.retry_after is not None:
        known.append(f"retry after {error.retry_after:g} s")
    if error.request_id:
        known.append(f"request {error.request_id}")
    hint = " FILEFERRY_END_USER names one here." if isinstance(error, Forbidden) and "user-id" in error.detail else ""
    return f"{error.detail}{hint} [{', '.join(known)}]"


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
