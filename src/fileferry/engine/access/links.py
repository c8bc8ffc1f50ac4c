"""Capability URLs: minting and verifying what lets anyone who holds it fetch one version. They grant nothing by themselves:
state, expiry and rights are looked up again at every use.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from sqlalchemy import Connection

from fileferry.db import bookkeeping
from fileferry.errors import LinkRefused, NotFound
from fileferry.model import StoredFile, Upload

NOTHING_HERE = "There is nothing at this address."
_SECRET_BYTES = 32
_MAC_BYTES = 16
_SAS_TIME = "%Y-%m-%dT%H:%M:%SZ"
_UPLOAD_RIGHTS = "cw"  # create and write
_DOWNLOAD_RIGHTS = "r"
_DELETED_RIGHTS = "rl"


class Links:
    """Mints with the newest secret, verifies with any. The secret's id is part of every link, so that secrets can rotate."""

    def __init__(self, secrets_by_id: dict[int, bytes]) -> None:
        self._secrets = secrets_by_id
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
        if raw[0] not in self._secrets:
            raise NotFound(NOTHING_HERE)
        file, version = stored.file, stored.version
        expected = self._mac(raw[0], "public", file.organization_id, file.id, version.id)
        if not hmac.compare_digest(expected, raw[17:]):
            raise NotFound(NOTHING_HERE)

    def upload_query(self, upload: Upload, key_id: str, expires_at: datetime) -> dict[str, str]:
        """Return the query of an upload's signed URL, which is good while the key that asked for it is.

        Its names are those of an Azure SAS, which every client leaves alone.
        """
        until = _until(expires_at)
        # The key that made the upload need not be named.
        asker = {} if key_id == upload.key_id else {"skoid": key_id}
        mac = self._upload_mac(self._newest, upload, asker.get("skoid"), _UPLOAD_RIGHTS, until)
        return {"se": until, "sp": _UPLOAD_RIGHTS, **asker, "sig": _encode(bytes([self._newest]) + mac)}

    def verify_upload(self, query: Mapping[str, str], upload: Upload, now: datetime) -> None:
        """Return if the query was made for this upload and its time is not over; raises LinkRefused for any other reason alike."""
        until, secret_id, mac = self._signature(query, now)
        expected = self._upload_mac(secret_id, upload, query.get("skoid"), query.get("sp", ""), until)
        if not hmac.compare_digest(expected, mac):
            raise LinkRefused()

    def download_query(self, stored: StoredFile, key_id: str, expires_at: datetime) -> dict[str, str]:
        """Return the query of a version's signed download URL, which is good while the key that asked for it is."""
        until = _until(expires_at)
        # Who asked for a deleted file may have it; a URL from before the deletion ends with it.
        rights = _DOWNLOAD_RIGHTS if stored.file.deleted_at is None else _DELETED_RIGHTS
        mac = self._download_mac(self._newest, stored, key_id, rights, until)
        return {
            "se": until,
            "sp": rights,
            "skoid": key_id,
            "sig": _encode(bytes([self._newest]) + mac),
        }

    def verify_download(self, query: Mapping[str, str], stored: StoredFile, now: datetime) -> bool:
        """Return whether the query is for a deleted file too, if it was made for this version and its time is not over.

        Raises LinkRefused otherwise.
        """
        until, secret_id, mac = self._signature(query, now)
        rights = (query.get("skoid", ""), query.get("sp", ""))
        if not hmac.compare_digest(self._download_mac(secret_id, stored, *rights, until), mac):
            raise LinkRefused()
        return query["sp"] == _DELETED_RIGHTS

    def _signature(self, query: Mapping[str, str], now: datetime) -> tuple[str, int, bytes]:
        """Return until when a signed query is good, which secret signed it, and its MAC; raises LinkRefused."""
        try:
            until = query["se"]
            raw = _decode(query["sig"])
            ends = datetime.strptime(until, _SAS_TIME).replace(tzinfo=UTC)
        except (KeyError, ValueError) as error:
            raise LinkRefused() from error
        if len(raw) != 1 + _MAC_BYTES or raw[0] not in self._secrets or ends <= now:
            raise LinkRefused()
        return until, raw[0], raw[1:]

    def _download_mac(self, secret_id: int, stored: StoredFile, key_id: str, rights: str, until: str) -> bytes:
        ids = (stored.file.organization_id, stored.file.id, stored.version.id)
        # The key's id comes from the query: a newline in it must not move the borders between the parts.
        return self._mac(secret_id, "download", *ids, quote(key_id, safe=""), quote(rights, safe=""), until)

    def _upload_mac(self, secret_id: int, upload: Upload, key_id: str | None, rights: str, until: str) -> bytes:
        ids = (upload.organization_id, upload.file_id, upload.version_id, upload.id)
        asker = () if key_id is None else (quote(key_id, safe=""),)
        return self._mac(secret_id, "upload", *ids, *asker, rights, until)

    def _mac(self, secret_id: int, *parts: str) -> bytes:
        # No part contains a newline: they are our own words, UUIDs and numbers.
        message = "\n".join(parts).encode()
        return hmac.digest(self._secrets[secret_id], message, "sha256")[:_MAC_BYTES]


def _until(expires_at: datetime) -> str:
    """Return the first whole second from then on: a URL never ends before the time that was said of it."""
    rest = timedelta(microseconds=-expires_at.microsecond % 1_000_000)
    return (expires_at + rest).astimezone(UTC).strftime(_SAS_TIME)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


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
