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

from fileferry.cli import (
    events,
    files,
    folders,
    identity,
    keys,
    organizations,
    profiles,
    put,
    server,
    versions,
    webhooks,
    workspaces,
)

app = typer.Typer(
    name="fileferry",
    help="Hand files to other systems by URL.",
    epilog=(
        "Exit status: 0 done, 1 failed for good, 2 used wrongly, 75 failed for now (may succeed later), "
        "130 interrupted. The server and the API key are those of 'fileferry login', or FILEFERRY_URL and FILEFERRY_KEY name "
        "them, and FILEFERRY_END_USER the end user on whose behalf all is done, if any."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ALSO = {"ls": ["list"], "rm": ["delete"], "show": ["stat"], "stat": ["show"], "revoke": ["rm", "delete"]}
"""What else a verb may be called, in every family of commands; help does not list it."""


def _add(*commands: Callable[..., Any]) -> None:
    for command in commands:
        # Paragraphs without their line breaks, which are the source's and not the terminal's.
        paragraphs = (inspect.getdoc(command) or "").split("\n\n")
        app.command(help="\n\n".join(" ".join(text.split()) for text in paragraphs))(command)


def _also(family: typer.Typer) -> None:
    for command in list(family.registered_commands):
        assert command.callback is not None
        for other in ALSO.get(command.name or command.callback.__name__, []):
            family.command(other, hidden=True, help=command.help)(command.callback)


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
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="A server and key of 'fileferry login'. Default: FILEFERRY_PROFILE."
        ),
    ] = None,
) -> None:
    """Take the options of the command itself."""
    profiles.chosen.set(profile)


_add(identity.login, identity.logout, identity.whoami)
_add(put.put, files.get, files.ls, files.stat, files.link, files.update, files.rm)
_add(versions.mv, versions.versions, versions.restore, events.events)
app.add_typer(folders.app, name="folders")
app.add_typer(workspaces.app, name="workspaces")
app.add_typer(keys.app, name="keys")
app.add_typer(organizations.app, name="orgs")
app.add_typer(webhooks.app, name="webhooks")
_add(server.serve, server.worker, server.doctor)
for family in (app, folders.app, workspaces.app, keys.app, organizations.app, webhooks.app):
    _also(family)


def main() -> None:
    """Run the command line of this process and exit."""
    app(prog_name="fileferry")
