"""What the bytes of an upload are as the content of a version, however they were gathered: none is read or copied."""

from __future__ import annotations

from collections.abc import Sequence

from fileferry.engine.files.placement import Content
from fileferry.engine.inspection.digests import Algorithm, Hasher, combine_crc32c
from fileferry.engine.receiving.extents import joined
from fileferry.engine.receiving.running_digests import SUSPENDABLE, finished
from fileferry.model import Digests, Extent, Part, Stream, Upload


def stream_of_parts(parts: Sequence[Part]) -> Stream:
    """Return the stream that these parts, one after the other, make; its digests but CRC32C are unknown. Raises TooManyPieces."""
    crc32c = 0
    for part in parts:
        crc32c = combine_crc32c(crc32c, int(part.crc32c, 16), part.size)
    return Stream(joined(Extent(part.offset, part.size) for part in parts), 0, f"{crc32c:08x}", {})


def content_of_stream(upload: Upload) -> Content:
    """Return what a stream's bytes are, their type still to be judged."""
    stream = upload.stream
    if stream is None or stream.size == 0:
        return Content(
            blob_key=None,
            inline=b"",
            size=0,
            content_type="",
            detected_type=None,
            digests=Hasher(SUSPENDABLE).digests(),
        )
    known = finished(stream)
    extents = joined(stream.extents)
    return Content(
        blob_key=upload.blob_key,
        extents=None if len(extents) == 1 and extents[0].offset == 0 else extents,
        size=stream.size,
        content_type="",
        detected_type=None,
        digests=Digests(stream.crc32c, known[Algorithm.SHA256], known[Algorithm.MD5]),
    )


def joined_content(contents: Sequence[Content]) -> Content:
    """Return the content that has all these bytes one after the other, where they are; raises TooManyPieces."""
    extents = joined(
        Extent(extent.offset, extent.length, extent.blob_key or content.blob_key)
        for content in contents
        for extent in content.extents or (Extent(0, content.size),)
    )
    crc32c = size = 0
    for content in contents:
        crc32c = combine_crc32c(crc32c, int(content.digests.crc32c, 16), content.size)
        size += content.size
    return Content(
        blob_key=None,
        inline=None if extents else b"",
        extents=extents or None,
        size=size,
        content_type="",
        detected_type=None,
        digests=Digests(f"{crc32c:08x}"),
    )
