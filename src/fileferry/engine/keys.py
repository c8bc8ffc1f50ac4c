"""API keys: how their secrets look, and creating, finding, rotating and revoking them. Secrets are stored as SHA-256 only."""

from __future__ import annotations

import hashlib
import secrets
import string
import uuid
import zlib
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection

from fileferry.db import keys as stored
from fileferry.db import organizations
from fileferry.db.database import Database
from fileferry.engine import policy
from fileferry.errors import Conflict, InvalidParameter, NotFound, Unauthorized
from fileferry.model import Clock, Key, Organization, Page, Principal, Scope, User, is_uuid, new_id

PREFIX = "ff_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_DIGITS = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_DIGITS = 6  # 62 ** 6 > 2 ** 32
_SHOWN = 9
_ROOT_ID = "00000000-0000-7000-8000-000000000001"


def new_secret() -> str:
    """Return a fresh secret: ``ff_``, 256 random bits and a CRC-32 of them in base 62, so that scanners can tell a real one."""
    body = _base62(secrets.randbits(256), _RANDOM_DIGITS)
    return PREFIX + body + _base62(zlib.crc32(body.encode()), _CHECKSUM_DIGITS)


def is_well_formed(secret: str) -> bool:
    """Whether ``secret`` has the form and checksum of one that ``new_secret`` made."""
    body, checksum = secret[len(PREFIX) : -_CHECKSUM_DIGITS], secret[-_CHECKSUM_DIGITS:]
    if not secret.startswith(PREFIX) or len(body) != _RANDOM_DIGITS:
        return False
    return checksum == _base62(zlib.crc32(body.encode()), _CHECKSUM_DIGITS)


def digest(secret: str) -> str:
    """Return what is stored of a secret: its SHA-256 as hex. 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


class NewUser(msgspec.Struct, frozen=True):
    """Whom a key is to act for. An ``id`` that is known names that user again, and renames it where a name is given."""

    id: str | None = None
    name: str | None = None
    email: str | None = None


class Keys:
    """The keys of all organizations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._default: Organization | None = None  # which organization that is never changes

    async def authenticate(self, secret: str, organization: str | None) -> Principal:
        """Return who acts with ``secret``, in ``organization`` (id or slug) where the caller named one.

        Raises Unauthorized for a secret that opens no living key, NotFound for an organization that the key may not act in.
        """
        found = await self._database.lookup(stored.find_by_digest, digest(secret), self._clock())
        if found is None:
            raise Unauthorized()
        key, owner = found
        if owner is None:
            owner = await self._root_organization(organization)
        elif organization not in (None, owner.id, owner.slug):
            raise NotFound()
        return Principal(key, owner)

    async def create(
        self,
        principal: Principal,
        name: str,
        scopes: tuple[Scope, ...],
        expires_in: timedelta | None,
        user: NewUser | None = None,
    ) -> tuple[Key, str]:
        """Make a key of the principal's organization; return it and its secret, which is not kept and cannot be shown again.

        Raises InvalidParameter without a scope or for a user's id that is no UUID, Conflict for one of another organization.
        """
        policy.authorize(principal, Scope.ADMIN)
        if not scopes:
            raise InvalidParameter(
                "Give the key at least one scope: upload, read, delete or admin.", parameter="scopes"
            )
        now = self._clock()
        secret = new_secret()
        expires_at = None if expires_in is None else now + expires_in
        author = None if user is None else _user(user, principal.organization.id, name, now)
        key = Key(
            id=new_id(now),
            organization_id=principal.organization.id,
            name=name,
            prefix=secret[:_SHOWN],
            scopes=tuple(sorted(set(scopes))),
            created_at=now,
            expires_at=expires_at,
            user_id=None if author is None else author.id,
        )

        def store(conn: Connection) -> None:
            if author is not None:
                _put_user(conn, author)
            stored.insert_key(conn, key)
            stored.insert_secret(conn, key.id, digest(secret))

        await self._database.write(store)
        return key, secret

    async def list(self, principal: Principal, after_id: str, limit: int) -> Page[Key]:
        """Return a page of the organization's keys."""
        policy.authorize(principal, Scope.ADMIN)
        found = await self._database.read(stored.list_keys, principal.organization.id, after_id, limit + 1)
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def get(self, principal: Principal, key_id: str) -> Key:
        """Return one key of the organization; raises NotFound."""
        policy.authorize(principal, Scope.ADMIN)
        key = await self._database.read(stored.find, key_id)
        if key is None or key.organization_id != principal.organization.id:
            raise NotFound("There is no key with this id in the organization.")
        return key

    async def revoke(self, principal: Principal, key_id: str) -> None:
        """End a key at once. Revoking twice is not an error."""
        key = await self.get(principal, key_id)

        def store(conn: Connection) -> None:
            stored.update_key(conn, key.id, revoked_at=key.revoked_at or self._clock())
            stored.delete_secrets(conn, key.id)

        await self._database.write(store)

    async def rotate(self, principal: Principal, key_id: str, grace: timedelta) -> tuple[Key, str]:
        """Give a key a new secret; the present one ends after ``grace``. Raises NotFound for a revoked or unknown key."""
        key = await self.get(principal, key_id)
        if key.revoked_at is not None:
            raise NotFound("The key was revoked; create a new one.")
        secret = new_secret()

        def store(conn: Connection) -> Key:
            stored.end_secrets(conn, key.id, self._clock() + grace)
            stored.insert_secret(conn, key.id, digest(secret))
            stored.update_key(conn, key.id, prefix=secret[:_SHOWN])
            return stored.find(conn, key.id) or key

        return await self._database.write(store), secret

    async def _root_organization(self, id_or_slug: str | None) -> Organization:
        if id_or_slug is None:
            found = self._default or await self._database.lookup(organizations.find_default_organization)
            self._default = found
        else:
            found = await self._database.lookup(organizations.find_organization, id_or_slug)
        if found is None:
            raise NotFound(f"There is no organization {id_or_slug!r}.")
        return found


def install_root_key(conn: Connection, fixed_secret: str | None, now: datetime) -> str | None:
    """Make sure that a root key exists: ``fixed_secret`` where given, else a new one at first start.

    Returns the new secret where one was made; it can be shown only now.
    """
    exists = stored.find(conn, _ROOT_ID) is not None
    if exists and not fixed_secret:
        return None
    secret = fixed_secret or new_secret()
    if exists and stored.opens(conn, _ROOT_ID, digest(secret)):
        return None  # nothing to write: a start must work on a full disk too
    if not exists:
        stored.insert_key(conn, Key(_ROOT_ID, None, "root", secret[:_SHOWN], (Scope.ADMIN,), now))
    stored.delete_secrets(conn, _ROOT_ID)
    stored.insert_secret(conn, _ROOT_ID, digest(secret))
    return None if fixed_secret else secret


def _user(new: NewUser, organization_id: str, key_name: str, now: datetime) -> User:
    if new.id is not None and not is_uuid(new.id):
        raise InvalidParameter("A user's id must be a UUID.", parameter="user")
    id = str(uuid.UUID(new.id)) if new.id else new_id(now)
    return User(id, organization_id, new.name or key_name, new.email)


def _put_user(conn: Connection, user: User) -> None:
    present = organizations.find_user(conn, user.id)
    if present is None:
        organizations.insert_user(conn, user)
        return
    if present.organization_id != user.organization_id:
        raise Conflict("This user's id is taken by another organization.")
    organizations.update_user(conn, user)


def _base62(number: int, digits: int) -> str:
    letters = []
    for _ in range(digits):
        number, remainder = divmod(number, 62)
        letters.append(_ALPHABET[remainder])
    return "".join(reversed(letters))
