"""``events`` and ``audit``: what happens to files as it happens, and who did what in an organization."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from fileferry.cli.amounts import Patience
from fileferry.cli.places import Org
from fileferry.cli.session import Json, Key, Url, json_line, session


def events(
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Begin after this event; 0 begins with the oldest that is kept.")
    ] = None,
    types: Annotated[
        str | None, typer.Option(metavar="TYPE,…", help="Only these, for example file.ready,file.rejected.")
    ] = None,
    file: Annotated[str | None, typer.Option(metavar="ID", help="Only what happens to this file.")] = None,
    until_now: Annotated[
        bool, typer.Option("--until-now", help="Print what has happened, from the oldest that is kept, and end.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="End after so many events.")] = None,
    patience: Patience = 600,
    org: Org = None,
    _as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print what happens to files, one JSON object per line, until interrupted.

    A connection that breaks is made again, for --patience, and goes on where it was. An event "reset" says that earlier ones
    are no longer kept.
    """
    wanted = None if types is None else types.split(",")
    with session(url, key, patience) as client:
        if until_now:
            found = client.past_events(after=after or "0", types=wanted, file=file, organization=org)
        else:
            found = client.events(after=after, types=wanted, file=file, organization=org)
        for number, event in enumerate(found, 1):
            print(json_line(event), flush=True)
            if number == count:
                return


def audit(
    since: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", help="Only from this local time on: 2026-01-31 or 2026-01-31T12:00:00."),
    ] = None,
    types: Annotated[
        str | None, typer.Option(metavar="TYPE,…", help="Only these, for example key.created,file.deleted.")
    ] = None,
    org: Org = None,
    _as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print who did what in the organization, oldest first, one JSON object per line; it takes a key with the scope admin.

    Each has type, timestamp, subject_id, data (the thing as it was then) and actor: key, end_user, client and request_id.
    """
    wanted = None if types is None else types.split(",")
    with session(url, key) as client:
        for record in client.audit(since=since and since.astimezone(), types=wanted, organization=org):
            print(json_line(record))
