"""Tickets whose bytes go to the store itself: what it is told of, by which URLs they come, and that they are verified here.

The upload's own signed URL goes on working: whatever comes by it is what the upload has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.direct import DirectPart, DirectUploads
from fileferry.blobs.store import BlobMissing, BlobStore
from fileferry.db import direct_uploads, uploads
from fileferry.db.database import Database
from fileferry.db.direct_uploads import DirectUpload
from fileferry.db.writer import brief
from fileferry.engine.access.rates import Rates
from fileferry.engine.files.placement import Content
from fileferry.engine.inspection import signatures
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.engine.receiving.completion import Completion, promised_digests, reload
from fileferry.engine.receiving.parts import choose_parts, part_count, part_length
from fileferry.errors import DigestMismatch, FerryError, SizeMismatch
from fileferry.logs import get_logger
from fileferry.model import Clock, Digests, Part, Principal, Upload, UploadState, new_id
from fileferry.settings import Settings

_PINNED = (Algorithm.SHA256, Algorithm.CRC32C)  # the stronger one first; a URL holds one
_AT_ONCE = 16  # requests to the store for one of ours
_log = get_logger(__name__)


class DirectUrl(msgspec.Struct, frozen=True):
    """Where a client PUTs a part, of exactly ``size`` bytes; the whole where it is the only one."""

    number: int
    size: int
    url: str


class DirectTickets:
    """What the store takes of promised uploads by itself."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        completion: Completion,
        rates: Rates,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._completion = completion
        self._rates = rates
        self._settings = settings
        self._clock = clock

    async def offer(
        self, principal: Principal, opened: Sequence[Upload], *, lists_parts: bool = False
    ) -> dict[str, list[DirectUrl]]:
        """Tell the store of uploads that have just been opened; return the URLs of those that may go there, by the upload's id.

        Others come to their own signed URLs: what is small, of no known size, to complete itself or counted on its way, and all
        of them while the store is away; and where the client ``lists_parts`` by their ETags, what comes in parts to a store that
        has none for them.
        """
        direct = self._offered(principal)
        if direct is None:
            return {}
        fitting = [upload for upload in opened if self._fits(direct, upload, lists_parts and not direct.names_parts)]
        begun: list[DirectUpload] = []
        try:
            for start in range(0, len(fitting), _AT_ONCE):
                some = fitting[start : start + _AT_ONCE]
                begun += await asyncio.gather(*(self._begin(direct, upload) for upload in some))
        except FerryError as error:
            _log.warning("direct_ticket_not_begun", reason=error.detail)
        if begun:
            await self._database.write(self._record, begun)
        by_id = {upload.id: upload for upload in fitting}
        return {one.upload_id: await self._signed(by_id[one.upload_id], one) for one in begun}

    async def offer_session(self, principal: Principal, upload: Upload, origin: str | None) -> str | None:
        """Tell the store of an upload that has just been opened; return the address of a resumable session, good for a week.

        Pages of ``origin`` may send to it too. None where the upload comes to its own signed URL; see ``offer``.
        """
        direct = self._offered(principal)
        if direct is None or self._settings.upload_idle_timeout > direct.longest:
            return None
        if not self._fits(direct, upload, only_whole=False):
            return None
        key = upload.blob_key or new_id(self._clock())
        try:
            begun = await direct.session(key, upload.promised_size or 0, origin)
        except FerryError as error:
            _log.warning("direct_ticket_not_begun", reason=error.detail)
            return None
        if begun is None:
            return None
        await self._database.write(self._record, [DirectUpload(upload.id, key, begun[0], None)])
        return begun[1]

    async def urls(self, upload: Upload, numbers: Sequence[int] | None = None) -> list[DirectUrl] | None:
        """Return fresh URLs of an upload, for all parts or those of these numbers; None where it does not go to the store."""
        told = await self.find(upload)
        return None if told is None else await self._signed(upload, told, numbers)

    async def find(self, upload: Upload) -> DirectUpload | None:
        """Return what the store was told of an upload whose bytes may still go there."""
        if self._store.direct_uploads is None or upload.state is not UploadState.OPEN:
            return None
        return await self._database.lookup(_find, upload)

    async def parts(self, upload: Upload, told: DirectUpload) -> list[Part]:
        """Return the parts that the store has, by number; what it calls their ETag stands for their MD5."""
        direct = self._store.direct_uploads
        found = None if direct is None else await direct.parts(told.blob_key, told.store_name)
        return [self._part(upload, part) for part in found or []]

    async def receive(self, upload: Upload, listed: Sequence[tuple[int, str]] | None = None) -> Upload:
        """Take over what has come to the store: put it together, read it, and record that all bytes are there.

        Returns the upload as it was where it did not go there, or where bytes are missing and nobody listed them. Repeating it is
        no error. Raises InvalidPart, SizeMismatch, and DigestMismatch, after which the upload has ended.
        """
        told, direct = await self.find(upload), self._store.direct_uploads
        if told is None or direct is None:
            return upload
        found = await direct.parts(told.blob_key, told.store_name)
        if found is not None:
            chosen = choose_parts([self._part(upload, part) for part in found], listed)
            if sum(part.size for part in chosen) != upload.promised_size:
                if listed is None:
                    return upload
                expected = upload.promised_size
                raise SizeMismatch(f"The parts listed are not the {expected} bytes promised.", expected=expected)
            parts = [DirectPart(part.number, part.size, part.md5) for part in chosen]
            await direct.complete(told.blob_key, told.store_name, parts)
        try:
            content = await self._examine(upload, told)
        except BlobMissing:
            return upload
        return await self._database.write(self._received, upload.id, content)

    async def receive_all(self, asked: Sequence[Upload]) -> list[Upload]:
        """Take over what has come of these uploads; see ``receive``."""
        if self._store.direct_uploads is None:
            return list(asked)
        found: list[Upload] = []
        for start in range(0, len(asked), _AT_ONCE):
            found += await asyncio.gather(*map(self.receive, asked[start : start + _AT_ONCE]))
        return found

    async def has_brought(self, upload: Upload) -> bool:
        """Whether what an upload has came from the store, and not by its own URL."""
        told = await self._database.lookup(direct_uploads.find, upload.id)
        content = upload.content or {}
        is_over = upload.state is UploadState.COMPLETED and not await self._database.lookup(
            uploads.count_pieces, upload.id
        )
        return told is not None and (content.get("blob_key") == told.blob_key or is_over)

    async def _signed(
        self, upload: Upload, told: DirectUpload, numbers: Sequence[int] | None = None
    ) -> list[DirectUrl]:
        direct = self._store.direct_uploads
        assert direct is not None  # there is nothing told of otherwise
        asked = range(1, _count(upload) + 1) if numbers is None else numbers
        lifetime = min(self._settings.upload_url_lifetime, direct.longest)
        sized = [(number, _size(upload, number)) for number in asked]
        pinned = told.pinned and (told.pinned, promised_digests(upload)[Algorithm(told.pinned)])
        urls = await direct.urls(told.blob_key, told.store_name, sized, lifetime, pinned or None)
        return [DirectUrl(number, size, url) for (number, size), url in zip(sized, urls, strict=True)]

    async def _begin(self, direct: DirectUploads, upload: Upload) -> DirectUpload:
        key = upload.blob_key or new_id(self._clock())
        return DirectUpload(upload.id, key, await direct.begin(key), _pinned(direct, upload))

    def _offered(self, principal: Principal) -> DirectUploads | None:
        """Return where a key's clients may be sent; None where bytes are counted on their way, or the settings rule it out."""
        is_ruled_out = self._settings.direct == "never" or self._rates.toll(principal) is not None
        return None if is_ruled_out else self._store.direct_uploads

    def _fits(self, direct: DirectUploads, upload: Upload, only_whole: bool) -> bool:
        size, part_size = upload.promised_size, upload.part_size
        if size is None or size <= self._settings.inline_size or upload.auto_complete or upload.end_user is not None:
            return False
        lifetime = upload.url_expires_at - upload.created_at
        if lifetime > direct.longest + timedelta(seconds=1):
            return False
        is_split = part_size is not None and size > part_size
        if is_split and only_whole:
            return False
        return (part_size if is_split and part_size else size) <= direct.largest_part and (
            not is_split or (part_size or 0) >= direct.least_part
        )

    @brief
    def _record(self, conn: Connection, begun: Sequence[DirectUpload]) -> None:
        direct_uploads.insert_all(conn, begun)
        for one in begun:
            # From here on it is the upload's: nothing of it is an orphan.
            uploads.update_upload(conn, one.upload_id, blob_key=one.blob_key)

    def _part(self, upload: Upload, part: DirectPart) -> Part:
        offset = (part.number - 1) * (upload.part_size or 0)
        return Part(part.number, offset, part.size, part.tag.lower(), "", self._clock())

    async def _examine(self, upload: Upload, told: DirectUpload) -> Content:
        """Read all that came: what a store says of it is not believed. Raises BlobMissing, and DigestMismatch.

        Where all that is to be known is a CRC32C, and the store took no bytes without it, just the first are read, for the type.
        """
        blob_key, size = told.blob_key, upload.promised_size or 0
        promised = promised_digests(upload)
        if told.pinned == Algorithm.CRC32C and len(promised) == 1 and size > self._settings.sha256_size:
            async with aclosing(self._read(blob_key, size, signatures.SNIFFED_BYTES)) as blocks:
                head = b"".join([block async for block in blocks])
            return _content(upload, blob_key, head, Digests(promised[Algorithm.CRC32C].hex()))
        hasher = Hasher(promised, self._settings.sha256_size)
        head = b""
        async with aclosing(self._read(blob_key, size, size)) as blocks:
            async for block in blocks:
                head += block[: signatures.SNIFFED_BYTES - len(head)]
                await hasher.take([block])
        try:
            hasher.verify(promised)
        except DigestMismatch:
            await self._database.write(_abort, upload.id)
            raise
        return _content(upload, blob_key, head, hasher.digests())

    async def _read(self, blob_key: str, size: int, wanted: int) -> AsyncGenerator[bytes]:
        if (await self._store.stat(blob_key)).size != size:
            raise BlobMissing(blob_key)
        async with aclosing(self._store.read(blob_key, 0, min(wanted, size))) as blocks:
            async for block in blocks:
                yield block

    @brief
    def _received(self, conn: Connection, upload_id: str, content: Content) -> Upload:
        current = reload(conn, upload_id)
        if (
            current.state is not UploadState.OPEN
            or current.blob_key != content.blob_key
            or _has_come_here(conn, current)
        ):
            return current
        return self._completion.receive(conn, current, content)


def _content(upload: Upload, blob_key: str, head: bytes, digests: Digests) -> Content:
    content_type, detected_type = signatures.judge_types(head, upload.content_type, upload.name)
    return Content(
        blob_key=blob_key,
        size=upload.promised_size or 0,
        content_type=content_type,
        detected_type=detected_type,
        digests=digests,
    )


def _pinned(direct: DirectUploads, upload: Upload) -> str | None:
    """Return to which promised digest the store can hold the bytes of an upload that is one part of it."""
    promised = promised_digests(upload) if _count(upload) == 1 else {}
    return next((name.value for name in _PINNED if name in promised and name.value in direct.pins), None)


@brief
def _abort(conn: Connection, upload_id: str) -> None:
    if reload(conn, upload_id).state is UploadState.OPEN:
        uploads.update_upload(conn, upload_id, state=UploadState.ABORTED, content=None)


def _find(conn: Connection, upload: Upload) -> DirectUpload | None:
    found = direct_uploads.find(conn, upload.id)
    return None if found is None or _has_come_here(conn, upload) else found


def _has_come_here(conn: Connection, upload: Upload) -> bool:
    """Whether bytes have come by the upload's own URL."""
    return upload.stream is not None or upload.content is not None or uploads.count_pieces(conn, upload.id) > 0


def _count(upload: Upload) -> int:
    return 1 if upload.part_size is None else part_count(upload)


def _size(upload: Upload, number: int) -> int:
    length = part_length(upload, number) if upload.part_size is not None else upload.promised_size
    assert length is not None  # only uploads of a known size are sent there
    return length
