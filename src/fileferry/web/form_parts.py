"""What the headers of one part of a form say of it: the name of its file, in any notation, and how its bytes are coded."""

from __future__ import annotations

import binascii
import re
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

from multipart import MultipartSegment

from fileferry.errors import BadRequest, UnsupportedType
from fileferry.web.requests import refuse_coding

_IDENTITIES = ("", "7bit", "8bit", "binary")
_BLANKS = b" \t\r\n\v\f"
_LONGEST_LINE = 64 * 1024  # RFC 2045 has 76
# Of the names of encodings, which are a client's words, only these are looked up.
_CHARSETS = ("utf-8", "iso-8859-1", "us-ascii", "windows-1252", "iso-8859-15")
_LONGEST_NAME = 4096
# RFC 8187, with the quotes that some put around it, and RFC 2231 with its pieces, as Python's email package writes.
_EXTENDED = re.compile(
    r""";[ \t]*filename\*[ \t]*=[ \t]*("?)([\w.:-]{1,40})'[^'";]{0,40}'([^\s";]{0,4096})\1[ \t]*(?=;|$)""",
    re.IGNORECASE,
)
_PIECE = re.compile(
    r""";[ \t]*filename\*([0-9]{1,2})(\*?)[ \t]*=[ \t]*(?:"([^"]{0,4096})"|([^\s";]{0,4096}))""", re.IGNORECASE
)
_ENCODED_WORDS = re.compile(r"(?:=\?[\w-]{1,40}\?[BbQq]\?[^?\s]{0,4096}\?=[ \t]*)+", re.ASCII)


def file_name_of(part: MultipartSegment) -> str | None:
    """Return the name that a part gives its file, None where it gives none; the part's headers were read as Latin-1.

    ``filename*`` (RFC 8187) wins, as its plain twin may have lost letters; then its pieces (RFC 2231); then the plain one, in
    encoded words (RFC 2047), in UTF-8, or else in Latin-1.
    """
    disposition = str(part.header("content-disposition", ""))
    if (found := _EXTENDED.search(disposition)) and (
        name := _decoded(found[2], unquote_to_bytes(found[3]))
    ) is not None:
        return name
    if (name := _joined(disposition)) is not None:
        return name
    plain: str | None = part.filename
    if plain is None:
        return None
    if len(plain) <= _LONGEST_NAME and _ENCODED_WORDS.fullmatch(plain):
        return _from_words(plain)
    return text_of(plain)


def text_of(field: str) -> str:
    """Return a header's words, which were read as Latin-1, as UTF-8 where they are that."""
    try:
        return field.encode("latin-1").decode()
    except UnicodeError:
        return field


def decoder_of(part: MultipartSegment) -> Decoder:
    """Return what decodes a part's bytes as they come; raises UnsupportedType for what cannot be decoded."""
    refuse_coding("Content-Encoding of the part", part.header("content-encoding"))
    coding = str(part.header("content-transfer-encoding", "")).strip().lower()
    if coding in _IDENTITIES:
        return Decoder()
    if coding == "base64":
        return _Base64()
    if coding == "quoted-printable":
        return _QuotedPrintable()
    raise UnsupportedType(f"Content-Transfer-Encoding can be base64, quoted-printable or binary, not {coding[:40]!r}.")


class Decoder:
    """Takes a part's bytes as they come, and gives them back decoded; this one changes nothing."""

    def decode(self, chunk: bytes) -> bytes:
        """Return what the next bytes stand for, as far as that is known yet; raises BadRequest."""
        return chunk

    def end(self) -> bytes:
        """Return the rest; raises BadRequest where something is missing."""
        return b""


class _Base64(Decoder):
    """RFC 2045 section 6.8: blanks mean nothing."""

    def __init__(self) -> None:
        self._held = b""
        self._is_over = False

    def decode(self, chunk: bytes) -> bytes:
        letters = self._held + chunk.translate(None, _BLANKS)
        if self._is_over and letters:
            raise BadRequest("The file's base64 goes on behind its end.")
        whole = len(letters) // 4 * 4
        self._held = letters[whole:]
        try:
            decoded = binascii.a2b_base64(letters[:whole], strict_mode=True)
        except binascii.Error as error:
            raise BadRequest("The file is not base64, as its Content-Transfer-Encoding says.") from error
        self._is_over = letters[:whole].endswith(b"=")
        return decoded

    def end(self) -> bytes:
        if self._held:
            raise BadRequest("The file's base64 ends within a group of four letters.")
        return b""


class _QuotedPrintable(Decoder):
    """RFC 2045 section 6.7, line by line."""

    def __init__(self) -> None:
        self._held = b""

    def decode(self, chunk: bytes) -> bytes:
        lines = self._held + chunk
        whole = lines.rfind(b"\n") + 1
        self._held = lines[whole:]
        if len(self._held) > _LONGEST_LINE:
            raise BadRequest("A line of quoted-printable has at most 76 characters.")
        return binascii.a2b_qp(lines[:whole])

    def end(self) -> bytes:
        return binascii.a2b_qp(self._held)


def _decoded(charset: str, value: bytes) -> str | None:
    if charset.lower() not in _CHARSETS:
        return None
    try:
        return value.decode(charset)
    except UnicodeDecodeError:
        return None


def _joined(disposition: str) -> str | None:
    """Return a name that comes in numbered pieces, the first of which may name a charset for those that are percent-encoded."""
    pieces = {int(piece[1]): (piece[2], piece[3] or piece[4] or "") for piece in _PIECE.finditer(disposition)}
    if sorted(pieces) != list(range(len(pieces))) or not pieces:
        return None
    charset, value = "utf-8", b""
    for number, (star, text) in sorted(pieces.items()):
        if star and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        value += unquote_to_bytes(text) if star else text.encode("latin-1")
    return _decoded(charset, value)


def _from_words(plain: str) -> str:
    try:
        found = decode_header(plain)
    except (HeaderParseError, ValueError):
        return plain
    name = ""
    for value, charset in found:
        text = value if isinstance(value, str) else _decoded(charset or "us-ascii", value)
        if text is None:
            return plain
        name += text
    return name
