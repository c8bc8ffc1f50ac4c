"""A batch: files that became files together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileferry.client.nouns.files import File, file_from
from fileferry.client.nouns.uploads import Ticket, ticket_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Files that became files together, in the order in which they were given."""

    batch_id: str
    files: tuple[File, ...]
    manifest_url: str
    """Gives names, sizes, digests and URLs of the files as JSON, without a key."""
    manifest_url_expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBatch:
    """A batch whose bytes are to come, with a ticket for each file."""

    batch_id: str
    tickets: tuple[Ticket, ...]


def batch_from(said: Mapping[str, Any]) -> Batch:
    """Return the batch that the answer to its commit describes; raise as ``file_from`` does."""
    return Batch(
        batch_id=said["id"],
        files=tuple(file_from(file) for file in said["files"]),
        manifest_url=said["manifest_url"],
        manifest_url_expires_at=datetime.fromisoformat(said["manifest_url_expires_at"]),
    )


def open_batch_from(said: Mapping[str, Any]) -> OpenBatch:
    """Return the batch that an object of ``/api/batches`` describes; raise as ``file_from`` does."""
    return OpenBatch(batch_id=said["id"], tickets=tuple(ticket_from(upload) for upload in said["uploads"]))
