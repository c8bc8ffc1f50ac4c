"""``folders``: folders from the command line, and the folder that ``put --folder`` means."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.session import Json, Key, Url, json_line, moment_text, printable, session

if TYPE_CHECKING:
    from fileferry.client import Client

app = typer.Typer(help="Make, list and remove folders.", no_args_is_help=True, pretty_exceptions_enable=False)

Workspace = Annotated[str | None, typer.Option(help="Another workspace than the default one.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The folder's path, such as reports/2026.")],
    workspace: Workspace = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a folder and print its id; where it is there already, print the id that it has."""
    with session(url, key) as client:
        folder = client.create_folder(name, workspace=workspace)
        print(json_line(folder) if as_json else folder.folder_id)


@app.command("list")
def list_folders(workspace: Workspace = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List folders, one per line: id, created and path."""
    with session(url, key) as client:
        for folder in client.list_folders(workspace=workspace):
            line = f"{folder.folder_id}\t{moment_text(folder.created_at)}\t{printable(folder.path)}"
            print(json_line(folder) if as_json else line)


@app.command()
def rm(
    folder_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the folders.")],
    url: Url = None,
    key: Key = None,
) -> None:
    """Remove empty folders. Stops at the first that fails."""
    with session(url, key) as client:
        for folder_id in folder_ids:
            client.delete_folder(folder_id)


def folder_id_of(client: Client, name_or_id: str, organization: str | None) -> str:
    """Return the id of the folder with this id or path; one that is not there yet is made."""
    try:
        return str(uuid.UUID(name_or_id))
    except ValueError:
        return client.create_folder(name_or_id, organization=organization).folder_id
