"""Batches: uploads that become files together or not at all, and the manifest that tells of those files."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fileferry.db import batches, uploads
from fileferry.db.database import Database
from fileferry.engine.access import policy
from fileferry.engine.receiving.promises import Promise
from fileferry.engine.receiving.tickets import Tickets
from fileferry.errors import Conflict, LinkRefused, NotFound
from fileferry.model import Batch, Clock, Principal, Scope, StoredFile, Upload, UploadState, new_id


class Batches:
    """The batches of all organizations."""

    def __init__(self, database: Database, tickets: Tickets, clock: Clock) -> None:
        self._database = database
        self._tickets = tickets
        self._clock = clock

    async def open(self, principal: Principal, promises: Sequence[Promise]) -> tuple[Batch, list[Upload]]:
        """Promise the uploads of a batch, all or none; raises as ``Tickets.open``."""
        opened = await self._tickets.open(principal, promises)
        now = self._clock()
        batch = Batch(
            id=new_id(now),
            organization_id=principal.organization.id,
            upload_ids=[upload.id for upload in opened],
            created_at=now,
        )
        await self._database.grow(batches.insert_batch, batch)
        return batch, opened

    async def get(self, principal: Principal, batch_id: str) -> tuple[Batch, list[Upload]]:
        """Return a batch and its uploads; raises NotFound, also for one of which the principal does not see all."""
        policy.authorize(principal, Scope.UPLOAD)
        batch = await self._database.read(batches.find, batch_id)
        if batch is None or batch.organization_id != principal.organization.id:
            raise NotFound("There is no batch with this id, or this key may not see it.")
        found = await self._database.read(uploads.find_by_ids, batch.upload_ids)
        if any(id not in found or not policy.sees(principal, found[id]) for id in batch.upload_ids):
            raise NotFound("There is no batch with this id, or this key may not see it.")
        return batch, [found[id] for id in batch.upload_ids]

    async def versions(self, batch_id: str) -> list[str]:
        """Return the versions that a committed batch has made, in its order, for whoever has its manifest; raises LinkRefused."""
        batch = await self._database.read(batches.find, batch_id)
        if batch is None or batch.committed_at is None:
            raise LinkRefused()
        found = await self._database.read(uploads.find_by_ids, batch.upload_ids)
        if len(found) < len(batch.upload_ids):
            raise LinkRefused()
        return [found[id].version_id for id in batch.upload_ids]

    async def commit(self, principal: Principal, batch_id: str) -> tuple[Batch, list[StoredFile], bool]:
        """Make the uploads of a batch files, all or none; return them, and whether this has done it: repeating is no error.

        Raises NotUploaded, naming ids, and Gone.
        """
        batch, found = await self.get(principal, batch_id)
        stored = await self._tickets.finish(found)
        is_first = batch.committed_at is None
        if is_first:
            now = self._clock()
            await self._database.write(batches.commit, batch.id, now)
            batch = msgspec.structs.replace(batch, committed_at=now)
        return batch, stored, is_first

    async def abort(self, principal: Principal, batch_id: str) -> None:
        """Give up a batch, and free the bytes of all its uploads; raises Conflict for one that was committed."""
        batch, found = await self.get(principal, batch_id)
        if batch.committed_at is not None or any(upload.state is UploadState.COMPLETED for upload in found):
            raise Conflict("The batch is committed: delete its files instead.")
        for upload in found:
            await self._tickets.abort(upload)
