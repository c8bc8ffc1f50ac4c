"""Small harmless containers of each kind, around the EICAR test string, by which it shows what a scanner opens.

They are written here, as far as the standard library does not: a program that packs is not needed, and no file that scanners
find lies anywhere. What is not packed but only wrapped is wrapped around gzip, so that the string nowhere stands as it is.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_INVERTED: Final = "*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\\4[PA@%P!O5X"
_NAME: Final = b"sample.gz"


def test_string() -> bytes:
    """Return the string that every scanner finds by agreement of their makers (EICAR, 2003); it does nothing."""
    return _INVERTED[::-1].encode()


def gzipped(content: bytes) -> bytes:
    """Return a gzip file (RFC 1952) that is the same at any time: in what goes by the clock a scanner may see something else."""
    return gzip.compress(content, mtime=0)


def zipped(content: bytes) -> bytes:
    """Return a zip archive (APPNOTE.TXT of PKWARE) of one deflated member."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("sample"), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def tarred(content: bytes) -> bytes:
    """Return a tar archive (POSIX pax) of one member."""
    content = gzipped(content)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(_NAME.decode())
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def xz(content: bytes) -> bytes:
    """Return a stream of xz, which keeps what is short as it is."""
    return lzma.compress(gzipped(content))


def seven_zipped(content: bytes) -> bytes:
    """Return a 7z archive of one member, packed with LZMA (7zFormat.txt of the LZMA SDK)."""
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    packed = lzma.compress(content, lzma.FORMAT_RAW, filters=filters)
    name = b"sample\0".decode().encode("utf-16-le")
    header = b"".join(
        (
            b"\x01\x04\x06\0\x01\x09" + _seven_zip_number(len(packed)) + b"\0",  # one packed stream
            b"\x07\x0b\x01\0\x01\x23\x03\x01\x01\x05\x5d" + struct.pack("<L", 1 << 16),  # one folder, LZMA
            b"\x0c" + _seven_zip_number(len(content)) + b"\x0a\x01" + struct.pack("<L", zlib.crc32(content)) + b"\0",
            b"\x08\0\0",  # one stream in it
            b"\x05\x01\x11" + _seven_zip_number(len(name) + 1) + b"\0" + name + b"\0\0",  # one file
        )
    )
    start = struct.pack("<QQL", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<L", zlib.crc32(start)) + start + packed + header


def rarred_4(content: bytes) -> bytes:
    """Return an archive of RAR 1.5 to 4 of one stored member (technote.txt of RAR 4)."""
    content = gzipped(content)
    sizes = struct.pack("<LLBLLBBHL", len(content), len(content), 3, zlib.crc32(content), 0x5A21, 29, 0x30, 9, 0x81A4)
    return b"".join(
        (
            b"Rar!\x1a\x07\0",
            _rar_4_block(0x73, 0, bytes(6)),
            _rar_4_block(0x74, 0x8000, sizes + _NAME),
            content,
            _rar_4_block(0x7B, 0x4000, b""),
        )
    )


def rarred_5(content: bytes) -> bytes:
    """Return an archive of RAR 5 of one stored member (RAR 5.0 archive format)."""
    content = gzipped(content)
    size = _rar_5_number(len(content))
    name = bytes([len(_NAME)]) + _NAME
    file = size + b"\x04" + size + b"\x20" + struct.pack("<L", zlib.crc32(content)) + b"\0\x01" + name
    return b"".join(
        (
            b"Rar!\x1a\x07\x01\0",
            _rar_5_block(b"\x01\0\0"),
            _rar_5_block(b"\x02\x02" + file),
            content,
            _rar_5_block(b"\x05\0\0"),
        )
    )


def cabinet(content: bytes) -> bytes:
    """Return a cabinet (MS-CAB) of one member that is not compressed."""
    content = gzipped(content)
    name = _NAME + b"\0"
    files_at = 36 + 8
    data_at = files_at + 16 + len(name)
    total = data_at + 8 + len(content)
    return b"".join(
        (
            b"MSCF" + struct.pack("<LLLLLBBHHHHH", 0, total, 0, files_at, 0, 3, 1, 1, 1, 0, 0x1234, 0),
            struct.pack("<LHH", data_at, 1, 0),
            struct.pack("<LLHHHH", len(content), 0, 0, 0x5A21, 0, 0x20) + name,
            struct.pack("<LHH", 0, len(content), len(content)) + content,
        )
    )


def cpio(content: bytes) -> bytes:
    """Return a cpio archive in the new ASCII format (cpio(5)) of one member."""
    return _cpio_member(_NAME, gzipped(content), 0o100644) + _cpio_member(b"TRAILER!!!", b"", 0)


def ar(content: bytes) -> bytes:
    """Return an archive of ar(5), as Debian packages are, of one member."""
    content = gzipped(content)
    header = b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (_NAME, 0, 0, 0, 0o100644, len(content))
    return b"!<arch>\n" + header + content + b"\n" * (len(content) % 2)


def lha(content: bytes) -> bytes:
    """Return an LHA archive of one stored member, with a header of level 0."""
    content = gzipped(content)
    rest = b"-lh0-" + struct.pack("<LLLBB", len(content), len(content), 0x5A210000, 0x20, 0)
    rest += bytes([len(_NAME)]) + _NAME + struct.pack("<H", _crc16(content))
    return bytes([len(rest), sum(rest) & 0xFF]) + rest + content + b"\0"


def arj(content: bytes) -> bytes:
    """Return an ARJ archive of one stored member."""
    content = gzipped(content)
    main = struct.pack("<8B6LHBB", 30, 11, 1, 0, 0, 0, 2, 0, *([0] * 6), 0, 0, 0)[:30] + b"sample.arj\0\0"
    sizes = struct.pack("<LLLL", 0x5A210000, len(content), len(content), zlib.crc32(content))
    file = struct.pack("<8B", 30, 11, 1, 0, 0, 0, 0, 0) + sizes + bytes(6) + _NAME + b"\0\0"
    return _arj_header(main) + _arj_header(file) + content + b"\x60\xea\0\0"


def zstandard(content: bytes) -> bytes:
    """Return a frame of Zstandard (RFC 8878) of one raw block."""
    content = gzipped(content)
    block = (len(content) << 3 | 1).to_bytes(3, "little") + content
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<L", len(content)) + block


def lz4(content: bytes) -> bytes:
    """Return a frame of LZ4 (its frame format, 1.6) of one block that is not compressed."""
    content = gzipped(content)
    return b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<L", len(content) | 1 << 31) + content + bytes(4)


def lzw(content: bytes) -> bytes:
    """Return what compress(1) writes, with codes of nine bits: no more than 250 bytes."""
    codes = 0
    for place, byte in enumerate(content):
        codes |= byte << 9 * place
    return b"\x1f\x9d\x90" + codes.to_bytes((len(content) * 9 + 7) // 8, "little")


def _seven_zip_number(value: int) -> bytes:
    if value < 0x80:
        return bytes([value])
    if value < 0x4000:
        return bytes([0x80 | value >> 8, value & 0xFF])
    return b"\xf0" + struct.pack("<L", value)[:4] if value >= 1 << 28 else b"\xe0" + struct.pack("<L", value)


def _rar_4_block(kind: int, flags: int, rest: bytes) -> bytes:
    block = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
    return struct.pack("<H", zlib.crc32(block) & 0xFFFF) + block


def _rar_5_block(rest: bytes) -> bytes:
    block = _rar_5_number(len(rest)) + rest
    return struct.pack("<L", zlib.crc32(block)) + block


def _rar_5_number(value: int) -> bytes:
    number = b""
    while value > 0x7F:
        number += bytes([value & 0x7F | 0x80])
        value >>= 7
    return number + bytes([value])


def _cpio_member(name: bytes, content: bytes, mode: int) -> bytes:
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
    return header + bytes(-len(header) % 4) + content + bytes(-len(content) % 4)


def _arj_header(header: bytes) -> bytes:
    return b"\x60\xea" + struct.pack("<H", len(header)) + header + struct.pack("<LH", zlib.crc32(header), 0)


def _crc16(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


CONTAINERS: Final[Mapping[str, tuple[Callable[[bytes], bytes], ...]]] = MappingProxyType(
    {
        "application/zip": (zipped,),
        "application/gzip": (gzipped,),
        "application/x-tar": (tarred,),
        "application/x-bzip2": (bz2.compress,),
        "application/x-xz": (xz,),
        "application/x-7z-compressed": (seven_zipped,),
        "application/vnd.rar": (rarred_4, rarred_5),
        "application/vnd.ms-cab-compressed": (cabinet,),
        "application/x-cpio": (cpio,),
        "application/x-archive": (ar,),
        "application/x-lzh-compressed": (lha,),
        "application/x-arj": (arj,),
        "application/zstd": (zstandard,),
        "application/x-lz4": (lz4,),
        "application/x-compress": (lzw,),
    }
)
