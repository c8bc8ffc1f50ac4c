"""Queries of organizations and their workspaces."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, insert, or_, select

from fileferry.db.schema import organizations, workspaces
from fileferry.model import Organization, Workspace

_WORKSPACE = select(
    workspaces.c.id,
    workspaces.c.organization_id,
    workspaces.c.name,
    workspaces.c.is_default,
    workspaces.c.created_at,
)


_DEFAULT = select(*organizations.c).where(organizations.c.is_default)
_DEFAULT_WORKSPACE = _WORKSPACE.where(
    workspaces.c.organization_id == bindparam("organization"), workspaces.c.is_default
)


def insert_organization(conn: Connection, organization: Organization) -> None:
    """Add an organization."""
    conn.execute(insert(organizations), _columns(organization))


def insert_workspace(conn: Connection, workspace: Workspace) -> None:
    """Add a workspace with no versions yet."""
    conn.execute(insert(workspaces), {**_columns(workspace), "last_number": 0})


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


def find_workspace(conn: Connection, organization_id: str, id_or_name: str) -> Workspace | None:
    """Return the organization's workspace with this id or name."""
    row = conn.execute(
        _WORKSPACE.where(
            workspaces.c.organization_id == organization_id,
            or_(workspaces.c.id == id_or_name, workspaces.c.name == id_or_name),
        )
    ).first()
    return None if row is None else Workspace(*row)


def find_default_workspace(conn: Connection, organization_id: str) -> Workspace:
    """Return the workspace that every organization has."""
    return Workspace(*conn.execute(_DEFAULT_WORKSPACE, {"organization": organization_id}).one())


def _columns(record: Organization | Workspace) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
