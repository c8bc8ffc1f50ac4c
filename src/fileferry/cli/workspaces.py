"""``workspaces``: workspaces from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.limits import Changes, of_files, print_limits, takes_limits
from fileferry.cli.places import Org
from fileferry.cli.session import Json, Key, Url, json_line, json_object, moment_text, printable, session

if TYPE_CHECKING:
    from fileferry.client import Workspace

app = typer.Typer(
    help="Make, change, list and delete workspaces, and set their limits.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Named = Annotated[str, typer.Argument(metavar="WORKSPACE", help="Id or name of the workspace.")]
ALL = "all"


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
    as_json: Json = False,
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
        print(json_line(made) if as_json else made.workspace_id)


@app.command("ls")
def list_workspaces(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List workspaces, one per line: id, created and name."""
    with session(url, key) as client:
        for found in client.list_workspaces(organization=org):
            line = f"{found.workspace_id}\t{moment_text(found.created_at)}\t{printable(found.name)}"
            print(json_line(found) if as_json else line)


@app.command()
def update(
    workspace: Named,
    keep_versions: Annotated[
        str | None, typer.Option(metavar="N", help="Keep so many versions of each file; 'all' keeps all.")
    ] = None,
    keep_versions_for: Annotated[
        str | None, typer.Option(metavar="30d", help="Keep a replaced version for so long; 'all' keeps it for good.")
    ] = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change which versions a workspace keeps."""
    from fileferry.client import UNCHANGED

    if keep_versions is None and keep_versions_for is None:
        raise typer.BadParameter("say what to change: --keep-versions or --keep-versions-for")
    if keep_versions not in {None, ALL} and not (keep_versions.isascii() and keep_versions.isdigit()):
        raise typer.BadParameter(f"{keep_versions!r} is neither a number nor 'all'", param_hint="--keep-versions")
    with session(url, key) as client:
        changed = client.update_workspace(
            workspace,
            keep_versions=UNCHANGED if keep_versions is None else None if keep_versions == ALL else int(keep_versions),
            keep_versions_for=(
                UNCHANGED if keep_versions_for is None else None if keep_versions_for == ALL else keep_versions_for
            ),
            organization=org,
        )
        _print(changed, as_json)


@app.command()
def show(workspace: Named, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show which versions a workspace keeps, and what it is limited to."""
    with session(url, key) as client:
        _print(client.get_workspace(workspace, organization=org), as_json)


@app.command()
def rm(workspace: Named, org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Delete a workspace in which no files are, nor deleted ones that can be restored: 'fileferry rm --permanent' ends those."""
    with session(url, key) as client:
        client.delete_workspace(workspace, organization=org)
        if as_json:
            print(json_object(deleted=workspace))


def _print(found: Workspace, as_json: bool) -> None:
    if as_json:
        print(json_line(found))
        return
    print(f"id\t{found.workspace_id}")
    print(f"name\t{printable(found.name)}")
    print(f"keep_versions\t{ALL if found.keep_versions is None else found.keep_versions}")
    print(f"keep_versions_for\t{ALL if found.keep_versions_for is None else f'{found.keep_versions_for} s'}")
    print_limits(found.limits, found.usage)


@app.command("limits")
@takes_limits(of_files)
def change_limits(
    workspace: Named,
    org: Org = None,
    as_json: Json = False,
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
        print_limits(found.limits, found.usage, as_json=as_json)
