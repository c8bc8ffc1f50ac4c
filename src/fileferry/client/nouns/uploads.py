"""An upload that is under way, as the server promised it. Its bytes are in ``transfers``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An upload as the server promised it. ``parts`` are those received: their ETags, the MD5 in hex, by number."""

    upload_id: str
    file_id: str
    state: str
    """``open``, ``received``, ``completed``, ``aborted`` or ``expired``."""
    url: str
    """Takes all bytes, without a key. Secret."""
    part_url: str
    """Takes part N with ``&partNumber=N`` added. Secret."""
    size: int | None
    """In bytes, where it was announced."""
    max_size: int
    """The most that may come, in bytes."""
    part_size: int | None
    parts: Mapping[int, str]
    offset: int
    """How many bytes have come as a stream, one after the other."""
    crc32c: str | None
    """Of those bytes, eight hexadecimal digits; None where there is no stream."""
    created_at: str

    @property
    def is_alive(self) -> bool:
        """Whether it can still become a file, or has become one."""
        return self.state in {"open", "received", "completed"}


def ticket_from(said: Mapping[str, Any]) -> Ticket:
    """Return the ticket that an object of ``/api/uploads`` describes; raise as ``file_from`` does."""
    return Ticket(
        upload_id=said["id"],
        file_id=said["file_id"],
        state=said["state"],
        url=said["url"],
        part_url=said["part_url"],
        size=said["size"],
        max_size=int(said["max_size"]),
        part_size=said["part_size"],
        offset=int(said["offset"]),
        crc32c=said["crc32c"],
        parts={int(part["part_number"]): str(part["etag"]) for part in said["parts"]},
        created_at=said["created_at"],
    )
