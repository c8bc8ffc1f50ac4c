"""What has come of a file that somebody sends for a request, in the transaction that makes it a version."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from fileferry.db import requests
from fileferry.engine.files import announcements
from fileferry.model import StoredFile


def arrive(conn: Connection, request_id: str, upload_id: str, stored: StoredFile, now: datetime) -> None:
    """Count a file that is there whole, and tell of it."""
    requests.arrive(conn, request_id, upload_id, stored.version.size, now)
    announcements.announce(conn, "request.received", stored.file, now, stored.version, request_id=request_id)
