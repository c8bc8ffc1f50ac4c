"""Lists that clients send as XML: read with bounded work, whatever they hold. What a list means is its protocol's business."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar
from xml.etree.ElementTree import Element, ParseError, XMLParser

T = TypeVar("T")

_PIECE = 64 * 1024  # characters that are parsed in one go: no other thread runs meanwhile


class TooManyTags(ValueError):
    """A document has more tags than its list can need."""


async def beside(read: Callable[[bytes], T], body: bytes) -> T:
    """Return what ``read`` makes of a list, beside the event loop: a long one takes a tenth of a second, in which others go on."""
    return await asyncio.to_thread(read, body)


def parse_list(body: bytes, most_tags: int) -> Element:
    """Return the root of an XML document in UTF-8 of at most ``most_tags`` tags; raises TooManyTags, ValueError.

    A list needs no document type; without one there are no entities to expand. It is UTF-8 whatever it says of itself: other
    encodings would hide a document type, and their names are the client's words.
    """
    if b"<!" in body or b"\0" in body:
        raise ValueError("A list is plain XML.")
    # Counted before anything is built of them.
    if body.count(b"<") > most_tags:
        raise TooManyTags(most_tags)
    try:
        text = body.decode("utf-8-sig")
        parser = XMLParser()  # noqa: S314
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
        root: Element = parser.close()
    except ParseError as error:
        raise ValueError(str(error)) from error
    return root
