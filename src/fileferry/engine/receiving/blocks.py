"""Blocks: named pieces of an upload in no order, which a list makes the file. Ids are base64, chosen by the client."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection

from fileferry.blobs.store import BlobStore
from fileferry.db import uploads
from fileferry.db.database import Database
from fileferry.engine.files.placement import Content
from fileferry.engine.inspection.declarations import agreed_type
from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving.completion import Completion, ReceivedBytes, received_bytes, reload, stored_bytes
from fileferry.engine.receiving.lapse import refuse_ended, refuse_gone
from fileferry.engine.receiving.parts import MOST_BLOCKS
from fileferry.errors import AlreadyUploaded, DigestMismatch, InvalidBlock, InvalidBlockList
from fileferry.model import Part, Upload, UploadState

Kind = Literal["latest", "committed", "uncommitted"]
_LONGEST_ID = 64


class Block(msgspec.Struct, frozen=True):
    """A block that has arrived; ``size`` is in bytes."""

    block_id: str
    size: int


class BlockLists(msgspec.Struct, frozen=True):
    """The blocks that make the file, in order, and those that no list has named yet."""

    committed: list[Block]
    uncommitted: list[Block]


class Blocks:
    """The blocks of all uploads."""

    def __init__(self, database: Database, store: BlobStore, completion: Completion) -> None:
        self._database = database
        self._store = store
        self._completion = completion

    async def lists(self, upload: Upload) -> BlockLists:
        """Return the blocks that have arrived."""

        def read(conn: Connection) -> BlockLists:
            present = {part.number: part for part in uploads.list_blocks(conn, upload.id)}
            named = uploads.find_block_list(conn, upload.id) or []
            committed = [present[number] for number in named]
            in_list = set(named)
            others = [part for number, part in present.items() if number not in in_list]
            return BlockLists([_block(part) for part in committed], [_block(part) for part in others])

        return await self._database.read(read)

    async def commit(
        self,
        upload: Upload,
        listed: Sequence[tuple[Kind, str]],
        declared: Mapping[Algorithm, bytes],
        content_type: str | None = None,
    ) -> ReceivedBytes:
        """Make the listed blocks the bytes of the upload, copying none; an upload that completes itself is a version then.

        ``declared`` digests are those of the whole; where one does not match, the upload starts anew without any block. The same
        list again gets the same answer. Raises InvalidBlockList naming the first id that has not arrived, SizeMismatch,
        FileTooLarge, DigestMismatch, AlreadyUploaded, Gone.
        """
        gathered, size = await self._database.write(self._gather, upload.id, listed, content_type)
        if gathered.state is UploadState.RECEIVED and gathered.content and not gathered.content["content_type"]:
            try:
                await self._completion.assemble(gathered, declared)
            except DigestMismatch:
                await self._completion.start_over(gathered)
                raise
        answer = await self._finish(gathered)
        if answer.size != size:
            raise AlreadyUploaded()
        await self._discard_others(gathered)
        return answer

    async def _finish(self, gathered: Upload) -> ReceivedBytes:
        if gathered.state is UploadState.COMPLETED or gathered.auto_complete:
            (stored,) = await self._completion.finish([await self._database.lookup(reload, gathered.id)])
            return stored_bytes(stored)
        received = await self._database.lookup(reload, gathered.id)
        refuse_ended(received)
        return received_bytes(received, msgspec.convert(received.content, Content))

    def _gather(
        self, conn: Connection, upload_id: str, listed: Sequence[tuple[Kind, str]], content_type: str | None
    ) -> tuple[Upload, int]:
        """Fix which blocks make the file; return the upload and how many bytes they have together."""
        upload = reload(conn, upload_id)
        named = uploads.find_block_list(conn, upload_id)
        chosen = _choose(uploads.list_blocks(conn, upload_id), set(named or ()), listed)
        numbers = [part.number for part in chosen]
        size = sum(part.size for part in chosen)
        if upload.state is not UploadState.OPEN:
            refuse_gone(upload)
            if named != numbers:
                raise AlreadyUploaded("Other bytes have made the file already; it cannot be changed.")
            return upload, size
        stated = agreed_type(upload.content_type, content_type)
        uploads.update_upload(conn, upload_id, content_type=stated, block_list=numbers)
        upload = msgspec.structs.replace(upload, content_type=stated)
        return self._completion.gather(conn, upload, chosen), size

    async def _discard_others(self, upload: Upload) -> None:
        """Give back the space of pieces that are not in the file, and forget them."""

        def forget(conn: Connection) -> list[Part]:
            named = set(uploads.find_block_list(conn, upload.id) or ())
            if uploads.count_pieces(conn, upload.id) == len(named):
                return []
            others = uploads.list_blocks(conn, upload.id) + uploads.list_parts(conn, upload.id)
            others = [part for part in others if part.number not in named]
            uploads.delete_pieces(conn, upload.id, [part.number for part in others])
            return others

        for part in await self._database.write(forget):
            assert upload.blob_key is not None  # pieces are nowhere else
            await self._store.discard_region(upload.blob_key, part.offset, part.size)


def decoded_length(block_id: str) -> int:
    """Return how many bytes a block's id stands for; raises InvalidBlock unless it is base64 of 1 to 64."""
    try:
        length = len(base64.b64decode(block_id, validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidBlock("A block's id must be base64.") from error
    if not 1 <= length <= _LONGEST_ID:
        raise InvalidBlock(f"A block's id must stand for 1 to {_LONGEST_ID} bytes.")
    return length


def _block(part: Part) -> Block:
    return Block(part.block_id or "", part.size)


def _choose(present: Sequence[Part], committed: set[int], listed: Sequence[tuple[Kind, str]]) -> list[Part]:
    if len(listed) > MOST_BLOCKS:
        raise InvalidBlockList(f"A list names at most {MOST_BLOCKS} blocks.")
    by_id = {part.block_id: part for part in present}
    chosen = []
    for kind, block_id in listed:
        part = by_id.get(block_id)
        if part is None or (kind == "committed" and part.number not in committed):
            raise InvalidBlockList(f"The block {block_id!r} has not arrived.", block_id=block_id)
        chosen.append(part)
    return chosen
