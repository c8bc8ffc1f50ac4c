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
from sqlalchemy.exc import IntegrityError

from fileferry.db import keys as stored
from fileferry.db import organizations, usage
from fileferry.db.database import Database
from fileferry.db.generations import Generation, generation
from fileferry.db.usage import Usage
from fileferry.engine.access import audit, key_bounds, policy, quotas
from fileferry.engine.access.key_bounds import KeyBounds
from fileferry.engine.access.key_uses import KeyUses
from fileferry.errors import Conflict, Forbidden, InvalidParameter, NotFound, Unauthorized
from fileferry.model import (
    NO_LIMITS,
    Clock,
    Key,
    Page,
    Principal,
    Scope,
    User,
    is_uuid,
    new_id,
)

PREFIX = "ff_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_DIGITS = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_DIGITS = 6  # 62 ** 6 > 2 ** 32
_SHOWN = 9
_MOST_KNOWN = 1024
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


class Keys:
    """The keys of all organizations."""

    def __init__(self, database: Database, uses: KeyUses, clock: Clock) -> None:
        self._database = database
        self._uses = uses
        self._clock = clock
        self._known: dict[str, tuple[Generation, stored.Opened]] = {}

    async def authenticate(self, secret: str, organization: str | None, end_user: str | None = None) -> Principal:
        """Return who acts with ``secret``, in ``organization`` (id or slug) and for ``end_user`` where the caller named them.

        Raises Unauthorized for a secret that opens no living key, NotFound for an organization that the key may not act in, and
        Forbidden for an end user, or nobody, that it may not act for.
        """
        now, shown = self._clock(), digest(secret)
        found = await self._database.lookup(self._opened, shown, now)
        if found is None:
            raise Unauthorized()
        key, owner, _ = found
        if key.organization_id is None and organization is not None:
            owner = await self._database.lookup(organizations.find_organization, organization)
        if owner is None:
            raise NotFound(f"There is no organization {organization!r}.")
        if organization not in (None, owner.id, owner.slug):
            raise NotFound()
        if not policy.may_act_for(key, end_user):
            raise Forbidden("This API key acts for end users: name one that it may act for, in the header user-id.")
        self._uses.note(key.id, now)
        return Principal(key, owner, end_user, now, shown)

    def _opened(self, conn: Connection, shown: str, now: datetime) -> stored.Opened | None:
        """Look up what a secret opens; not again where nobody has written anything since (decision 0078)."""
        at = generation(conn)
        known = self._known.get(shown)
        if known is not None and known[0] == at and (known[1].until is None or now < known[1].until):
            return known[1]
        found = stored.find_by_digest(conn, shown, now)
        if found is not None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[shown] = at, found
        return found

    async def renew(self, principal: Principal) -> Principal:
        """Return the principal with the rights and limits that it has by now; raises Unauthorized or Forbidden for one without."""
        now = self._clock()
        found = await self._database.lookup(renewed, principal, now)
        self._uses.note(found.key.id, now)
        return found

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
        key_bounds.authorize_keys(principal)
        key_bounds.refuse_scopes(scopes)
        bounds = bounds or KeyBounds()
        now = self._clock()
        secret = new_secret()
        expires_at = key_bounds.end_of(principal.key, None if expires_in is None else now + expires_in)
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
        key_bounds.authorize_keys(principal)
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
        return await self._database.read(_program_key, principal, key_id)

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
        key_bounds.authorize_keys(principal)
        if scopes is not None:
            key_bounds.refuse_scopes(scopes)

        def store(conn: Connection) -> Key:
            before = _program_key(conn, principal, key_id)
            if before.revoked_at is not None:
                raise NotFound("There is no living key with this id in the organization.")
            key_bounds.refuse_outliving(principal, before)
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
        key_bounds.authorize_keys(principal)
        key = await self.get(principal, key_id)

        def store(conn: Connection) -> None:
            stored.update_key(conn, key.id, revoked_at=key.revoked_at or self._clock())
            stored.delete_secrets(conn, key.id)
            if key.revoked_at is None:
                self._record(conn, "key.revoked", key)

        await self._database.free(store)

    async def rotate(self, principal: Principal, key_id: str, grace: timedelta) -> tuple[Key, str]:
        """Give a key a new secret; the present one ends after ``grace``. Raises NotFound for a revoked or unknown key."""
        key_bounds.authorize_keys(principal)
        key = await self.get(principal, key_id)
        if key.revoked_at is not None:
            raise NotFound("The key was revoked; create a new one.")
        key_bounds.refuse_outliving(principal, key)
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


def _program_key(conn: Connection, principal: Principal, key_id: str) -> Key:
    """Return a key of the organization; raises NotFound, also for that of a person, which is no key to be used."""
    key = stored.find(conn, key_id)
    if key is None or key.organization_id != principal.organization.id or not key.prefix:
        raise NotFound("There is no key with this id in the organization.")
    return key


def renewed(conn: Connection, principal: Principal, now: datetime) -> Principal:
    """Return a principal with the rights and limits that its key and organization have by now.

    Raises Unauthorized where its secret opens no living key any more, and Forbidden where that may not act for its end user.
    """
    found = None if principal.secret is None else stored.find_by_digest(conn, principal.secret, now)
    if found is None:
        raise Unauthorized()
    key, owner = policy.lent_to(found.key, principal.lent), found.organization
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
