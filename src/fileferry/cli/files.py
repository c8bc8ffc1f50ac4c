"""``put``, ``get``, ``ls`` and ``rm``: files from and to the command line."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from fileferry.cli.folders import folder_id_of
from fileferry.cli.meter import metered
from fileferry.cli.places import Org, file_place_of, is_folder, place_of, target_place
from fileferry.cli.session import FAILED, Json, Key, Url, fail, json_line, moment_text, note, printable, session
from fileferry.errors import InvalidExpiry

if TYPE_CHECKING:
    from fileferry.client import Client, File

# The client's own, which help is not to wait for: tests/client/test_cli.py holds that they are the same.
MULTIPART_THRESHOLD = 64 * 1024 * 1024
PARALLEL = 4
MOST_PARALLEL = 64
LONGEST_WAIT = 60.0


def _size(text: str | int) -> int:
    # The server's own reading of sizes; loaded when one is given, as little else of this command needs it.
    from fileferry.model import parse_size

    try:
        return parse_size(str(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _seconds(text: str | int) -> int:
    from fileferry.model import parse_duration

    try:
        return int(parse_duration(str(text)).total_seconds())
    except InvalidExpiry as error:
        raise typer.BadParameter(error.detail) from None


PartSize = Annotated[
    int | None,
    typer.Option(parser=_size, metavar="16MiB", help="Size of the parts; the server chooses by default."),
]
Threshold = Annotated[
    int,
    typer.Option(
        parser=_size, metavar="64MiB", show_default=False, help="Files from this size on go in parts; 64MiB by default."
    ),
]

Patience = Annotated[
    int,
    typer.Option(
        parser=_seconds,
        metavar="10m",
        show_default=False,
        help="How long a server that cannot be reached is tried again, without progress; 10m by default.",
    ),
]


def put(
    sources: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files to upload; - is standard input.")],
    name: Annotated[str | None, typer.Option(help="Name of the new file; for - the default is stdin.")] = None,
    path: Annotated[
        str | None,
        typer.Option(help="Path of the file, which gets a new version if it exists; a folder/ when there are many."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="WORKSPACE:/PATH",
            help="Path in a workspace (id or name), which gets a new version if it exists; a folder/ keeps the name.",
        ),
    ] = None,
    folder: Annotated[
        str | None, typer.Option(metavar="NAME|ID", help="Folder to put new files in; made where it is missing.")
    ] = None,
    expires: Annotated[str | None, typer.Option(metavar="24h", help="Delete after 30m, 24h, 7d or seconds.")] = None,
    fetches: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, metavar="N", help="Delete after N complete downloads.")
    ] = None,
    wait: Annotated[
        int | None,
        typer.Option(parser=_seconds, metavar="30s", help="Wait so long until each file is ready; fail if it is not."),
    ] = None,
    content_type: Annotated[str | None, typer.Option(help="Media type; guessed from the name by default.")] = None,
    meta: Annotated[list[str] | None, typer.Option(metavar="K=V|JSON", help="Metadata; may be repeated.")] = None,
    parallel: Annotated[
        int, typer.Option(min=1, max=MOST_PARALLEL, help="Parts of a large file that are sent at once.")
    ] = PARALLEL,
    part_size: PartSize = None,
    multipart_threshold: Threshold = MULTIPART_THRESHOLD,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue large files where an earlier put stopped.")
    ] = True,
    patience: Patience = 600,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Upload files and print their URLs, one per line, in the order given. Stops at the first that fails.

    Large files go in parts, and over a connection that breaks again and again as one stream. When the network is away put
    tries again for --patience. When it is interrupted, the same command continues: it keeps a small state file, without
    the key, in ~/.local/state/fileferry (or under XDG_STATE_HOME) until the upload is complete.
    """
    if path is not None and to is not None:
        raise typer.BadParameter("it names the path already: leave --path out", param_hint="--to")
    at = None if to is None else target_place(to)
    target = at.path if at else path
    if folder is not None and target is not None:
        raise typer.BadParameter("a path names its folder itself", param_hint="--folder")
    if len(sources) > 1 and name is not None:
        raise typer.BadParameter("one name cannot serve many files", param_hint="--name")
    if len(sources) > 1 and target is not None and not is_folder(target):
        raise typer.BadParameter(
            "for many files it must be a folder: end it with /", param_hint="--path" if to is None else "--to"
        )
    metadata = _metadata(meta or [])
    with session(url, key, patience) as client:
        folder_id = folder_id_of(client, folder, org) if folder else None
        resumes = resume and _keeps_state()
        for source in sources:
            own_name = name or ("stdin" if source == "-" else os.path.basename(source))
            with metered(own_name) as progress:
                file = client.upload(
                    sys.stdin.buffer if source == "-" else source,
                    name=own_name,
                    path=target + own_name if target is not None and is_folder(target) else target,
                    folder=folder_id,
                    organization=org,
                    workspace=at.workspace if at else None,
                    expires_in=expires,
                    expires_after_fetches=fetches,
                    wait=None if wait is None else min(wait, LONGEST_WAIT),
                    content_type=content_type,
                    metadata=metadata,
                    resume=resumes and source != "-",
                    parallel=parallel,
                    part_size=part_size,
                    multipart_threshold=multipart_threshold,
                    progress=progress,
                )
            if as_json or file.status != "rejected":
                print(json_line(file) if as_json else file.url, flush=True)
            if file.is_under_way and wait is None:
                note(f"{file.name} is still being checked; --wait 60s waits for the outcome.")
            else:
                _see_ready(client, file, wait or 0, org)


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
    version: Annotated[str | None, typer.Option(metavar="V", help="Another version than the current one.")] = None,
    patience: Patience = 600,
    org: Org = None,
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
        note(f"Saved {destination}")


def ls(
    prefix: Annotated[
        str | None,
        typer.Argument(metavar="PREFIX|WORKSPACE:/PREFIX", help="Only files whose path starts so."),
    ] = None,
    as_json: Json = False,
    long: Annotated[bool, typer.Option("--long", "-l", help="Print size, status, times and URL as well.")] = False,
    workspace: Annotated[str | None, typer.Option(help="Another workspace than the default one.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Only deleted files that can be restored.")] = False,
    org: Org = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """List files, one per line: id and path, or with --long id, size, status, created, expires, path and URL."""
    line_of = _long_line if long else _short_line
    at = place_of(prefix or "")
    if at is not None and workspace is not None:
        raise typer.BadParameter("the prefix names a workspace already", param_hint="--workspace")
    if at is not None:
        prefix, workspace = at.path, at.workspace
    with session(url, key) as client:
        for file in client.list(prefix, workspace=workspace, organization=org, deleted=deleted):
            print(json_line(file) if as_json else line_of(file))


def rm(
    files: Annotated[
        list[str],
        typer.Argument(metavar="ID|WORKSPACE:/PATH...", help="Ids of files, or their paths in workspaces."),
    ],
    permanent: Annotated[
        bool, typer.Option("--permanent", help="Free the bytes at once: the files cannot be restored.")
    ] = False,
    org: Org = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Delete files: their URLs stop working at once. Files at a path can be restored. Stops at the first that fails."""
    if any("://" in file for file in files):
        raise typer.BadParameter("name files by id, or by path as WORKSPACE:/PATH", param_hint="FILE")
    places = [(file, file_place_of(file)) for file in files]
    with session(url, key) as client:
        for file, at in places:
            if at is None:
                client.delete(file, permanent=permanent, organization=org)
            else:
                at.files(client, org).delete(at.path, permanent=permanent)


def _see_ready(client: Client, file: File, wait: float, org: str | None) -> None:
    """Return once a file is ready; raise TimedOut when it is not after ``wait`` seconds, and fail when it is rejected."""
    if file.is_under_way and wait <= LONGEST_WAIT:
        from fileferry.client import TimedOut

        raise TimedOut(f"{file.name} was uploaded, and is not ready after {wait:g} s.")
    if file.is_under_way:
        file = client.wait(file, file.version_id, timeout=wait - LONGEST_WAIT, organization=org)
    if file.status != "ready":
        fail(f"{file.name} is {_standing(file)}{_found(file)}", FAILED)


def _standing(file: File) -> str:
    return f"{file.status}: {file.reason}" if file.status == "rejected" and file.reason else file.status


def _found(file: File) -> str:
    """Return what a scan says of why a file is rejected, in brackets; nothing where that is not the reason."""
    if file.scan is None or file.reason not in {"infected", "not_scanned", "scan_failed"}:
        return ""
    return f" ({file.scan.detail or file.scan.outcome})"


def _keeps_state() -> bool:
    from fileferry.client.transfers.journal import state_folder

    folder = state_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _metadata(given: list[str]) -> dict[str, Any] | None:
    metadata: dict[str, Any] = {}
    for text in given:
        if text.lstrip().startswith("{"):
            try:
                metadata |= json.loads(text)
            except ValueError as error:
                raise typer.BadParameter(f"not valid JSON: {error}", param_hint="--meta") from None
            continue
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is neither name=value nor a JSON object", param_hint="--meta")
        metadata[name] = value
    return metadata or None


def _name_of(client: Client, source: File | str, organization: str | None) -> str:
    """Return the bare name of what is downloaded, so that no server chooses a folder of ours."""
    from fileferry.client import File

    if isinstance(source, str) and "://" in source:
        path = unquote(urlsplit(source).path)
    else:
        path = (source if isinstance(source, File) else client.get(source, organization=organization)).name
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


def _short_line(file: File) -> str:
    return f"{file.file_id}\t{printable(file.path)}"


def _long_line(file: File) -> str:
    created, expires = moment_text(file.created_at), moment_text(file.expires_at)
    return "\t".join([file.file_id, str(file.size), _standing(file), created, expires, printable(file.path), file.url])
