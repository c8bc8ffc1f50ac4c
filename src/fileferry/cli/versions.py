"""``versions``, ``restore`` and ``mv``: what files at a path keep when they are replaced, deleted and moved."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.places import Org, Source, file_place_of, found_at, is_folder, place_of
from fileferry.cli.session import Json, Key, Url, json_line, moment_text, printable, session


def versions(source: Source, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List the versions of a file, newest first, one per line: version, created, size, status and URL."""
    at = file_place_of(source)
    with session(url, key) as client:
        found = at.files(client, org).versions(at.path) if at else client.versions(source, organization=org)
        for version in found:
            fields = [version.version_id, moment_text(version.created_at), str(version.size), version.status]
            print(json_line(version) if as_json else "\t".join([*fields, version.url]))


def restore(
    source: Annotated[
        str,
        typer.Argument(metavar="ID|WORKSPACE:/PATH", help="The file's id, or the path where it was deleted last."),
    ],
    version: Annotated[
        str | None, typer.Option("--version", metavar="V", help="Make this version of a living file the current one.")
    ] = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Take back the deletion of a file and print its path, which differs where another file has the old one now.

    With --version bring back an old version: its bytes become a new one.
    """
    at = file_place_of(source)
    with session(url, key) as client:
        if version is not None:
            file = client.restore(found_at(client, source, at, org), version, organization=org)
        else:
            file = at.files(client, org).restore(at.path) if at else client.restore(source, organization=org)
        print(json_line(file) if as_json else printable(file.path))


def mv(
    source: Source,
    target: Annotated[
        str, typer.Argument(metavar="PATH", help="The new path in the same workspace; a folder/ keeps the name.")
    ],
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Move or rename a file, with its id and versions, and print its path."""
    at, to = file_place_of(source), place_of(target)
    if to is not None and (at is None or to.workspace != at.workspace):
        raise typer.BadParameter(
            "files stay in their workspace: give a path, or WORKSPACE:/PATH with the same workspace", param_hint="PATH"
        )
    new_path = (to.path if to else target).removeprefix("/")
    with session(url, key) as client:
        file = found_at(client, source, at, org)
        moved = client.update(file, path=new_path + file.name if is_folder(new_path) else new_path, organization=org)
        print(json_line(moved) if as_json else printable(moved.path))
