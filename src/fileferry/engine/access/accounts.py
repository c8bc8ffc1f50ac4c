"""People who sign in: made by an administrator and known by a password, or vouched for by a proxy or an OpenID provider.

What they may do is a key with their id, judged as every key is. Nobody knows its secret: its digest is drawn at random, and
drawn anew whenever all their sessions are to end.
"""

from __future__ import annotations

import secrets
import unicodedata

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from fileferry.db import accounts as stored
from fileferry.db import keys, organizations, usage
from fileferry.db.database import Database
from fileferry.engine.access import audit, key_bounds, policy, quotas
from fileferry.engine.access.key_bounds import KeyBounds
from fileferry.engine.access.passwords import Passwords
from fileferry.engine.access.roles import Role
from fileferry.errors import Conflict, Forbidden, InvalidParameter, NotFound, Unauthorized
from fileferry.model import NO_LIMITS, Account, Clock, Key, Page, Principal, Scope, new_id

HERE = ""
"""Who vouches for people with a password: nobody else."""
_LONGEST_NAME = 255
_DIGEST_BYTES = 32


class Vouched(msgspec.Struct, frozen=True):
    """What a proxy or a provider says of somebody: who says it, what it calls them, their name for people, and their role."""

    issuer: str
    subject: str
    name: str
    role: Role


class Accounts:
    """The people of all organizations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._passwords = Passwords()

    async def create(
        self,
        principal: Principal,
        name: str,
        password: str,
        scopes: tuple[Scope, ...],
        bounds: KeyBounds | None = None,
    ) -> Account:
        """Make a person of the principal's organization, who signs in with this name, however its letters are written.

        Raises Conflict for a name that somebody has, InvalidParameter for one, or a password, that cannot be used.
        """
        key_bounds.authorize_keys(principal)
        key_bounds.refuse_scopes(scopes)
        now, bounds = self._clock(), bounds or KeyBounds()
        subject = _subject(name)
        digest = await self._passwords.digest(password, name)
        key = Key(
            id=new_id(now),
            organization_id=principal.organization.id,
            name=name.strip(),
            prefix="",
            scopes=tuple(sorted(set(scopes))),
            created_at=now,
            expires_at=key_bounds.end_of(principal.key, None),
            **bounds.values(NO_LIMITS),
        )
        account = Account(key, HERE, subject)

        def store(conn: Connection) -> None:
            self._insert(conn, account, digest)

        try:
            await self._database.grow(store)
        except IntegrityError as error:
            raise Conflict("Somebody of the organization has this name.") from error
        return account

    async def list(self, principal: Principal, after_id: str, limit: int) -> Page[Account]:
        """Return a page of the organization's people."""
        policy.authorize(principal, Scope.ADMIN)
        found = await self._database.read(stored.list_accounts, principal.organization.id, after_id, limit + 1)
        return Page(found[:limit], found[limit - 1].key.id if len(found) > limit else None)

    async def get(self, principal: Principal, id: str) -> Account:
        """Return somebody of the organization; raises NotFound."""
        policy.authorize(principal, Scope.ADMIN)
        return await self._database.read(_find, principal, id)

    async def change(
        self, principal: Principal, id: str, bounds: KeyBounds, *, scopes: tuple[Scope, ...] | None = None
    ) -> Account:
        """Change what somebody may do, from their next request on. Raises Conflict for rights that come from a role, NotFound."""
        key_bounds.authorize_keys(principal)
        if scopes is not None:
            key_bounds.refuse_scopes(scopes)

        def store(conn: Connection) -> Account:
            before = _own(conn, principal, id)
            values = bounds.values(before.key.limits)
            if scopes is not None:
                values["scopes"] = tuple(sorted(set(scopes)))
            after = msgspec.structs.replace(before, key=msgspec.structs.replace(before.key, **values))
            self._change(conn, before.key, after.key)
            return after

        return await self._database.free(store)

    async def set_password(self, principal: Principal, id: str, password: str) -> None:
        """Give somebody another password, and end their sessions; raises as ``change`` does, and InvalidParameter."""
        key_bounds.authorize_keys(principal)
        account = await self._database.read(_own, principal, id)
        digest = await self._passwords.digest(password, account.key.name)
        await self._database.free(self._put_password, account, digest)

    async def change_password(self, principal: Principal, present: str, password: str) -> None:
        """Change one's own password, and end all one's sessions. Raises Unauthorized for another present one, InvalidParameter.

        Raises Forbidden for who signs in without one.
        """
        account, kept = await self._database.read(_with_password, principal.key.id)
        if account is None or account.issuer != HERE:
            raise Forbidden("Only people who sign in with a password change it here.")
        if not await self._passwords.is_right(kept, present):
            raise Unauthorized("This is not your present password.")
        digest = await self._passwords.digest(password, account.key.name)
        await self._database.free(self._put_password, account, digest)

    async def remove(self, principal: Principal, id: str) -> None:
        """Remove somebody: their sessions end at once, and what they handed out is served no more. Raises NotFound."""
        key_bounds.authorize_keys(principal)

        def store(conn: Connection) -> None:
            account = _find(conn, principal, id)
            key_bounds.refuse_outliving(principal, account.key)
            self._remove(conn, account)

        await self._database.free(store)

    async def authenticate(self, name: str, password: str, organization: str | None) -> Principal:
        """Return who signs in with a name and a password, to the default organization unless another is named.

        Raises Unauthorized, the same and after the same time for a name that nobody has.
        """
        account, kept = await self._database.read(_known, organization, name)
        if not await self._passwords.is_right(kept, password) or account is None:
            raise Unauthorized("This name and password open nothing.")
        return await self.enter(account.key.id)

    async def admit(self, said: Vouched) -> Principal:
        """Return who a proxy or a provider vouches for, with the rights of their role from now on; made at their first visit.

        Raises NotFound for a role of an organization that is not there.
        """
        return await self._database.grow(self._admit, said)

    async def enter(self, id: str) -> Principal:
        """Return somebody as who signs in now; raises Unauthorized for who was removed."""
        return await self._database.free(self._principal, id)

    async def find(self, id: str) -> Account | None:
        """Return the person with the id of a key, if it is one's."""
        return await self._database.lookup(stored.find, id)

    def _insert(self, conn: Connection, account: Account, password: str | None) -> None:
        keys.insert_key(conn, account.key)
        keys.insert_secret(conn, account.key.id, secrets.token_hex(_DIGEST_BYTES))
        stored.insert_account(conn, account, password)
        quotas.renew(conn, usage.of_key(account.key.id), NO_LIMITS, account.key.limits)
        self._record(conn, "user.created", account.key)

    def _change(self, conn: Connection, before: Key, after: Key) -> None:
        keys.change_key(conn, after)
        quotas.renew(conn, usage.of_key(after.id), before.limits, after.limits)
        self._record(conn, "user.changed", after)

    def _put_password(self, conn: Connection, account: Account, digest: str) -> None:
        stored.update_account(conn, account.key.id, password=digest)
        keys.delete_secrets(conn, account.key.id)
        keys.insert_secret(conn, account.key.id, secrets.token_hex(_DIGEST_BYTES))
        self._record(conn, "user.password_changed", account.key)

    def _remove(self, conn: Connection, account: Account) -> None:
        stored.delete_account(conn, account.key.id)
        keys.update_key(conn, account.key.id, revoked_at=self._clock())
        keys.delete_secrets(conn, account.key.id)
        self._record(conn, "user.removed", account.key)

    def _admit(self, conn: Connection, said: Vouched) -> Principal:
        role = said.role
        organization = (
            organizations.find_default_organization(conn)
            if role.organization is None
            else organizations.find_organization(conn, role.organization)
        )
        if organization is None:
            raise NotFound(f"The role of {role.group!r} is of an organization that is not there.")
        for left in stored.list_elsewhere(conn, organization.id, said.issuer, said.subject):
            self._remove(conn, left)  # their role was of that organization once
        name = said.name[:_LONGEST_NAME]
        account = stored.find_subject(conn, organization.id, said.issuer, said.subject)
        if account is None:
            now = self._clock()
            key = Key(new_id(now), organization.id, name, "", role.scopes, now)
            key = msgspec.structs.replace(key, path_prefix=role.path_prefix, limits=role.limits)
            account = Account(key, said.issuer, said.subject)
            self._insert(conn, account, None)
        after = msgspec.structs.replace(
            account.key, name=name, scopes=role.scopes, path_prefix=role.path_prefix, limits=role.limits
        )
        if after != account.key:
            self._change(conn, account.key, after)
        return self._principal(conn, after.id)

    def _principal(self, conn: Connection, id: str) -> Principal:
        """Return who signs in now, known from now on by the digest of the secret that nobody knows."""
        now = self._clock()
        shown = keys.living_secrets(conn, id, now)
        found = keys.find_by_digest(conn, shown[0], now) if shown else None
        if found is None or found.organization is None:
            raise Unauthorized("This name and password open nothing.")
        stored.update_account(conn, id, signed_in_at=now)
        return Principal(found.key, found.organization, None, now, shown[0])

    def _record(self, conn: Connection, type: str, key: Key) -> None:
        assert key.organization_id is not None, "people are of an organization"
        limits_set = msgspec.to_builtins(key.limits)
        said = {"name": key.name, "scopes": key.scopes, "path_prefix": key.path_prefix, "limits": limits_set}
        audit.record(conn, type, key.organization_id, key.id, self._clock(), **said)


def _subject(name: str) -> str:
    """Return what a name is compared by; raises InvalidParameter."""
    if not 1 <= len(name.strip()) <= _LONGEST_NAME or not name.isprintable():
        raise InvalidParameter(f"A name has 1 to {_LONGEST_NAME} printable characters.", parameter="name")
    return _folded(name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name.strip()).casefold()


def _known(conn: Connection, organization: str | None, name: str) -> tuple[Account | None, str | None]:
    named = (
        organizations.find_default_organization(conn)
        if organization is None
        else organizations.find_organization(conn, organization)
    )
    account = None if named is None else stored.find_subject(conn, named.id, HERE, _folded(name))
    return account, None if account is None else stored.password_of(conn, account.key.id)


def _with_password(conn: Connection, id: str) -> tuple[Account | None, str | None]:
    return stored.find(conn, id), stored.password_of(conn, id)


def _find(conn: Connection, principal: Principal, id: str) -> Account:
    account = stored.find(conn, id)
    if account is None or account.key.organization_id != principal.organization.id:
        raise NotFound("There is no user with this id in the organization.")
    return account


def _own(conn: Connection, principal: Principal, id: str) -> Account:
    """Return somebody whom the principal may change; raises NotFound, Forbidden, and Conflict for who is vouched for."""
    account = _find(conn, principal, id)
    key_bounds.refuse_outliving(principal, account.key)
    if account.issuer != HERE:
        raise Conflict("Their rights come from their groups, and their password is not kept here.")
    return account
