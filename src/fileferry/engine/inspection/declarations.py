"""What is promised of a file: by the extension of its name, and by the type that a client declares."""

from __future__ import annotations

import mimetypes
import re

from fileferry.engine.inspection.media_types import (
    ALIASES,
    APK_TYPE,
    ELF_TYPE,
    GENERIC_TYPE,
    JAR_TYPE,
    OPEN_XML_TYPES,
    PE_TYPE,
    SHELL_TYPE,
    TEXT_TYPE,
    bare,
    canonical,
)

# What the standard library's own table lacks or says otherwise. The machine's tables (/etc/mime.types and the like) are not
# asked: what a server lets in must not depend on which packages it has.
_EXTENSIONS = mimetypes.MimeTypes().types_map[True] | {
    **OPEN_XML_TYPES,
    ".3fr": "image/x-hasselblad-3fr",
    ".3gp": "video/3gpp",
    ".3g2": "video/3gpp2",
    ".7z": "application/x-7z-compressed",
    ".a": GENERIC_TYPE,
    ".apk": APK_TYPE,
    ".app": GENERIC_TYPE,
    ".arw": "image/x-sony-arw",
    ".ass": "text/x-ssa",
    ".bash": SHELL_TYPE,
    ".bat": "application/x-bat",
    ".br": GENERIC_TYPE,
    ".bz2": "application/x-bzip2",
    ".class": "application/java-vm",
    ".cmd": "application/x-bat",
    ".com": "application/x-dosexec",
    ".command": SHELL_TYPE,
    ".cpl": PE_TYPE,
    ".cr2": "image/x-canon-cr2",
    ".cr3": "image/x-canon-cr3",
    ".dcr": "image/x-kodak-dcr",
    ".desktop": "application/x-desktop",
    ".dex": "application/vnd.android.dex",
    ".dll": PE_TYPE,
    ".dmg": "application/x-apple-diskimage",
    ".dng": "image/dng",
    ".epub": "application/epub+zip",
    ".exe": PE_TYPE,
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".gz": "application/gzip",
    ".hta": "application/hta",
    ".ics": "text/calendar",
    ".inf": "application/x-setupscript",
    ".iqy": "text/x-ms-iqy",
    ".iso": "application/x-iso9660-image",
    ".jar": JAR_TYPE,
    ".j2c": "image/j2c",
    ".j2k": "image/j2c",
    ".jls": "image/jls",
    ".jp2": "image/jp2",
    ".jpf": "image/jpx",
    ".jpm": "image/jpm",
    ".jpx": "image/jpx",
    ".js": "text/javascript",
    ".jse": "text/javascript",
    ".jsonl": "application/jsonl",
    ".jxl": "image/jxl",
    ".ksh": SHELL_TYPE,
    ".library-ms": "text/xml",
    ".lnk": "application/x-ms-shortcut",
    ".log": TEXT_TYPE,
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".mj2": "video/mj2",
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".msg": "application/vnd.ms-outlook",
    ".msi": "application/x-msi",
    ".ndjson": "application/x-ndjson",
    ".nef": "image/x-nikon-nef",
    ".o": ELF_TYPE,
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".odb": "application/vnd.oasis.opendocument.base",
    ".odf": "application/vnd.oasis.opendocument.formula",
    ".odg": "application/vnd.oasis.opendocument.graphics",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".orf": "image/x-olympus-orf",
    ".otf": "font/otf",
    ".otp": "application/vnd.oasis.opendocument.presentation-template",
    ".ots": "application/vnd.oasis.opendocument.spreadsheet-template",
    ".ott": "application/vnd.oasis.opendocument.text-template",
    ".parquet": "application/vnd.apache.parquet",
    ".pef": "image/x-pentax-pef",
    ".php": "application/x-php",
    ".pif": PE_TYPE,
    ".pl": "text/x-perl",
    ".ps1": "application/x-powershell",
    ".psm1": "application/x-powershell",
    ".psd": "image/vnd.adobe.photoshop",
    ".rar": "application/vnd.rar",
    ".raf": "image/x-fuji-raf",
    ".rb": "text/x-ruby",
    ".reg": "text/x-ms-regedit",
    ".rtf": "application/rtf",
    ".rw2": "image/x-panasonic-rw2",
    ".scf": "application/x-ms-scf",
    ".scr": PE_TYPE,
    ".sct": "text/scriptlet",
    ".search-ms": "text/xml",
    ".settingcontent-ms": "text/xml",
    ".sh": SHELL_TYPE,
    ".slk": "application/x-sylk",
    ".so": ELF_TYPE,
    ".sql": "application/sql",
    ".sqlite": "application/vnd.sqlite3",
    ".srt": "application/x-subrip",
    ".svgz": "application/gzip",
    ".sys": PE_TYPE,
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
    ".zsh": SHELL_TYPE,
    ".zst": "application/zstd",
}

# RFC 6838 section 4.2: two names of at most 127 characters. What is sent as a header later must be nothing else.
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
# RFC 9110 section 5.6.6, in ASCII and without escapes: what is not this is left out.
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_PARAMETER = re.compile(rf"""[ \t]*({_NAME}{{1,64}})=({_NAME}{{1,128}}|"[ !#-\[\]-~]{{0,128}}")[ \t]*""")
_LONGEST = 255

# What clients send that know nothing of the type.
_GENERIC_TYPES = {
    GENERIC_TYPE,
    "application/x-download",
    "application/x-www-form-urlencoded",
    "binary/octet-stream",
}


def named_type(name: str) -> str | None:
    """Return the media type that the extension of a name or path promises, or None for an unknown or a generic one."""
    # Windows drops dots and spaces at the end of a name: what is saved from "a.exe. " is a.exe.
    _, dot, extension = name.rpartition("/")[2].rstrip(". ").rpartition(".")
    if not dot:
        return None
    media_type = _EXTENSIONS.get(f".{extension.lower()}", GENERIC_TYPE)
    return None if media_type == GENERIC_TYPE else ALIASES.get(media_type, media_type)


def declared_type(declared: str | None, name: str) -> str | None:
    """Return the media type that was declared, or None for a generic or unusable one."""
    media_type = bare(declared or "")
    if media_type in _GENERIC_TYPES or not _MEDIA_TYPE.fullmatch(media_type):
        return None
    if media_type == "application/vnd.ms-excel" and named_type(name) == "text/csv":
        return "text/csv"  # what browsers make of a .csv on Windows where Excel is installed
    return ALIASES.get(media_type, media_type)


def effective_type(declared: str | None, name: str) -> str:
    """Return the media type that counts: the declared one, or for want of a usable one what the name's extension says."""
    return declared_type(declared, name) or named_type(name) or GENERIC_TYPE


def parameters_of(declared: str | None, name: str) -> str:
    """Return the parameters of a usable declared type, to be recorded behind it: ``; charset=utf-8``; empty without any."""
    media_type = declared_type(declared, name)
    if declared is None or media_type is None or ";" not in declared:
        return ""
    found: dict[str, str] = {}
    for piece in declared[: 4 * _LONGEST].split(";")[1:]:
        if parameter := _PARAMETER.fullmatch(piece):
            found.setdefault(parameter[1].lower(), parameter[2])
    written = "".join(f"; {name}={value}" for name, value in found.items())
    return written if len(media_type) + len(written) <= _LONGEST else ""


def agreed_type(promised: str | None, stated: str | None) -> str | None:
    """Return what was promised of a file's type; what is stated later where that said nothing, or had no parameters.

    Both are as they were said, as is the answer.
    """
    if declared_type(promised, "") is None:
        return promised if declared_type(stated, "") is None else stated
    if promised is None or parameters_of(promised, "") or is_other_type(promised, stated, ""):
        return promised
    return promised + parameters_of(stated, "")


def is_other_type(promised: str | None, stated: str | None, name: str) -> bool:
    """Whether what is stated of a file is another type than was promised; two names of one type are the same."""
    if declared_type(promised, name) is None or declared_type(stated, name) is None:
        return False
    return canonical(effective_type(promised, name)) != canonical(effective_type(stated, name))
