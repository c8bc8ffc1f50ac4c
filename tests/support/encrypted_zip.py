"""A zip that only a password opens, as PKWARE's APPNOTE 6.1 describes it, which the standard library can read but not write."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib

_INVERTED = 0xFFFFFFFF


def encrypted_zip(name: str, content: bytes, password: bytes) -> bytes:
    """Return a zip of one stored file, encrypted with ``password``."""
    header = os.urandom(11) + bytes([zlib.crc32(content) >> 24])
    encrypted = _encrypt(header + content, password)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr(name, encrypted)
    return _as_encrypted(bytearray(archive.getvalue()), content)


def _as_encrypted(archive: bytearray, content: bytes) -> bytes:
    """Say in both headers of the file that it is encrypted, and what it is once it is not."""
    central = archive.index(b"PK\x01\x02")
    for flags, crc, size in ((6, 14, 22), (central + 8, central + 16, central + 24)):
        struct.pack_into("<H", archive, flags, 1)
        struct.pack_into("<I", archive, crc, zlib.crc32(content))
        struct.pack_into("<I", archive, size, len(content))
    return bytes(archive)


def _encrypt(plain: bytes, password: bytes) -> bytes:
    keys = [0x12345678, 0x23456789, 0x34567890]
    for byte in password:
        _update(keys, byte)
    encrypted = bytearray()
    for byte in plain:
        mask = keys[2] | 2
        encrypted.append(byte ^ (mask * (mask ^ 1) >> 8 & 0xFF))
        _update(keys, byte)
    return bytes(encrypted)


def _update(keys: list[int], byte: int) -> None:
    keys[0] = _crc(keys[0], byte)
    keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
    keys[2] = _crc(keys[2], keys[1] >> 24)


def _crc(key: int, byte: int) -> int:
    return zlib.crc32(bytes([byte]), key ^ _INVERTED) ^ _INVERTED
