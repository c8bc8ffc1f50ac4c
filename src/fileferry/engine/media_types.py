"""What a file's name, its declared type and its first bytes say that it is.

Only the first bytes count here, as they pass by on arrival; `examination` looks deeper, into what is stored.
"""

from __future__ import annotations

import codecs
import mimetypes
import re
from collections.abc import Mapping

import puremagic

SNIFFED_BYTES = 4096
GENERIC_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain"
PDF_TYPE = "application/pdf"
ZIP_TYPE = "application/zip"
XML_TYPE = "application/xml"
OLE_TYPE = "application/x-ole-storage"
JAR_TYPE = "application/java-archive"
APK_TYPE = "application/vnd.android.package-archive"
_PE_TYPE = "application/vnd.microsoft.portable-executable"
_ELF_TYPE = "application/x-executable"
_MACH_TYPE = "application/x-mach-binary"
_SHELL_TYPE = "text/x-shellscript"

OPEN_DOCUMENT_TYPES = frozenset(
    f"application/vnd.oasis.opendocument.{kind}{template}"
    for kind in ("text", "spreadsheet", "presentation", "graphics", "chart", "formula", "image", "base", "text-master")
    for template in ("", "-template")
)
# ECMA-376 and MS-OFFMACRO2: the type of the main part, less its ".main+xml", names the type of the document.
OPEN_XML_TYPES: Mapping[str, str] = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".dotx": "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
    ".docm": "application/vnd.ms-word.document.macroenabled.12",
    ".dotm": "application/vnd.ms-word.template.macroenabled.12",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xltx": "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
    ".xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    ".xltm": "application/vnd.ms-excel.template.macroenabled.12",
    ".xlam": "application/vnd.ms-excel.addin.macroenabled.12",
    ".xlsb": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".potx": "application/vnd.openxmlformats-officedocument.presentationml.template",
    ".ppsx": "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
    ".pptm": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    ".potm": "application/vnd.ms-powerpoint.template.macroenabled.12",
    ".ppsm": "application/vnd.ms-powerpoint.slideshow.macroenabled.12",
    ".ppam": "application/vnd.ms-powerpoint.addin.macroenabled.12",
    ".vsdx": "application/vnd.ms-visio.drawing",
    ".vsdm": "application/vnd.ms-visio.drawing.macroenabled",
}
ZIP_TYPES = (
    frozenset({ZIP_TYPE, JAR_TYPE, APK_TYPE, "application/epub+zip"})
    | OPEN_DOCUMENT_TYPES
    | frozenset(OPEN_XML_TYPES.values())
)
OLE_TYPES = frozenset(
    {
        OLE_TYPE,
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-outlook",
        "application/vnd.ms-powerpoint",
        "application/vnd.visio",
        "application/x-msi",
    }
)
PROGRAM_TYPES = frozenset(
    {
        _PE_TYPE,
        _ELF_TYPE,
        _MACH_TYPE,
        _SHELL_TYPE,
        "application/java-vm",
        "application/vnd.android.dex",
        "application/wasm",
        "application/x-dosexec",
        "application/x-ms-shortcut",
        "application/x-php",
        "application/x-powershell",
        "text/javascript",
        "text/x-perl",
        "text/x-python",
        "text/x-ruby",
    }
)
"""What a machine runs and whose first bytes say so."""
ACTIVE_TYPES = frozenset({"application/xhtml+xml", "application/xml", "image/svg+xml", "text/html", "text/xml"})
"""What a browser runs scripts of."""

# What the standard library's own table lacks or says otherwise. The machine's tables (/etc/mime.types and the like) are not
# asked: what a server lets in must not depend on which packages it has.
_EXTENSIONS = mimetypes.MimeTypes().types_map[True] | {
    **OPEN_XML_TYPES,
    ".3gp": "video/3gpp",
    ".3g2": "video/3gpp2",
    ".7z": "application/x-7z-compressed",
    ".a": GENERIC_TYPE,
    ".apk": APK_TYPE,
    ".app": GENERIC_TYPE,
    ".ass": "text/x-ssa",
    ".bash": _SHELL_TYPE,
    ".bat": "application/x-bat",
    ".br": GENERIC_TYPE,
    ".bz2": "application/x-bzip2",
    ".class": "application/java-vm",
    ".cmd": "application/x-bat",
    ".com": "application/x-dosexec",
    ".command": _SHELL_TYPE,
    ".cpl": _PE_TYPE,
    ".desktop": "application/x-desktop",
    ".dex": "application/vnd.android.dex",
    ".dll": _PE_TYPE,
    ".dmg": "application/x-apple-diskimage",
    ".epub": "application/epub+zip",
    ".exe": _PE_TYPE,
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".gz": "application/gzip",
    ".hta": "application/hta",
    ".ics": "text/calendar",
    ".inf": "application/x-setupscript",
    ".iqy": "text/x-ms-iqy",
    ".iso": "application/x-iso9660-image",
    ".jar": JAR_TYPE,
    ".js": "text/javascript",
    ".jse": "text/javascript",
    ".jsonl": "application/jsonl",
    ".ksh": _SHELL_TYPE,
    ".library-ms": "text/xml",
    ".lnk": "application/x-ms-shortcut",
    ".log": TEXT_TYPE,
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".msg": "application/vnd.ms-outlook",
    ".msi": "application/x-msi",
    ".ndjson": "application/x-ndjson",
    ".o": _ELF_TYPE,
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".odb": "application/vnd.oasis.opendocument.base",
    ".odf": "application/vnd.oasis.opendocument.formula",
    ".odg": "application/vnd.oasis.opendocument.graphics",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".otf": "font/otf",
    ".otp": "application/vnd.oasis.opendocument.presentation-template",
    ".ots": "application/vnd.oasis.opendocument.spreadsheet-template",
    ".ott": "application/vnd.oasis.opendocument.text-template",
    ".parquet": "application/vnd.apache.parquet",
    ".php": "application/x-php",
    ".pif": _PE_TYPE,
    ".pl": "text/x-perl",
    ".ps1": "application/x-powershell",
    ".psm1": "application/x-powershell",
    ".psd": "image/vnd.adobe.photoshop",
    ".rar": "application/vnd.rar",
    ".rb": "text/x-ruby",
    ".reg": "text/x-ms-regedit",
    ".rtf": "application/rtf",
    ".scf": "application/x-ms-scf",
    ".scr": _PE_TYPE,
    ".sct": "text/scriptlet",
    ".search-ms": "text/xml",
    ".settingcontent-ms": "text/xml",
    ".sh": _SHELL_TYPE,
    ".slk": "application/x-sylk",
    ".so": _ELF_TYPE,
    ".sql": "application/sql",
    ".sqlite": "application/vnd.sqlite3",
    ".svgz": "application/gzip",
    ".sys": _PE_TYPE,
    ".taz": "application/gzip",
    ".tgz": "application/gzip",
    ".toml": "application/toml",
    ".ttf": "font/ttf",
    ".url": "application/x-mswinurl",
    ".vbe": "text/vbscript",
    ".vbs": "text/vbscript",
    ".vcf": "text/vcard",
    ".vsd": "application/vnd.visio",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".wsf": "text/xml",
    ".xhtml": "application/xhtml+xml",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".z": "application/x-compress",
    ".zsh": _SHELL_TYPE,
    ".zst": "application/zstd",
}

# RFC 6838 section 4.2: two names of at most 127 characters. What is sent as a header later must be nothing else.
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
# What clients send that know nothing of the type.
_GENERIC_TYPES = {
    GENERIC_TYPE,
    "application/x-download",
    "application/x-www-form-urlencoded",
    "binary/octet-stream",
}
_ALIASES = {
    "application/x-gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "video/x-m4v": "video/mp4",
}
# Other names of a type: recorded as they were said, the same when compared.
_SYNONYMS = {
    **_ALIASES,
    "application/acrobat": PDF_TYPE,
    "application/bzip2": "application/x-bzip2",
    "application/csv": "text/csv",
    "application/font-woff": "font/woff",
    "application/javascript": "text/javascript",
    "application/x-bzip": "application/x-bzip2",
    "application/x-csv": "text/csv",
    "application/x-dosexec": _PE_TYPE,
    "application/x-elf": _ELF_TYPE,
    "application/x-javascript": "text/javascript",
    "application/x-matroska": "video/x-matroska",
    "application/x-ms-installer": "application/x-msi",
    "application/x-msdos-program": _PE_TYPE,
    "application/x-msdownload": _PE_TYPE,
    "application/x-pdf": PDF_TYPE,
    "application/x-rar-compressed": "application/vnd.rar",
    "application/x-sh": _SHELL_TYPE,
    "application/x-sharedlib": _ELF_TYPE,
    "application/x-sqlite3": "application/vnd.sqlite3",
    "application/x-yaml": "application/yaml",
    "application/x-zip": ZIP_TYPE,
    "audio/m4a": "audio/mp4",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-m4b": "audio/mp4",
    "image/pjpeg": "image/jpeg",
    "image/x-icon": "image/vnd.microsoft.icon",
    "image/x-png": "image/png",
    "text/comma-separated-values": "text/csv",
    "text/rtf": "application/rtf",
    "text/x-csv": "text/csv",
    "text/x-markdown": "text/markdown",
    "text/x-sh": _SHELL_TYPE,
    "text/x-vcard": "text/vcard",
    "text/x-yaml": "application/yaml",
    "text/xml": XML_TYPE,
    "text/yaml": "application/yaml",
    "video/avi": "video/x-msvideo",
    "video/matroska": "video/x-matroska",
}
# Types of one container whose first bytes do not tell them apart.
_FAMILIES = (
    frozenset({"application/ogg", "audio/ogg", "audio/opus", "video/ogg"}),
    frozenset({"audio/3gpp", "video/3gpp"}),
    frozenset({"audio/3gpp2", "video/3gpp2"}),
    frozenset({"audio/mp4", "video/mp4"}),
    frozenset({"audio/webm", "video/webm"}),
    frozenset({"image/heic", "image/heif"}),
)
# Types that a browser shows and that always begin with a signature: a file that lacks it is not one.
SIGNED_TYPES = frozenset(
    {
        PDF_TYPE,
        "audio/flac",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "video/mp4",
        "video/ogg",
        "video/webm",
    }
)
SHOWN_TYPES = SIGNED_TYPES | {TEXT_TYPE}
"""What a browser may show by itself, once the bytes agree; everything else is offered for saving."""
_TEXT_TYPES = frozenset(
    {
        "application/hta",
        "application/mbox",
        "application/n-quads",
        "application/n-triples",
        "application/sql",
        "application/toml",
        "application/trig",
        "application/vnd.apple.mpegurl",
        "application/x-bat",
        "application/x-csh",
        "application/x-latex",
        "application/x-mswinurl",
        "application/x-php",
        "application/x-powershell",
        "application/x-tcl",
        "application/x-tex",
        "application/yaml",
        "message/rfc822",
    }
)
_JSON_TYPES = frozenset({"application/json", "application/jsonl", "application/x-ndjson"})
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
    b"\x7fELF": _ELF_TYPE,
    b"\xfe\xed\xfa\xce": _MACH_TYPE,
    b"\xfe\xed\xfa\xcf": _MACH_TYPE,
    b"\xce\xfa\xed\xfe": _MACH_TYPE,
    b"\xcf\xfa\xed\xfe": _MACH_TYPE,
    b"\xca\xfe\xba\xbf": _MACH_TYPE,
    b"\0asm": "application/wasm",
    b"dex\n": "application/vnd.android.dex",
    b"L\0\0\0\x01\x14\x02\0": "application/x-ms-shortcut",
}
_BRANDS = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"crx ": "image/x-canon-cr3",
}
ZIP_START = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_OLE_START = bytes.fromhex("d0cf11e0a1b11ae1")


def canonical(media_type: str) -> str:
    """Return the one name under which types are compared: lower-case, without parameters, of synonyms always the same."""
    bare = media_type.split(";")[0].strip().lower()
    return _SYNONYMS.get(bare, bare)


def related(media_type: str) -> frozenset[str]:
    """Return the types, itself included, that share one container with a canonical type and one extension at times."""
    return next((family for family in _FAMILIES if media_type in family), frozenset({media_type}))


def is_text(media_type: str) -> bool:
    """Whether content of a canonical type is text without a mark of its own."""
    if media_type in ACTIVE_TYPES or media_type == "application/rtf":
        return False
    return media_type.startswith("text/") or media_type in _TEXT_TYPES or is_json(media_type)


def is_json(media_type: str) -> bool:
    """Whether a canonical type is JSON, or by its suffix (RFC 6839) built on it."""
    return media_type in _JSON_TYPES or media_type.endswith("+json")


def named_type(name: str) -> str | None:
    """Return the media type that the extension of a name or path promises, or None for an unknown or a generic one."""
    # Windows drops dots and spaces at the end of a name: what is saved from "a.exe. " is a.exe.
    _, dot, extension = name.rpartition("/")[2].rstrip(". ").rpartition(".")
    if not dot:
        return None
    media_type = _EXTENSIONS.get(f".{extension.lower()}", GENERIC_TYPE)
    return None if media_type == GENERIC_TYPE else _ALIASES.get(media_type, media_type)


def declared_type(declared: str | None, name: str) -> str | None:
    """Return the media type that was declared, or None for a generic or unusable one."""
    media_type = (declared or "").split(";")[0].strip().lower()
    if media_type in _GENERIC_TYPES or not _MEDIA_TYPE.fullmatch(media_type):
        return None
    if media_type == "application/vnd.ms-excel" and named_type(name) == "text/csv":
        return "text/csv"  # what browsers make of a .csv on Windows where Excel is installed
    return _ALIASES.get(media_type, media_type)


def effective_type(declared: str | None, name: str) -> str:
    """Return the media type to record: the declared one, or for want of a usable one what the name's extension says."""
    return declared_type(declared, name) or named_type(name) or GENERIC_TYPE


def judge_types(head: bytes, declared: str | None, name: str) -> tuple[str, str | None]:
    """Return the media type to record and the one that the first bytes show, where they show one."""
    content_type = effective_type(declared, name)
    if declared and content_type not in SHOWN_TYPES:
        return content_type, None  # only ever offered for saving, so there is nothing that the bytes could disprove
    detected = detect_type(head, content_type)
    if content_type == GENERIC_TYPE:
        content_type = detected or content_type
    return content_type, detected


def contradicts(declared: str, detected: str | None) -> bool:
    """Whether the bytes show that the declared type is wrong in a way that matters to whoever opens the file."""
    if declared == detected:
        return False
    return declared in SIGNED_TYPES or (detected in ACTIVE_TYPES and declared not in ACTIVE_TYPES)


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
        return next((kind for name, kind in _INTERPRETERS.items() if name in shebang[0]), _SHELL_TYPE)
    if head[:64].lstrip().startswith((b"<?php", b"<?=")):
        return "application/x-php"
    if text is not None:
        return None  # "MZ" may begin a sentence
    if head.startswith(b"\xca\xfe\xba\xbe"):
        # A Java class has its version here, at least 45; a Mach-O of several machines has their number.
        return "application/java-vm" if int.from_bytes(head[4:8]) >= 45 else _MACH_TYPE
    if head[:2] in (b"MZ", b"ZM"):
        start = int.from_bytes(head[0x3C:0x40], "little")
        return _PE_TYPE if head[start : start + 4] == b"PE\0\0" else "application/x-dosexec"
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
    return _media(head, claimed) or _signature(head, text, claimed)


def _media(head: bytes, claimed: str) -> str | None:
    if head[4:8] == b"ftyp":
        brand, others = head[8:12], head[16 : int.from_bytes(head[:4])]
        kind = _BRANDS.get(brand, "video/mp4")
        if kind == "image/heif" and b"avif" in others:
            kind = "image/avif"
        if brand[:3] in (b"hei", b"hev"):
            kind = "image/heic"
        if brand[:2] == b"3g":
            kind = "video/3gpp2" if brand[2:3] == b"2" else "video/3gpp"
    elif head.startswith(b"\x1a\x45\xdf\xa3"):
        kind = "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    elif canonical(claimed) == "audio/mpeg" and int.from_bytes(head[:2]) & 0xFFE6 == 0xFFE2:
        kind = (
            "audio/mpeg"  # a frame of layer III, with which those without tags begin; too few bits to go by unclaimed
        )
    else:
        return None
    return claimed if canonical(claimed) in related(kind) else kind


def _signature(head: bytes, text: str | None, claimed: str) -> str | None:
    if text is not None and head.isascii():
        return None
    try:
        matches = puremagic.magic_string(head)
    except puremagic.PureError:  # nothing matched
        return None
    if text is not None:
        # Signatures that are words ("From:", "ID3", "BM") begin many a text; bytes above ASCII do not stand so by chance.
        matches = [match for match in matches if not match.byte_match.isascii()]
    found = [
        (match.confidence, canonical(match.mime_type)) for match in matches if match.mime_type not in ("", GENERIC_TYPE)
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
