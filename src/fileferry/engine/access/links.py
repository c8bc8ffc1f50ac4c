"""Capability URLs: minting and verifying what lets anyone who holds it fetch one version. They grant nothing by themselves:
state, expiry and rights are looked up again at every use.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import msgspec
from sqlalchemy import Connection

from fileferry.db import bookkeeping
from fileferry.errors import LinkRefused, NotFound
from fileferry.model import Principal, StoredFile, Upload

NOTHING_HERE = "There is nothing at this address."
_SECRET_BYTES = 32
_MAC_BYTES = 16
_SAS_TIME = "%Y-%m-%dT%H:%M:%SZ"
_UPLOAD_RIGHTS = "cw"  # create and write
_SESSION_RIGHTS = "cwa"  # and append, for as long as what was begun goes on
_PART_RIGHTS = "w"  # write the one part that is named
_DOWNLOAD_RIGHTS = "r"
_DELETED_RIGHTS = "rl"
_SIGNED = ("se", "sp", "skoid", "sig")
# What tells protocols which operation is meant, and on what.
_DECISIVE = (*_SIGNED, "uploadId", "partNumber", "comp", "blockid")
_IN_LOWER_CASE = {name.lower(): name for name in (*_SIGNED, "uploadId", "partNumber")}


class Right(msgspec.Struct, frozen=True):
    """By what right a signed URL is asked for: a key, and the digest of the secret that it was shown with.

    ``secret`` is empty for URLs of a former version, which are bound to no secret; what is exchanged for one is not, either.
    """

    key_id: str
    secret: str

    @classmethod
    def of(cls, principal: Principal) -> Right:
        """Return the right of who shows a key."""
        return cls(principal.key.id, principal.secret or "")


class Grant(msgspec.Struct, frozen=True):
    """What a verified upload URL grants: until when, by what right, and whether it is the URL of a session that was begun.

    Or it is for one part: then for the one that its query names, and for nothing else.
    """

    right: Right
    ends_at: datetime
    is_session: bool
    is_part: bool


def words(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a query by name; raises LinkRefused for a name that decides anything and comes twice, or in another case.

    Whoever reads the query after us must not find another value than the one that was verified.
    """
    found: dict[str, str] = {}
    for name, value in query:
        is_twice = name in found and name in _DECISIVE
        is_other_case = _IN_LOWER_CASE.get(name.lower(), name) != name
        if is_twice or is_other_case:
            raise LinkRefused()
        found[name] = value
    return found


class Links:
    """Mints with the newest secret, verifies with any. The secret's id is part of every link, so that secrets can rotate."""

    def __init__(self, secrets_by_id: dict[int, bytes]) -> None:
        self._macs = {id: hmac.new(secret, digestmod="sha256") for id, secret in secrets_by_id.items()}
        self._newest = max(secrets_by_id)

    def public_token(self, organization_id: str, file_id: str, version_id: str) -> str:
        """Return the token of a version's public URL: 1 byte secret id, 16 bytes version id, 16 bytes MAC, in base64url."""
        mac = self._mac(self._newest, "public", organization_id, file_id, version_id)
        return _encode(bytes([self._newest]) + uuid.UUID(version_id).bytes + mac)

    def version_of(self, token: str) -> str:
        """Return the version id inside a public token, not yet verified; raises NotFound when it cannot be one."""
        return str(uuid.UUID(bytes=_decode_token(token)[1:17]))

    def verify_public(self, token: str, stored: StoredFile) -> None:
        """Return if ``token`` was minted for this version; raises NotFound, the same answer as for no such version."""
        raw = _decode_token(token)
        if raw[0] not in self._macs:
            raise NotFound(NOTHING_HERE)
        file, version = stored.file, stored.version
        expected = self._mac(raw[0], "public", file.organization_id, file.id, version.id)
        if not hmac.compare_digest(expected, raw[17:]):
            raise NotFound(NOTHING_HERE)

    def upload_query(
        self, upload: Upload, right: Right, expires_at: datetime, *, is_session: bool = False
    ) -> dict[str, str]:
        """Return the query of an upload's signed URL, which is good while the secret of the key that asked for it is.

        Its names are those of an Azure SAS, which every client leaves alone.
        """
        until = _until(expires_at)
        rights = _SESSION_RIGHTS if is_session else _UPLOAD_RIGHTS
        # The key that made the upload need not be named.
        asker = {} if right.key_id == upload.key_id else {"skoid": right.key_id}
        mac = self._upload_mac(self._newest, upload, asker.get("skoid", ""), right.secret, rights, until)
        return {"se": until, "sp": rights, **asker, "sig": _encode(bytes([self._newest]) + mac)}

    def part_queries(
        self, upload: Upload, right: Right, expires_at: datetime, numbers: Iterable[int]
    ) -> Iterator[tuple[int, str]]:
        """Yield each part's number with the query of a signed URL that takes this part and no other, as ``upload_query`` does.

        Percent-encoded: there may be thousands.
        """
        until, upload_id = _until(expires_at), upload.multipart_name
        asker = {} if right.key_id == upload.key_id else {"skoid": right.key_id}
        common = urlencode({"uploadId": upload_id, "se": until, "sp": _PART_RIGHTS, **asker})
        signed = (asker.get("skoid", ""), right.secret, _PART_RIGHTS, until, upload_id)
        for number in numbers:
            mac = self._upload_mac(self._newest, upload, *signed, str(number))
            yield number, f"{common}&partNumber={number}&sig={_encode(bytes([self._newest]) + mac)}"

    def verify_upload(self, query: Mapping[str, str], upload: Upload, secrets: Sequence[str], now: datetime) -> Grant:
        """Return what the query grants, if it was made for this upload and its time is not over.

        ``secrets`` are the digests of the living secrets of the key that ``asker`` tells of. Raises LinkRefused.
        """
        until, secret_id, mac = self._signature(query, now)
        rights, named = query.get("sp", ""), query.get("skoid", "")
        if rights not in (_UPLOAD_RIGHTS, _SESSION_RIGHTS, _PART_RIGHTS) or ("skoid" in query and not _is_id(named)):
            raise LinkRefused()
        is_part = rights == _PART_RIGHTS
        part = (query.get("uploadId", ""), query.get("partNumber", "")) if is_part else ()
        secret = next(
            (
                secret
                for secret in (*secrets, "")
                if hmac.compare_digest(self._upload_mac(secret_id, upload, named, secret, rights, until, *part), mac)
            ),
            None,
        )
        if secret is None:
            # A URL of a former version, good until it ends. Its text has one reading, as rights and id have one form each.
            former = self._former_upload_mac(secret_id, upload, query.get("skoid"), until)
            if rights != _UPLOAD_RIGHTS or not hmac.compare_digest(former, mac):
                raise LinkRefused()
        right = Right(asker(query, upload), secret or "")
        return Grant(right, _time(until), rights == _SESSION_RIGHTS, is_part)

    def download_query(self, stored: StoredFile, right: Right, expires_at: datetime) -> dict[str, str]:
        """Return the query of a version's signed download URL, which is good while the secret of the key that asked for it is."""
        until = _until(expires_at)
        # Who asked for a deleted file may have it; a URL from before the deletion ends with it.
        rights = _DOWNLOAD_RIGHTS if stored.file.deleted_at is None else _DELETED_RIGHTS
        mac = self._download_mac(self._newest, stored, right.key_id, right.secret, rights, until)
        return {
            "se": until,
            "sp": rights,
            "skoid": right.key_id,
            "sig": _encode(bytes([self._newest]) + mac),
        }

    def unlocked(self, link_id: str, passphrase: str, ends_at: datetime) -> str:
        """Return what shows, until ``ends_at``, that somebody knew the passphrase of a link; ``passphrase`` is its digest."""
        until = _until(ends_at)
        mac = self._sign(self._newest, _text("unlocked", link_id, passphrase, until))
        return f"{_encode(bytes([self._newest]) + mac)}.{until}"

    def is_unlocked(self, shown: str, link_id: str, passphrase: str, now: datetime) -> bool:
        """Whether ``shown`` is what ``unlocked`` made for this link and passphrase, and its time is not over."""
        signature, _, until = shown.partition(".")
        try:
            until, secret_id, mac = self._signature({"se": until, "sig": signature}, now)
        except LinkRefused:
            return False
        expected = self._sign(secret_id, _text("unlocked", link_id, passphrase, until))
        return hmac.compare_digest(expected, mac)

    def seal(self, purpose: str, text: str) -> str:
        """Return what shows that this server has given out a text for a purpose."""
        return _encode(bytes([self._newest]) + self._mac(self._newest, purpose, text))

    def is_sealed(self, purpose: str, text: str, shown: str) -> bool:
        """Whether ``seal`` has made what is shown with a text."""
        try:
            raw = _decode(shown)
        except ValueError:
            return False
        is_known = len(raw) == 1 + _MAC_BYTES and raw[0] in self._macs
        return is_known and hmac.compare_digest(self._mac(raw[0], purpose, text), raw[1:])

    def verify_download(
        self, query: Mapping[str, str], stored: StoredFile, secrets: Sequence[str], now: datetime
    ) -> bool:
        """Return whether the query is for a deleted file too, if it was made for this version and its time is not over.

        ``secrets`` are the digests of the living secrets of the key that it names. Raises LinkRefused otherwise.
        """
        until, secret_id, mac = self._signature(query, now)
        rights, key_id = query.get("sp", ""), query.get("skoid", "")
        if rights not in (_DOWNLOAD_RIGHTS, _DELETED_RIGHTS) or not _is_id(key_id):
            raise LinkRefused()
        expected = [
            *(self._download_mac(secret_id, stored, key_id, secret, rights, until) for secret in (*secrets, "")),
            self._former_download_mac(secret_id, stored, key_id, rights, until),
        ]
        if not any(hmac.compare_digest(one, mac) for one in expected):
            raise LinkRefused()
        return rights == _DELETED_RIGHTS

    def _signature(self, query: Mapping[str, str], now: datetime) -> tuple[str, int, bytes]:
        """Return until when a signed query is good, which secret signed it, and its MAC; raises LinkRefused."""
        try:
            until = query["se"]
            raw = _decode(query["sig"])
            ends = _time(until)
        except (KeyError, ValueError) as error:
            raise LinkRefused() from error
        if len(raw) != 1 + _MAC_BYTES or raw[0] not in self._macs or ends <= now:
            raise LinkRefused()
        return until, raw[0], raw[1:]

    def _upload_mac(
        self, secret_id: int, upload: Upload, named: str, secret: str, rights: str, until: str, *part: str
    ) -> bytes:
        ids = (upload.organization_id, upload.file_id, upload.version_id, upload.id)
        return self._sign(secret_id, _text("upload", *ids, named, secret, rights, until, *part))

    def _download_mac(
        self, secret_id: int, stored: StoredFile, key_id: str, secret: str, rights: str, until: str
    ) -> bytes:
        ids = (stored.file.organization_id, stored.file.id, stored.version.id)
        return self._sign(secret_id, _text("download", *ids, key_id, secret, rights, until))

    def _former_download_mac(self, secret_id: int, stored: StoredFile, key_id: str, rights: str, until: str) -> bytes:
        ids = (stored.file.organization_id, stored.file.id, stored.version.id)
        return self._mac(secret_id, "download", *ids, quote(key_id, safe=""), quote(rights, safe=""), until)

    def _former_upload_mac(self, secret_id: int, upload: Upload, key_id: str | None, until: str) -> bytes:
        ids = (upload.organization_id, upload.file_id, upload.version_id, upload.id)
        named = () if key_id is None else (quote(key_id, safe=""),)
        return self._mac(secret_id, "upload", *ids, *named, _UPLOAD_RIGHTS, until)

    def _mac(self, secret_id: int, *parts: str) -> bytes:
        # For parts of one form each, as our own words and UUIDs are; others could move the borders between them.
        return self._sign(secret_id, "\n".join(parts).encode())

    def _sign(self, secret_id: int, message: bytes) -> bytes:
        # A copy of one that has the secret already: hmac.digest prepares it anew each time, and lets other threads in between.
        mac = self._macs[secret_id].copy()
        mac.update(message)
        return mac.digest()[:_MAC_BYTES]


def public_path(token: str, name: str) -> str:
    """Return the path of a public URL: the name is for those who save the file, and decides nothing."""
    return f"/f/{token}/{quote(name, safe='')}"


def asker(query: Mapping[str, str], upload: Upload) -> str:
    """Return the id of the key that a signed URL was asked for with, as its query tells; not yet verified."""
    return query.get("skoid", upload.key_id)


def _is_id(text: str) -> bool:
    """Whether a text is a UUID in the one spelling that we give them."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _text(*parts: str) -> bytes:
    """Return what is signed: every part with its length before it, so that no border can be moved."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4) + part for part in encoded)


def _time(until: str) -> datetime:
    if not until.endswith("Z"):
        raise ValueError(until)
    return datetime.fromisoformat(until)  # several spellings of a time, of which one is signed


def _until(expires_at: datetime) -> str:
    """Return the first whole second from then on: a URL never ends before the time that was said of it."""
    rest = timedelta(microseconds=-expires_at.microsecond % 1_000_000)
    return (expires_at + rest).astimezone(UTC).strftime(_SAS_TIME)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Return the bytes of a text in the one spelling that we mint; raises ValueError, also for another of the same bytes."""
    raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(raw) != text:
        raise ValueError(text)
    return raw


def _decode_token(token: str) -> bytes:
    try:
        raw = _decode(token)
    except ValueError as error:
        raise NotFound(NOTHING_HERE) from error
    if len(raw) != 1 + 16 + _MAC_BYTES:
        raise NotFound(NOTHING_HERE)
    return raw


def install_signing_secret(conn: Connection, now: datetime) -> None:
    """Make sure that there is a secret to sign with."""
    if not bookkeeping.list_signing_secrets(conn):
        bookkeeping.insert_signing_secret(conn, 1, secrets.token_hex(_SECRET_BYTES), now)


def load(conn: Connection) -> Links:
    """Return the links of this installation's signing secrets."""
    return Links({id: bytes.fromhex(secret) for id, secret in bookkeeping.list_signing_secrets(conn).items()})
