"""How upload widgets of web pages number the pieces of a file: the names of their fields, in a form or in the query.

Source: documentation and code of flow.js 2, resumable.js 1, Dropzone 6, Fine Uploader 5 and plupload 2. Knows no upload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import msgspec

from fileferry.engine.receiving.parts import MOST_PARTS
from fileferry.errors import BadRequest, InvalidParameter
from fileferry.wire.content_range import ContentRange

_LARGEST_SIZE = 2**62


class _Widget(msgspec.Struct, frozen=True):
    """The names of a widget's fields: which piece, counted from ``first``, of how many, of which file of how many bytes."""

    number: str
    first: int
    count: str
    file: str
    size: str | None


_WIDGETS = (
    _Widget("flowChunkNumber", 1, "flowTotalChunks", "flowIdentifier", "flowTotalSize"),
    _Widget("resumableChunkNumber", 1, "resumableTotalChunks", "resumableIdentifier", "resumableTotalSize"),
    _Widget("dzchunkindex", 0, "dztotalchunkcount", "dzuuid", "dztotalfilesize"),
    _Widget("qqpartindex", 0, "qqtotalparts", "qquuid", "qqtotalfilesize"),
    _Widget("chunk", 0, "chunks", "name", None),
)
_MARKS = frozenset(name for widget in _WIDGETS for name in (widget.number, widget.count))


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a file: which, from 1, of how many. ``size`` (bytes) is the file's, where the widget tells it.

    ``words`` are the same for all pieces of one file, and others for any other file.
    """

    number: int
    count: int
    size: int | None
    words: dict[str, str]


def is_numbered(names: Collection[str]) -> bool:
    """Whether fields of these names tell of a piece."""
    return not _MARKS.isdisjoint(names)


def refuse_numbered(names: Collection[str]) -> None:
    """Raise BadRequest where fields of these names tell of a piece, and it is too late or not the place to say so."""
    if is_numbered(names):
        raise BadRequest(
            "The fields that number a piece must come before its file, in a form by POST, or be in the query."
        )


def read(fields: Mapping[str, str]) -> Chunk | None:
    """Return which piece of a file the fields tell of; None where they tell of none. Raises InvalidParameter."""
    widget = next((widget for widget in _WIDGETS if is_numbered({widget.number, widget.count} & set(fields))), None)
    if widget is None:
        return None
    count = _number(fields, widget.count, 0, MOST_PARTS) or 1  # plupload counts none in an empty file
    number = _number(fields, widget.number, widget.first, widget.first + count - 1)
    size = None if widget.size is None else _number(fields, widget.size, 0, _LARGEST_SIZE)
    # The client's own words are of any length; what counts is whether they are the same.
    said = msgspec.json.encode([widget.number, fields.get(widget.file), count, size])
    return Chunk(number - widget.first + 1, count, size, {"chunks_of": hashlib.sha256(said).hexdigest()})


def read_offset(fields: Mapping[str, str]) -> ContentRange | None:
    """Return which bytes of a file the fields tell of, as plupload does without ``send_chunk_number``; None where they do not."""
    if not {"offset", "total"} <= set(fields):
        return None
    total = _number(fields, "total", 0, _LARGEST_SIZE)
    return ContentRange(_number(fields, "offset", 0, total), None, total)


def _number(fields: Mapping[str, str], name: str, least: int, most: int) -> int:
    value = fields.get(name, "")
    if not (value.isascii() and value.isdigit()) or len(value) > 19 or not least <= int(value) <= most:
        raise InvalidParameter(f"A piece needs {name}, a number from {least} to {most}.", parameter=name)
    return int(value)
