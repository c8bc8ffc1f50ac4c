"""Media types by their names: which there are, which are the same, which show their content and which are dangerous.

It looks at no byte; that is for ``signatures``.
"""

from __future__ import annotations

from collections.abc import Mapping

GENERIC_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain"
PDF_TYPE = "application/pdf"
ZIP_TYPE = "application/zip"
XML_TYPE = "application/xml"
OLE_TYPE = "application/x-ole-storage"
JAR_TYPE = "application/java-archive"
APK_TYPE = "application/vnd.android.package-archive"
PE_TYPE = "application/vnd.microsoft.portable-executable"
ELF_TYPE = "application/x-executable"
MACH_TYPE = "application/x-mach-binary"
SHELL_TYPE = "text/x-shellscript"

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
        PE_TYPE,
        ELF_TYPE,
        MACH_TYPE,
        SHELL_TYPE,
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

# Other names of a type: recorded by the usual one, and the same when compared.
ALIASES = {
    "application/x-gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "video/x-m4v": "video/mp4",
}

# Further names: recorded as they were said, and the same when compared.
_SYNONYMS = {
    **ALIASES,
    "application/acrobat": PDF_TYPE,
    "application/bzip2": "application/x-bzip2",
    "application/csv": "text/csv",
    "application/ecmascript": "text/javascript",
    "application/font-sfnt": "font/sfnt",
    "application/font-woff": "font/woff",
    "application/font-woff2": "font/woff2",
    "application/ico": "image/vnd.microsoft.icon",
    "application/javascript": "text/javascript",
    "application/json-lines": "application/jsonl",
    "application/jsonlines": "application/jsonl",
    "application/ndjson": "application/jsonl",
    "application/srt": "application/x-subrip",
    "application/tar": "application/x-tar",
    "application/vnd.geo+json": "application/geo+json",
    "application/vnd.parquet": "application/vnd.apache.parquet",
    "application/vnd.yaml": "application/yaml",
    "application/x-7zip": "application/x-7z-compressed",
    "application/x-bzip": "application/x-bzip2",
    "application/x-csv": "text/csv",
    "application/x-dosexec": PE_TYPE,
    "application/x-elf": ELF_TYPE,
    "application/x-font-otf": "font/otf",
    "application/x-font-ttf": "font/ttf",
    "application/x-font-woff": "font/woff",
    "application/x-gunzip": "application/gzip",
    "application/x-gtar": "application/x-tar",
    "application/x-javascript": "text/javascript",
    "application/x-json": "application/json",
    "application/x-jsonlines": "application/jsonl",
    "application/x-matroska": "video/x-matroska",
    "application/x-mpegurl": "application/vnd.apple.mpegurl",
    "application/x-ms-installer": "application/x-msi",
    "application/x-msdos-program": PE_TYPE,
    "application/x-msdownload": PE_TYPE,
    "application/x-ndjson": "application/jsonl",
    "application/x-parquet": "application/vnd.apache.parquet",
    "application/x-pdf": PDF_TYPE,
    "application/x-rar": "application/vnd.rar",
    "application/x-rar-compressed": "application/vnd.rar",
    "application/x-sh": SHELL_TYPE,
    "application/x-sharedlib": ELF_TYPE,
    "application/x-rtf": "application/rtf",
    "application/x-sqlite3": "application/vnd.sqlite3",
    "application/x-srt": "application/x-subrip",
    "application/x-toml": "application/toml",
    "application/x-xml": XML_TYPE,
    "application/x-yaml": "application/yaml",
    "application/x-zip": ZIP_TYPE,
    "application/x-zstd": "application/zstd",
    "application/zip-compressed": ZIP_TYPE,
    "audio/aacp": "audio/aac",
    "audio/aiff": "audio/x-aiff",
    "audio/m4a": "audio/mp4",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-aac": "audio/aac",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-m4b": "audio/mp4",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/x-ogg": "audio/ogg",
    "audio/x-pn-wav": "audio/wav",
    "font/x-woff": "font/woff",
    "image/ico": "image/vnd.microsoft.icon",
    "image/jpeg2000": "image/jp2",
    "image/jpeg2000-image": "image/jp2",
    "image/pjpeg": "image/jpeg",
    "image/tif": "image/tiff",
    "image/x-adobe-dng": "image/dng",
    "image/x-avif": "image/avif",
    "image/x-bmp": "image/bmp",
    "image/x-icon": "image/vnd.microsoft.icon",
    "image/x-jpeg2000-image": "image/jp2",
    "image/x-jxl": "image/jxl",
    "image/x-panasonic-raw2": "image/x-panasonic-rw2",
    "image/x-photoshop": "image/vnd.adobe.photoshop",
    "image/x-png": "image/png",
    "image/x-tiff": "image/tiff",
    "image/x-webp": "image/webp",
    "text/comma-separated-values": "text/csv",
    "text/ecmascript": "text/javascript",
    "text/json": "application/json",
    "text/ndjson": "application/jsonl",
    "text/rtf": "application/rtf",
    "text/srt": "application/x-subrip",
    "text/x-csv": "text/csv",
    "text/x-javascript": "text/javascript",
    "text/x-json": "application/json",
    "text/x-markdown": "text/markdown",
    "text/x-ndjson": "application/jsonl",
    "text/x-sh": SHELL_TYPE,
    "text/x-srt": "application/x-subrip",
    "text/x-vcalendar": "text/calendar",
    "text/x-vcard": "text/vcard",
    "text/x-yaml": "application/yaml",
    "text/xml": XML_TYPE,
    "text/yaml": "application/yaml",
    "video/avi": "video/x-msvideo",
    "video/matroska": "video/x-matroska",
    "video/msvideo": "video/x-msvideo",
    "video/vnd.avi": "video/x-msvideo",
    "video/x-mp4": "video/mp4",
    "video/x-quicktime": "video/quicktime",
}

# Types of one container whose first bytes do not tell them apart.
_FAMILIES = (
    frozenset({"application/ogg", "audio/ogg", "audio/opus", "video/ogg"}),
    frozenset({"audio/3gpp", "video/3gpp"}),
    frozenset({"audio/3gpp2", "video/3gpp2"}),
    frozenset({"audio/mp4", "video/mp4"}),
    frozenset({"audio/webm", "video/webm"}),
    frozenset({"image/heic", "image/heif"}),
    frozenset({"image/jp2", "image/jpx"}),
    frozenset(
        {
            "image/tiff",
            "image/dng",
            "image/x-hasselblad-3fr",
            "image/x-kodak-dcr",
            "image/x-nikon-nef",
            "image/x-pentax-pef",
            "image/x-sony-arw",
        }
    ),
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
        "application/x-subrip",
        "application/x-tcl",
        "application/x-tex",
        "application/yaml",
        "message/rfc822",
    }
)

_JSON_TYPES = frozenset({"application/json", "application/jsonl"})


def bare(media_type: str) -> str:
    """Return a media type in lower case without its parameters."""
    return media_type.partition(";")[0].strip().lower()


def canonical(media_type: str) -> str:
    """Return the one name under which types are compared: lower-case, without parameters, of synonyms always the same."""
    name = bare(media_type)
    return _SYNONYMS.get(name, name)


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


def contradicts(declared: str, detected: str | None) -> bool:
    """Whether the bytes show that the declared type is wrong in a way that matters to whoever opens the file."""
    if declared == detected:
        return False
    return declared in SIGNED_TYPES or (detected in ACTIVE_TYPES and declared not in ACTIVE_TYPES)
