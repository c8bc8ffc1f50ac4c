"""What is packed in a file: which kinds of containers it is and holds, and its members as far as few bounded reads show them.

Not an unpacker, and no judge of what a file is: names and types count for nothing here, only what an unpacker would go by.
"""

from __future__ import annotations

import asyncio
import bz2
import lzma
import zlib
from collections.abc import AsyncIterator
from typing import Final, Protocol

import msgspec

from fileferry.engine.inspection import archive_headers, zip_listings
from fileferry.engine.inspection.glimpses import Glimpses

ZIP: Final = "application/zip"
SEVEN_ZIP: Final = "application/x-7z-compressed"
RAR: Final = "application/vnd.rar"
TAR: Final = "application/x-tar"
GZIP: Final = "application/gzip"
BZIP2: Final = "application/x-bzip2"
XZ: Final = "application/x-xz"

LHA: Final = "application/x-lzh-compressed"
_MISTAKEN_LHA: Final = "an LHA archive that begins as another kind of file does"
"""No media type, so that no scanner is known to open it."""

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
    (2, b"-lh", LHA),
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
_BEGINNINGS: Final = (*_PROGRAMS, *(start[:2] for at, start, _ in _STARTS if at == 0))
_MOST_DEPTH: Final = 4
_MOST_MEMBERS: Final = 1000
_MOST_UNPACKED: Final = 8 << 20
_PEEK: Final = 4096
_MOST_CONTENT: Final = 1 << 20
"""Bytes of one member that are looked at; those behind are as if they were not there."""


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Survey(msgspec.Struct, frozen=True):
    """What a file shows of itself as a container.

    ``kinds`` are media types, or words for what is none that a scanner can be tried with: of what an unpacker may take it for,
    and of what the names of a zip archive's members promise, as they may be too many or too large to be looked at. ``unpacked``
    is to how many bytes the largest member of a zip archive unpacks, or all of a 7z archive, as they say; 0 for anything else,
    None for a 7z archive that does not say it legibly.
    """

    kinds: frozenset[str]
    unpacked: int | None


class _Budget:
    """What may still be unpacked of one file, however deep: archives may hold themselves, or one member a thousand times."""

    def __init__(self) -> None:
        self.members = _MOST_MEMBERS
        self.bytes = _MOST_UNPACKED

    def is_spent(self) -> bool:
        return self.members < 1 or self.bytes < 1

    def spend(self, content: bytes) -> bytes:
        self.bytes -= len(content)
        return content


async def survey(glimpses: Glimpses) -> Survey:
    """Return what a file shows of itself as a container; none of what only its members are."""
    head = glimpses.head
    found = {kind for at, start, kind in _STARTS if head.startswith(start, at)}
    # Its first two bytes are a length and a checksum, any there can be; a scanner that goes by them does not look inside.
    if LHA in found and head.startswith(_BEGINNINGS):
        found.add(_MISTAKEN_LHA)
    if head.startswith(_PROGRAMS):
        program = await glimpses.at(0, min(_LONGEST_PROGRAM, glimpses.size))
        found |= {kind for _, start, kind in _STARTS[1:3] if start in program}
    unpacked: int | None = 0
    if head.startswith(_SEVEN_ZIP_START):
        unpacked = (await archive_headers.read_seven_zip(glimpses)).unpacked
    listing = await zip_listings.list_zip(glimpses)
    if listing is not None:
        found.add(ZIP)
        names = [member.name.lower() for member in listing.members]
        found |= {kind for suffix, kind in _SUFFIXES.items() if any(name.endswith(suffix) for name in names)}
        unpacked = None if unpacked is None else max([unpacked, *(member.size for member in listing.members)])
    return Survey(frozenset(found), unpacked)


async def members(glimpses: Glimpses) -> AsyncIterator[Glimpses]:
    """Yield what a file holds that is a container itself or may be encrypted, and what that holds, and so on.

    A member of more than a mebibyte is seen by its beginning. All that is unpacked for it is bounded.
    """
    async for member in _members(glimpses, _MOST_DEPTH, _Budget()):
        yield member


async def _members(glimpses: Glimpses, depth: int, budget: _Budget) -> AsyncIterator[Glimpses]:
    if depth == 0:
        return
    async for content, size in _contents(glimpses, budget):
        await asyncio.sleep(0)  # what is in memory is read without a pause: others want their turn
        if _is_of_interest(content):
            member = _glimpses(content, size)
            await member.open()
            yield member
            async for inner in _members(member, depth - 1, budget):
                yield inner
        if budget.is_spent():
            return


def _is_of_interest(content: bytes) -> bool:
    is_compound = content.startswith(bytes.fromhex("d0cf11e0a1b11ae1"))
    return is_compound or content.startswith(_PROGRAMS) or any(content.startswith(s, at) for at, s, _ in _STARTS)


def _glimpses(content: bytes, size: int) -> Glimpses:
    async def read(start: int, length: int) -> bytes:
        return content[start : start + length]

    return Glimpses(read, max(size, len(content)) if len(content) == _MOST_CONTENT else len(content))


async def _contents(glimpses: Glimpses, budget: _Budget) -> AsyncIterator[tuple[bytes, int]]:
    """Yield the beginning of each member, and how long all of it is."""
    head = glimpses.head
    if head.startswith(b"ustar", 257):
        async for member in _tar_contents(glimpses, budget):
            yield member
        return
    unpacked = budget.spend(await _unpacked(glimpses))
    if unpacked:
        yield unpacked, len(unpacked)
        return
    listing = await zip_listings.list_zip(glimpses)
    for entry in () if listing is None else listing.members[: budget.members]:
        budget.members -= 1
        beginning = budget.spend(await zip_listings.member_start(glimpses, entry, _PEEK))
        if _is_of_interest(beginning):
            beginning = budget.spend(await zip_listings.member_start(glimpses, entry, _MOST_CONTENT))
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


async def _tar_contents(glimpses: Glimpses, budget: _Budget) -> AsyncIterator[tuple[bytes, int]]:
    import tarfile  # loaded where it is used only

    at = 0
    for _ in range(budget.members):
        budget.members -= 1
        header = await glimpses.at(at, tarfile.BLOCKSIZE)
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return
        if member.isreg() and member.size > 0:
            beginning = budget.spend(await glimpses.at(at + tarfile.BLOCKSIZE, min(member.size, _PEEK)))
            if _is_of_interest(beginning):
                content = await glimpses.at(at + tarfile.BLOCKSIZE, min(member.size, _MOST_CONTENT))
                beginning = budget.spend(content)
            yield beginning, member.size
        at += tarfile.BLOCKSIZE + -(-max(member.size, 0) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
