"""Entity tags in the conditions of requests (RFC 9110 sections 8.8.3 and 13.1)."""

from __future__ import annotations

import re

from fileferry.engine.files.placement import Preconditions
from fileferry.errors import BadRequest, PreconditionFailed
from fileferry.web.requests import AnyRequest

# Some clients drop the quotes: what is no list and no asterisk is one tag without them.
_ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"|(?<![^\s,])[\x21\x23-\x29\x2b\x2d-\x7e]+(?![^\s,])')


def preconditions(request: AnyRequest) -> Preconditions:
    """Return the conditions of If-Match and If-None-Match on a write (RFC 9110 section 13.1)."""
    if_match = request.headers.get("if-match")
    if_none_match = request.headers.get("if-none-match")
    if if_none_match is not None and if_none_match.strip() != "*":
        raise PreconditionFailed("On an upload, If-None-Match can only be '*'.")
    return Preconditions(() if if_match is None else entity_tags(if_match), if_none_match is not None)


def entity_tags(value: str) -> tuple[str, ...]:
    """Return the entity tags of a list field, quoted, ``*`` as itself; raises BadRequest for what is neither."""
    if value.strip() == "*":
        return ("*",)
    tags = tuple(_quoted(match[0]) for match in _ENTITY_TAG.finditer(value))
    if not tags or _ENTITY_TAG.sub("", value).strip(" ,\t"):
        raise BadRequest("An If-Match or If-None-Match header must hold quoted entity tags, or '*'.")
    return tags


def _quoted(tag: str) -> str:
    weak, strong = ("W/", tag[2:]) if tag.startswith("W/") else ("", tag)
    return tag if strong.startswith('"') else f'{weak}"{strong}"'
