"""Metadata on a command line: ``--meta order=17`` or ``--meta '{"order": 17}'``, as often as is wanted."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Meta = Annotated[list[str] | None, typer.Option("--meta", metavar="K=V|JSON", help="Metadata; may be repeated.")]


def metadata_of(given: list[str] | None) -> dict[str, Any] | None:
    """Return what all the options say together, None for none of them; end the command for what is neither form."""
    metadata: dict[str, Any] = {}
    for text in given or []:
        if text.lstrip().startswith("{"):
            try:
                metadata |= json.loads(text)
            except ValueError as error:
                raise typer.BadParameter(f"not valid JSON: {error}", param_hint="--meta") from None
            continue
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is neither name=value nor a JSON object", param_hint="--meta")
        metadata[name] = value
    return metadata if given else None
