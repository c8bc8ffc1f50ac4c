"""Capability URLs: minting and verifying what lets anyone who holds it fetch one version. They grant nothing by themselves:
state, expiry and rights are looked up again at every use.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from datetime import datetime

from sqlalchemy import Connection

from fileferry.db import bookkeeping
from fileferry.errors import NotFound
from fileferry.model import StoredFile

_SECRET_BYTES = 32
_MAC_BYTES = 16


class Links:
    """Mints with the newest secret, verifies with any. The secret's id is part of every link, so that secrets can rotate."""

    def __init__(self, secrets_by_id: dict[int, bytes]) -> None:
        self._secrets = secrets_by_id
        self._newest = max(secrets_by_id)

    def public_token(self, stored: StoredFile) -> str:
        """Return the token of a version's public URL: 1 byte secret id, 16 bytes version id, 16 bytes MAC, in base64url."""
        version_id = uuid.UUID(stored.version.id).bytes
        mac = self._public_mac(self._newest, stored)
        return base64.urlsafe_b64encode(bytes([self._newest]) + version_id + mac).rstrip(b"=").decode()

    def version_of(self, token: str) -> str:
        """Return the version id inside a public token, not yet verified; raises NotFound when it cannot be one."""
        return str(uuid.UUID(bytes=_decode(token)[1:17]))

    def verify_public(self, token: str, stored: StoredFile) -> None:
        """Return if ``token`` was minted for this version; raises NotFound, the same answer as for no such version."""
        raw = _decode(token)
        if raw[0] not in self._secrets or not hmac.compare_digest(self._public_mac(raw[0], stored), raw[17:]):
            raise NotFound()

    def _public_mac(self, secret_id: int, stored: StoredFile) -> bytes:
        file, version = stored.file, stored.version
        return self._mac(secret_id, "public", file.organization_id, file.id, version.id)

    def _mac(self, secret_id: int, *parts: str) -> bytes:
        # No part contains a newline: they are our own words, UUIDs and numbers.
        message = "\n".join(parts).encode()
        return hmac.new(self._secrets[secret_id], message, hashlib.sha256).digest()[:_MAC_BYTES]


def _decode(token: str) -> bytes:
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotFound() from error
    if len(raw) != 1 + 16 + _MAC_BYTES:
        raise NotFound()
    return raw


def install_signing_secret(conn: Connection, now: datetime) -> None:
    """Make sure that there is a secret to sign with."""
    if not bookkeeping.list_signing_secrets(conn):
        bookkeeping.insert_signing_secret(conn, 1, secrets.token_hex(_SECRET_BYTES), now)


def load(conn: Connection) -> Links:
    """Return the links of this installation's signing secrets."""
    return Links({id: bytes.fromhex(secret) for id, secret in bookkeeping.list_signing_secrets(conn).items()})
