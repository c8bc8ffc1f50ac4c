"""``uploads``: the uploads that are not complete, from the command line. ``put`` makes them."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.places import Org
from fileferry.cli.session import Json, Key, Url, json_line, json_object, moment_text, printable, session

app = typer.Typer(
    help="List and end uploads that are not complete.", no_args_is_help=True, pretty_exceptions_enable=False
)


@app.command("ls")
def list_uploads(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List uploads under way, the last begun first: id, began, bytes that came, bytes in all, state and path."""
    with session(url, key) as client:
        for found in client.tickets.list(organization=org):
            sizes = [str(found.received), "-" if found.size is None else str(found.size)]
            words = [found.upload_id, moment_text(found.created_at), *sizes, found.state, printable(found.path)]
            print(json_line(found) if as_json else "\t".join(words))


@app.command()
def rm(
    upload_id: Annotated[str, typer.Argument(metavar="ID", help="The upload's id.")],
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End an upload that is not complete, and free its bytes."""
    with session(url, key) as client:
        client.tickets.abort(upload_id, organization=org)
        if as_json:
            print(json_object(ended=upload_id))
