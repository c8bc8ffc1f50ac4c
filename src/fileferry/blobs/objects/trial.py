"""Trying things on a store of objects: as the server does, and as clients do by a signed URL. No answer is an answer too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from fileferry.blobs.direct import Observation
from fileferry.blobs.objects.client import Client
from fileferry.blobs.objects.probing import no_answer, seen_of, told
from fileferry.blobs.objects.requests import BROKEN, Answer
from fileferry.blobs.objects.verbs import Objects
from fileferry.errors import FerryError

TEXT, OTHER = b"fileferry", b"ferryfile"
"""What probes put, and other bytes of the same length."""
LIFE = timedelta(minutes=5)
"""How long the URLs of a probe are good."""
_ANY_ORIGIN = "https://a-page.example"

C = TypeVar("C", bound=Client)


class Trial(Generic[C]):
    """What probes of all stores do."""

    def __init__(self, client: C) -> None:
        self._client = client

    async def ask(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Return what is answered to the server."""
        try:
            return await self._client.once(method, key, query, headers=headers, body=body)
        except BROKEN as error:
            return no_answer(error)

    async def follow(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Return what is answered to whoever has a URL."""
        try:
            return await self._client.send_as_told(method, url, headers or {}, body)
        except BROKEN as error:
            return no_answer(error)

    async def range_of(self, name: str) -> Observation:
        """Get some bytes of TEXT, which is there under a name."""
        came = await self.ask("GET", name, headers={"range": "bytes=2-4"})
        is_fine = came.status == 206 and came.body == TEXT[2:5]
        follows = "" if is_fine else "ranges are checked byte for byte; clients are not sent there"
        return seen_of("range", "get bytes 2 to 4", came, is_fine, follows)

    async def in_two_parts(self, objects: Objects, name: str, tried: str, *, completions: int = 1) -> Observation:
        """Put an object in two parts, completed so often, as after an answer that was lost; ``tried`` says it."""
        try:
            upload_id = await objects.begin_parts(name)
            tags = [await objects.put_part(name, upload_id, number, TEXT) for number in (1, 2)]
            for _ in range(completions):
                await objects.complete_parts(name, upload_id, tags, 2 * len(TEXT))
            is_whole = await objects.get(name) == TEXT * 2
        except FerryError as error:
            return Observation("parts", tried, error.detail, "nothing large can be kept", False)
        return Observation("parts", tried, "done" if is_whole else "other bytes", "", is_whole)

    async def cors(
        self, name: str, method: str, url: str, body: bytes = b"", *, exposed: str | None = None
    ) -> Observation:
        """Ask as a browser does for a page of any origin; one that was redirected says that its origin is ``null``.

        The page must be able to read the header ``exposed``, if there is one.
        """
        asked = {"origin": _ANY_ORIGIN, "access-control-request-method": method}
        before = [await self.follow("OPTIONS", url, asked)] if method == "PUT" else []
        answers = [await self.follow(method, url, {"origin": origin}, body) for origin in (_ANY_ORIGIN, "null")]
        allowed = [answer.headers.get("access-control-allow-origin", "") for answer in (*before, *answers)]
        told_of = answers[0].headers.get("access-control-expose-headers", "").lower()
        is_exposed = exposed is None or exposed in told_of or told_of == "*"
        is_fine = all(origin in ("*", _ANY_ORIGIN, "null") for origin in allowed) and is_exposed
        came = f"allowed origins: {', '.join(origin or 'none' for origin in allowed)}"
        return Observation(f"cors_{name}", f"{method} as a page of another origin", came, "", is_fine)

    async def public(self, url: str | None, content: bytes) -> Observation:
        """Fetch by the address of clients; whether they reach it cannot be known from here where this server does not."""
        tried = "get an object by the address of clients"
        if url is None:
            follows = "say it by public=URL if clients reach the store"
            return Observation("public", tried, "no such address is known", follows, False)
        came = await self.follow("GET", url)
        if came.status == 0:
            return Observation("public", tried, told(came), "not reached from here; clients may", True)
        return seen_of("public", tried, came, came.body == content)
