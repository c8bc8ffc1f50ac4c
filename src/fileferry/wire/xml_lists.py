"""Lists that clients send as XML: read with bounded work, whatever they hold. What a list means is its protocol's business."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, fromstring


class TooManyTags(ValueError):
    """A document has more tags than its list can need."""


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
        return fromstring(body.decode("utf-8-sig"))  # noqa: S314
    except ParseError as error:
        raise ValueError(str(error)) from error
