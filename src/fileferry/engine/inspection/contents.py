"""What is packed in a file: which kinds of containers it is and holds, and its members as far as few bounded reads show them.

Not an unpacker, and no judge of what a file is: names and types count for nothing here, only what an unpacker would go by.
"""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zlib
from collections.abc import AsyncIterator
from typing import Final, Protocol

from fileferry.engine.inspection import archive_headers, zip_listings
from fileferry.engine.inspection.glimpses import Glimpses

ZIP: Final = "application/zip"
SEVEN_ZIP: Final = "application/x-7z-compressed"
RAR: Final = "application/vnd.rar"
TAR: Final = "application/x-tar"
GZIP: Final = "application/gzip"
BZIP2: Final = "application/x-bzip2"
XZ: Final = "application/x-xz"

_SEVEN_ZIP_START: Final = b"7z\xbc\xaf\x27\x1c"
_STARTS: Final = (
    (0, b"PK\x03\x04", ZIP),
    (0, _SEVEN_ZIP_START, SEVEN_ZIP),
    (0, b"Rar!\x1a\x07", RAR),
    (0, b"\x1f\x8b\x08", GZIP),
    (0, b"BZh", BZIP2),
    (0, b"\xfd7zXZ\0", XZ),
    (257, b"ustar", TAR),
    (0, b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (0, b"070701", "application/x-cpio"),
    (0, b"070702", "application/x-cpio"),
    (0, b"070707", "application/x-cpio"),
    (0, b"!<arch>\n", "application/x-archive"),
    (2, b"-lh", "application/x-lzh-compressed"),
    (0, b"\x60\xea", "application/x-arj"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"\x04\x22\x4d\x18", "application/x-lz4"),
    (0, b"\x1f\x9d", "application/x-compress"),
)
_SUFFIXES: Final = {
    b".rar": RAR,
    b".7z": SEVEN_ZIP,
    b".zst": "application/zstd",
    b".lz4": "application/x-lz4",
    b".deb": "application/x-archive",
}
_PROGRAMS: Final = (b"MZ", b"\x7fELF")
_LONGEST_PROGRAM: Final = 1 << 20
"""Bytes in which an archive begins that unpacks itself: RAR looks no further for one either."""
_MOST_DEPTH: Final = 4
_MOST_MEMBERS: Final = 1000
_PEEK: Final = 4096
_MOST_CONTENT: Final = 1 << 20
"""Bytes of one member that are looked at; those behind are as if they were not there."""


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


async def kinds(glimpses: Glimpses) -> set[str]:
    """Return the media types of the containers that a file is, one inside another; none of what only its members are."""
    head = glimpses.head
    found = {kind for at, start, kind in _STARTS if head.startswith(start, at)}
    if await zip_listings.list_zip(glimpses) is not None:
        found.add(ZIP)
    if head.startswith(_PROGRAMS):
        program = await glimpses.at(0, _LONGEST_PROGRAM)
        found |= {kind for _, start, kind in _STARTS[1:3] if start in program}
    return found


async def members(glimpses: Glimpses, depth: int = _MOST_DEPTH) -> AsyncIterator[Glimpses]:
    """Yield what a file holds that is a container itself or may be encrypted, and what that holds, and so on.

    A member of more than a mebibyte is seen by its beginning.
    """
    if depth == 0:
        return
    async for content, size in _contents(glimpses):
        if not _is_of_interest(content):
            continue
        member = _glimpses(content, size)
        await member.open()
        yield member
        async for inner in members(member, depth - 1):
            yield inner


async def named_kinds(glimpses: Glimpses) -> set[str]:
    """Return what the names of a zip archive's members promise, for those that are too many or too large to be looked at."""
    listing = await zip_listings.list_zip(glimpses)
    names = () if listing is None else (member.name.lower() for member in listing.members)
    return {kind for name in names for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)}


async def unpacked_size(glimpses: Glimpses) -> int | None:
    """Return to how many bytes the largest member of a zip archive unpacks, or all of a 7z archive, as they say of themselves.

    0 for anything else, None for a 7z archive that does not say it legibly.
    """
    if glimpses.head.startswith(_SEVEN_ZIP_START):
        return (await archive_headers.read_seven_zip(glimpses)).unpacked
    listing = await zip_listings.list_zip(glimpses)
    return max((member.size for member in listing.members), default=0) if listing else 0


def _is_of_interest(content: bytes) -> bool:
    is_compound = content.startswith(bytes.fromhex("d0cf11e0a1b11ae1"))
    return is_compound or content.startswith(_PROGRAMS) or any(content.startswith(s, at) for at, s, _ in _STARTS)


def _glimpses(content: bytes, size: int) -> Glimpses:
    async def read(start: int, length: int) -> bytes:
        return content[start : start + length]

    return Glimpses(read, max(size, len(content)) if len(content) == _MOST_CONTENT else len(content))


async def _contents(glimpses: Glimpses) -> AsyncIterator[tuple[bytes, int]]:
    """Yield the beginning of each member, and how long all of it is."""
    head = glimpses.head
    if head.startswith(b"ustar", 257):
        async for member in _tar_contents(glimpses):
            yield member
        return
    unpacked = await _unpacked(glimpses)
    if unpacked:
        yield unpacked, len(unpacked)
        return
    listing = await zip_listings.list_zip(glimpses)
    for entry in () if listing is None else listing.members[:_MOST_MEMBERS]:
        beginning = await zip_listings.member_start(glimpses, entry, _PEEK)
        if _is_of_interest(beginning):
            beginning = await zip_listings.member_start(glimpses, entry, _MOST_CONTENT)
        yield beginning, entry.size


async def _unpacked(glimpses: Glimpses) -> bytes:
    """Return the beginning of what one of the plain compressors has packed; nothing where none has."""
    head = glimpses.head
    decompressor: _Decompressor
    if head.startswith(b"\x1f\x8b\x08"):
        decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    elif head.startswith(b"BZh"):
        decompressor = bz2.BZ2Decompressor()
    elif head.startswith(b"\xfd7zXZ\0"):
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=64 << 20)
    else:
        return b""
    try:
        return decompressor.decompress(await glimpses.at(0, _MOST_CONTENT), _MOST_CONTENT)
    except (zlib.error, OSError, EOFError, lzma.LZMAError):
        return b""


async def _tar_contents(glimpses: Glimpses) -> AsyncIterator[tuple[bytes, int]]:
    at = 0
    for _ in range(_MOST_MEMBERS):
        header = await glimpses.at(at, tarfile.BLOCKSIZE)
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return
        if member.isreg() and member.size > 0:
            beginning = await glimpses.at(at + tarfile.BLOCKSIZE, min(member.size, _PEEK))
            if _is_of_interest(beginning):
                beginning = await glimpses.at(at + tarfile.BLOCKSIZE, min(member.size, _MOST_CONTENT))
            yield beginning, member.size
        at += tarfile.BLOCKSIZE + -(-max(member.size, 0) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
