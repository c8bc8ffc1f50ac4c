"""``login``, ``logout`` and ``whoami``: which server and key the commands use, and who that is there."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fileferry.cli import profiles
from fileferry.cli.places import Org
from fileferry.cli.profiles import DEFAULT, Profile
from fileferry.cli.session import (
    FAILED,
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
    told_failures,
)

Name = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The profile; 'default' by default.")]


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="The server.")],
    profile: Name = None,
    key_file: Annotated[
        str | None,
        typer.Option("--key-file", metavar="FILE", help="Remember this file, which holds the key, and not the key."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Remember a server and a key, which is asked for or read from standard input, for all further commands.

    They are kept in ~/.config/fileferry/config.ini (or under XDG_CONFIG_HOME), which nobody else may read. Other profiles are for
    other servers and keys: fileferry --profile NAME COMMAND, or FILEFERRY_PROFILE.
    """
    name = profile or profiles.chosen.get() or DEFAULT
    if not name.isprintable() or name != name.strip() or not name or "]" in name:
        raise typer.BadParameter(f"{name!r} cannot be the name of a profile", param_hint="--profile")
    key = _typed_key() if key_file is None else f"@{key_file}"
    with session(url, key) as client:
        identity = client.whoami()
        kept = Profile(url.rstrip("/"), key) if key_file is None else Profile(url.rstrip("/"), key_file=key_file)
        profiles.save(name, kept)
        note(
            f"Key {identity.key.name!r} of {identity.organization.slug}: saved as {name!r} in {profiles.config_path()}"
        )
        if as_json:
            print(json_line(identity))


def logout(profile: Name = None, as_json: Json = False) -> None:
    """Forget a profile. Its key stays valid: fileferry keys revoke ends it."""
    name = profile or profiles.chosen.get() or DEFAULT
    with told_failures():
        if not profiles.remove(name):
            fail(f"There is no profile {name!r}.", FAILED)
        if as_json:
            print(json_object(deleted=name))


def whoami(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show whose key the commands use: the key, its rights, the organization and the end user, one per line."""
    with session(url, key) as client:
        identity = client.whoami(organization=org)
        if as_json:
            print(json_line(identity))
            return
        shown = {
            "server": client.url,
            "key": f"{identity.key.name} ({identity.key.key_id})",
            "scopes": ",".join(identity.key.scopes),
            "organization": f"{identity.organization.slug} ({identity.organization.organization_id})",
            "end_user": identity.end_user or "-",
            "expires": moment_text(identity.key.expires_at),
            "root": "yes" if identity.is_root else "no",
        }
        for name, value in shown.items():
            print(f"{name}\t{printable(value)}")


def _typed_key() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    typed: str = typer.prompt("API key", hide_input=True, err=True)
    return typed.strip()
