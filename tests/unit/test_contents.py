"""What a container holds, as far as it is seen: kinds, passwords and sizes, at any depth and under any name."""

from __future__ import annotations

import asyncio
import base64
import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable

import pytest

from fileferry.engine.inspection.examination import Packed, examine_packed
from fileferry.scanners import samples
from support.encrypted_zip import encrypted_zip

# Made by py7zr: "harmless" with the password "secret", and two times 8,000 bytes; the headers of both are packed.
ENCRYPTED_7Z = base64.b64decode(
    "N3q8ryccAARFmI7BeQAAAAAAAAAUAAAAAAAAAIHWvcoyM/D+/MyqHZezzxhwmrVQAQBkAQQGAAEJEAoBocXoKgAHCwEAAiQG8QcBElMPognA/Lt4iAzc"
    "4BPT+M1A5yEhARgBAAwMCAAICgHDd1eeAAAFARENAGEALgB0AHgAdAAAABQKAQCQQoMtb4DdARUGAQAggICBAAAAFwYQAQlpAAcLAQABISEBGAxlAAA="
)
LONG_7Z = base64.b64decode(
    "N3q8ryccAARdgUfTrQAAAAAAAAAUAAAAAAAAAHn9uqHgPn8APl0ANBhKq4+S6XzBCkZFCKwYKEULYc2AQCoA+rkUbC5+cdguv4Oz/Nhq/M9MlahZLBcX"
    "yelmfjX74Bh+2LI4cAAA4AB0AF9dAACBMweuD9JAZ31Au5RkHH7rYmP2uZeSKuZtVDy1AdwRjns0KBndaqJoAY9oFlbQGh3vLTOP+z/eCnouk7pwIQ41"
    "3/cl8N+bvW/WzPHCAW3wtHHVCQFzYv9m0MxjwAAAABcGRgEJZwAHCwEAASEhARgMdQAA"
)
ENCRYPTED_ZIP = encrypted_zip("a", b"harmless", b"secret")


def encrypted_office() -> bytes:
    """Return the compound file that an office document with a password is (MS-OFFCRYPTO), as far as it is looked at."""

    def entry(name: str, kind: int, child: int = 0xFFFFFFFF) -> bytes:
        written = name.encode("utf-16-le") + b"\0\0"
        links = struct.pack("<HBBLLL", len(written), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
        return (written.ljust(64, b"\0") + links).ljust(128, b"\0")

    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    head = head.ljust(44, b"\0") + struct.pack("<LL", 1, 1)
    head = head.ljust(76, b"\0") + struct.pack("<L", 0) + b"\xff" * 432
    table = struct.pack("<2L", 0xFFFFFFFD, 0xFFFFFFFE).ljust(512, b"\xff")
    return head + table + (entry("Root Entry", 5, 1) + entry("EncryptedPackage", 2)).ljust(512, b"\0")


def tarred(**contents: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return out.getvalue()


def zipped(**contents: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in contents.items():
            made.writestr(name, content)
    return out.getvalue()


def rar_5(*, encrypted: bool) -> bytes:
    """Return a RAR 5 archive of two members of no bytes, of which the second may have the record that says it is encrypted."""

    def block(content: bytes) -> bytes:
        content = bytes([len(content)]) + content
        return struct.pack("<L", zlib.crc32(content)) + content

    file = b"\0\0\x20" + bytes(2) + b"\x01\x01a"
    record = b"\x03\x01\0\0"
    last = b"\x02\x01" + bytes([len(record)]) + file + record if encrypted else b"\x02\0" + file
    return b"Rar!\x1a\x07\x01\0" + block(b"\x01\0\0") + block(b"\x02\0" + file) + block(last) + block(b"\x05\0\0")


def rar_4(*, encrypted: bool) -> bytes:
    """Return a RAR 4 archive of two members, of which the second may need a password."""

    def block(kind: int, flags: int, rest: bytes) -> bytes:
        content = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(content) & 0xFFFF) + content

    member = struct.pack("<L", 5) + bytes(21) + b"a"
    members = block(0x74, 0x8000, member) + b"12345" + block(0x74, 0x8004 if encrypted else 0x8000, member) + b"12345"
    return b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6)) + members + block(0x7B, 0, b"")


class Stored:
    """The bytes of a file, and how much was read of them."""

    def __init__(self, content: bytes) -> None:
        self.content, self.reads, self.total = content, 0, 0

    async def read(self, start: int, length: int) -> bytes:
        piece = self.content[start : start + length]
        self.reads += 1
        self.total += len(piece)
        return piece


def look(content: bytes) -> Packed:
    return asyncio.run(examine_packed(Stored(content).read, len(content)))


@pytest.mark.parametrize(
    ("kind", "make"), [(kind, make) for kind, makers in samples.CONTAINERS.items() for make in makers]
)
def test_a_container_is_known_by_its_content_alone(kind: str, make: Callable[[bytes], bytes]) -> None:
    assert kind in look(make(b"harmless")).kinds
    assert kind in look(zipped(a=b"harmless", picture=make(b"harmless"))).kinds
    assert kind in look(tarred(a=b"harmless", b=gzip.compress(make(b"harmless")))).kinds


@pytest.mark.parametrize("beginning", [b"PK", b"MZ"])
def test_no_scanner_is_known_to_open_an_lha_archive_that_begins_as_another_kind(beginning: bytes) -> None:
    usual = samples.lha(b"harmless")
    assert look(usual).kinds == {"application/x-lzh-compressed"}
    mistaken = beginning + usual[2:]
    (said,) = look(mistaken).kinds - {"application/x-lzh-compressed"}
    assert said not in samples.CONTAINERS
    assert said in look(zipped(a=mistaken)).kinds


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + bytes(100), b"%PDF-1.7\n", bytes(100_000)])
def test_what_is_no_container_is_none(content: bytes) -> None:
    assert look(content) == Packed(frozenset(), is_encrypted=False, unpacked=0)


@pytest.mark.parametrize("stub", [b"MZ\x90\0" + bytes(300_000), b"\x7fELF" + bytes(300_000)])
@pytest.mark.parametrize("make", [samples.rarred_4, samples.rarred_5, samples.seven_zipped])
def test_an_archive_that_unpacks_itself_is_one(stub: bytes, make: Callable[[bytes], bytes]) -> None:
    assert look(stub + make(b"harmless")).kinds & {"application/vnd.rar", "application/x-7z-compressed"}
    assert not look(stub).kinds


@pytest.mark.parametrize(
    "hidden",
    [
        pytest.param(encrypted_office(), id="office"),
        pytest.param(ENCRYPTED_ZIP, id="zip"),
        pytest.param(ENCRYPTED_7Z, id="7z"),
        pytest.param(rar_5(encrypted=True), id="rar 5"),
        pytest.param(rar_4(encrypted=True), id="rar 4"),
    ],
)
@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda content: content, id="alone"),
        pytest.param(lambda content: zipped(a=b"text", b=content), id="in zip"),
        pytest.param(lambda content: tarred(a=b"text", b=content), id="in tar"),
        pytest.param(gzip.compress, id="in gzip"),
        pytest.param(bz2.compress, id="in bzip2"),
        pytest.param(lzma.compress, id="in xz"),
        pytest.param(lambda content: zipped(a=gzip.compress(tarred(b=content))), id="in tar in gzip in zip"),
    ],
)
def test_what_only_a_password_opens_is_seen_at_any_depth(hidden: bytes, wrap: Callable[[bytes], bytes]) -> None:
    assert look(wrap(hidden)).is_encrypted


@pytest.mark.parametrize("open_one", [rar_5(encrypted=False), rar_4(encrypted=False), LONG_7Z, zipped(a=b"text")])
def test_what_opens_without_a_password_is_not_taken_for_encrypted(open_one: bytes) -> None:
    assert not look(open_one).is_encrypted
    assert not look(zipped(a=open_one)).is_encrypted


def test_the_size_that_archives_without_a_word_of_the_scanner_unpack_to_is_read() -> None:
    assert look(LONG_7Z).unpacked == 16_000
    assert look(samples.seven_zipped(bytes(5000))).unpacked == 5000
    assert look(zipped(a=bytes(3000), b=bytes(2000))).unpacked == 3000
    assert look(tarred(a=zipped(a=bytes(3000)))).unpacked == 3000
    assert look(b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24)).unpacked == 0
    assert look(LONG_7Z[:-10]).unpacked is None


def test_members_that_are_too_many_to_look_at_are_known_by_name() -> None:
    many = {f"{number}.txt": random.Random(number).randbytes(5000) for number in range(200)}
    assert "application/vnd.rar" in look(zipped(**many, **{"last.RAR": b"1"})).kinds


BOMB = gzip.compress(bytes(9_000_000))


@pytest.mark.parametrize(
    "content",
    [
        zipped(**{f"{number}": BOMB for number in range(100)}),
        gzip.compress(gzip.compress(gzip.compress(bytes(50_000_000)))),
        tarred(**{f"{number}": zipped(a=bytes(1000)) for number in range(2000)}),
    ],
    ids=["many bombs", "one in another", "many members"],
)
def test_reads_and_memory_are_bounded_whatever_is_inside(content: bytes) -> None:
    stored = Stored(content)
    asyncio.run(examine_packed(stored.read, len(content)))
    assert stored.reads <= 70
    assert stored.total <= 5 << 20


def test_an_archive_that_lists_one_member_a_thousand_times_at_each_depth_takes_no_longer_than_another() -> None:
    """Entries of one directory may all mean the same bytes; unpacked each time, four levels of them would take days."""
    content = b"harmless"
    for _ in range(4):
        content = _listed_often(zipped(a=content), 1000)
    started = time.process_time()
    assert look(content).kinds == {"application/zip"}
    assert time.process_time() - started < 10  # some hundredths of a second, whatever else the machine does


def _listed_often(archive: bytes, times: int) -> bytes:
    start, end = archive.index(b"PK\x01\x02"), archive.index(b"PK\x05\x06")
    directory = archive[start:end] * times
    tail = bytearray(archive[end:])
    struct.pack_into("<HHL", tail, 8, times, times, len(directory))
    return archive[:start] + directory + bytes(tail)


def test_a_size_beyond_32_bits_is_read() -> None:
    directory = bytearray(zipped(a=b"harmless"))
    entry, end = directory.index(b"PK\x01\x02"), directory.index(b"PK\x05\x06")
    extra = struct.pack("<HHQ", 1, 8, 5 << 30)
    struct.pack_into("<L", directory, entry + 24, 0xFFFFFFFF)
    struct.pack_into("<H", directory, entry + 30, len(extra))
    struct.pack_into("<L", directory, end + 12, end - entry + len(extra))
    assert look(bytes(directory[:end] + extra + directory[end:])).unpacked == 5 << 30


def test_no_content_makes_it_raise() -> None:
    chance = random.Random(7)
    sound = [make(b"harmless") for makers in samples.CONTAINERS.values() for make in makers]
    sound += [ENCRYPTED_7Z, LONG_7Z, rar_5(encrypted=True), rar_4(encrypted=True), encrypted_office()]
    for content in sound:
        for _ in range(30):
            spoiled = bytearray(content)
            for _ in range(chance.randint(1, 6)):
                spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
            look(bytes(spoiled[: chance.randint(1, len(spoiled))]))
            look(zipped(a=bytes(spoiled)))
