"""Signs of life of what comes for an end user: whoever asks how far it is would take a long silence for the end."""

from __future__ import annotations

from datetime import timedelta

from fileferry.db import uploads
from fileferry.db.database import Database
from fileferry.model import Clock, Upload

_INTERVAL = timedelta(minutes=1)


class Liveness:
    """Notes with an upload, once a minute, that its bytes are coming."""

    def __init__(self, database: Database, clock: Clock, upload: Upload) -> None:
        self._database = database
        self._clock = clock
        self._upload = upload
        self._noted_at = upload.touched_at

    async def note(self) -> None:
        """Note it if that is due, and the upload is for an end user."""
        now = self._clock()
        if self._upload.end_user is None or now - self._noted_at < _INTERVAL:
            return
        self._noted_at = now
        await self._database.write(uploads.touch, self._upload.id, now)
