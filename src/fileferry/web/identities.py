"""Ids in addresses: in whatever spelling they come, handlers get the one that is kept."""

from __future__ import annotations

from fileferry.errors import LinkRefused, NotFound
from fileferry.model import canonical_id
from fileferry.web.requests import AnyRequest

_SIGNED = ("/f/", "/d/", "/u/")  # nothing of what a signature covers can be spelt otherwise
_IDS = ("id", "id_or_name", "id_or_slug")  # what the names of ids end in


async def spell(request: AnyRequest) -> None:
    """Give the ids in a request's address the one spelling that is kept; raises NotFound, or LinkRefused, for what can be none."""
    path, values = request.scope["path"], request.scope["path_params"]
    is_signed = path.startswith(_SIGNED)
    # PostgreSQL cannot be asked for NUL.
    if "\0" in path and any("\0" in str(value) for name, value in values.items() if name.endswith(_IDS)):
        raise LinkRefused() if is_signed else NotFound()
    if is_signed:
        return
    for name, value in values.items():
        if isinstance(value, str):
            values[name] = canonical_id(value)
