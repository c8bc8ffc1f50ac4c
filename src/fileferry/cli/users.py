"""``users``: people who sign in to the dashboard, from the command line. Passwords are asked for or read, never arguments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.keys import Right, Scopes
from fileferry.cli.limits import LIFTED, Changes, of_files, of_rates, takes_limits
from fileferry.cli.places import Org, id_of_name, is_id
from fileferry.cli.session import (
    MISUSED,
    Json,
    Key,
    Url,
    fail,
    json_line,
    json_object,
    moment_text,
    note,
    printable,
    session,
)

if TYPE_CHECKING:
    from fileferry.client import Client

app = typer.Typer(
    help="Make, list, change and remove people who sign in to the dashboard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

UserId = Annotated[str, typer.Argument(metavar="ID|NAME", help="The user's id or name.")]


@app.command()
@takes_limits(of_files, of_rates)
def add(
    name: Annotated[str, typer.Argument(help="What they sign in with.")],
    scope: Scopes,
    path_prefix: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Scope them to a folder of the tree.")
    ] = None,
    org: Org = None,
    *,
    limits: Changes,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a user. The first password is asked for, or read from standard input; they can change it."""
    password = _typed_password()
    with session(url, key) as client:
        made = client.create_user(
            name, password, scopes=scope, limits=limits or None, path_prefix=path_prefix, organization=org
        )
        print(json_line(made) if as_json else made.user_id, flush=True)
        note(f"{made.name} signs in at {client.url}/ui/ and may {', '.join(made.scopes)}.")


@app.command("ls")
def list_users(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List users, one per line: id, scopes, folder, signed in last, who vouches for them, and name."""
    with session(url, key) as client:
        for found in client.list_users(organization=org):
            words = [found.user_id, ",".join(found.scopes), printable(found.path_prefix or "-")]
            words += [moment_text(found.signed_in_at), printable(found.issuer or "-"), printable(found.name)]
            print(json_line(found) if as_json else "\t".join(words))


@app.command()
@takes_limits(of_files, of_rates)
def update(
    user_id: UserId,
    scope: Annotated[
        list[Right] | None,
        typer.Option(metavar="upload|read|delete|admin", help="A right that they have from now on; may be repeated."),
    ] = None,
    path_prefix: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Scope them to a folder of the tree; 'none' frees them.")
    ] = None,
    org: Org = None,
    *,
    limits: Changes,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change what a user may do, at once."""
    from fileferry.client import UNCHANGED

    folder = UNCHANGED if path_prefix is None else None if path_prefix == LIFTED else path_prefix
    with session(url, key) as client:
        named = _id_of(client, user_id, org)
        changed = client.update_user(
            named, scopes=scope or None, limits=limits or None, path_prefix=folder, organization=org
        )
        print(json_line(changed) if as_json else f"{changed.user_id}\t{','.join(changed.scopes)}")


@app.command()
def passwd(user_id: UserId, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Give a user another password, which is asked for, or read from standard input; all their sessions end."""
    password = _typed_password()
    with session(url, key) as client:
        named = _id_of(client, user_id, org)
        client.set_password(named, password, organization=org)
        if as_json:
            print(json_object(changed=named))


@app.command()
def rm(user_id: UserId, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Remove a user: their sessions end at once, their links are served no more, and their files stay."""
    with session(url, key) as client:
        named = _id_of(client, user_id, org)
        client.delete_user(named, organization=org)
        if as_json:
            print(json_object(deleted=named))


def _typed_password() -> str:
    if not sys.stdin.isatty():
        typed = sys.stdin.readline().rstrip("\r\n")
    else:
        typed = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not typed:
        fail("Give a password on standard input.", MISUSED)
    return typed


def _id_of(client: Client, named: str, organization: str | None) -> str:
    """Return the id of the user that is named by it, or of the only one with this name; end the command without one."""
    if is_id(named):
        return named
    users = client.list_users(organization=organization)
    return id_of_name([user.user_id for user in users if named in (user.name, user.subject)], named, "user")
