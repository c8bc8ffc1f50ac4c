"""``grants``: programs that keys are lent to by OAuth, from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.places import Org
from fileferry.cli.session import Json, Key, Url, json_line, json_object, moment_text, printable, session

app = typer.Typer(
    help="List and end what programs may do by OAuth.", no_args_is_help=True, pretty_exceptions_enable=False
)


@app.command("ls")
def list_grants(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List the programs that keys are lent to, one per line: id, key, scopes, made, last used, ends and name."""
    with session(url, key) as client:
        for found in client.list_grants(organization=org):
            times = [moment_text(at) for at in (found.created_at, found.last_used_at, found.expires_at)]
            words = [found.grant_id, found.key_id, ",".join(found.scopes), *times, printable(found.client_name)]
            print(json_line(found) if as_json else "\t".join(words))


@app.command()
def rm(
    grant_id: Annotated[str, typer.Argument(metavar="ID", help="The grant's id.")],
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End at once what a program may do."""
    with session(url, key) as client:
        client.end_grant(grant_id, organization=org)
        if as_json:
            print(json_object(ended=grant_id))
