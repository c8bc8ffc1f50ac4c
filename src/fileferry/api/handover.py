"""Leaving the sending of a whole file to the proxy in front, by the header that it looks for (``FILEFERRY_ACCEL``).

Only what every proxy sends as we would: a part, a condition or a dialect is answered by ``delivery`` itself.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from urllib.parse import quote

from fileferry.api.answers import Answer
from fileferry.blobs.store import FileSlice
from fileferry.settings import Settings
from fileferry.telemetry import Message, Receive, Send
from fileferry.web import azure
from fileferry.web.requests import AnyRequest

LOCATION = "/fileferry-store/"
"""What nginx is to look for below the folder of the store."""
_DECIDED_HERE = (
    "range",
    "x-ms-range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
)


def is_possible(request: AnyRequest, settings: Settings) -> bool:
    """Whether the proxy may answer a request, if the bytes are a file's."""
    if settings.accel == "none" or request.method != "GET" or azure.is_spoken(request):
        return False
    return not any(name in request.headers for name in _DECIDED_HERE)


class HandedOver(Answer):
    """An answer whose body the proxy adds; ``otherwise`` answers where no one file has just its bytes.

    ``on_sent`` is called once it was handed over: what becomes of it then is not known here.
    """

    def __init__(
        self,
        headers: dict[str, str],
        slices: AsyncGenerator[bytes | FileSlice],
        settings: Settings,
        on_sent: Callable[[], None],
        otherwise: Answer,
    ) -> None:
        super().__init__(200, headers, None, on_sent)
        self._slices = slices
        self._settings = settings
        self._otherwise = otherwise

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send the head, with the place of the file."""
        async with aclosing(self._slices) as slices:
            # It is opened, so that a lost one is an error told here.
            place = self._place(await anext(slices, None))
        if place is None:
            await self._otherwise(scope, receive, send)
            return
        self._headers = {**self._headers, self._settings.accel: place, "Content-Length": "0"}
        del self._headers["Accept-Ranges"]  # nginx would say it a second time
        await super().__call__(scope, receive, send)

    def _place(self, piece: bytes | FileSlice | None) -> str | None:
        if not isinstance(piece, FileSlice):
            return None
        path, size = str(piece.file.name), os.fstat(piece.file.fileno()).st_size
        if (piece.offset, str(piece.length), size) != (0, self._headers["Content-Length"], piece.length):
            return None
        if self._settings.accel == "x-sendfile":
            return path if path.isascii() and path.isprintable() else None
        folder = self._settings.resolved_store_folder()
        return None if folder is None else LOCATION + quote(os.path.relpath(path, folder))
