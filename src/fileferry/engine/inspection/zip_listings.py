"""What a zip archive lists, and the text of its smaller members, read without trusting one number in it.

Not an unpacker: members are only looked at where they tell what kind of document the archive is (APPNOTE.TXT of PKWARE).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from fileferry.engine.inspection.glimpses import Glimpses
from fileferry.engine.inspection.signatures import ZIP_START

_END: Final = struct.Struct("<4s4H2LH")  # end of central directory record, 4.3.16
_END64: Final = struct.Struct("<4sQ2H2L4Q")  # zip64 end of central directory record, 4.3.14
_LOCATOR64: Final = struct.Struct("<4sLQL")  # 4.3.15
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")  # central directory header, 4.3.12
_LOCAL: Final = struct.Struct("<4s5H3L2H")  # local file header, 4.3.7
_ENCRYPTED: Final = 0x2041  # flag bits 0 (encrypted), 6 (strongly), 13 (masked headers), 4.4.4
_STORED, _DEFLATED = 0, 8
_MOST_DIRECTORY: Final = 1 << 20
_MOST_ENTRIES: Final = 10_000
_MOST_ENDS: Final = 16
_MOST_PACKED: Final = 256 << 10


class Member(msgspec.Struct, frozen=True):
    """One entry of the central directory; ``start`` is where its local header stands in the file, in bytes.

    ``size`` is how many bytes it says to unpack to.
    """

    name: bytes
    is_encrypted: bool
    method: int
    packed: int
    start: int
    size: int


class Listing(msgspec.Struct, frozen=True):
    """The entries of an archive's central directory, all of them where ``is_whole``.

    ``prefix`` is how many bytes stand before the archive in its file.
    """

    members: tuple[Member, ...]
    prefix: int
    is_whole: bool

    @property
    def is_encrypted(self) -> bool:
        """Whether a member needs a password."""
        return any(member.is_encrypted for member in self.members)

    def named(self, name: bytes) -> list[Member]:
        """Return the entries of a name, which is lower-case; letters count as the same in either case, as Office has it."""
        return [member for member in self.members if member.name.lower() == name]


async def list_zip(glimpses: Glimpses) -> Listing | None:
    """Return what the zip archive at the end of a file lists, or None where no sound one ends there.

    Behind a beginning that is none of an archive's the end record must reach exactly to the end of the file: such an archive
    works (a JAR behind a picture), while a PDF with an archive somewhere inside does not end so.
    """
    is_exact = not glimpses.head.startswith(b"PK")
    tail_start = glimpses.size - len(glimpses.tail)
    for at in _ends(glimpses.tail):
        _, _, _, _, entries, size, offset, comment = _END.unpack_from(glimpses.tail, at)
        rest = len(glimpses.tail) - at - _END.size
        if comment > rest or (is_exact and comment != rest):
            continue
        end = tail_start + at
        if size == 0xFFFFFFFF or offset == 0xFFFFFFFF or entries == 0xFFFF:
            end, entries, size, offset = await _end64(glimpses, end) or (end, entries, size, offset)
        # Readers differ: most take the directory to stand right before its end record, a few go by the offset alone.
        for start, prefix in ((end - size, end - size - offset), (offset, 0)):
            listing = await _list(glimpses, start, size, entries, prefix) if prefix >= 0 else None
            if listing is not None:
                return listing
    return None


async def member_text(glimpses: Glimpses, member: Member, limit: int) -> bytes | None:
    """Return the content of a member, or None where it exceeds ``limit`` bytes or readers may not agree on what it is."""
    header = await glimpses.at(member.start, _LOCAL.size + len(member.name))
    if len(header) < _LOCAL.size or member.is_encrypted or member.packed > min(limit, _MOST_PACKED):
        return None
    magic, _, flags, method, *_, name_length, extra_length = _LOCAL.unpack_from(header)
    said = (magic, method, name_length, header[_LOCAL.size :])
    if said != (ZIP_START, member.method, len(member.name), member.name) or flags & _ENCRYPTED:
        return None
    packed = await glimpses.at(member.start + _LOCAL.size + name_length + extra_length, member.packed)
    if len(packed) != member.packed:
        return None
    if method == _STORED:
        return packed
    if method != _DEFLATED:
        return None
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(packed, limit)
    except zlib.error:
        return None
    return content if inflater.eof else None


async def member_start(glimpses: Glimpses, member: Member, limit: int) -> bytes:
    """Return the first bytes of a member, at most ``limit``; none where it is encrypted, broken or packed in a rare way."""
    header = await glimpses.at(member.start, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(ZIP_START) or member.is_encrypted:
        return b""
    _, _, _, method, *_, name_length, extra_length = _LOCAL.unpack(header)
    length = min(member.packed, limit)
    packed = await glimpses.at(member.start + _LOCAL.size + name_length + extra_length, length)
    if method == _STORED:
        return packed
    if method != _DEFLATED:
        return b""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit)
    except zlib.error:
        return b""


def is_encrypted_start(head: bytes) -> bool:
    """Whether the first member of an archive, by its own header, needs a password."""
    return head.startswith(ZIP_START) and len(head) > 8 and bool(int.from_bytes(head[6:8], "little") & _ENCRYPTED)


def _ends(tail: bytes) -> Iterator[int]:
    at = len(tail) - _END.size + len(b"PK\x05\x06")
    for _ in range(_MOST_ENDS):
        at = tail.rfind(b"PK\x05\x06", 0, max(at, 0))
        if at < 0:
            return
        yield at
        at += 3


async def _end64(glimpses: Glimpses, end: int) -> tuple[int, int, int, int] | None:
    locator = await glimpses.at(end - _LOCATOR64.size, _LOCATOR64.size)
    if len(locator) < _LOCATOR64.size or not locator.startswith(b"PK\x06\x07"):
        return None
    at = _LOCATOR64.unpack(locator)[2]
    record = await glimpses.at(at, _END64.size)
    if len(record) < _END64.size or not record.startswith(b"PK\x06\x06"):
        return None
    *_, entries, size, offset = _END64.unpack(record)
    return at, entries, size, offset


async def _list(glimpses: Glimpses, start: int, size: int, entries: int, prefix: int) -> Listing | None:
    if entries == 0:
        return Listing((), prefix, size == 0)
    directory = await glimpses.at(start, min(size, _MOST_DIRECTORY))
    members: list[Member] = []
    at = 0
    while len(members) < min(entries, _MOST_ENTRIES) and at + _ENTRY.size <= len(directory):
        magic, _, _, flags, method, _, _, _, packed, unpacked, name, extra, comment, _, _, _, local = (
            _ENTRY.unpack_from(directory, at)
        )
        if magic != b"PK\x01\x02":
            break
        at += _ENTRY.size
        is_encrypted = bool(flags & _ENCRYPTED)
        if unpacked == 0xFFFFFFFF:
            unpacked = _size_64(directory[at + name : at + name + extra]) or unpacked
        members.append(Member(directory[at : at + name], is_encrypted, method, packed, prefix + local, unpacked))
        at += name + extra + comment
    return Listing(tuple(members), prefix, len(members) == entries and at == size) if members else None


def _size_64(extra: bytes) -> int | None:
    """Return the size that stands first in the zip64 extra field (4.5.3), where there is one."""
    at = 0
    while at + 12 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1 and length >= 8:
            return int.from_bytes(extra[at + 4 : at + 12], "little")
        at += 4 + length
    return None
