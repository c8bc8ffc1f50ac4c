"""``workspaces``: workspaces from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.limits import Changes, of_files, print_limits, takes_limits
from fileferry.cli.places import Org
from fileferry.cli.session import Json, Key, Url, json_line, moment_text, printable, session

app = typer.Typer(
    help="Make and list workspaces, and set their limits.", no_args_is_help=True, pretty_exceptions_enable=False
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The workspace's name, as in NAME:/path.")],
    org: Org = None,
    workspace_id: Annotated[str | None, typer.Option("--id", metavar="UUID", help="Fixes the id.")] = None,
    keep_versions: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Keep so many versions of each file; all by default.")
    ] = None,
    keep_versions_for: Annotated[
        str | None, typer.Option(metavar="30d", help="Keep a replaced version for so long; for good by default.")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a workspace and print its id."""
    with session(url, key) as client:
        made = client.create_workspace(
            name,
            workspace_id=workspace_id,
            keep_versions=keep_versions,
            keep_versions_for=keep_versions_for,
            organization=org,
        )
        print(made.workspace_id)


@app.command("ls")
def list_workspaces(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List workspaces, one per line: id, created and name."""
    with session(url, key) as client:
        for found in client.list_workspaces(organization=org):
            line = f"{found.workspace_id}\t{moment_text(found.created_at)}\t{printable(found.name)}"
            print(json_line(found) if as_json else line)


@app.command("limits")
@takes_limits(of_files)
def change_limits(
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE", help="Id or name of the workspace.")],
    org: Org = None,
    *,
    limits: Changes,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a workspace's limits, at once, and print them with what is kept of what they limit."""
    with session(url, key) as client:
        if limits:
            found = client.update_workspace(workspace, limits=limits, organization=org)
        else:
            found = client.get_workspace(workspace, organization=org)
        print_limits(found.limits, found.usage)
