"""The ``fileferry`` command: puts the commands of this package together. What they do is in their own modules.

Each is loaded when it is asked for: a server would keep in memory what ``put`` needs, and ``put`` wait for all the others.

Exit status: 0 done; 1 failed for good; 2 used wrongly; 75 failed for now, the same command may succeed later; 130
interrupted. Results go to stdout, everything said about them to stderr.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fileferry.version import version

_PLACES = {
    "login": "identity",
    "logout": "identity",
    "whoami": "identity",
    "put": "put",
    "get": "files",
    "ls": "files",
    "stat": "files",
    "link": "files",
    "preflight": "preflights",
    "update": "files",
    "rm": "files",
    "mv": "versions",
    "versions": "versions",
    "restore": "versions",
    "events": "events",
    "audit": "events",
    "usage": "status",
    "status": "status",
    "uploads": "uploads",
    "mcp": "agents",
    "skill": "agents",
    "serve": "server",
    "worker": "server",
    "doctor": "server",
    "verify": "server",
    "backup": "server",
    "restore-backup": "server",
    "migrate-database": "server",
    "migrate-store": "server",
    "folders": "folders",
    "workspaces": "workspaces",
    "keys": "keys",
    "users": "users",
    "sessions": "sessions",
    "grants": "grants",
    "orgs": "organizations",
    "webhooks": "webhooks",
    "share": "shares",
    "shares": "shares",
    "request": "requests",
    "requests": "requests",
}
"""The module of each command: it has a function of that name (with ``_`` for ``-``), or an ``app`` of commands below it."""

ALSO = {"ls": ["list"], "rm": ["delete"], "show": ["stat"], "stat": ["show"], "revoke": ["rm", "delete"]}
"""What else a verb may be called, in every family of commands; help does not list it."""
_OTHERS = {other: verb for verb in _PLACES for other in ALSO.get(verb, [])}


class _Commands(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        return _command(name, _OTHERS.get(name, name))

    def __iter__(self) -> Iterator[str]:
        return iter((*_PLACES, *_OTHERS))

    def __len__(self) -> int:
        return len(_PLACES) + len(_OTHERS)


class _Group(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Commands()  # type: ignore[assignment]


@cache
def _command(name: str, verb: str) -> Any:
    module = import_module(f"fileferry.cli.{_PLACES[verb]}")
    holder = typer.Typer(pretty_exceptions_enable=False)
    command = getattr(module, verb.replace("-", "_"), None)
    if command is None:
        _also(module.app)
        holder.add_typer(module.app, name=name)
    else:
        # Paragraphs without their line breaks, which are the source's and not the terminal's.
        paragraphs = (inspect.getdoc(command) or "").split("\n\n")
        holder.command(name, hidden=name != verb, help="\n\n".join(" ".join(text.split()) for text in paragraphs))(
            command
        )
    return typer.main.get_group(holder).commands[name]


app = typer.Typer(
    name="fileferry",
    cls=_Group,
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


def _also(family: typer.Typer) -> None:
    for command in list(family.registered_commands):
        assert command.callback is not None
        for other in ALSO.get(command.name or command.callback.__name__, []):
            family.command(other, hidden=True, help=command.help)(command.callback)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"fileferry {version()}")
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
    if profile is not None:
        from fileferry.cli import profiles

        profiles.chosen.set(profile)


def main() -> None:
    """Run the command line of this process and exit."""
    app(prog_name="fileferry")
