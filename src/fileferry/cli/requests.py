"""``request`` and ``requests``: links by which people without a key upload. The link alone goes to stdout."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.amounts import size
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
from fileferry.cli.places import Org, place_of
from fileferry.cli.session import Json, Key, Url, json_line, json_object, moment_text, note, printable, session

app = typer.Typer(
    help="Look after the links that 'request' made.", no_args_is_help=True, pretty_exceptions_enable=False
)

RequestId = Annotated[str, typer.Argument(metavar="ID", help="The request's id, as 'requests ls' prints it.")]
MaxSize = Annotated[
    int | None, typer.Option("--max-size", parser=size, metavar="50MiB", help="The most that one file may have.")
]
MaxFiles = Annotated[int | None, typer.Option("--max-files", min=1, max=100_000, metavar="N", help="Take N files.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type", metavar="image/jpeg", help="Take files of this media type; may be repeated. All by default."
    ),
]


def request(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What is asked for, as the page says it.")],
    to: Annotated[
        str | None,
        typer.Option(metavar="WORKSPACE:/FOLDER", help="Where files come in; by default a folder named as the title."),
    ] = None,
    message: Message = None,
    max_size: MaxSize = None,
    max_files: MaxFiles = None,
    types: Types = None,
    passphrase: Passphrase = None,
    expires: Expires = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print the link to a page where people upload files, without a key and without an account."""
    place = None if to is None else place_of(to)
    if to is not None and (place is None or not place.path.strip("/")):
        raise typer.BadParameter(f"{to!r} names no folder: write WORKSPACE:/FOLDER", param_hint="--to")
    with session(url, key) as client:
        made = client.requests(organization=org).create(
            title,
            message=message or "",
            folder=None if place is None else place.path.strip("/"),
            workspace=None if place is None else place.workspace,
            max_size=max_size,
            max_files=max_files,
            types=types or None,
            passphrase=passphrase_of(passphrase),
            expires_in=expires,
        )
        print(json_line(made) if as_json else made.url, flush=True)
        note(f"Request {made.request_id} into {printable(made.folder)}, until {moment_text(made.expires_at)}")


@app.command("ls")
def list_requests(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List requests, one per line: id, created, state, end, files received, URL, folder and title."""
    with session(url, key) as client:
        for found in client.requests(organization=org).list():
            ends, received = moment_text(found.expires_at), f"{found.received}/{found.max_files or '-'}"
            fields = [found.request_id, moment_text(found.created_at), found.state, ends, received, found.url]
            named = [printable(found.folder), printable(found.title)]
            print(json_line(found) if as_json else "\t".join([*fields, *named]))


@app.command()
def files(request_id: RequestId, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List what has come for a request, one file per line: id, when, status, size and name."""
    with session(url, key) as client:
        for found in client.requests(organization=org).files(request_id):
            fields = [found.file_id, moment_text(found.arrived_at), found.status or "-", str(found.size or 0)]
            print(json_line(found) if as_json else "\t".join([*fields, printable(found.name)]))


@app.command()
def update(
    request_id: RequestId,
    title: Annotated[str | None, typer.Option(help="Another title.")] = None,
    message: Message = None,
    max_size: MaxSize = None,
    max_files: MaxFiles = None,
    types: Types = None,
    passphrase: NewPassphrase = None,
    expires: NewExpires = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a request; its link and its folder stay."""
    from fileferry.client import UNCHANGED

    with session(url, key) as client:
        changed = client.requests(organization=org).update(
            request_id,
            title=UNCHANGED if title is None else title,
            message=UNCHANGED if message is None else message,
            max_size=UNCHANGED if max_size is None else max_size,
            max_files=UNCHANGED if max_files is None else max_files,
            types=types or UNCHANGED,
            passphrase=new_passphrase(passphrase),
            **new_end(expires),  # type: ignore[arg-type]
        )
        if as_json:
            print(json_line(changed))


@app.command()
def rm(
    request_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of requests.")],
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End requests at once, with what is under way for them; the files that have come stay."""
    with session(url, key) as client:
        for request_id in request_ids:
            client.requests(organization=org).delete(request_id)
            if as_json:
                print(json_object(deleted=request_id))
