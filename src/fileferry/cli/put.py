"""``put``: files and folders of this machine to the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.amounts import Patience, seconds, size
from fileferry.cli.folders import folder_id_of
from fileferry.cli.metadata import Meta, metadata_of
from fileferry.cli.meter import metered
from fileferry.cli.places import Org, is_folder, target_place
from fileferry.cli.session import FAILED, Json, Key, Url, fail, json_line, note, printable, session
from fileferry.cli.standing import found_by_scan, standing

if TYPE_CHECKING:
    from fileferry.client import Client, File

# The client's own, which help is not to wait for: tests/client/test_cli.py holds that they are the same.
MULTIPART_THRESHOLD = 64 * 1024 * 1024
PARALLEL = 4
MOST_PARALLEL = 64
LONGEST_WAIT = 60.0

PartSize = Annotated[
    int | None,
    typer.Option(parser=size, metavar="16MiB", help="Size of the parts; the server chooses by default."),
]
Threshold = Annotated[
    int,
    typer.Option(
        parser=size, metavar="64MiB", show_default=False, help="Files from this size on go in parts; 64MiB by default."
    ),
]


def put(
    sources: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files to upload; - is standard input.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Upload folders too, with all files below them.")
    ] = False,
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
        typer.Option(parser=seconds, metavar="30s", help="Wait so long until each file is ready; fail if it is not."),
    ] = None,
    content_type: Annotated[str | None, typer.Option(help="Media type; guessed from the name by default.")] = None,
    meta: Meta = None,
    parallel: Annotated[
        int, typer.Option(min=1, max=MOST_PARALLEL, help="Parts of a large file that are sent at once.")
    ] = PARALLEL,
    part_size: PartSize = None,
    multipart_threshold: Threshold = MULTIPART_THRESHOLD,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch", help="All files or none: they are there together, and the URL of their list is printed."
        ),
    ] = False,
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

    With -r a folder is uploaded with all files below it, which keep their places: below the folder/ that --path or --to names,
    or as new files with the folder in their names. Links to other files are left out.

    With --batch all of them become files together, or none of them. What is printed is one URL then, that of their list.

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
    has_many = len(sources) > 1 or (recursive and os.path.isdir(sources[0]))
    if has_many and name is not None:
        raise typer.BadParameter("one name cannot serve many files", param_hint="--name")
    if has_many and target is not None and not is_folder(target):
        raise typer.BadParameter(
            "for many files it must be a folder: end it with /", param_hint="--path" if to is None else "--to"
        )
    if not recursive and (folders := [source for source in sources if os.path.isdir(source)]):
        raise typer.BadParameter(f"{folders[0]!r} is a folder: put -r uploads it with its files", param_hint="FILE")
    metadata = metadata_of(meta)
    if batch:
        unfit = {"--name": name, "--folder": folder, "--fetches": fetches, "--wait": wait, "--meta": meta}
        if named := [option for option, value in unfit.items() if value is not None]:
            raise typer.BadParameter("it cannot be had with --batch", param_hint=named[0])
        if "-" in sources:
            raise typer.BadParameter("a batch takes files of a known size", param_hint="FILE")
        with session(url, key, patience) as client:
            made = client.upload_batch(
                {(target or "") + own_name: source for source, own_name in _files(sources, None)},
                at_path=target is not None,
                expires_in=expires,
                workspace=at.workspace if at else None,
                organization=org,
            )
            print(json_line(made) if as_json else made.manifest_url)
        return
    with session(url, key, patience) as client:
        folder_id = folder_id_of(client, folder, org) if folder else None
        resumes = resume and _keeps_state()
        for source, own_name in _files(sources, name):
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


def _files(sources: list[str], name: str | None) -> Iterator[tuple[str, str]]:
    """Yield each file to upload with the name that it gets, those of a folder in order and with its name before theirs."""
    for source in sources:
        if source == "-":
            yield source, name or "stdin"
        elif os.path.isdir(source):
            # A folder that is named as . or .. has a name of its own.
            above = os.path.dirname(os.path.abspath(source))
            for path in _below(source):
                yield path, os.path.relpath(os.path.abspath(path), above)
        else:
            yield source, name or os.path.basename(source)


def _below(folder: str) -> Iterator[str]:
    """Yield the paths of the plain files below a folder, by name."""

    def refuse(error: OSError) -> None:
        raise error

    for above, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted([*names, *(name for name in folders if os.path.islink(os.path.join(above, name)))]):
            path = os.path.join(above, name)
            if os.path.islink(path) or not os.path.isfile(path):
                # It may lead out of the folder, or never end.
                note(f"{printable(path)} is no plain file, and left out.")
            else:
                yield path


def _see_ready(client: Client, file: File, wait: float, org: str | None) -> None:
    """Return once a file is ready; raise TimedOut when it is not after ``wait`` seconds, and fail when it is rejected."""
    if file.is_under_way and wait <= LONGEST_WAIT:
        from fileferry.client import TimedOut

        raise TimedOut(f"{file.name} was uploaded, and is not ready after {wait:g} s.")
    if file.is_under_way:
        file = client.wait(file, file.version_id, timeout=wait - LONGEST_WAIT, organization=org)
    if file.status != "ready":
        fail(f"{file.name} is {standing(file)}{found_by_scan(file)}", FAILED)


def _keeps_state() -> bool:
    from fileferry.client.transfers.journal import state_folder

    folder = state_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
