"""The audit log: who did what in an organization. It is kept in the outbox, whose events of files are a part of it.

What is told to webhooks and to those who listen is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from fileferry import telemetry
from fileferry.db import events, organizations
from fileferry.db.database import Database
from fileferry.engine.access import policy
from fileferry.errors import Forbidden
from fileferry.model import Event, Page, Principal, Scope

_NEWEST = 2**63 - 1


def record(conn: Connection, type: str, organization_id: str, subject_id: str, now: datetime, **data: Any) -> None:
    """Record, in the transaction that does it, what the request being answered does to a key, webhook, workspace or organization.

    ``data`` says more of it in JSON, never a secret.
    """
    event = {
        "organization_id": organization_id,
        "file_id": subject_id,
        "version_id": None,
        "type": type,
        "data": data,
        "actor": telemetry.actor(),
        "created_at": now,
    }
    events.append_all(conn, [event])


class Audit:
    """The audit logs of all organizations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, principal: Principal, after: int, since: datetime | None, types: Sequence[str] | None, limit: int
    ) -> Page[Event]:
        """Return a page of what was done in an organization, oldest first: past the number ``after``, from ``since`` on.

        Raises Forbidden without the scope admin, and for a key that is confined to a part of the organization.
        """
        policy.authorize(principal, Scope.ADMIN)
        if policy.is_confined(principal):
            raise Forbidden("This key is confined to a part of the organization, and the audit log is of all of it.")
        found = await self._database.read(_read, principal.organization.id, after, since, types, limit + 1)
        return Page(found[:limit], str(found[limit - 1].number) if len(found) > limit else None)

    async def newest(
        self, principal: Principal, before: int | None, since: datetime | None, types: Sequence[str] | None, limit: int
    ) -> Page[Event]:
        """Return a page of what was done, newest first: before the number ``before``. Raises as ``page`` does."""
        policy.authorize(principal, Scope.ADMIN)
        last = _NEWEST if before is None else before
        found = await self._database.read(_read_back, principal.organization.id, last, since, types, limit + 1)
        return Page(found[:limit], str(found[limit - 1].number) if len(found) > limit else None)

    async def names(self, principal: Principal, done: Iterable[Event]) -> dict[str, str]:
        """Return what the keys and people are called that did these things, removed ones too, as far as the principal may know."""
        key_ids = {event.actor["key"] for event in done if event.actor and "key" in event.actor}
        only = None if policy.administers(principal) else principal.key.id
        found = await self._database.read(organizations.list_users, principal.organization.id, sorted(key_ids), only)
        return {user.id: user.name for user in found}


def _read_back(
    conn: Connection, organization_id: str, before: int, since: datetime | None, types: Sequence[str] | None, limit: int
) -> list[Event]:
    past = 0 if since is None else events.number_before(conn, organization_id, since)
    return events.list_before(conn, organization_id, before, limit, types, past=past)


def _read(
    conn: Connection, organization_id: str, after: int, since: datetime | None, types: Sequence[str] | None, limit: int
) -> list[Event]:
    if since is not None:
        after = max(after, events.number_before(conn, organization_id, since))
    return events.list_after(conn, organization_id, after, limit, types)
