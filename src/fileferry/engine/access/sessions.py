"""Sessions of people who are signed in to the dashboard: a key or a password is shown once, and a cookie stands for
it from then on.

What they may do is what their key may do: each request looks it up by the digest of the secret that they signed in with, or that
their account had then.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.db import keys as stored_keys
from fileferry.db import organizations
from fileferry.db import web_sessions as stored
from fileferry.db.database import Database
from fileferry.engine.access import policy
from fileferry.engine.access.accounts import Accounts, Vouched
from fileferry.engine.access.key_uses import KeyUses
from fileferry.engine.access.keys import Keys, renewed
from fileferry.engine.access.rates import Rates
from fileferry.errors import Forbidden, NotFound, Unauthorized
from fileferry.model import Clock, Principal, Scope, Session, new_id
from fileferry.settings import Settings

_TOUCHED = timedelta(minutes=1)  # a page is no reason for a write each time
_LONGEST_USER_AGENT = 255


class Visit(msgspec.Struct, frozen=True):
    """Who is signed in, and what may be done for them."""

    session: Session
    principal: Principal


class Sessions:
    """The sessions of all organizations."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        uses: KeyUses,
        accounts: Accounts,
        rates: Rates,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._keys = keys
        self._uses = uses
        self._accounts = accounts
        self._rates = rates
        self._settings = settings
        self._clock = clock

    async def open(
        self, secret: str, organization: str | None, end_user: str | None, *, address: str, user_agent: str
    ) -> str:
        """Sign somebody in who shows the secret of a key; return the token that stands for the session, shown only now.

        Raises RateLimited for too many attempts from an address, and what ``Keys.authenticate`` raises.
        """
        await self._rates.spend_sign_in(address)
        principal = await self._keys.authenticate(secret, organization, end_user)
        return await self._begin(principal, address, user_agent)

    async def open_by_password(
        self, name: str, password: str, organization: str | None, *, address: str, user_agent: str
    ) -> str:
        """Sign somebody in who knows a name and its password; otherwise as ``open``. Raises as ``Accounts.authenticate`` does."""
        await self._rates.spend_sign_in(address)
        principal = await self._accounts.authenticate(name, password, organization)
        return await self._begin(principal, address, user_agent)

    async def open_vouched(self, said: Vouched, *, address: str, user_agent: str) -> str:
        """Sign somebody in for whom a proxy or a provider vouches; otherwise as ``open``."""
        return await self._begin(await self._accounts.admit(said), address, user_agent)

    async def change_password(self, visit: Visit, present: str, password: str) -> str:
        """Change the password of who is signed in, and end all their sessions; return the token of a new one for this browser.

        Raises RateLimited as for an attempt to sign in, and as ``Accounts.change_password``.
        """
        session = visit.session
        await self._rates.spend_sign_in(session.address)
        await self._accounts.change_password(visit.principal, present, password)
        principal = await self._accounts.enter(visit.principal.key.id)
        return await self._begin(principal, session.address, session.user_agent)

    async def _begin(self, principal: Principal, address: str, user_agent: str) -> str:
        token, now = secrets.token_urlsafe(32), self._clock()
        session = Session(
            id=new_id(now),
            key_id=principal.key.id,
            secret=principal.secret or "",
            organization_id=principal.organization.id,
            end_user=principal.end_user,
            address=address[:64],
            user_agent=user_agent.replace("\x00", "")[:_LONGEST_USER_AGENT],
            notice=None,
            created_at=now,
            seen_at=now,
            ends_at=now + self._settings.session_idle_timeout,
        )
        await self._database.free(stored.insert_session, session, digest(token))
        return token

    async def visit(self, token: str) -> Visit:
        """Return the session that a token opens, which goes on from now; raises as ``look`` does."""
        found = await self.look(token)
        now, session = self._clock(), found.session
        self._uses.note(session.key_id, now)
        if now - session.seen_at >= _TOUCHED:
            latest = session.created_at + self._settings.session_lifetime
            ends_at = min(latest, now + self._settings.session_idle_timeout)
            await self._database.free(_touch, session.id, now, ends_at)
        return found

    async def look(self, token: str) -> Visit:
        """Return the session that a token opens, with the rights that its key has by now; raises Unauthorized, Forbidden."""
        return await self._database.lookup(self._find, digest(token))

    async def list(self, principal: Principal) -> list[Session]:
        """Return the sessions of the principal's key; for an administrator those of all keys of the organization."""
        is_admin = Scope.ADMIN in principal.key.scopes and not policy.is_confined(principal)
        organization_id = principal.organization.id if is_admin else None
        return await self._database.read(stored.list_living, principal.key.id, organization_id, self._clock())

    async def revoke(self, principal: Principal, session_id: str) -> None:
        """End a session that ``list`` shows; raises NotFound."""
        if session_id not in {session.id for session in await self.list(principal)}:
            raise NotFound("There is no such session.")
        await self._database.free(stored.delete_session, session_id)

    async def close(self, session: Session) -> None:
        """End a session, as its owner signs out."""
        await self._database.free(stored.delete_session, session.id)

    async def act_in(self, visit: Visit, organization: str) -> None:
        """Let a session act in another organization, by id or slug. Raises Forbidden for any key but a root key, NotFound."""
        if visit.principal.key.organization_id is not None:
            raise Forbidden("Only a root key acts in more than one organization.")

        def store(conn: Connection) -> None:
            found = organizations.find_organization(conn, organization)
            if found is None:
                raise NotFound("There is no organization with this id or slug.")
            stored.update_session(conn, visit.session.id, organization_id=found.id)

        await self._database.free(store)

    async def leave_notice(self, session: Session, notice: dict[str, Any]) -> None:
        """Keep what the next page is to say."""
        await self._database.free(_leave_notice, session.id, notice)

    async def take_notice(self, session: Session) -> dict[str, Any] | None:
        """Return what this page is to say, and forget it."""
        if session.notice is not None:
            await self._database.free(stored.take_notice, session.id)
        return session.notice

    def _find(self, conn: Connection, shown: str) -> Visit:
        now = self._clock()
        session = stored.find(conn, shown, now)
        if session is None or session.created_at + self._settings.session_lifetime <= now:
            raise Unauthorized("You are not signed in, or no longer.")
        key = stored_keys.find(conn, session.key_id)
        organization = None if key is None else organizations.find_organization(conn, session.organization_id)
        if key is None or organization is None:
            raise Unauthorized("You are not signed in, or no longer.")
        known = Principal(key, organization, session.end_user, now, session.secret)
        return Visit(session, renewed(conn, known, now))


def digest(token: str) -> str:
    """Return what is stored of a token: its SHA-256 as hex. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def form_token(token: str) -> str:
    """Return what forms of a session carry, which another site cannot know: it is made of the token, and tells nothing of it."""
    return hashlib.sha256(b"form\0" + token.encode()).hexdigest()


def _touch(conn: Connection, session_id: str, now: datetime, ends_at: datetime) -> None:
    stored.update_session(conn, session_id, seen_at=now, ends_at=ends_at)


def _leave_notice(conn: Connection, session_id: str, notice: dict[str, Any]) -> None:
    stored.update_session(conn, session_id, notice=notice)
