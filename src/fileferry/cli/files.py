"""``get``, ``ls``, ``stat``, ``update``, ``link`` and ``rm``: what is done with files that the server has."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

import typer

from fileferry.cli.amounts import Patience
from fileferry.cli.metadata import Meta, metadata_of
from fileferry.cli.meter import metered
from fileferry.cli.places import Org, Source, file_place_of, found_at, place_of
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
)
from fileferry.cli.standing import standing

if TYPE_CHECKING:
    from fileferry.client import Client, File

KEPT = "none"
"""What ``--expires`` is for a file that is to be kept."""

Version = Annotated[str | None, typer.Option("--version", metavar="V", help="Another version than the current one.")]


def get(
    source: Annotated[
        str, typer.Argument(metavar="ID|URL|WORKSPACE:/PATH", help="A file's id, its URL, or its path in a workspace.")
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to, a file or a folder; - is standard output."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what has the file's own name already.")
    ] = False,
    version: Version = None,
    patience: Patience = 600,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Download a file, verify it, and resume an interrupted download. Replaces only a FILE that -o names, or with
    --overwrite.

    While the server cannot be reached it tries again for --patience.
    """
    at = file_place_of(source)
    if version is not None and "://" in source:
        raise typer.BadParameter("a URL is for one version: name the file by id or path", param_hint="--version")
    with session(url, key, patience) as client:
        known = at.files(client, org).get(at.path, version=version) if at else None
        options = {"version": None if known else version, "organization": org}
        if output == "-":
            with metered(source) as progress:
                client.download(known or source, sys.stdout.buffer, progress=progress, **options)
            return
        folder = Path(output or ".")
        destination = folder
        if folder.is_dir():
            destination = folder / _name_of(client, known or source, org)
            if not overwrite:
                _refuse_taken(destination)
        with metered(destination.name) as progress:
            client.download(known or source, destination, progress=progress, **options)
        note(f"Saved {printable(str(destination))}")
        if as_json:
            print(json_object(saved=str(destination)))


def ls(
    prefix: Annotated[
        str | None,
        typer.Argument(metavar="PREFIX|WORKSPACE:/PREFIX", help="Only files whose path starts so."),
    ] = None,
    as_json: Json = False,
    long: Annotated[bool, typer.Option("--long", "-l", help="Print size, status, times and URL as well.")] = False,
    workspace: Annotated[str | None, typer.Option(help="Another workspace than the default one.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Only deleted files that can be restored.")] = False,
    name: Annotated[str | None, typer.Option(metavar="PART", help="Only files with this part in their name.")] = None,
    status: Annotated[
        str | None, typer.Option(metavar="ready|processing|rejected", help="Only files that stand so.")
    ] = None,
    folder: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Only files in this folder; with --name, also below it.")
    ] = None,
    handoffs: Annotated[bool, typer.Option("--handoffs", help="Only files without a path.")] = False,
    sort: Annotated[
        str | None,
        typer.Option(metavar="newest|oldest|name|largest|smallest|expiry", help="In this order, instead of by path."),
    ] = None,
    org: Org = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """List files, one per line: id and path, or with --long id, size, status, created, expires, path and URL.

    A file that is at no path of its own, so that others may have its name, has "hand-off" behind.
    """
    line_of = _long_line if long else _short_line
    at = place_of(prefix or "")
    if at is not None and workspace is not None:
        raise typer.BadParameter("the prefix names a workspace already", param_hint="--workspace")
    if at is not None:
        prefix, workspace = at.path, at.workspace
    with session(url, key) as client:
        found = client.list(
            prefix or None,
            workspace=workspace,
            organization=org,
            deleted=deleted,
            name=name,
            status=status,
            in_folder=folder,
            handoffs=handoffs,
            sort=sort,
        )
        for file in found:
            print(json_line(file) if as_json else line_of(file))


def stat(
    source: Source, version: Version = None, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None
) -> None:
    """Show what is known of a file, one thing per line."""
    at = file_place_of(source)
    with session(url, key) as client:
        file = found_at(client, source, at, org, version=version)
        if as_json:
            print(json_line(file))
            return
        shown = {
            "id": file.file_id,
            "path": file.path,
            "kind": _kind(file),
            "size": file.size,
            "type": file.content_type,
            "status": standing(file),
            "version": file.version_id,
            "created": moment_text(file.created_at),
            "expires": moment_text(file.expires_at),
            "fetches_left": "-" if file.fetches_left is None else file.fetches_left,
            "sha256": file.sha256 or "-",
            "metadata": json_object(**file.metadata),
            "url": file.url,
        }
        for name, value in shown.items():
            print(f"{name}\t{printable(str(value))}")


def update(
    source: Source,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="A new name; mv gives a new path.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="24h", help="Delete after so long, counted from now; 'none' keeps the file.")
    ] = None,
    meta: Meta = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a file's name, expiry or metadata, which --meta says anew as a whole, and print its URL."""
    from fileferry.client import UNCHANGED

    metadata = metadata_of(meta)
    if name is None and expires is None and metadata is None:
        raise typer.BadParameter("say what to change: --name, --expires or --meta")
    at = file_place_of(source)
    with session(url, key) as client:
        file = client.update(
            found_at(client, source, at, org) if at else source,
            name=UNCHANGED if name is None else name,
            expires_in=UNCHANGED if expires is None else None if expires == KEPT else expires,
            metadata=UNCHANGED if metadata is None else metadata,
            organization=org,
        )
        print(json_line(file) if as_json else file.url)


def link(
    source: Source,
    expires: Annotated[
        str | None, typer.Option(metavar="1h", help="A signed URL that ends after so long, at most 7d.")
    ] = None,
    version: Version = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print a URL that anyone can fetch a file from: its public one, which is good as long as the file, or one that ends."""
    at = file_place_of(source)
    with session(url, key) as client:
        if expires is None:
            file = found_at(client, source, at, org, version=version)
            address, ends_at = file.url, file.expires_at
        else:
            named = found_at(client, source, at, org) if at else source
            made = client.link(named, expires_in=expires, version=version, organization=org)
            address, ends_at = made.url, made.expires_at
        print(json_object(url=address, expires_at=ends_at) if as_json else address)


def rm(
    files: Annotated[
        list[str],
        typer.Argument(metavar="ID|WORKSPACE:/PATH...", help="Ids of files, or their paths in workspaces."),
    ],
    permanent: Annotated[
        bool, typer.Option("--permanent", help="Free the bytes at once: the files cannot be restored.")
    ] = False,
    version: Annotated[
        str | None, typer.Option("--version", metavar="V", help="Only this version, which is not the current one.")
    ] = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Delete files, or one version: their URLs stop working at once. Files at a path can be restored.

    Stops at the first that fails.
    """
    if version is not None and (len(files) > 1 or permanent):
        raise typer.BadParameter("a version is of one file, and always deleted for good", param_hint="--version")
    if any("://" in file for file in files):
        raise typer.BadParameter("name files by id, or by path as WORKSPACE:/PATH", param_hint="FILE")
    places = [(file, file_place_of(file)) for file in files]
    with session(url, key) as client:
        for file, at in places:
            if version is not None:
                client.delete_version(found_at(client, file, at, org) if at else file, version, organization=org)
            elif at is None:
                client.delete(file, permanent=permanent, organization=org)
            else:
                at.files(client, org).delete(at.path, permanent=permanent)
            if as_json:
                print(json_object(deleted=file, version=version))


def _name_of(client: Client, source: File | str, organization: str | None) -> str:
    """Return the bare name of what is downloaded, so that no server chooses a folder of ours."""
    if isinstance(source, str) and "://" in source:
        path = unquote(urlsplit(source).path)
    else:
        path = (client.get(source, organization=organization) if isinstance(source, str) else source).name
    last = re.split(r"[/\\]", path)[-1]
    # What moves the cursor of a terminal, or ends a line of a list, belongs into no name.
    name = "".join(char if char.isprintable() else "_" for char in last)
    if name in {"", ".", ".."}:
        fail("The file has no name that could be used here: name the destination with -o.", FAILED)
    return name


def _refuse_taken(destination: Path) -> None:
    """Fail where a name that the uploader chose would replace something; what an earlier download left goes on."""
    from fileferry.client.transfers.downloads import label_of, part_of

    part, label = part_of(destination), label_of(destination)
    is_other = os.path.lexists(part) and not (label.is_file() and part.is_file())
    if os.path.lexists(destination) or is_other or any(path.is_symlink() for path in (part, label)):
        fail(
            f"{printable(str(destination))} exists already: name the destination with -o, or pass --overwrite.", FAILED
        )


def _kind(file: File) -> str:
    return "hand-off" if file.at_path is False else "path"


def _short_line(file: File) -> str:
    return "\t".join([file.file_id, printable(file.path), *(["hand-off"] if file.at_path is False else [])])


def _long_line(file: File) -> str:
    created, expires = moment_text(file.created_at), moment_text(file.expires_at)
    fields = [file.file_id, str(file.size), standing(file), created, expires, printable(file.path), file.url]
    return "\t".join([*fields, *(["hand-off"] if file.at_path is False else [])])
