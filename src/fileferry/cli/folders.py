"""``folders``: folders from the command line, and the folder that ``put --folder`` means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.places import Org, is_id
from fileferry.cli.session import FAILED, Json, Key, Url, fail, json_line, json_object, moment_text, printable, session

if TYPE_CHECKING:
    from fileferry.client import Client

app = typer.Typer(help="Make, list and delete folders.", no_args_is_help=True, pretty_exceptions_enable=False)

Workspace = Annotated[str | None, typer.Option(help="Another workspace than the default one.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The folder's path, such as reports/2026.")],
    workspace: Workspace = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a folder and print its id; where it is there already, print the id that it has."""
    with session(url, key) as client:
        folder = client.create_folder(name, workspace=workspace, organization=org)
        print(json_line(folder) if as_json else folder.folder_id)


@app.command("ls")
def list_folders(
    workspace: Workspace = None, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None
) -> None:
    """List folders, one per line: id, created and path."""
    with session(url, key) as client:
        for folder in client.list_folders(workspace=workspace, organization=org):
            line = f"{folder.folder_id}\t{moment_text(folder.created_at)}\t{printable(folder.path)}"
            print(json_line(folder) if as_json else line)


@app.command()
def rm(
    folders: Annotated[list[str], typer.Argument(metavar="ID|PATH...", help="Ids of the folders, or their paths.")],
    workspace: Workspace = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Delete empty folders. Stops at the first that fails."""
    with session(url, key) as client:
        for folder in folders:
            client.delete_folder(_found(client, folder, workspace, org), organization=org)
            if as_json:
                print(json_object(deleted=folder))


def _found(client: Client, id_or_path: str, workspace: str | None, organization: str | None) -> str:
    """Return the id of the folder that is named by it, or by its path; end the command without one."""
    if is_id(id_or_path):
        return id_or_path
    path = id_or_path.strip("/")
    folders = client.list_folders(workspace=workspace, organization=organization)
    found = next((folder for folder in folders if folder.path == path), None)
    if found is None:
        fail(f"There is no folder {id_or_path!r}: 'fileferry folders ls' lists them.", FAILED)
    return found.folder_id


def folder_id_of(client: Client, name_or_id: str, organization: str | None) -> str:
    """Return the id of the folder with this id or path; one that is not there yet is made."""
    if is_id(name_or_id):
        return name_or_id
    return client.create_folder(name_or_id, organization=organization).folder_id
