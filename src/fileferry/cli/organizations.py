"""``orgs``: organizations from the command line; needs the root key."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.limits import (
    ByteRate,
    MaxBytes,
    MaxFiles,
    MaxRetention,
    MaxSize,
    RefuseEmpty,
    Requests,
    ServeUnscanned,
    Tickets,
    Types,
    limits_of,
    print_limits,
)
from fileferry.cli.session import Json, Key, Url, json_line, printable, session

app = typer.Typer(
    help="Make and list organizations, and set their limits.", no_args_is_help=True, pretty_exceptions_enable=False
)


@app.command()
def create(
    slug: Annotated[str, typer.Argument(help="Short name for addresses.")],
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    organization_id: Annotated[str | None, typer.Option("--id", metavar="UUID", help="Fixes the id.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make an organization and print its id."""
    with session(url, key) as client:
        print(client.create_organization(slug, name=name, organization_id=organization_id).organization_id)


@app.command("list")
def list_organizations(as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List organizations, one per line: id, slug and name."""
    with session(url, key) as client:
        for found in client.list_organizations():
            line = f"{found.organization_id}\t{found.slug}\t{printable(found.name)}"
            print(json_line(found) if as_json else line)


@app.command()
def limits(
    organization: Annotated[str, typer.Argument(metavar="ORG", help="Id or slug of the organization.")],
    end_users: Annotated[
        bool, typer.Option("--end-users", help="The limits of each of its end users, instead of those of all it has.")
    ] = False,
    max_size: MaxSize = None,
    types: Types = None,
    max_retention: MaxRetention = None,
    max_bytes: MaxBytes = None,
    max_files: MaxFiles = None,
    refuse_empty: RefuseEmpty = None,
    serve_unscanned: ServeUnscanned = None,
    requests: Requests = None,
    byte_rate: ByteRate = None,
    tickets: Tickets = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change an organization's limits, at once, and print them with what is kept of what they limit."""
    changes = limits_of(
        max_size=max_size,
        types=types,
        max_retention=max_retention,
        max_bytes=max_bytes,
        max_files=max_files,
        refuse_empty=refuse_empty,
        serve_unscanned=serve_unscanned,
        requests=requests,
        byte_rate=byte_rate,
        tickets=tickets,
    )
    with session(url, key) as client:
        if not changes:
            found = client.get_organization(organization)
        elif end_users:
            found = client.update_organization(organization, end_user_limits=changes)
        else:
            found = client.update_organization(organization, limits=changes)
        print_limits(found.end_user_limits if end_users else found.limits, None if end_users else found.usage)
