"""Uploads with a ticket: what is to come is promised first, its bytes come to a signed URL whole or in parts, and a last
call makes them a version. Until that call nothing of them is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobStore
from fileferry.db import files, uploads
from fileferry.db.database import Database
from fileferry.engine import policy, processing, versions
from fileferry.engine.arrivals import promised_digests, refuse_ended, reload
from fileferry.engine.digests import Algorithm, Hasher, combine_crc32c
from fileferry.engine.folders import find_folder
from fileferry.engine.links import Links
from fileferry.engine.organizations import find_workspace
from fileferry.engine.parts import choose_part_size, choose_parts, join_extents
from fileferry.engine.versions import Content, Placement, Preconditions
from fileferry.errors import (
    AlreadyUploaded,
    DigestMismatch,
    FileTooLarge,
    Gone,
    LinkRefused,
    NotFound,
    NotUploaded,
    SizeMismatch,
)
from fileferry.model import (
    Clock,
    Digests,
    Part,
    Principal,
    Scope,
    StoredFile,
    Upload,
    UploadState,
    new_id,
)
from fileferry.settings import Settings


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says that it will upload. ``size`` is exact; without it anything up to ``max_size`` may come (bytes).

    ``digests`` must match in the end. ``part_size`` asks for parts; 0 leaves their size to us.
    """

    path: str
    at_path: bool = False
    folder_id: str | None = None
    workspace: str | None = None
    content_type: str | None = None
    metadata: dict[str, Any] = {}
    expires_in: timedelta | None = None
    expires_at: datetime | None = None
    size: int | None = None
    max_size: int | None = None
    digests: Mapping[Algorithm, bytes] = {}
    part_size: int | None = None
    preconditions: Preconditions = Preconditions()


class Tickets:
    """The uploads with a ticket of all organizations."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        links: Links,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._links = links
        self._settings = settings
        self._clock = clock

    async def open(self, principal: Principal, promises: Sequence[Promise]) -> list[Upload]:
        """Promise an upload each, all or none, in one transaction.

        Raises Forbidden, FileTooLarge, InvalidExpiry, InvalidMetadata, InvalidParameter, NotFound (folder, workspace).
        """
        policy.authorize(principal, Scope.UPLOAD)
        return await self._database.write(self._open, principal, promises)

    async def get(self, principal: Principal, upload_id: str) -> Upload:
        """Return an upload of the organization; raises NotFound."""
        policy.authorize(principal, Scope.UPLOAD)
        upload = await self._database.read(uploads.find, upload_id)
        if upload is None or upload.organization_id != principal.organization.id:
            raise NotFound("There is no upload with this id, or this key may not see it.")
        return upload

    async def find_by_file(self, principal: Principal, file_id: str) -> Upload:
        """Return the upload that is to make, or has made, a file; raises NotFound."""
        policy.authorize(principal, Scope.UPLOAD)
        found = await self._database.read(uploads.find_by_files, principal.organization.id, [file_id])
        if file_id not in found:
            raise NotFound("There is no upload for a file with this id, or this key may not see it.")
        return found[file_id]

    async def find_multipart(self, principal: Principal, multipart_id: str) -> Upload:
        """Return the upload with this multipart id; raises NotFound."""
        policy.authorize(principal, Scope.UPLOAD)
        upload = await self._database.read(uploads.find_by_multipart, multipart_id)
        if upload is None or upload.organization_id != principal.organization.id:
            raise NotFound("There is no multipart upload with this id, or this key may not see it.")
        return upload

    async def at(self, upload_id: str, query: Mapping[str, str]) -> Upload:
        """Return the upload that a signed URL is for; raises LinkRefused, the same for every reason."""
        now = self._clock()
        upload = await self._database.lookup(uploads.find_usable, upload_id, now)
        if upload is None:
            raise LinkRefused()
        self._links.verify_upload(query, upload, now)
        return upload

    def url_query(self, upload: Upload) -> dict[str, str]:
        """Return the query of the upload's signed URL, good for ``upload_url_lifetime`` from now."""
        return self._links.upload_query(upload, self.url_expiry())

    def url_expiry(self) -> datetime:
        """Return when a URL signed now ends."""
        return self._clock() + self._settings.upload_url_lifetime

    def public_token(self, upload: Upload) -> str:
        """Return the token that the file's public URL will carry."""
        return self._links.public_token(upload.organization_id, upload.file_id, upload.version_id)

    async def parts(self, upload: Upload) -> list[Part]:
        """Return the parts that have arrived, by number."""
        return await self._database.read(uploads.list_parts, upload.id)

    async def complete(self, upload: Upload, listed: Sequence[tuple[int, str]] | None) -> StoredFile:
        """Make what has arrived the file, whether it came whole or in parts; see ``complete_parts``. Raises NotUploaded too."""
        if upload.blob_key is None or upload.state is UploadState.RECEIVED:
            (stored,) = await self._finish([upload.file_id], upload.organization_id)
            return stored
        return await self.complete_parts(upload, listed)

    async def complete_parts(self, upload: Upload, listed: Sequence[tuple[int, str]] | None) -> StoredFile:
        """Make the listed parts (number and ETag, in order; None is all) the file. Copies no bytes; repeating it is no error.

        Raises InvalidPart naming the part, NotUploaded, SizeMismatch, DigestMismatch, Gone.
        """
        gathered = await self._database.write(self._gather, upload.id, listed)
        if gathered.state is UploadState.RECEIVED:
            await self._assemble(gathered)
        (stored,) = await self._finish([gathered.file_id], upload.organization_id)
        return stored

    async def confirm(self, principal: Principal, file_ids: Sequence[str]) -> list[StoredFile]:
        """Make received uploads files, all or none; those that are files already stay so.

        Raises NotFound and NotUploaded, naming ids.
        """
        policy.authorize(principal, Scope.UPLOAD)
        return await self._finish(list(file_ids), principal.organization.id)

    async def abort(self, upload: Upload) -> None:
        """End an upload that is not complete, and free its bytes; repeating it is no error. Raises AlreadyUploaded."""

        def end(conn: Connection) -> None:
            current = reload(conn, upload.id)
            if current.state is UploadState.COMPLETED:
                raise AlreadyUploaded("The upload is complete: delete the file instead.")
            if current.state in (UploadState.OPEN, UploadState.RECEIVED):
                uploads.update_upload(conn, upload.id, state=UploadState.ABORTED, content=None)

        await self._database.write(end)

    def _open(self, conn: Connection, principal: Principal, promises: Sequence[Promise]) -> list[Upload]:
        now = self._clock()
        organization_id = principal.organization.id
        opened = []
        places: dict[tuple[str | None, str | None], tuple[str, str]] = {}
        for promise in promises:
            asked = (promise.workspace, promise.folder_id)
            if asked not in places:
                places[asked] = _find_place(conn, organization_id, *asked)
            opened.append(self._new_upload(principal, promise, *places[asked], now))
        uploads.insert_uploads(conn, opened)
        return opened

    def _new_upload(
        self, principal: Principal, promise: Promise, workspace_id: str, folder_path: str, now: datetime
    ) -> Upload:
        largest = policy.largest_file(self._settings)
        if max(promise.size or 0, promise.max_size or 0) > largest:
            raise FileTooLarge(f"A file may have at most {largest} bytes here.", limit=largest)
        policy.check_metadata(self._settings, promise.metadata)
        policy.expiry(self._settings, now, promise.expires_in, promise.expires_at)
        multipart = promise.part_size is not None
        return Upload(
            id=new_id(now),
            organization_id=principal.organization.id,
            workspace_id=workspace_id,
            folder_id=promise.folder_id,
            key_id=principal.key.id,
            file_id=new_id(now),
            version_id=new_id(now),
            state=UploadState.OPEN,
            path=folder_path + promise.path,
            at_path=promise.at_path,
            if_match=list(promise.preconditions.if_match),
            must_be_new=promise.preconditions.must_be_new,
            content_type=promise.content_type,
            metadata=promise.metadata,
            lifetime=None if promise.expires_in is None else int(promise.expires_in.total_seconds()),
            expires_at=promise.expires_at,
            size=promise.size,
            max_size=promise.size if promise.size is not None else promise.max_size or largest,
            digests={algorithm.value: digest.hex() for algorithm, digest in promise.digests.items()},
            part_size=choose_part_size(promise.part_size or 0, promise.size or 0) if multipart else None,
            multipart_id=new_id(now) if multipart else None,
            tail=promise.size or 0,
            url_expires_at=now + self._settings.upload_url_lifetime,
            touched_at=now,
            created_at=now,
            blob_key=new_id(now) if multipart else None,
            content=None,
        )

    def _gather(self, conn: Connection, upload_id: str, listed: Sequence[tuple[int, str]] | None) -> Upload:
        """Fix which parts make the file; from here on no part is taken any more."""
        upload = reload(conn, upload_id)
        if upload.state is not UploadState.COMPLETED:
            refuse_ended(upload)
        chosen = choose_parts(uploads.list_parts(conn, upload_id), listed)
        if upload.state is not UploadState.OPEN:
            return upload
        if upload.blob_key is None or not chosen:
            raise NotUploaded("No part has arrived.")
        size = sum(part.size for part in chosen)
        if upload.size is not None and size != upload.size:
            raise SizeMismatch(
                f"The parts listed have {size} bytes together; {upload.size} were promised.", expected=upload.size
            )
        if size > upload.max_size:
            raise FileTooLarge(limit=upload.max_size)
        crc32c = 0
        for part in chosen:
            crc32c = combine_crc32c(crc32c, int(part.crc32c, 16), part.size)
        content = Content(
            blob_key=upload.blob_key,
            extents=join_extents(chosen),
            size=size,
            content_type="",
            detected_type=None,
            digests=Digests(f"{crc32c:08x}"),
        )
        now = self._clock()
        values = {"state": UploadState.RECEIVED, "content": msgspec.to_builtins(content), "touched_at": now}
        uploads.update_upload(conn, upload_id, **values)
        return msgspec.structs.replace(upload, **values)

    async def _assemble(self, upload: Upload) -> None:
        """Make gathered parts a blob, verify what was promised of the whole, and judge its type. May be repeated."""
        content = msgspec.convert(upload.content, Content)
        assert content.blob_key is not None  # parts are gathered in the store
        await self._store.assemble(content.blob_key)
        promised = promised_digests(upload)
        hasher = Hasher(promised)
        head = b""
        # Reading it all again is the price of a digest over the whole that parts cannot give; the first bytes cost nothing.
        wanted = content.size if promised else min(content.size, processing.SNIFFED_BYTES)
        for extent in versions.extents_within(content.extents, content.size, 0, wanted):
            async for block in self._store.read(content.blob_key, extent.offset, extent.length):
                head += block[: processing.SNIFFED_BYTES - len(head)]
                await asyncio.to_thread(hasher.update, [block])
        if promised:
            await self._verify(upload, hasher, promised)
        content_type, detected_type = processing.judge_types(head, upload.content_type, upload.name)
        sha256 = promised.get(Algorithm.SHA256)
        digests = Digests(content.digests.crc32c, sha256.hex() if sha256 else None)
        judged = msgspec.structs.replace(
            content, content_type=content_type, detected_type=detected_type, digests=digests
        )
        await self._update(upload, content=msgspec.to_builtins(judged))

    async def _verify(self, upload: Upload, hasher: Hasher, promised: Mapping[Algorithm, bytes]) -> None:
        try:
            hasher.verify(promised)
        except DigestMismatch:
            await self._update(upload, state=UploadState.ABORTED, content=None)
            raise

    async def _update(self, upload: Upload, **values: Any) -> None:
        """Record what assembling came to, unless the upload has moved on meanwhile: ended, completed, or sent anew whole."""

        def record(conn: Connection) -> None:
            current = uploads.find(conn, upload.id)
            if current and (current.state, current.blob_key) == (UploadState.RECEIVED, upload.blob_key):
                uploads.update_upload(conn, upload.id, **values)

        await self._database.write(record)

    async def _finish(self, file_ids: list[str], organization_id: str) -> list[StoredFile]:
        found = await self._database.read(uploads.find_by_files, organization_id, file_ids)
        for upload in found.values():
            # A process that died between gathering and assembling left this to do.
            if upload.state is UploadState.RECEIVED and upload.content and not upload.content["content_type"]:
                await self._assemble(upload)
        return await self._database.write(self._record, file_ids, organization_id)

    def _record(self, conn: Connection, file_ids: list[str], organization_id: str) -> list[StoredFile]:
        found = uploads.find_by_files(conn, organization_id, file_ids)
        unknown = [file_id for file_id in file_ids if file_id not in found]
        if unknown:
            raise NotFound("There are no uploads for some of these ids.", ids=unknown)
        missing = [file_id for file_id in file_ids if found[file_id].state is UploadState.OPEN]
        if missing:
            raise NotUploaded(ids=missing)
        return [self._add(conn, found[file_id]) for file_id in dict.fromkeys(file_ids)]

    def _add(self, conn: Connection, upload: Upload) -> StoredFile:
        if upload.state is UploadState.COMPLETED:
            stored = files.find_by_version(conn, upload.version_id)
            if stored is None or stored.file.deleted_at is not None:
                raise Gone("The file was deleted, or its life is over.", ids=[upload.file_id])
            return stored
        if upload.state is not UploadState.RECEIVED:
            raise Gone("The upload was aborted, or waited too long.", ids=[upload.file_id])
        now = self._clock()
        lifetime = None if upload.lifetime is None else timedelta(seconds=upload.lifetime)
        place = Placement(
            organization_id=upload.organization_id,
            workspace_id=upload.workspace_id,
            folder_id=upload.folder_id,
            path=upload.path,
            at_path=upload.at_path,
            metadata=upload.metadata,
            expires_at=policy.expiry(self._settings, now, lifetime, upload.expires_at),
            file_id=upload.file_id,
            version_id=upload.version_id,
            preconditions=Preconditions(tuple(upload.if_match), upload.must_be_new),
        )
        content = msgspec.convert(upload.content, Content)
        received = versions.add(conn, place, content, now)
        ended = {"state": UploadState.COMPLETED, "blob_key": None, "content": None, "touched_at": now}
        uploads.update_upload(conn, upload.id, **ended)
        return received.stored


def _find_place(
    conn: Connection, organization_id: str, workspace: str | None, folder_id: str | None
) -> tuple[str, str]:
    """Return the id of the workspace and the prefix of the folder, with its slash."""
    if folder_id is None:
        return find_workspace(conn, organization_id, workspace).id, ""
    folder = find_folder(conn, organization_id, folder_id)
    return folder.workspace_id, folder.path + "/"
