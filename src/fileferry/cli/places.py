"""How a command line names a file in a workspace: ``WORKSPACE:/PATH``, beside ids and URLs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.session import FAILED, fail

if TYPE_CHECKING:
    from fileferry.client import Client, File, WorkspaceFiles


_PLACE = re.compile(r"([^:/]+):(?:/(?!/)(.*))?", re.DOTALL)

Source = Annotated[
    str, typer.Argument(metavar="ID|WORKSPACE:/PATH", help="A file's id, or its path in a workspace (id or name).")
]

Org = Annotated[str | None, typer.Option("--org", help="Id or slug of another organization; root key only.")]


@dataclass(frozen=True, slots=True)
class Place:
    """A path, or the beginning of one, in a workspace that is given by id or name."""

    workspace: str
    path: str

    def files(self, client: Client, organization: str | None) -> WorkspaceFiles:
        """Return the files of the workspace."""
        return client.workspace(self.workspace, organization=organization)


def is_id(text: str) -> bool:
    """Return whether a text is an id, and so no name."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def id_of_name(ids: Sequence[str], name: str, noun: str) -> str:
    """Return the only one of the ids of what has a name; end the command where there is none, or more."""
    if not ids:
        fail(f"There is no {noun} {name!r}: 'fileferry {noun}s ls' lists them.", FAILED)
    if len(ids) > 1:
        fail(f"{len(ids)} {noun}s are called {name!r}: name one by its id, {' or '.join(ids)}.", FAILED)
    return ids[0]


def is_folder(path: str) -> bool:
    """Return whether a path ends in a slash, or is empty: there files keep their names."""
    return not path or path.endswith("/")


def place_of(text: str) -> Place | None:
    """Return the place that ``text`` names; None where it is something else, such as an id or a URL."""
    found = _PLACE.fullmatch(text)
    return Place(found[1], found[2] or "") if found else None


def file_place_of(text: str) -> Place | None:
    """Return as ``place_of``; end the command where the place is a folder instead of a file, or a path without its workspace."""
    found = place_of(text)
    if found is None and "/" in text and "://" not in text:
        path = text.rpartition(":")[2].lstrip("/")
        raise typer.BadParameter(f"{text!r} is no id; write a path as WORKSPACE:/PATH, such as 'default:/{path}'")
    if found is not None and is_folder(found.path):
        raise typer.BadParameter(f"{text!r} is a folder: name a file as WORKSPACE:/PATH")
    return found


def target_place(text: str) -> Place:
    """Return the place that ``--to`` names; end the command where it names none."""
    found = place_of(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} names no workspace: write WORKSPACE:/PATH", param_hint="--to")
    return found


def found_at(
    client: Client, source: str, at: Place | None, organization: str | None, *, version: str | None = None
) -> File:
    """Return the file that ``source`` names: the one ``at`` a place, or else the one with this id."""
    if at is None:
        return client.get(source, version=version, organization=organization)
    return at.files(client, organization).get(at.path, version=version)
