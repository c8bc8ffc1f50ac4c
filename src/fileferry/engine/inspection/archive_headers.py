"""What RAR and 7z archives say of themselves in their headers: whether a password is needed, and how much they unpack to.

Headers are walked within bounded reads, and nothing is unpacked but the header of a 7z archive, which mostly is packed itself.
"""

from __future__ import annotations

import lzma
from typing import Final

import msgspec

from fileferry.engine.inspection.glimpses import Glimpses

_RAR_4: Final = b"Rar!\x1a\x07\0"
_RAR_5: Final = b"Rar!\x1a\x07\x01\0"
_MOST_BLOCKS: Final = 256
_LONGEST_BLOCK: Final = 4096
_AES: Final = b"\x06\xf1\x07\x01"
_MOST_HEADER: Final = 1 << 20
_MOST_CODERS: Final = 32


class SevenZip(msgspec.Struct, frozen=True):
    """What a 7z archive says: ``unpacked`` is in bytes, of all members together, None where it cannot be read."""

    is_encrypted: bool
    unpacked: int | None


class _Broken(Exception):
    """A header does not say what a header says."""


async def is_encrypted_rar(glimpses: Glimpses) -> bool:
    """Whether headers or a member of a RAR archive (4 or 5) need a password, for as many members as bounded reads reach."""
    if glimpses.head.startswith(_RAR_5):
        return await _is_encrypted_rar_5(glimpses)
    at = len(_RAR_4)
    for _ in range(_MOST_BLOCKS):
        block = await glimpses.at(at, 11)
        if len(block) < 7:
            return False
        kind, flags, length = block[2], int.from_bytes(block[3:5], "little"), int.from_bytes(block[5:7], "little")
        if (kind == 0x73 and flags & 0x80) or (kind == 0x74 and flags & 0x04):
            return True
        has_data = kind == 0x74 or flags & 0x8000
        at += max(length, 7) + (int.from_bytes(block[7:11], "little") if has_data else 0)
    return False


async def _is_encrypted_rar_5(glimpses: Glimpses) -> bool:
    at = len(_RAR_5)
    for _ in range(_MOST_BLOCKS):
        block = _Header((await glimpses.at(at, _LONGEST_BLOCK))[4:])
        try:
            length = block.rar_number()
            end = block.at + length
            kind, flags = block.rar_number(), block.rar_number()
            if kind == 4:  # the archive encryption header
                return True
            extra = block.rar_number() if flags & 1 else 0
            data = block.rar_number() if flags & 2 else 0
            if kind in (2, 3) and _has_encryption_record(block.content[max(end - extra, 0) : end]):
                return True
        except _Broken:
            return False
        at += 4 + end + data
    return False


def _has_encryption_record(extra: bytes) -> bool:
    records = _Header(extra)
    while records.at < len(extra):
        length = records.rar_number()
        end = records.at + length
        if records.rar_number() == 1:
            return True
        records.at = max(end, records.at)
    return False


async def read_seven_zip(glimpses: Glimpses) -> SevenZip:
    """Return what the headers of a 7z archive say (7zFormat.txt of the LZMA SDK)."""
    offset, length = (int.from_bytes(glimpses.head[at : at + 8], "little") for at in (12, 20))
    if length == 0:  # an archive of nothing
        return SevenZip(is_encrypted=False, unpacked=0)
    content = await glimpses.at(32 + offset, min(length, _MOST_HEADER))
    if _AES in content:
        return SevenZip(is_encrypted=True, unpacked=None)
    try:
        if content[:1] == b"\x17":
            content = await _unpacked_header(glimpses, _Header(content[1:]))
        if _AES in content:
            return SevenZip(is_encrypted=True, unpacked=None)
        header = _Header(content)
        header.expect(b"\x01")
        if header.peek() == b"\x05":  # only files of no bytes
            return SevenZip(is_encrypted=False, unpacked=0)
        header.expect(b"\x04")
        return SevenZip(is_encrypted=False, unpacked=sum(header.streams().unpacked))
    except _Broken:
        return SevenZip(is_encrypted=False, unpacked=None)


async def _unpacked_header(glimpses: Glimpses, header: _Header) -> bytes:
    streams = header.streams()
    if len(streams.coders) != 1 or len(streams.packed) != 1:
        raise _Broken
    method, properties = streams.coders[0]
    packed = await glimpses.at(32 + streams.start, min(streams.packed[0], _MOST_HEADER))
    if method == b"\0":
        return packed
    # Its dictionary may be said to be of any size; no more is needed than what is unpacked at most.
    chosen: dict[str, int]
    if method == b"\x03\x01\x01" and properties and properties[0] < 225:
        lclppb = properties[0]
        chosen = {"id": lzma.FILTER_LZMA1, "lc": lclppb % 9, "lp": lclppb // 9 % 5, "pb": lclppb // 45}
    elif method == b"\x21":
        chosen = {"id": lzma.FILTER_LZMA2}
    else:
        raise _Broken
    try:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{**chosen, "dict_size": _MOST_HEADER}])
        return decompressor.decompress(packed, min(streams.unpacked[0] if streams.unpacked else 0, _MOST_HEADER))
    except (lzma.LZMAError, ValueError, EOFError) as error:
        raise _Broken from error


class _Streams(msgspec.Struct, frozen=True):
    start: int
    packed: list[int]
    coders: list[tuple[bytes, bytes]]
    unpacked: list[int]


class _Header:
    """Bytes of a header, read from its start on; every read raises _Broken where they end."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def take(self, length: int) -> bytes:
        taken = self.content[self.at : self.at + length]
        if len(taken) < length:
            raise _Broken
        self.at += length
        return taken

    def peek(self) -> bytes:
        return self.content[self.at : self.at + 1]

    def expect(self, mark: bytes) -> None:
        if self.take(1) != mark:
            raise _Broken

    def rar_number(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise _Broken

    def number(self) -> int:
        """Return a number of 7z: as many bytes follow the first as that has leading ones."""
        first = self.take(1)[0]
        following = 8 - (first ^ 0xFF).bit_length()
        rest = int.from_bytes(self.take(following), "little")
        return rest + ((first & (0x7F >> following)) << 8 * following)

    def streams(self) -> _Streams:
        """Return the streams of packed bytes, with the coders of the first folder and to what each folder unpacks."""
        start, packed = 0, []
        if self.peek() == b"\x06":
            self.take(1)
            start, count = self.number(), self.number()
            self.expect(b"\x09")
            packed = [self.number() for _ in range(self.count(count))]
            self.skip_digests(count)
            self.expect(b"\0")
        self.expect(b"\x07")
        self.expect(b"\x0b")
        folders = self.count(self.number())
        self.expect(b"\0")
        first: list[tuple[bytes, bytes]] = []
        outputs: list[int] = []
        for folder in range(folders):
            coders, inputs, made = self.folder()
            first = coders if folder == 0 else first
            outputs.append(made)
            for _ in range(2 * (made - 1)):  # which coder feeds which
                self.number()
            packed_inputs = inputs - (made - 1)
            for _ in range(packed_inputs if packed_inputs > 1 else 0):
                self.number()
        self.expect(b"\x0c")
        # Of a chain of coders each makes about as much as the folder holds, or a part of it.
        return _Streams(start, packed, first, [max(self.number() for _ in range(made)) for made in outputs])

    def folder(self) -> tuple[list[tuple[bytes, bytes]], int, int]:
        """Return the coders of a folder, each as its method and its properties, and how many streams go in and come out."""
        coders, inputs, outputs = [], 0, 0
        for _ in range(self.small(self.number())):
            flags = self.take(1)[0]
            method = self.take(flags & 0x0F)
            inputs += self.small(self.number()) if flags & 0x10 else 1
            outputs += self.small(self.number()) if flags & 0x10 else 1
            coders.append((method, self.take(self.number()) if flags & 0x20 else b""))
        return coders, inputs, outputs

    def skip_digests(self, count: int) -> None:
        if self.peek() == b"\x0a":
            self.take(1)
            self.expect(b"\x01")  # all of them
            self.take(4 * count)

    def count(self, number: int) -> int:
        if number > len(self.content):
            raise _Broken
        return number

    def small(self, number: int) -> int:
        if not 0 < number <= _MOST_CODERS:
            raise _Broken
        return number
