"""Rows for the checks of ``conformance``: as few as a check needs, and never the same twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from fileferry.db import events, files, organizations, workspaces
from fileferry.db.database import Database
from fileferry.db.letters import lowered
from fileferry.db.schema import folders as folder_table
from fileferry.db.schema import leases
from fileferry.model import Digests, File, Organization, State, Version, Workspace, new_id, utc_now

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")

# The table of leases is the smallest: a name, and a time that stands for a number here.


def new_name() -> str:
    """Return what nothing is called yet."""
    return new_id(utc_now())


def insert_lease(conn: Connection, name: str) -> None:
    """Add a row, whose number is 0."""
    conn.execute(leases.insert(), {"name": name, "holder": "", "until": _EPOCH})


def insert_and_fail(conn: Connection, name: str) -> None:
    """Add a row, and fail."""
    insert_lease(conn, name)
    raise ZeroDivisionError


def number_of(conn: Connection, name: str) -> int | None:
    """Return the number of a row; None where there is none."""
    until: datetime | None = conn.execute(select(leases.c.until).where(leases.c.name == name)).scalar()
    return None if until is None else round((until - _EPOCH).total_seconds())


def count_on(conn: Connection, name: str) -> None:
    """Read the number of a row, and write the next."""
    number = number_of(conn, name)
    assert number is not None
    conn.execute(update(leases).where(leases.c.name == name).values(until=_EPOCH + timedelta(seconds=number + 1)))


def announce(conn: Connection, organization_id: str) -> None:
    """Add an event."""
    row: dict[str, Any] = {
        "organization_id": organization_id,
        "file_id": "",
        "version_id": None,
        "type": "",
        "data": {},
    }
    events.append_all(conn, [{**row, "created_at": utc_now()}])


def list_with_letters(conn: Connection, workspace_id: str, asked: str) -> list[str]:
    """Return the folders whose path has these letters, large or small."""
    found = lowered(folder_table.c.path).contains(asked, autoescape=True)
    query = select(folder_table.c.path).where(folder_table.c.workspace_id == workspace_id, found)
    return list(conn.execute(query).scalars())


async def make_organization(database: Database) -> Organization:
    """Make an organization."""
    id = new_name()
    organization = Organization(id, id, id, False, utc_now())
    await database.write(organizations.insert_organization, organization)
    return organization


async def make_workspace(database: Database) -> Workspace:
    """Make a workspace of a new organization."""
    organization = await make_organization(database)
    workspace = Workspace(new_name(), organization.id, "w", True, utc_now())
    await database.write(workspaces.insert_workspace, workspace)
    return workspace


async def make_file(database: Database, **values: Any) -> File:
    """Make a file in a workspace of its own, without a version."""
    workspace = await make_workspace(database)
    given: dict[str, Any] = {
        "id": new_name(),
        "organization_id": workspace.organization_id,
        "workspace_id": workspace.id,
        "folder_id": None,
        "name": "n",
        "path": "n",
        "owns_path": True,
        "metadata": {},
        "created_at": utc_now(),
        "modified_at": utc_now(),
        "expires_at": None,
        "deleted_at": None,
    }
    file = File(**{**given, **values})
    await database.write(files.insert_file, file, None)
    return file


def values_of(file: File) -> dict[str, Any]:
    """Return the fields of a file."""
    return {name: getattr(file, name) for name in File.__struct_fields__}


def new_version(file: File, *, number: int = 1, size: int = 1) -> Version:
    """Return a version of a file, which is not in the database yet."""
    return Version(
        id=new_name(),
        file_id=file.id,
        number=number,
        state=State.READY,
        reason=None,
        size=size,
        content_type="text/plain",
        detected_type=None,
        digests=Digests("00000000"),
        blob_key=None,
        extents=None,
        created_at=utc_now(),
        sequence=number,
    )
