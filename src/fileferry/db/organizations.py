"""Queries of organizations, and of the users that their keys act for."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, insert, or_, select

from fileferry.db.schema import keys, organizations, users
from fileferry.model import Organization, User

_DEFAULT = select(*organizations.c).where(organizations.c.is_default)


def insert_organization(conn: Connection, organization: Organization) -> None:
    """Add an organization."""
    conn.execute(insert(organizations), {name: getattr(organization, name) for name in Organization.__struct_fields__})


def find_organization(conn: Connection, id_or_slug: str) -> Organization | None:
    """Return the organization with this id or slug."""
    row = conn.execute(
        select(*organizations.c).where(or_(organizations.c.id == id_or_slug, organizations.c.slug == id_or_slug))
    ).first()
    return None if row is None else Organization(*row)


def find_default_organization(conn: Connection) -> Organization | None:
    """Return the organization that a root key acts in unless told otherwise."""
    row = conn.execute(_DEFAULT).first()
    return None if row is None else Organization(*row)


def list_organizations(conn: Connection, after_id: str, limit: int) -> list[Organization]:
    """Return organizations in order of id, those past ``after_id``."""
    query = select(*organizations.c).where(organizations.c.id > after_id).order_by(organizations.c.id).limit(limit)
    return [Organization(*row) for row in conn.execute(query)]


def insert_user(conn: Connection, user: User) -> None:
    """Add a user."""
    conn.execute(insert(users), {name: getattr(user, name) for name in User.__struct_fields__})


def find_user(conn: Connection, user_id: str) -> User | None:
    """Return a user by id."""
    row = conn.execute(select(*users.c).where(users.c.id == user_id)).first()
    return None if row is None else User(*row)


def update_user(conn: Connection, user: User) -> None:
    """Change a user's name and email."""
    conn.execute(users.update().where(users.c.id == user.id).values(name=user.name, email=user.email))


def list_users(conn: Connection, ids: Iterable[str]) -> list[User]:
    """Return who these ids stand for: users, and keys that nobody was named for, by the key's name."""
    wanted = list(ids)
    named = select(*users.c).where(users.c.id.in_(wanted))
    found = [User(*row) for row in conn.execute(named)]
    bare = select(keys.c.id, keys.c.organization_id, keys.c.name).where(keys.c.id.in_(wanted))
    return found + [User(*row) for row in conn.execute(bare)]
