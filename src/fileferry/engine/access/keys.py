"""API keys: how their secrets look, and creating, finding, rotating and revoking them. Secrets are stored as SHA-256 only."""

from __future__ import annotations

import hashlib
import secrets
import string
import uuid
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from fileferry.db import keys as stored
from fileferry.db import organizations, usage
from fileferry.db.database import Database
from fileferry.db.usage import Usage
from fileferry.engine.access import audit, limits, policy, quotas
from fileferry.errors import Conflict, Forbidden, InvalidExpiry, InvalidParameter, NotFound, Unauthorized
from fileferry.model import (
    NO_LIMITS,
    Clock,
    Key,
    Limits,
    Page,
    Principal,
    Scope,
    User,
    clean_path,
    is_uuid,
    new_id,
)

PREFIX = "ff_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_DIGITS = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_DIGITS = 6  # 62 ** 6 > 2 ** 32
_SHOWN = 9
_LONGEST_END_USER = 255
_MOST_END_USERS = 1000
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
    """Whom a key is to act for. An ``id`` that the organization knows names that user again, and renames it."""

    id: str | None = None
    name: str | None = None
    email: str | None = None


class KeyBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What confines a key; UNSET leaves a thing as it is. ``limits`` holds those to be set, or to be lifted by None.

    ``path_prefix`` is the folder that the key is confined to, ``on_behalf_of`` the end users that it may act for (``*``: any); None
    lifts them.
    """

    limits: Mapping[str, Any] = {}
    path_prefix: str | msgspec.UnsetType | None = msgspec.UNSET
    on_behalf_of: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET

    def values(self, before: Limits) -> dict[str, Any]:
        """Return the fields of a key that these are; raises InvalidParameter, and InvalidName for the folder."""
        found: dict[str, Any] = {"limits": limits.changed(before, self.limits, parameter="limits")}
        if self.path_prefix is not msgspec.UNSET:
            found["path_prefix"] = None if self.path_prefix is None else clean_path(self.path_prefix.strip("/"))
        if self.on_behalf_of is not msgspec.UNSET:
            found["on_behalf_of"] = None if self.on_behalf_of is None else _end_users(self.on_behalf_of)
        return found


class Keys:
    """The keys of all organizations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def authenticate(self, secret: str, organization: str | None, end_user: str | None = None) -> Principal:
        """Return who acts with ``secret``, in ``organization`` (id or slug) and for ``end_user`` where the caller named them.

        Raises Unauthorized for a secret that opens no living key, NotFound for an organization that the key may not act in, and
        Forbidden for an end user, or nobody, that it may not act for.
        """
        now, shown = self._clock(), digest(secret)
        found = await self._database.lookup(stored.find_by_digest, shown, now)
        if found is None:
            raise Unauthorized()
        key, owner = found
        if key.organization_id is None and organization is not None:
            owner = await self._database.lookup(organizations.find_organization, organization)
        if owner is None:
            raise NotFound(f"There is no organization {organization!r}.")
        if organization not in (None, owner.id, owner.slug):
            raise NotFound()
        if not policy.may_act_for(key, end_user):
            raise Forbidden("This API key acts for end users: name one that it may act for, in the header user-id.")
        return Principal(key, owner, end_user, now, shown)

    async def renew(self, principal: Principal) -> Principal:
        """Return the principal with the rights and limits that it has by now; raises Unauthorized or Forbidden for one without."""
        return await self._database.lookup(renewed, principal, self._clock())

    async def refuse_changed(self, principal: Principal) -> None:
        """Return if a principal's rights and limits are those that its request began with; raises Unauthorized, Forbidden.

        For words that came slowly, and are to be acted upon by those rights.
        """
        if not policy.has_lapsed(principal.judged_at, self._clock()):
            return
        if _rights(await self.renew(principal)) != _rights(principal):
            raise Unauthorized("The API key was changed while this request came: send it again.")

    async def create(
        self,
        principal: Principal,
        name: str,
        scopes: tuple[Scope, ...],
        expires_in: timedelta | None,
        user: NewUser | None = None,
        bounds: KeyBounds | None = None,
    ) -> tuple[Key, str]:
        """Make a key of the principal's organization; return it and its secret, which is not kept and cannot be shown again.

        It ends with the key that makes it, or before; InvalidExpiry for a later end. Raises InvalidParameter without a scope, for a
        user's id that is no UUID and for bounds that cannot be.
        """
        _authorize_keys(principal)
        _refuse_scopes(scopes)
        bounds = bounds or KeyBounds()
        now = self._clock()
        secret = new_secret()
        expires_at = _end_of(principal.key, None if expires_in is None else now + expires_in)
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
            **bounds.values(NO_LIMITS),
        )

        def store(conn: Connection) -> None:
            if author is not None:
                organizations.put_user(conn, author)
            stored.insert_key(conn, key)
            stored.insert_secret(conn, key.id, digest(secret))
            quotas.renew(conn, usage.of_key(key.id), NO_LIMITS, key.limits)
            self._record(conn, "key.created", key)

        await self._database.grow(store)
        return key, secret

    async def put_secret(self, principal: Principal, key_id: str, secret: str) -> None:
        """Let this secret open a key, and no other; nothing is written where that is so already.

        Raises InvalidParameter for what is no secret, NotFound, and Conflict where it opens another key.
        """
        _authorize_keys(principal)
        if not is_well_formed(secret):
            raise InvalidParameter(
                "The secret is none that new_secret made: ff_ and 49 letters and digits.", parameter="secret"
            )
        key = await self.get(principal, key_id)
        if await self._database.read(stored.opens, key.id, digest(secret)):
            return

        def store(conn: Connection) -> None:
            stored.delete_secrets(conn, key.id)
            stored.insert_secret(conn, key.id, digest(secret))
            stored.update_key(conn, key.id, prefix=secret[:_SHOWN])
            self._record(conn, "key.rotated", key)

        try:
            await self._database.grow(store)
        except IntegrityError as error:
            raise Conflict("This secret opens another key.") from error

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

    async def change(
        self,
        principal: Principal,
        key_id: str,
        bounds: KeyBounds,
        *,
        name: str | None = None,
        scopes: tuple[Scope, ...] | None = None,
    ) -> Key:
        """Change what a key may do, which counts from its next request on; links that it made are judged by it too.

        Raises NotFound for a revoked or unknown key, and InvalidParameter.
        """
        _authorize_keys(principal)
        if scopes is not None:
            _refuse_scopes(scopes)

        def store(conn: Connection) -> Key:
            before = stored.find(conn, key_id)
            if before is None or before.organization_id != principal.organization.id or before.revoked_at is not None:
                raise NotFound("There is no living key with this id in the organization.")
            _refuse_outliving(principal, before)
            values = bounds.values(before.limits)
            if name is not None:
                values["name"] = name
            if scopes is not None:
                values["scopes"] = tuple(sorted(set(scopes)))
            after = msgspec.structs.replace(before, **values)
            stored.change_key(conn, after)
            quotas.renew(conn, usage.of_key(key_id), before.limits, after.limits)
            self._record(conn, "key.changed", after)
            return after

        return await self._database.free(store)

    async def kept(self, key: Key) -> Usage | None:
        """Return what was uploaded with a key and is kept, where its limits say anything of that."""
        if not quotas.has_quota(key.limits):
            return None
        return await self._database.read(quotas.kept, usage.of_key(key.id), key.limits)

    async def revoke(self, principal: Principal, key_id: str) -> None:
        """End a key at once. Revoking twice is not an error."""
        _authorize_keys(principal)
        key = await self.get(principal, key_id)

        def store(conn: Connection) -> None:
            stored.update_key(conn, key.id, revoked_at=key.revoked_at or self._clock())
            stored.delete_secrets(conn, key.id)
            if key.revoked_at is None:
                self._record(conn, "key.revoked", key)

        await self._database.free(store)

    async def rotate(self, principal: Principal, key_id: str, grace: timedelta) -> tuple[Key, str]:
        """Give a key a new secret; the present one ends after ``grace``. Raises NotFound for a revoked or unknown key."""
        _authorize_keys(principal)
        key = await self.get(principal, key_id)
        if key.revoked_at is not None:
            raise NotFound("The key was revoked; create a new one.")
        _refuse_outliving(principal, key)
        secret = new_secret()

        def store(conn: Connection) -> Key:
            stored.end_secrets(conn, key.id, self._clock() + grace)
            stored.insert_secret(conn, key.id, digest(secret))
            stored.update_key(conn, key.id, prefix=secret[:_SHOWN])
            self._record(conn, "key.rotated", key)
            return stored.find(conn, key.id) or key

        return await self._database.free(store), secret

    def _record(self, conn: Connection, type: str, key: Key) -> None:
        if key.organization_id is not None:
            limits_set = msgspec.to_builtins(key.limits)
            confined = {"path_prefix": key.path_prefix, "on_behalf_of": key.on_behalf_of, "limits": limits_set}
            said = {"name": key.name, "prefix": key.prefix, "scopes": key.scopes, **confined}
            audit.record(conn, type, key.organization_id, key.id, self._clock(), **said)


def _authorize_keys(principal: Principal) -> None:
    """Raise Forbidden unless the principal may make and change keys: one with limits of its own could give others more."""
    policy.authorize(principal, Scope.ADMIN)
    if principal.key.limits != NO_LIMITS:
        raise Forbidden("A key with limits of its own makes no keys and changes none.")


def _end_of(maker: Key, asked: datetime | None) -> datetime | None:
    """Return when a new key ends: as asked, and no later than the one that makes it; raises InvalidExpiry for a later end."""
    if maker.expires_at is None:
        return asked
    if asked is not None and asked > maker.expires_at:
        raise InvalidExpiry("A key may not outlive the one that makes it.")
    return asked or maker.expires_at


def _refuse_outliving(principal: Principal, key: Key) -> None:
    """Raise Forbidden for a key that outlives the principal's own: renewed or widened, it would be a way around that end."""
    ends_at = principal.key.expires_at
    if ends_at is not None and (key.expires_at is None or key.expires_at > ends_at):
        raise Forbidden("This key ends before that one does, and may not change it or give it a new secret.")


def _refuse_scopes(scopes: tuple[Scope, ...]) -> None:
    if not scopes:
        raise InvalidParameter("Give the key at least one scope: upload, read, delete or admin.", parameter="scopes")


def _end_users(named: tuple[str, ...]) -> tuple[str, ...]:
    proper = all(1 <= len(name) <= _LONGEST_END_USER and name.isprintable() and name == name.strip() for name in named)
    if not proper or not 1 <= len(named) <= _MOST_END_USERS:
        raise InvalidParameter(
            f"on_behalf_of must be 1 to {_MOST_END_USERS} end users of 1 to {_LONGEST_END_USER} printable characters; * is any.",
            parameter="on_behalf_of",
        )
    return tuple(dict.fromkeys(named))


def renewed(conn: Connection, principal: Principal, now: datetime) -> Principal:
    """Return a principal with the rights and limits that its key and organization have by now.

    Raises Unauthorized where its secret opens no living key any more, and Forbidden where that may not act for its end user.
    """
    found = None if principal.secret is None else stored.find_by_digest(conn, principal.secret, now)
    if found is None:
        raise Unauthorized()
    key, owner = policy.lent_to(found[0], principal.lent), found[1]
    organization = owner
    if key.organization_id is None:  # it acts in any
        organization = organizations.find_organization(conn, principal.organization.id)
    if organization is None:
        raise Unauthorized()
    if not policy.may_act_for(key, principal.end_user):
        raise Forbidden("This API key may not act for this end user any more.")
    return Principal(key, organization, principal.end_user, now, principal.secret, principal.lent)


def _rights(principal: Principal) -> list[object]:
    key, organization = principal.key, principal.organization
    return [
        key.scopes,
        key.path_prefix,
        key.on_behalf_of,
        key.limits,
        organization.limits,
        organization.end_user_limits,
    ]


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


def _base62(number: int, digits: int) -> str:
    letters = []
    for _ in range(digits):
        number, remainder = divmod(number, 62)
        letters.append(_ALPHABET[remainder])
    return "".join(reversed(letters))
