"""The tables of the docs that the code already holds: settings, errors, commands, the client. Run as a program it writes them."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import typer
from pages import DOCS

from fileferry import Client, FileRequests, Shares, Tickets, Webhooks, WorkspaceFiles, settings
from fileferry.cli import app
from fileferry.errors import CATALOGUE

FACES = (Client, WorkspaceFiles, Tickets, Webhooks, Shares, FileRequests)


def settings_table() -> str:
    """Return every setting with its default and what ``settings.py`` says of it."""
    said = _attribute_docstrings(settings.Settings)
    rows = [
        (f"`{settings.PREFIX}{field.name.upper()}`", _default_text(field.default), said[field.name])
        for field in msgspec.structs.fields(settings.Settings)
    ]
    return _table(("variable", "default", "meaning"), rows)


def errors_table() -> str:
    """Return every error of the catalogue, by status and code."""
    kinds = sorted(CATALOGUE.values(), key=lambda kind: (kind.status, kind.code))
    rows = [(f"`{kind.code}`", str(kind.status), kind.retry.value, kind.title) for kind in kinds]
    return _table(("code", "status", "retry", "meaning"), rows)


def every_command_table() -> str:
    """Return one line for each command: how it is called, its options, and what it does."""
    commands = [(words, child) for words, child in _every(typer.main.get_command(app), "fileferry")]
    rows = [
        (
            f"`{_signature(child, words)}`",
            " ".join(_option_names(child)),
            _first_sentence(child.help.replace(". ", ".\n\n")),
        )
        for words, child in commands
    ]
    return _table(("command", "options", "what it does"), rows)


def commands_table() -> str:
    """Return every command of the command line with its arguments and options."""
    return "\n\n".join(_command(child, words) for words, child in _every(typer.main.get_command(app), "fileferry"))


def client_table() -> str:
    """Return every method of the Python client with its arguments and what it does."""
    return "\n\n".join(f"### `{face.__name__}`\n\n{_methods(face)}" for face in FACES)


TABLES = {
    "settings": (DOCS / "operating.md", settings_table),
    "errors": (DOCS / "errors.md", errors_table),
    "every-command": (DOCS / "command-line.md", every_command_table),
    "commands": (DOCS / "command-line.md", commands_table),
    "client": (DOCS / "python-client.md", client_table),
}
"""The page of each table, and what makes it."""


def written(page: Path, name: str) -> str:
    """Return the table as the page has it; raises ValueError when it has none."""
    return _between(name).search(page.read_text())[1].strip()  # type: ignore[index]


def main() -> None:
    """Write every table into its page."""
    for name, (page, make) in TABLES.items():
        fresh = f"<!-- begin: {name} -->\n{make()}\n<!-- end: {name} -->"
        begin, end = _between(name).search(page.read_text()).span()  # type: ignore[union-attr]
        page.write_text(page.read_text()[:begin] + fresh + page.read_text()[end:])


def _between(name: str) -> re.Pattern[str]:
    return re.compile(f"<!-- begin: {name} -->\n(.*?)<!-- end: {name} -->", re.DOTALL)


def _attribute_docstrings(kind: type[Any]) -> dict[str, str]:
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    found = {}
    for field, said in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant):
            found[ast.unparse(field.target)] = str(said.value.value).replace("``", "`")
    return found


def _methods(face: type) -> str:
    rows = [
        (f"`{name}{_arguments(method)}`", _first_sentence(inspect.getdoc(method) or ""))
        for name, method in inspect.getmembers(face)
        if not name.startswith("_")
    ]
    return _table(("method", "what it does"), rows)


def _arguments(method: Any) -> str:
    if isinstance(method, property):
        return ""
    parameters = [*inspect.signature(method).parameters.values()][1:]
    words = [
        f"**{parameter.name}"
        if parameter.kind is parameter.VAR_KEYWORD
        else parameter.name
        if parameter.default is parameter.empty
        else f"{parameter.name}="
        for parameter in parameters
    ]
    return f"({', '.join(words)})"


def _first_sentence(said: str) -> str:
    return " ".join(said.partition("\n\n")[0].split()).replace("``", "`")


def _default_text(default: Any) -> str:
    if default is None:
        return "–"
    if isinstance(default, timedelta):
        return f"`{_duration_text(int(default.total_seconds()))}`"
    if isinstance(default, settings.Bytes):
        return f"`{_size_text(default)}`"
    return f"`{default}`"


def _duration_text(seconds: int) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0 and seconds > length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _size_text(size: int) -> str:
    for unit, power in (("GiB", 3), ("MiB", 2), ("KiB", 1)):
        if size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)


def _every(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    for name, child in sorted(getattr(command, "commands", {}).items()):
        below = f"{words} {name}"
        if getattr(child, "commands", None):
            yield from _every(child, below)
        elif not child.hidden:
            yield below, child


def _command(command: Any, words: str) -> str:
    rows = [(_option_text(option), option.help or "") for option in _options(command)]
    table = "\n\n" + _table(("option", "meaning"), rows) if rows else ""
    return f"### `{_signature(command, words)}`\n\n{' '.join(command.help.split())}{table}"


def _signature(command: Any, words: str) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    return " ".join([words, *(_argument_text(argument) for argument in arguments)])


def _options(command: Any) -> list[Any]:
    return [
        parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and not {"--help", "--url", "--key"} & set(parameter.opts)
    ]


def _option_names(command: Any) -> list[str]:
    return [f"`{max(option.opts, key=len)}`" for option in _options(command)]


def _argument_text(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _option_text(option: Any) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.name.upper().replace('_', ' ')}"
    return ", ".join(f"`{name}{value}`" for name in [*option.opts, *option.secondary_opts])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
