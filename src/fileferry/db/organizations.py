"""Queries of organizations, and of the users that their keys act for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, bindparam, insert, or_, select, update

from fileferry.db.schema import keys, organizations, users
from fileferry.db.statements import KeptRecord
from fileferry.model import Limits, Organization, User


def organization_of(row: Sequence[Any]) -> Organization:
    """Return the organization that these columns are."""
    id, slug, name, is_default, created_at, own, of_each, redirect = row
    limits, of_end_users = msgspec.convert(own, Limits), msgspec.convert(of_each, Limits)
    return Organization(id, slug, name, is_default, created_at, limits, of_end_users, redirect)


_NAMED: BindParameter[str] = bindparam("name")
COLUMNS = tuple(getattr(organizations.c, name) for name in Organization.__struct_fields__)
"""What ``organization_of`` reads, in its order."""
_BY_ID_OR_SLUG = KeptRecord(
    select(*COLUMNS).where(or_(organizations.c.id == _NAMED, organizations.c.slug == _NAMED)), organization_of
)
_DEFAULT = KeptRecord(select(*COLUMNS).where(organizations.c.is_default).limit(1), organization_of)
_LONGEST_ID = 36
DEFAULT_ID = select(organizations.c.id).where(organizations.c.is_default).limit(1).scalar_subquery()
"""The organization that a root key acts in unless told otherwise, in a query."""


def insert_organization(conn: Connection, organization: Organization) -> None:
    """Add an organization."""
    row = {name: getattr(organization, name) for name in Organization.__struct_fields__}
    limits = {name: msgspec.to_builtins(row[name]) for name in ("limits", "end_user_limits")}
    conn.execute(insert(organizations), {**row, **limits})


def find_organization(conn: Connection, id_or_slug: str) -> Organization | None:
    """Return the organization with this id or slug."""
    return _BY_ID_OR_SLUG.find(conn, {"name": id_or_slug})


def find_default_organization(conn: Connection) -> Organization | None:
    """Return the organization that a root key acts in unless told otherwise."""
    return _DEFAULT.find(conn)


def list_organizations(conn: Connection, after_id: str, limit: int) -> list[Organization]:
    """Return organizations in order of id, those past ``after_id``."""
    query = select(*COLUMNS).where(organizations.c.id > after_id).order_by(organizations.c.id).limit(limit)
    return [organization_of(row) for row in conn.execute(query)]


def update_organization(conn: Connection, organization_id: str, **changes: Limits | str | None) -> None:
    """Change what policy allows an organization: ``limits``, ``end_user_limits``, or ``redirect``."""
    values = msgspec.to_builtins(changes)
    conn.execute(update(organizations).where(organizations.c.id == organization_id).values(**values))


def put_user(conn: Connection, user: User) -> None:
    """Add a user of an organization, or change the name and email of the one that it knows by this id."""
    said = {"name": user.name, "email": user.email}
    of_organization = users.c.organization_id == user.organization_id
    known = users.c.id.in_([user.id, _row_of(user.organization_id, user.id)])
    if conn.execute(users.update().where(of_organization, known).values(said)).rowcount:
        return
    row = {"id": _row_of(user.organization_id, user.id), "organization_id": user.organization_id, **said}
    conn.execute(insert(users), row)


def list_users(conn: Connection, organization_id: str, ids: Iterable[str], only_key: str | None) -> list[User]:
    """Return who these ids stand for in an organization: its users, and keys of it that nobody was named for, by the key's name.

    A root key is of every organization. With ``only_key`` no other key is named. Ids are what a client said, and may be any.
    """
    wanted = list(ids)
    by_row = {_row_of(organization_id, id): id for id in wanted}
    in_rows = users.c.id.in_([*wanted, *by_row])
    named = select(*users.c).where(users.c.organization_id == organization_id, in_rows)
    of_organization = or_(keys.c.organization_id == organization_id, keys.c.organization_id.is_(None))
    bare = select(keys.c.id, keys.c.organization_id, keys.c.name).where(of_organization, keys.c.id.in_(wanted))
    if only_key is not None:
        bare = bare.where(keys.c.id == only_key)
    found = [User(*row) for query in (named, bare) for row in conn.execute(query)]
    return [msgspec.structs.replace(user, id=by_row.get(user.id, user.id)) for user in found]


def _row_of(organization_id: str | None, user_id: str) -> str:
    """Return the primary key of a user: clients choose their ids, so that each organization has all of them for itself.

    It is none of a client's own, which are UUIDs. Earlier releases took the id itself.
    """
    digest = hashlib.sha256(f"{organization_id}/{user_id}".encode()).hexdigest()
    return f"={digest[: _LONGEST_ID - 1]}"
