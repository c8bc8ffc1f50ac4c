"""The ``fileferry`` command: puts the commands of this package together. What they do is in their own modules.

Exit status: 0 done; 1 failed for good; 2 used wrongly; 75 failed for now, the same command may succeed later; 130
interrupted. Results go to stdout, everything said about them to stderr.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer

from fileferry.cli import events, files, folders, keys, organizations, server, versions, webhooks, workspaces

app = typer.Typer(
    name="fileferry",
    help="Hand files to other systems by URL.",
    epilog=(
        "Exit status: 0 done, 1 failed for good, 2 used wrongly, 75 failed for now (may succeed later), "
        "130 interrupted. FILEFERRY_URL and FILEFERRY_KEY name the server and the API key, FILEFERRY_END_USER the end user "
        "on whose behalf all is done, if any."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _add(*commands: Callable[..., Any]) -> None:
    for command in commands:
        # Paragraphs without their line breaks, which are the source's and not the terminal's.
        paragraphs = (inspect.getdoc(command) or "").split("\n\n")
        app.command(help="\n\n".join(" ".join(text.split()) for text in paragraphs))(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"fileferry {version('fileferry')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version of fileferry."),
    ] = False,
) -> None:
    """Take the options of the command itself."""


_add(files.put, files.get, files.ls, files.rm, versions.mv, versions.versions, versions.restore, events.events)
app.add_typer(folders.app, name="folders")
app.add_typer(workspaces.app, name="workspaces")
app.add_typer(keys.app, name="keys")
app.add_typer(organizations.app, name="orgs")
app.add_typer(webhooks.app, name="webhooks")
_add(server.serve, server.worker, server.doctor, server.backup, server.restore_backup)


def main() -> None:
    """Run the command line of this process and exit."""
    app()
