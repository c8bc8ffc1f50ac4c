"""``keys``: API keys from the command line. A secret goes to stdout alone, so that ``KEY=$(…)`` works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.limits import LIFTED, Changes, of_files, of_rates, print_limits, takes_limits
from fileferry.cli.session import Json, Key, Url, json_line, moment_text, note, printable, session

if TYPE_CHECKING:
    from fileferry.client import ApiKey

app = typer.Typer(
    help="Make, list, change and revoke API keys.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, not its secret.")]


@app.command()
@takes_limits(of_files, of_rates)
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[str], typer.Option(metavar="upload|read|delete|admin", help="A right; may be repeated.")],
    org: Annotated[str | None, typer.Option(help="Id or slug of the organization; root key only.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="90d", help="Valid for so long; for good by default.")] = None,
    user_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Whom to name as the author of what the key does; the key by default."),
    ] = None,
    user_name: Annotated[str | None, typer.Option(metavar="NAME", help="That user's name.")] = None,
    user_email: Annotated[str | None, typer.Option(metavar="EMAIL", help="That user's address.")] = None,
    path_prefix: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Confine the key to a folder of the tree.")
    ] = None,
    on_behalf_of: Annotated[
        list[str] | None,
        typer.Option(metavar="USER", help="An end user that it may act for; may be repeated; '*' is any."),
    ] = None,
    *,
    limits: Changes,
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
        print(made.secret, flush=True)
        note(f"Key {made.key_id} with {', '.join(made.scopes)}; expires: {moment_text(made.expires_at)}")


@app.command("list")
def list_keys(as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List keys, one per line: id, prefix, scopes, created, expires, revoked and name."""
    with session(url, key) as client:
        for found in client.list_keys():
            times = [moment_text(at) for at in (found.created_at, found.expires_at, found.revoked_at)]
            line = "\t".join([found.key_id, found.prefix, ",".join(found.scopes), *times, printable(found.name)])
            print(json_line(found) if as_json else line)


@app.command()
def show(key_id: KeyId, url: Url = None, key: Key = None) -> None:
    """Print what a key may do, and what confines it."""
    with session(url, key) as client:
        _print_rights(client.get_key(key_id))


@app.command()
def update(
    key_id: KeyId,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What the key is for.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="upload|read|delete|admin", help="A right that it has from now on; may be repeated."),
    ] = None,
    path_prefix: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Confine the key to a folder of the tree; 'none' frees it.")
    ] = None,
    on_behalf_of: Annotated[
        list[str] | None,
        typer.Option(
            metavar="USER", help="An end user that it may act for; may be repeated; '*' is any, 'none' frees it."
        ),
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change what a key may do, at once, and print it."""
    from fileferry.client import UNCHANGED

    folder = UNCHANGED if path_prefix is None else None if path_prefix == LIFTED else path_prefix
    users = None if on_behalf_of == [LIFTED] else on_behalf_of or UNCHANGED
    with session(url, key) as client:
        _print_rights(
            client.update_key(key_id, name=name, scopes=scope or None, path_prefix=folder, on_behalf_of=users)
        )


@app.command("limits")
@takes_limits(of_files, of_rates)
def change_limits(
    key_id: KeyId,
    *,
    limits: Changes,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a key's limits, at once, and print them with what is kept of what they limit."""
    with session(url, key) as client:
        found = client.update_key(key_id, limits=limits) if limits else client.get_key(key_id)
        print_limits(found.limits, found.usage)


@app.command()
def revoke(key_id: KeyId, url: Url = None, key: Key = None) -> None:
    """Revoke a key: it stops working at once."""
    with session(url, key) as client:
        client.revoke_key(key_id)


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[str | None, typer.Option(metavar="24h", help="How long the old secret works on.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Give a key a new secret and print it, which is shown only now."""
    with session(url, key) as client:
        print(client.rotate_key(key_id, grace=grace).secret, flush=True)


def _print_rights(found: ApiKey) -> None:
    print(f"name\t{printable(found.name)}")
    print(f"scopes\t{','.join(found.scopes)}")
    print(f"path_prefix\t{'-' if found.path_prefix is None else printable(found.path_prefix)}")
    print(f"on_behalf_of\t{'-' if found.on_behalf_of is None else printable(','.join(found.on_behalf_of))}")
    print_limits(found.limits)
