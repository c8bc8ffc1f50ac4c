"""An upload that is under way, as the server promised it. Its bytes are in ``transfers``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileferry.client.nouns.moments import moment_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An upload as the server promised it. ``parts`` are those received: their ETags, the MD5 in hex, by number."""

    upload_id: str
    file_id: str
    version_id: str | None
    """Of the version that it will be."""
    state: str
    """``open``, ``received``, ``completed``, ``aborted`` or ``expired``."""
    url: str
    """Takes all bytes, without a key. Secret."""
    url_expires_at: datetime | None
    """Until when it does; ``get`` has fresh ones."""
    part_url: str
    """Takes part N with ``&partNumber=N`` added. Secret."""
    size: int | None
    """In bytes, where it was announced."""
    max_size: int
    """The most that may come, in bytes."""
    auto_complete: bool
    """Whether the last byte makes the file."""
    part_size: int | None
    part_count: int | None
    """How many parts there are, where size and part size are known."""
    parts: Mapping[int, str]
    offset: int
    """How many bytes have come as a stream, one after the other."""
    crc32c: str | None
    """Of those bytes, eight hexadecimal digits; None where there is no stream."""
    created_at: datetime

    @property
    def is_alive(self) -> bool:
        """Whether it can still become a file, or has become one."""
        return self.state in {"open", "received", "completed"}

    def url_of_part(self, number: int) -> str:
        """Return the URL that takes part ``number``, from 1, by PUT and without a key."""
        return f"{self.part_url}&partNumber={number}"


def ticket_from(said: Mapping[str, Any]) -> Ticket:
    """Return the ticket that an object of ``/api/uploads`` describes; raise as ``file_from`` does."""
    return Ticket(
        upload_id=said["id"],
        file_id=said["file_id"],
        version_id=said.get("version_id"),
        state=said["state"],
        url=said["url"],
        url_expires_at=moment_from(said.get("url_expires_at")),
        part_url=said["part_url"],
        size=said["size"],
        max_size=int(said["max_size"]),
        auto_complete=bool(said.get("auto_complete")),
        part_size=said["part_size"],
        part_count=said.get("part_count"),
        offset=int(said["offset"]),
        crc32c=said["crc32c"],
        parts={int(part["part_number"]): str(part["etag"]) for part in said["parts"]},
        created_at=datetime.fromisoformat(said["created_at"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUpload:
    """An upload that is not complete, as it is listed; ``tickets.get`` has its URLs."""

    upload_id: str
    file_id: str
    name: str
    path: str
    state: str
    """``open``, or ``received`` where it waits to be completed."""
    size: int | None
    """In bytes, where it was announced."""
    received: int
    """How many bytes have come."""
    key_id: str
    """Of the key or the user that began it."""
    end_user: str | None
    created_at: datetime


def unfinished_upload_from(said: Mapping[str, Any]) -> UnfinishedUpload:
    """Return the upload that a list of ``/api/uploads`` describes; raise as ``file_from`` does."""
    return UnfinishedUpload(
        upload_id=said["id"],
        file_id=said["file_id"],
        name=said["name"],
        path=said["path"],
        state=said["state"],
        size=said["size"],
        received=int(said["received"]),
        key_id=said["key_id"],
        end_user=said["end_user"],
        created_at=datetime.fromisoformat(said["created_at"]),
    )
