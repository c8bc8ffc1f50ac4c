"""What an OLE compound file (the older Office formats, installers, encrypted newer documents) holds at its top: MS-CFB.

Only the directory is read, and the first bytes of the stream that says whether the rest is encrypted.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from fileferry.engine.inspection.glimpses import Glimpses
from fileferry.engine.inspection.media_types import OLE_TYPE

_SHIFTS: Final = (9, 12)  # sectors of 512 and 4,096 bytes, 2.2
_FAT_IN_HEADER: Final = 109
_MOST_SECTORS: Final = 24
_ENTRY: Final = struct.Struct("<64sHBBLLL16s20sL")  # as far as it matters, 2.6.1
_ENTRY_SIZE: Final = 128
_NONE: Final = 0xFFFFFFFF
_INSTALLER: Final = bytes.fromhex("84100c0000000000c000000000000046")  # {000C1084-0000-0000-C000-000000000046}
# The stream that makes a file what it is, and the type; the first that is there counts.
_STREAMS: Final = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("VisioDocument", "application/vnd.visio"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
)


class CompoundFile(msgspec.Struct, frozen=True):
    """The media type of a compound file, and whether its content is encrypted (MS-OFFCRYPTO)."""

    media_type: str
    is_encrypted: bool


async def identify(glimpses: Glimpses) -> CompoundFile:
    """Return what a file that begins as a compound file is; where its directory is not found or broken, only that."""
    directory = await _directory(glimpses)
    if len(directory) < _ENTRY_SIZE:
        return CompoundFile(OLE_TYPE, is_encrypted=False)
    if _ENTRY.unpack_from(directory)[7] == _INSTALLER:
        return CompoundFile("application/x-msi", is_encrypted=False)
    streams = _top_streams(directory)
    if "EncryptedPackage" in streams or "EncryptedSummary" in streams:
        return CompoundFile(OLE_TYPE, is_encrypted=True)
    for name, media_type in _STREAMS:
        if name in streams:
            shift = int.from_bytes(glimpses.head[30:32], "little")
            beginning = await glimpses.at((streams[name] + 1) << shift, 512)
            return CompoundFile(media_type, _is_encrypted(name, beginning))
    return CompoundFile(OLE_TYPE, is_encrypted=False)


def _is_encrypted(name: str, beginning: bytes) -> bool:
    if name == "WordDocument":  # fEncrypted of MS-DOC 2.5.2
        return len(beginning) >= 12 and bool(beginning[11] & 1)
    at = 0
    while name in ("Workbook", "Book") and at + 4 <= len(beginning):  # FilePass of MS-XLS 2.4.117, soon after the start
        kind, length = struct.unpack_from("<HH", beginning, at)
        if kind == 0x2F:
            return True
        at += 4 + length
    return False


async def _directory(glimpses: Glimpses) -> bytes:
    head = glimpses.head
    if len(head) < 512:
        return b""
    shift = int.from_bytes(head[30:32], "little")
    if shift not in _SHIFTS:
        return b""
    size = 1 << shift
    table = struct.unpack_from(f"<{_FAT_IN_HEADER}L", head, 76)
    sector = int.from_bytes(head[48:52], "little")
    directory = b""
    for _ in range(_MOST_SECTORS):
        if sector >= 0xFFFFFFFA:  # the end of the chain, or no sector at all
            break
        piece = await glimpses.at((sector + 1) << shift, size)
        directory += piece
        block, place = divmod(sector, size // 4)
        if len(piece) < size or block >= len(table):
            break
        following = await glimpses.at(((table[block] + 1) << shift) + place * 4, 4)
        sector = int.from_bytes(following, "little") if len(following) == 4 else _NONE
    return directory


def _top_streams(directory: bytes) -> dict[str, int]:
    """Return what stands right below the root, each with its first sector; what is embedded deeper makes no other file of it."""
    streams: dict[str, int] = {}
    seen: set[int] = set()
    waiting = [_ENTRY.unpack_from(directory)[6]]
    while waiting:
        number = waiting.pop()
        if number in seen or (number + 1) * _ENTRY_SIZE > len(directory):
            continue
        seen.add(number)
        name, length, _, _, left, right, _, _, _, sector = _ENTRY.unpack_from(directory, number * _ENTRY_SIZE)
        streams[name[: max(length - 2, 0)].decode("utf-16-le", "replace")] = sector
        waiting += (left, right)
    return streams
