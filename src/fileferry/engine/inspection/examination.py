"""The deep look that processing takes at a stored file: what it is, held against its name, declared type and what is allowed.

Pure but for the reads it is given, which are few and bounded however large the file is. What it cannot tell for sure it
calls by the plainer or the more dangerous name; it never raises over content.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from typing import Final

import msgspec

from fileferry.engine.inspection import (
    archive_headers,
    compound_files,
    contents,
    declarations,
    media_types,
    signatures,
    zip_listings,
)
from fileferry.engine.inspection.declarations import declared_type, named_type
from fileferry.engine.inspection.glimpses import Glimpses, Reader
from fileferry.engine.inspection.media_types import canonical
from fileferry.engine.inspection.zip_listings import Listing

__all__ = ["Examined", "Packed", "Reader", "examine", "examine_packed", "named_refusal", "refusal"]

_MOST_TEXT: Final = 512 << 10
_MAIN_PARTS: Final = {
    f"{media_type.removesuffix('.12')}{'.main' if '.binary.' in media_type else '.main+xml'}": media_type
    for media_type in media_types.OPEN_XML_TYPES.values()
} | {
    # The ones that do not follow the rule.
    "application/vnd.ms-word.template.macroenabledtemplate.main+xml": media_types.OPEN_XML_TYPES[".dotm"],
}
_WITH_MACROS: Final = {
    media_types.OPEN_XML_TYPES[f".{plain}"]: media_types.OPEN_XML_TYPES[f".{macro}"]
    for plain, macro in (
        *(("docx", "docm"), ("dotx", "dotm"), ("xlsx", "xlsm"), ("xltx", "xltm"), ("vsdx", "vsdm")),
        *(("pptx", "pptm"), ("potx", "potm"), ("ppsx", "ppsm")),
    )
}
_CONTENT_TYPE: Final = re.compile(r"""contenttype\s*=\s*(?:"([^"]{,999})"|'([^']{,999})')""")
# Types whose content always shows them: a file that does not is none. Everything that `examine` itself tells for sure.
_SHOWING_TYPES: Final = frozenset(
    canonical(media_type)
    for media_type in (
        media_types.SIGNED_TYPES
        | media_types.ZIP_TYPES
        | media_types.OLE_TYPES
        | {
            "application/gzip",
            "application/ogg",
            "application/postscript",
            "application/rtf",
            "application/vnd.android.dex",
            "application/vnd.microsoft.portable-executable",
            "application/vnd.rar",
            "application/vnd.sqlite3",
            "application/wasm",
            "application/x-7z-compressed",
            "application/x-bzip2",
            "application/x-executable",
            "application/x-mach-binary",
            "application/x-ms-shortcut",
            "application/x-xz",
            "application/xhtml+xml",
            "application/xml",
            "application/zstd",
            "audio/mp4",
            "audio/webm",
            "font/woff",
            "font/woff2",
            "image/heic",
            "image/heif",
            "image/j2c",
            "image/jls",
            "image/jp2",
            "image/jpm",
            "image/jpx",
            "image/jxl",
            "image/svg+xml",
            "image/tiff",
            "image/vnd.adobe.photoshop",
            "image/x-canon-cr2",
            "image/x-canon-cr3",
            "image/x-olympus-orf",
            "video/mj2",
            "video/quicktime",
            "video/x-matroska",
            "video/x-msvideo",
        }
    )
)
# What is also the more general thing: whoever takes archives takes what is in them. Markdown may be HTML throughout, and is
# never served as that.
_BUILT_ON: Final = {
    media_types.ZIP_TYPE: media_types.ZIP_TYPES,
    media_types.XML_TYPE: media_types.ACTIVE_TYPES - {"text/html"},
    "text/html": frozenset({media_types.TEXT_TYPE, "application/xhtml+xml"}),
    "text/markdown": frozenset({"text/html"}),
}
# What formats without a signature of their own are made of.
_MATERIALS: Final = frozenset(
    {
        media_types.OLE_TYPE,
        media_types.XML_TYPE,
        media_types.ZIP_TYPE,
        "application/gzip",
        "application/vnd.sqlite3",
    }
)


class Examined(msgspec.Struct, frozen=True):
    """What a look at a file's content found.

    ``content_type`` is the media type to record: the declared one with its parameters, or what the name or the content says
    where that is generic. ``detected_type`` is what the content shows, as exact as it allows, None where it shows nothing.
    ``is_encrypted`` says that a scanner cannot look inside, as far as that is seen without unpacking. A password for printing
    or for opening a PDF is no such thing: its structure stays legible, and most are opened with an empty one, which scanners do.
    """

    content_type: str
    detected_type: str | None
    is_encrypted: bool
    is_empty: bool = False


class Packed(msgspec.Struct, frozen=True):
    """What a file is and holds as a container, at any depth that a few bounded reads reach.

    ``kinds`` are media types of containers, and ``is_encrypted`` says that something in it opens only with a password.
    ``unpacked`` is to how many bytes the largest member of a zip archive unpacks, or a 7z archive altogether, as they say;
    None where a 7z archive does not.
    """

    kinds: frozenset[str]
    is_encrypted: bool
    unpacked: int | None


async def examine_packed(read: Reader, size: int) -> Packed:
    """Look at a file of ``size`` bytes and at its members, whatever they are called, through ``read``. Raises what it raises."""
    glimpses = Glimpses(read, size)
    await glimpses.open()
    shown = await contents.survey(glimpses)
    kinds, unpacked = shown.kinds, shown.unpacked
    is_encrypted = (await _look(glimpses, media_types.GENERIC_TYPE))[1]
    async for member in contents.members(glimpses):
        shown = await contents.survey(member)
        kinds |= shown.kinds
        unpacked = None if unpacked is None else max(unpacked, shown.unpacked or 0)
        is_encrypted |= (await _look(member, media_types.GENERIC_TYPE))[1]
    return Packed(kinds, is_encrypted, unpacked)


async def examine(read: Reader, size: int, declared: str | None, name: str) -> Examined:
    """Look at a file of ``size`` bytes through ``read``: both ends, and what a container says of itself. Raises what it raises."""
    content_type, parameters = declarations.effective_type(declared, name), declarations.parameters_of(declared, name)
    glimpses = Glimpses(read, size)
    await glimpses.open()
    if not glimpses.head:
        return Examined(content_type + parameters, None, is_encrypted=False, is_empty=size == 0)
    by_name, said = _promises(name, content_type)
    claimed = content_type if said or not by_name else by_name
    detected, is_encrypted = await _look(glimpses, claimed)
    if content_type == media_types.GENERIC_TYPE:
        content_type = detected or content_type
    return Examined(content_type + parameters, detected, is_encrypted)


def named_refusal(types: Collection[str], name: str, declared: str | None) -> str | None:
    """Return why a file of this name and declared type can be none of the allowed ``types``, or None; before there are bytes."""
    allowed = {canonical(media_type) for media_type in types}
    by_name, said = _promises(name, declared)
    if said and said not in allowed:
        return f"Files of type {said} are not allowed."
    # A name alone must be allowed as it stands; where more is said, ".webm" may be sound as well as moving pictures.
    if by_name and allowed.isdisjoint(media_types.related(by_name) if said else {by_name}):
        return f"Files of type {by_name} are not allowed."
    return None


def refusal(types: Collection[str], examined: Examined, name: str) -> str | None:
    """Return in one sentence why a file is none of the allowed ``types`` (media types, compared exactly), or None where it is.

    What the name promises and what was declared must each be allowed, and the content must be both. Types that always have a
    mark must show it. For others the content must not show that it is something else: a text type takes any text that is no
    script and no page, an unknown type takes what nothing is known of. That is safe: programs, pages, documents and pictures
    all have marks, are found whatever they are called, and are then none of those.
    """
    if reason := named_refusal(types, name, examined.content_type):
        return reason
    if examined.is_empty:
        return None  # no content, no lie
    promises = [promised for promised in _promises(name, examined.content_type) if promised]
    if not promises and media_types.GENERIC_TYPE not in types:
        return "Neither the name nor the declared type nor the content shows an allowed type."
    for promised in promises:
        if not _is(examined.detected_type, promised):
            found = "encrypted" if examined.is_encrypted else examined.detected_type or "of no known type"
            return f"The content is {found}, and not shown to be {promised}."
    return None


def _promises(name: str, declared: str | None) -> tuple[str | None, str | None]:
    """Return what the name promises and what the declared type does, each by its canonical name, None where it says nothing."""
    by_name, said = (kind and canonical(kind) for kind in (named_type(name), declared_type(declared, name)))
    if by_name and said == media_types.TEXT_TYPE and media_types.is_text(by_name):
        said = None  # CSV, Markdown or JSON is plain text too, and often sent as that
    return by_name, said


def _is(shown: str | None, promised: str) -> bool:
    actual = canonical(shown) if shown else None
    if actual is not None and actual in media_types.related(promised):
        return True
    if actual in _BUILT_ON.get(promised, ()):
        return True
    if media_types.is_text(promised):
        if actual is None or actual in media_types.PROGRAM_TYPES or actual in _SHOWING_TYPES:
            return False
        return media_types.is_json(actual) if media_types.is_json(promised) else media_types.is_text(actual)
    if promised in _SHOWING_TYPES:
        return False
    if actual is None or actual in _MATERIALS:
        return True
    return actual not in media_types.PROGRAM_TYPES | media_types.ACTIVE_TYPES | _SHOWING_TYPES


async def _look(glimpses: Glimpses, claimed: str) -> tuple[str | None, bool]:
    detected = signatures.detect_type(glimpses.head, claimed)
    if detected in media_types.PROGRAM_TYPES or detected in media_types.ACTIVE_TYPES:
        return detected, False  # whatever else it may be besides, as a self-extracting archive is
    listing = await zip_listings.list_zip(glimpses)
    if listing is not None:
        # Also behind a picture or a PDF: Java and archivers go by the end of a file, so that it is both, and this is worse.
        return await _package(glimpses, listing)
    if detected in media_types.ZIP_TYPES:
        return media_types.ZIP_TYPE, zip_listings.is_encrypted_start(glimpses.head)
    if detected in media_types.OLE_TYPES:
        compound = await compound_files.identify(glimpses)
        return compound.media_type, compound.is_encrypted
    if detected == "application/x-7z-compressed":
        return detected, (await archive_headers.read_seven_zip(glimpses)).is_encrypted
    if detected in ("application/vnd.rar", "application/x-rar-compressed"):
        return detected, await archive_headers.is_encrypted_rar(glimpses)
    if detected and media_types.is_text(canonical(detected)) and not _ends_as_text(glimpses):
        return None, False
    return detected, False


def _ends_as_text(glimpses: Glimpses) -> bool:
    tail = glimpses.tail
    if encoding := signatures.wide_encoding(glimpses.head):
        tail = tail[(glimpses.size - len(tail)) % 2 :].decode(encoding, "ignore").encode()
    return not signatures.holds_controls(tail)


async def _package(glimpses: Glimpses, listing: Listing) -> tuple[str, bool]:
    if listing.named(b"androidmanifest.xml"):
        return media_types.APK_TYPE, listing.is_encrypted
    if listing.named(b"meta-inf/manifest.mf") or any(member.name.endswith(b".class") for member in listing.members):
        return media_types.JAR_TYPE, listing.is_encrypted
    if not listing.is_whole or listing.prefix or not glimpses.head.startswith(signatures.ZIP_START):
        return media_types.ZIP_TYPE, listing.is_encrypted
    if kind := await _open_xml(glimpses, listing):
        return kind, listing.is_encrypted
    kind = (await _only_text(glimpses, listing, b"mimetype") or b"").decode("latin-1").strip()
    if kind in media_types.OPEN_DOCUMENT_TYPES:
        name = b"meta-inf/manifest.xml"
        manifest = await _only_text(glimpses, listing, name) if listing.named(name) else b""
        if manifest is not None:
            return kind, listing.is_encrypted or b"encryption-data" in manifest
    return (kind if kind == "application/epub+zip" else media_types.ZIP_TYPE), listing.is_encrypted


async def _open_xml(glimpses: Glimpses, listing: Listing) -> str | None:
    content = await _only_text(glimpses, listing, b"[content_types].xml")
    if content is None:
        return None
    # Without the NULs UTF-16 reads as well; a character may also be written by its number, but not by a name of one's own.
    text = content.replace(b"\0", b"").decode("latin-1").lower()
    text = "".join(piece.partition("<!--")[0] for piece in text.split("-->"))
    if "<!" in text:
        return None
    written = {double or single for double, single in _CONTENT_TYPE.findall(text)}
    said = {html.unescape(kind).strip() for kind in written}
    kinds = {_MAIN_PARTS[kind] for kind in said if kind in _MAIN_PARTS}
    if any("vbaproject" in kind for kind in said) or not kinds.isdisjoint(_WITH_MACROS.values()):
        kinds = {_WITH_MACROS.get(kind, kind) for kind in kinds}
    return kinds.pop() if len(kinds) == 1 else None


async def _only_text(glimpses: Glimpses, listing: Listing, name: bytes) -> bytes | None:
    """Return the content of the one member of a name; of two each reader may take another, so that none counts."""
    members = listing.named(name)
    return await zip_listings.member_text(glimpses, members[0], _MOST_TEXT) if len(members) == 1 else None
