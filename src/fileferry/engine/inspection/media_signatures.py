"""Pictures, sound and moving pictures by their first bytes, where a family shares a beginning and what follows tells its members.

Text that begins with the same words is not told apart here: that, and all other signatures, are for ``signatures``.
"""

from __future__ import annotations

from typing import Final

# ISO base media (ISO/IEC 14496-12): the major brand of its first box, as mp4ra.org registers them.
_BRANDS: Final = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"aax ": "audio/vnd.audible.aax",
    b"aaxc": "audio/vnd.audible.aax",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"crx ": "image/x-canon-cr3",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"qt  ": "video/quicktime",
}
# JPEG 2000 (ISO/IEC 15444-1 annex I) and JPEG XL (18181-2) have a box before that one, which names the family.
_JPEG_2000: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_JPEG_2000_BRANDS: Final = {b"jpx ": "image/jpx", b"jpm ": "image/jpm", b"mjp2": "video/mj2"}
# The form of a RIFF file is in its bytes 8 to 11; others than these are no media, whatever else they are.
_RIFF_FORMS: Final = {
    b"ACON": "application/x-navi-animation",
    b"AVI ": "video/x-msvideo",
    b"RMID": "audio/midi",
    b"WAVE": "audio/wav",
    b"WEBP": "image/webp",
}
# The first packet of an Ogg file (RFC 5334) begins at byte 28; one of a skeleton tells nothing of what else there is.
_OGG_PACKETS: Final = {
    b"\x01vorbis": "audio/ogg",
    b"\x7fFLAC": "audio/ogg",
    b"\x80theora": "video/ogg",
    b"BBCD\0": "video/ogg",
    b"OpusHead": "audio/ogg",
    b"Speex   ": "audio/ogg",
}
_STARTS: Final = {
    _JPEG_2000[:4] + b"JXL \r\n\x87\n": "image/jxl",
    b"\xff\x0a": "image/jxl",
    b"\xff\x4f\xff\x51": "image/j2c",
    b"\xff\xd8\xff\xf7": "image/jls",  # JPEG-LS (ITU-T T.87): begins as JPEG does, and no reader of JPEG shows it
    b"II+\0\x08\0\0\0": "image/tiff",  # BigTIFF
    b"MM\0+\0\x08\0\0": "image/tiff",
    b"IIRO": "image/x-olympus-orf",
    b"IIRS": "image/x-olympus-orf",
    b"MMOR": "image/x-olympus-orf",
    b"\x8aMNG\r\n\x1a\n": "video/x-mng",
    b"\x8bJNG\r\n\x1a\n": "image/x-jng",
    b"#!AMR": "audio/amr",
}


def media_of(head: bytes) -> str | None:
    """Return the type that the first bytes show, None where they are of none of these families."""
    if head[4:8] == b"ftyp":
        return _base_media(head)
    if head.startswith(_JPEG_2000):
        return _JPEG_2000_BRANDS.get(head[20:24], "image/jp2")
    if head.startswith(b"RIFF"):
        return _RIFF_FORMS.get(head[8:12], "application/x-riff")
    if head.startswith(b"OggS"):
        packet = head[28:]
        return next((kind for start, kind in _OGG_PACKETS.items() if packet.startswith(start)), "application/ogg")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "image/x-canon-cr2" if head[8:11] == b"CR\x02" else "image/tiff"
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)


def _base_media(head: bytes) -> str:
    brand, others = head[8:12], head[16 : int.from_bytes(head[:4])]
    kind = _BRANDS.get(brand, "video/mp4")
    if kind == "image/heif" and b"avif" in others:
        return "image/avif"
    if brand[:3] in (b"hei", b"hev"):
        return "image/heic"
    if brand[:2] == b"3g":
        return "video/3gpp2" if brand[2:3] == b"2" else "video/3gpp"
    return kind
