"""What the first bytes of a file show it to be. The whole of it is judged in ``examination``."""

from __future__ import annotations

import codecs
import re

from fileferry.engine.inspection.declarations import effective_type, parameters_of
from fileferry.engine.inspection.media_signatures import media_of
from fileferry.engine.inspection.media_types import (
    ELF_TYPE,
    GENERIC_TYPE,
    MACH_TYPE,
    OLE_TYPE,
    OLE_TYPES,
    PDF_TYPE,
    PE_TYPE,
    SHELL_TYPE,
    SHOWN_TYPES,
    TEXT_TYPE,
    XML_TYPE,
    ZIP_TYPE,
    ZIP_TYPES,
    canonical,
    is_json,
    is_text,
    related,
)
from fileferry.engine.inspection.signature_index import matches

SNIFFED_BYTES = 4096
_JSON_START = re.compile(r'\s*[\[{"0-9tfn-]')
_FIRM, _WEAK = 0.3, 0.2  # puremagic's words for signatures of three and of two bytes
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\f\r\x1b"))  # the binary data bytes of WHATWG MIME Sniffing
_WIDE_TEXTS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

# WHATWG MIME Sniffing section 7.1, and the other elements that bring a script along.
_MARKUP = re.compile(
    r"<(?:!doctype\s+html|html|head|body|script|iframe|h1|div|font|table|a|style|title|b|br|p|img|object|embed|form|meta|link"
    r"|base|video|audio|input|template|math|details)(?=[\s/>])|<!--",
    re.IGNORECASE,
)

_XML_PROLOGUE = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!doctype[^\[>]*(?:\[.*?\]\s*)?>)+", re.IGNORECASE | re.DOTALL)
_ELEMENT = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)")
_SHEBANG = re.compile(rb"#![ \t]*/[^\r\n]{0,255}")

_INTERPRETERS = {
    b"python": "text/x-python",
    b"perl": "text/x-perl",
    b"ruby": "text/x-ruby",
    b"php": "application/x-php",
    b"node": "text/javascript",
    b"deno": "text/javascript",
    b"pwsh": "application/x-powershell",
}

_PROGRAMS = {
    b"\x7fELF": ELF_TYPE,
    b"\xfe\xed\xfa\xce": MACH_TYPE,
    b"\xfe\xed\xfa\xcf": MACH_TYPE,
    b"\xce\xfa\xed\xfe": MACH_TYPE,
    b"\xcf\xfa\xed\xfe": MACH_TYPE,
    b"\xca\xfe\xba\xbf": MACH_TYPE,
    b"\0asm": "application/wasm",
    b"dex\n": "application/vnd.android.dex",
    b"L\0\0\0\x01\x14\x02\0": "application/x-ms-shortcut",
}

ZIP_START = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_OLE_START = bytes.fromhex("d0cf11e0a1b11ae1")


def judge_types(head: bytes, declared: str | None, name: str) -> tuple[str, str | None]:
    """Return the media type to record, with the parameters it was declared with, and the one that the first bytes show, if any."""
    content_type = effective_type(declared, name)
    if declared and content_type not in SHOWN_TYPES:
        # Only ever offered for saving, so there is nothing that the bytes could disprove.
        return content_type + parameters_of(declared, name), None
    detected = detect_type(head, content_type)
    if content_type == GENERIC_TYPE:
        content_type = detected or content_type
    return content_type + parameters_of(declared, name), detected


def detect_type(head: bytes, claimed: str) -> str | None:
    """Return the media type that the first bytes show, or None where they show none.

    Where they fit several types the most dangerous wins: a program before a page, a page before a PDF, a PDF before a picture.
    Among types that the first bytes do not tell apart (zip containers, kinds of text) the claimed one wins.
    """
    if not head:
        return None
    text = text_of(head)
    return (
        _program(head, text)
        or (text and _markup(text, claimed))
        or _document(head, text, claimed)
        or _prose(text, claimed)
    )


def text_of(sample: bytes) -> str | None:
    """Return bytes as text, or None where they hold what no text does: NUL and the other control characters.

    UTF-8, UTF-16 with its mark, else the bytes as single ones (Latin-1 and its like, as spreadsheets export): which of those
    it is does not matter for telling text from something else. A character cut in half at the end is still text.
    """
    try:
        if encoding := wide_encoding(sample):
            wide = codecs.getincrementaldecoder(encoding)().decode(sample[2:])
            return None if holds_controls(wide.encode()) else wide
        if holds_controls(sample):
            return None
        return codecs.getincrementaldecoder("utf-8-sig")().decode(sample)
    except UnicodeDecodeError:
        return None if holds_controls(sample) else sample.decode("latin-1")


def wide_encoding(head: bytes) -> str | None:
    """Return the codec that a UTF-16 byte order mark at the beginning asks for, without the mark; None for any other text."""
    return _WIDE_TEXTS.get(head[:2])


def holds_controls(sample: bytes) -> bool:
    """Whether bytes hold NUL or another control character that has no place in text."""
    return len(sample.translate(None, _CONTROLS)) != len(sample)


def _program(head: bytes, text: str | None) -> str | None:
    if shebang := _SHEBANG.match(head):
        return next((kind for name, kind in _INTERPRETERS.items() if name in shebang[0]), SHELL_TYPE)
    if head[:64].lstrip().startswith((b"<?php", b"<?=")):
        return "application/x-php"
    if text is not None:
        return None  # "MZ" may begin a sentence
    if head.startswith(b"\xca\xfe\xba\xbe"):
        # A Java class has its version here, at least 45; a Mach-O of several machines has their number.
        return "application/java-vm" if int.from_bytes(head[4:8]) >= 45 else MACH_TYPE
    if head[:2] in (b"MZ", b"ZM"):
        start = int.from_bytes(head[0x3C:0x40], "little")
        return PE_TYPE if head[start : start + 4] == b"PE\0\0" else "application/x-dosexec"
    return next((kind for start, kind in _PROGRAMS.items() if head.startswith(start)), None)


def _markup(text: str, claimed: str) -> str | None:
    text = text.lstrip("\ufeff \t\n\f\r")
    if not text.startswith("<"):
        return None
    prologue = _XML_PROLOGUE.match(text)
    root = _ELEMENT.match(text, prologue.end() if prologue else 0)
    tag = root[1].lower() if root else None
    if tag == "svg":
        return "image/svg+xml"
    is_claimed = canonical(claimed) == XML_TYPE or claimed.endswith("+xml")
    if text[:5].lower() == "<?xml" or (root and is_claimed):
        return "application/xhtml+xml" if tag == "html" else XML_TYPE
    if _MARKUP.match(text):
        return "text/html"
    return XML_TYPE if text[:9].lower() == "<!doctype" else None


def _document(head: bytes, text: str | None, claimed: str) -> str | None:
    if head.startswith((ZIP_START, _EMPTY_ZIP)):
        return claimed if claimed in ZIP_TYPES else ZIP_TYPE
    if head.startswith(_OLE_START):
        return claimed if claimed in OLE_TYPES else OLE_TYPE
    # Acrobat opens what has this among its first 1,024 bytes, be it a picture too. An archive may begin with a PDF in it.
    if b"%PDF-" in head[:1024] and head[257:262] != b"ustar":
        return PDF_TYPE
    if head.startswith(b"{\\rt"):
        return "application/rtf"
    if head.startswith(b"%!PS"):
        return "application/postscript"
    return (text is None and _media(head, claimed)) or _signature(head, text, claimed)


def _media(head: bytes, claimed: str) -> str | None:
    kind = media_of(head)
    if kind is None and canonical(claimed) == "audio/mpeg" and int.from_bytes(head[:2]) & 0xFFE6 == 0xFFE2:
        kind = (
            "audio/mpeg"  # a frame of layer III, with which those without tags begin; too few bits to go by unclaimed
        )
    if kind is None:
        return None
    return claimed if canonical(claimed) in related(kind) else kind


def _signature(head: bytes, text: str | None, claimed: str) -> str | None:
    if text is not None and head.isascii():
        return None
    # Signatures that are words ("From:", "ID3", "BM") begin many a text; bytes above ASCII do not stand so by chance.
    found = [
        (match.confidence, canonical(match.mime_type))
        for match in matches(head)
        if match.mime_type not in ("", GENERIC_TYPE) and (text is None or not match.byte_match.isascii())
    ]
    best = max((confidence for confidence, _ in found), default=0)
    equals = [media_type for confidence, media_type in found if confidence == best >= _WEAK]
    if any(canonical(claimed) in related(media_type) for media_type in equals):
        return claimed
    return equals[0] if best >= _FIRM else None


def _prose(text: str | None, claimed: str) -> str | None:
    if text is None:
        return None
    kind = canonical(claimed)
    if not is_text(kind) or (is_json(kind) and not _JSON_START.match(text)):
        return TEXT_TYPE
    return claimed
