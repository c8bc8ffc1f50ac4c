"""The processes that a service is made of."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Process(msgspec.Struct, frozen=True):
    """A process that serves, or works beside those that do; ``role`` is ``serve`` or ``worker``."""

    id: str
    role: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
