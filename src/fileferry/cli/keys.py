"""``keys``: API keys from the command line. A secret goes to stdout alone, so that ``KEY=$(…)`` works."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.limits import LIFTED, Changes, of_files, of_rates, print_limits, takes_limits
from fileferry.cli.places import Org, id_of_name, is_id
from fileferry.cli.session import (
    Json,
    Key,
    Url,
    json_line,
    json_object,
    moment_text,
    note,
    printable,
    session,
)

if TYPE_CHECKING:
    from fileferry.client import ApiKey, Client

app = typer.Typer(
    help="Make, list, change and revoke API keys.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

KeyId = Annotated[str, typer.Argument(metavar="ID|NAME", help="The key's id or its name, not its secret.")]


class Right(enum.StrEnum):
    """What a key may be allowed."""

    UPLOAD = "upload"
    READ = "read"
    DELETE = "delete"
    ADMIN = "admin"


Scopes = Annotated[
    list[Right], typer.Option("--scope", metavar="upload|read|delete|admin", help="A right; may be repeated.")
]


@app.command()
@takes_limits(of_files, of_rates)
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Scopes,
    org: Org = None,
    expires: Annotated[str | None, typer.Option(metavar="90d", help="Valid for so long; for good by default.")] = None,
    user_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Whom to name as the author of what the key does; the key by default."),
    ] = None,
    user_name: Annotated[str | None, typer.Option(metavar="NAME", help="That user's name.")] = None,
    user_email: Annotated[str | None, typer.Option(metavar="EMAIL", help="That user's address.")] = None,
    path_prefix: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Scope the key to a folder of the tree.")
    ] = None,
    on_behalf_of: Annotated[
        list[str] | None,
        typer.Option(metavar="USER", help="An end user that it may act for; may be repeated; '*' is any."),
    ] = None,
    *,
    limits: Changes,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a key and print its secret, which is shown only now."""
    with session(url, key) as client:
        made = client.create_key(
            name,
            scopes=scope,
            organization=org,
            expires_in=expires,
            user_id=user_id,
            user_name=user_name,
            user_email=user_email,
            limits=limits or None,
            path_prefix=path_prefix,
            on_behalf_of=on_behalf_of or None,
        )
        print(json_line(made) if as_json else made.secret, flush=True)
        note(f"Key {made.key_id} with {', '.join(made.scopes)}; expires: {moment_text(made.expires_at)}")


@app.command("ls")
def list_keys(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List keys, one per line: id, prefix, scopes, created, expires, revoked, name and last used."""
    with session(url, key) as client:
        for found in client.list_keys(organization=org):
            times = [moment_text(at) for at in (found.created_at, found.expires_at, found.revoked_at)]
            named = [printable(found.name), moment_text(found.last_used_at)]
            line = "\t".join([found.key_id, found.prefix, ",".join(found.scopes), *times, *named])
            print(json_line(found) if as_json else line)


@app.command()
def show(key_id: KeyId, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show what a key may do, and what it is limited to."""
    with session(url, key) as client:
        _print_rights(client.get_key(_id_of(client, key_id, org), organization=org), as_json)


@app.command()
def update(
    key_id: KeyId,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What the key is for.")] = None,
    scope: Annotated[
        list[Right] | None,
        typer.Option(metavar="upload|read|delete|admin", help="A right that it has from now on; may be repeated."),
    ] = None,
    path_prefix: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Scope the key to a folder of the tree; 'none' frees it.")
    ] = None,
    on_behalf_of: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USER", help="An end user that it may act for; may be repeated; '*' is any, 'none' frees it."
        ),
    ] = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change what a key may do, at once, and print it."""
    from fileferry.client import UNCHANGED

    folder = UNCHANGED if path_prefix is None else None if path_prefix == LIFTED else path_prefix
    users = None if on_behalf_of == [LIFTED] else on_behalf_of or UNCHANGED
    with session(url, key) as client:
        changed = client.update_key(
            _id_of(client, key_id, org),
            name=name,
            scopes=scope or None,
            path_prefix=folder,
            on_behalf_of=users,
            organization=org,
        )
        _print_rights(changed, as_json)


@app.command("limits")
@takes_limits(of_files, of_rates)
def change_limits(
    key_id: KeyId,
    org: Org = None,
    as_json: Json = False,
    *,
    limits: Changes,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a key's limits, at once, and print them with what is kept of what they limit."""
    with session(url, key) as client:
        named = _id_of(client, key_id, org)
        found = client.get_key(named, organization=org)
        if limits:
            found = client.update_key(named, limits=limits, organization=org)
        print_limits(found.limits, found.usage, as_json=as_json)


@app.command()
def revoke(key_id: KeyId, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Revoke a key: it stops working at once."""
    with session(url, key) as client:
        named = _id_of(client, key_id, org)
        client.revoke_key(named, organization=org)
        if as_json:
            print(json_object(revoked=named))


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[str | None, typer.Option(metavar="24h", help="How long the old secret works on.")] = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Give a key a new secret and print it, which is shown only now."""
    with session(url, key) as client:
        renewed = client.rotate_key(_id_of(client, key_id, org), grace=grace, organization=org)
        print(json_line(renewed) if as_json else renewed.secret, flush=True)


def _id_of(client: Client, key_id: str, organization: str | None) -> str:
    """Return the id of the key that is named by it, or of the only living one with this name; end the command without one."""
    if is_id(key_id):
        return key_id
    keys = client.list_keys(organization=organization)
    return id_of_name([key.key_id for key in keys if key.name == key_id and key.revoked_at is None], key_id, "key")


def _print_rights(found: ApiKey, as_json: bool) -> None:
    if as_json:
        print(json_line(found))
        return
    print(f"name\t{printable(found.name)}")
    print(f"scopes\t{','.join(found.scopes)}")
    print(f"last_used\t{moment_text(found.last_used_at)}")
    print(f"path_prefix\t{'-' if found.path_prefix is None else printable(found.path_prefix)}")
    print(f"on_behalf_of\t{'-' if found.on_behalf_of is None else printable(','.join(found.on_behalf_of))}")
    print_limits(found.limits)
