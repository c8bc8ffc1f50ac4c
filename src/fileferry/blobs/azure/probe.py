"""What a container does and enforces, tried with small blobs below ``probe/`` that are removed again.

Each check is one observation. What follows for clients, that are to be sent to the store or not, is ``judged`` of them.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator

from fileferry.blobs.azure.client import Client
from fileferry.blobs.azure.direct import block_of, block_query
from fileferry.blobs.azure.objects import BLOCK_BLOB, Objects
from fileferry.blobs.direct import Observation, Report
from fileferry.blobs.objects.probing import compare_clocks, is_refusal, judged, no_answer, seen_of, told
from fileferry.blobs.objects.requests import BROKEN, Answer, md5_of, parsed, text_of
from fileferry.blobs.objects.trial import LIFE, OTHER, TEXT, Trial
from fileferry.errors import FerryError

_KEY_ONLY = "URLs can be signed with an account key only, not with a SAS token"
_FOR_UPLOADS = {
    "signs": _KEY_ONLY,
    "resend": "it takes no block a second time",
    "sealed": "what was sent could be changed afterwards",
    "cors_upload": "pages of other origins may not send to it: set CORS rules",
}
_FOR_DOWNLOADS = {
    "signs": _KEY_ONLY,
    "range": "it does not give ranges as asked",
    "overrides": "it does not say the type and disposition that a URL was signed with",
    "cors_download": "pages of other origins may not read from it: set CORS rules",
}


class Probe(Trial[Client]):
    """One look at a container."""

    def __init__(self, client: Client, objects: Objects) -> None:
        super().__init__(client)
        self._objects = objects
        self._names = f"probe/{uuid.uuid4()}"
        self._blob = f"{self._names}/blob"
        self._incoming = f"{self._names}/incoming"
        self._sealed = f"{self._names}/sealed"
        self._abandoned = f"{self._names}/abandoned"

    async def run(self) -> Report:
        """Try everything; what cannot be tried for lack of what comes before it is left out."""
        seen = [observation async for observation in self._observations()]
        where = self._client.location
        return judged(f"{where.origin}, container {where.container}", seen, _FOR_UPLOADS, _FOR_DOWNLOADS)

    async def _observations(self) -> AsyncGenerator[Observation]:
        reached = await self.ask("GET", None, [("restype", "container"), ("comp", "list"), ("maxresults", "1")])
        yield seen_of("reachable", "list one name", reached, reached.status == 200)
        if reached.status == 0:
            return
        yield compare_clocks(reached, self._client.clock(), "RequestTimeTooSkewed")
        if reached.status != 200:
            return
        async for observation in self._permissions():
            yield observation
        yield await self._digest()
        yield await self._create_only()
        yield await self.range_of(self._blob)
        tried = "put two blocks and their list, and the list again"
        yield await self.in_two_parts(self._objects, f"{self._names}/parts", tried, completions=2)
        yield await self._abandoned_blocks()
        yield await self._deletions()
        can_sign = self._client.can_sign
        yield Observation("signs", "sign a URL", "can be done" if can_sign else "there is no account key", "", can_sign)
        if can_sign:
            async for observation in self._of_clients():
                yield observation
        yield await self._by_public_address()
        removed = await self.ask("DELETE", self._blob)
        for rest in ("digest", "incoming", "parts", "sealed"):
            await self.ask("DELETE", f"{self._names}/{rest}")
        gone = await self.ask("GET", self._blob)
        yield seen_of("delete", "remove a blob", removed, removed.is_success and gone.status == 404)

    async def _permissions(self) -> AsyncGenerator[Observation]:
        written = await self._put(self._blob)
        yield seen_of("write", "put a blob", written, written.is_success)
        read = await self.ask("GET", self._blob)
        yield seen_of("read", "get it", read, read.body == TEXT)
        prefix = f"{self._client.location.prefix}{self._names}/"
        listed = await self.ask("GET", None, [("restype", "container"), ("comp", "list"), ("prefix", prefix)])
        yield seen_of("list", "list it", listed, b"/blob</Name>" in listed.body)

    async def _digest(self) -> Observation:
        came = await self._put(f"{self._names}/digest", **{"content-md5": md5_of(OTHER)})
        follows = "" if came.status == 400 else "bytes that are changed on their way would be taken"
        return seen_of("digest", "put other bytes than the MD5 says", came, came.status == 400, follows)

    async def _create_only(self) -> Observation:
        came = await self._put(self._blob, **{"if-none-match": "*"})
        is_fine = came.status in (409, 412)
        follows = "" if is_fine else "two first starts at the same moment are not told apart"
        return seen_of("create_only", "put a blob that is there, with If-None-Match", came, is_fine, follows)

    async def _abandoned_blocks(self) -> Observation:
        tried = "put a block and drop it"
        try:
            upload_id = await self._objects.begin_parts(self._abandoned)
            await self._objects.put_part(self._abandoned, upload_id, 1, TEXT)
            await self._objects.abort_parts(self._abandoned, upload_id)
            is_gone = not await self._objects.uncommitted(self._abandoned)
        except FerryError as error:
            return Observation("abandoned", tried, error.detail, "the store drops it within a week", False)
        follows = "" if is_gone else "the store drops it within a week"
        return Observation("abandoned", tried, "gone" if is_gone else "not gone", follows, is_gone)

    async def _deletions(self) -> Observation:
        """Ask whether what is deleted is kept for days; a SAS token of a container may not."""
        try:
            came = await self._client.properties()
        except BROKEN as error:
            came = no_answer(error)
        policy = None if came.status != 200 else parsed(came.body)
        kept = None if policy is None else policy.find("{*}DeleteRetentionPolicy")
        tried = "ask whether deleted blobs are kept"
        if text_of(kept, "Enabled") == "true":
            came_to = f"for {text_of(kept, 'Days')} days"
            return Observation("soft_delete", tried, came_to, "what is deleted is paid for so long", False)
        follows = "" if policy is not None else "see to it in the portal: what is deleted is paid for while it is kept"
        return Observation("soft_delete", tried, "no" if policy is not None else told(came), follows, True)

    async def _of_clients(self) -> AsyncGenerator[Observation]:
        presented = {"rscd": 'attachment; filename="a"', "rsct": "text/x-probe"}
        url = self._client.shared("r", self._blob, LIFE, presented=presented, from_here=True)
        came = await self.follow("GET", url)
        said = (came.headers.get("content-disposition", ""), came.headers.get("content-type", ""))
        is_fine = came.status == 200 and said == tuple(presented.values())
        yield seen_of("overrides", "get it by a signed URL, with type and disposition", came, is_fine)
        name = await self._objects.begin_parts(self._incoming)
        url = self._client.shared("w", self._incoming, LIFE, block_query(name, 1), from_here=True)
        yield await self.cors("upload", "PUT", url, OTHER)
        again = [await self.follow("PUT", url, body=body) for body in (OTHER, TEXT)]
        are_taken = all(answer.is_success for answer in again)
        yield Observation(
            "resend", "send a block by a signed URL, and again", " and ".join(map(told, again)), "", are_taken
        )
        yield await self._seal(name, url)
        yield await self.cors("download", "GET", self._client.shared("r", self._blob, LIFE, from_here=True))

    async def _by_public_address(self) -> Observation:
        if self._client.location.public is None:
            return await self.public(None, TEXT)
        if not self._client.can_sign:
            return Observation("public", "get a blob by the address of clients", "not tried without a key", "", True)
        return await self.public(self._client.shared("r", self._blob, LIFE), TEXT)

    async def _seal(self, name: str, url: str) -> Observation:
        """Let the store copy what was sent, send other bytes by the URL, and by it to the copy."""
        tried = "copy it, and send other bytes by the same URL"
        try:
            await self._objects.complete_parts(self._incoming, name, [block_of(name, 1)], len(TEXT))
            await self._objects.copy(self._incoming, self._sealed, len(TEXT))
        except FerryError as error:
            return Observation("sealed", tried, error.detail, "", False)
        await self.follow("PUT", url, body=OTHER)
        late = await self.follow("PUT", url.replace("/incoming?", "/sealed?"), BLOCK_BLOB, OTHER)
        kept = await self.ask("GET", self._sealed)
        return seen_of("sealed", tried, late, is_refusal(late) and kept.body == TEXT)

    async def _put(self, name: str, **headers: str) -> Answer:
        return await self.ask("PUT", name, (), {**BLOCK_BLOB, **headers}, TEXT)
