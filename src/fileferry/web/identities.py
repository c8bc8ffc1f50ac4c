"""Ids in addresses: in whatever spelling they come, handlers get the one that is kept."""

from __future__ import annotations

from fileferry.model import canonical_id
from fileferry.web.requests import AnyRequest

_SIGNED = ("/f/", "/d/", "/u/")  # nothing of what a signature covers can be spelt otherwise


async def spell(request: AnyRequest) -> None:
    """Give the ids in a request's address the one spelling that is kept."""
    if request.scope["path"].startswith(_SIGNED):
        return
    values = request.scope["path_params"]
    for name, value in values.items():
        if isinstance(value, str):
            values[name] = canonical_id(value)
