"""``share`` and ``shares``: links to pages with files, for people. The link alone goes to stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.linked import (
    Expires,
    Message,
    NewExpires,
    NewPassphrase,
    Passphrase,
    new_end,
    new_passphrase,
    passphrase_of,
)
from fileferry.cli.places import Org, Place, found_at, is_folder, is_id, place_of
from fileferry.cli.session import Json, Key, Url, json_line, json_object, moment_text, note, printable, session

if TYPE_CHECKING:
    from fileferry.client import Client, File

app = typer.Typer(help="Look after the links that 'share' made.", no_args_is_help=True, pretty_exceptions_enable=False)

ShareId = Annotated[str, typer.Argument(metavar="ID", help="The share's id, as 'shares ls' prints it.")]
Downloads = Annotated[
    int | None, typer.Option("--max-downloads", min=1, max=1_000_000, metavar="N", help="End after N whole downloads.")
]


def share(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|ID|WORKSPACE:/PATH...",
            help="Files of this computer, which are uploaded first, or files that are there; or one WORKSPACE:/FOLDER/.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What the page is called; by default as the file or folder.")] = None,
    message: Message = None,
    passphrase: Passphrase = None,
    expires: Expires = None,
    max_downloads: Downloads = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print the link to a page where people download files, one by one or all as a zip.

    A folder is shared as it is when they look. Files of this computer end with the share.
    """
    folder = _folder_of(sources)
    with session(url, key) as client:
        files = [] if folder else [_file(client, source, expires, org) for source in sources]
        made = client.shares(organization=org).create(
            *files,
            folder=folder.path.rstrip("/") if folder else None,
            workspace=folder.workspace if folder else None,
            name=name,
            message=message or "",
            passphrase=passphrase_of(passphrase),
            expires_in=expires,
            max_downloads=max_downloads,
        )
        print(json_line(made) if as_json else made.url, flush=True)
        note(f"Share {made.share_id} of {printable(made.name)}, until {moment_text(made.expires_at)}")


@app.command("ls")
def list_shares(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List shares, one per line: id, created, state, end, downloads, URL and name."""
    with session(url, key) as client:
        for found in client.shares(organization=org).list():
            ends, downloads = moment_text(found.expires_at), f"{found.downloads}/{found.max_downloads or '-'}"
            fields = [found.share_id, moment_text(found.created_at), found.state, ends, downloads, found.url]
            print(json_line(found) if as_json else "\t".join([*fields, printable(found.name)]))


@app.command()
def show(share_id: ShareId, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show what a share has and how often it was downloaded."""
    with session(url, key) as client:
        found = client.shares(organization=org).get(share_id)
        if as_json:
            print(json_line(found))
            return
        print(f"id\t{found.share_id}")
        print(f"url\t{found.url}")
        print(f"name\t{printable(found.name)}")
        print(f"state\t{found.state}")
        print(f"expires\t{moment_text(found.expires_at)}")
        print(f"passphrase\t{'yes' if found.has_passphrase else 'no'}")
        print(f"downloads\t{found.downloads}/{found.max_downloads or '-'}")
        print(f"folder\t{printable(found.folder or '-')}")
        for file_id in found.file_ids:
            print(f"file\t{file_id}")


@app.command()
def update(
    share_id: ShareId,
    name: Annotated[str | None, typer.Option(help="Another name of the page.")] = None,
    message: Message = None,
    passphrase: NewPassphrase = None,
    expires: NewExpires = None,
    max_downloads: Downloads = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a share; its link stays."""
    from fileferry.client import UNCHANGED

    with session(url, key) as client:
        changed = client.shares(organization=org).update(
            share_id,
            name=UNCHANGED if name is None else name,
            message=UNCHANGED if message is None else message,
            passphrase=new_passphrase(passphrase),
            max_downloads=UNCHANGED if max_downloads is None else max_downloads,
            **new_end(expires),  # type: ignore[arg-type]
        )
        if as_json:
            print(json_line(changed))


@app.command()
def rm(
    share_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of shares.")],
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End shares at once; their files stay."""
    with session(url, key) as client:
        for share_id in share_ids:
            client.shares(organization=org).delete(share_id)
            if as_json:
                print(json_object(deleted=share_id))


def _folder_of(sources: list[str]) -> Place | None:
    """Return the folder that is shared; end the command where it is named beside others."""
    found = [place for place in map(place_of, sources) if place is not None and is_folder(place.path)]
    if not found or any(Path(source).exists() for source in sources):
        return None
    if len(sources) > 1 or not found[0].path:
        raise typer.BadParameter("A folder is shared by itself: name one WORKSPACE:/FOLDER/ and nothing else")
    return found[0]


def _file(client: Client, source: str, expires: str | None, org: str | None) -> File:
    """Return the file that is there, or the one of this computer once it is."""
    place = None if Path(source).exists() else place_of(source)
    if place is not None or is_id(source):
        return found_at(client, source, place, org)
    uploaded = client.upload(Path(source), expires_in=expires, organization=org)
    note(f"Uploaded {printable(uploaded.name)} as {uploaded.file_id}")
    return uploaded
