"""``sessions``: who is signed in to the dashboard, from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.places import Org
from fileferry.cli.session import Json, Key, Url, json_line, json_object, moment_text, printable, session

app = typer.Typer(help="List and end sessions of the dashboard.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("ls")
def list_sessions(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List who is signed in, one per line: id, key, began, last seen, ends, address and browser."""
    with session(url, key) as client:
        for found in client.list_sessions(organization=org):
            times = [moment_text(at) for at in (found.created_at, found.last_seen_at, found.expires_at)]
            line = "\t".join([found.session_id, found.key_id, *times, found.address, printable(found.user_agent)])
            print(json_line(found) if as_json else line)


@app.command()
def rm(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id.")],
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Sign somebody out of the dashboard."""
    with session(url, key) as client:
        client.end_session(session_id, organization=org)
        if as_json:
            print(json_object(ended=session_id))
