"""Bringing back a former version of a file: its bytes become a new version, which is counted, limited and checked as any."""

from __future__ import annotations

from contextlib import aclosing

from fileferry.engine.files.catalogue import Files
from fileferry.engine.files.placement import Preconditions, Received
from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving.uploads import NewFile, Uploads
from fileferry.errors import Conflict
from fileferry.model import Principal


class Copies:
    """Copies versions of files of all organizations."""

    def __init__(self, uploads: Uploads, files: Files) -> None:
        self._uploads = uploads
        self._files = files

    async def bring_back(self, principal: Principal, file_id: str, number: int) -> Received:
        """Make a new current version of the bytes of an older one; the file keeps its path, metadata and expiry.

        Raises Conflict for the current version and for a hand-off, PreconditionFailed where the file changes meanwhile, and what
        uploading raises.
        """
        current = await self._files.get(principal, file_id)
        if current.version.number == number:
            raise Conflict("This is the current version already.")
        if not current.file.owns_path:
            raise Conflict("This file was handed off by itself and takes no further versions.")
        former = await self._files.open(principal, file_id, number)
        version = former.version
        new = NewFile(
            path=current.file.path,
            at_path=True,
            content_type=version.content_type,
            metadata=current.file.metadata,
            expires_at=current.file.expires_at,
            workspace=current.file.workspace_id,
            preconditions=Preconditions(if_match=(current.version.etag,)),
        )
        allowed = await self._uploads.check(principal, new, version.size)
        declared = {Algorithm.CRC32C: bytes.fromhex(version.digests.crc32c)}
        wanted = [Algorithm.SHA256] if version.digests.sha256 else []
        incoming = self._uploads.receive(
            principal, declared=declared, wanted=wanted, size=version.size, allowed=allowed
        )
        async with incoming, aclosing(self._files.read(former, 0, version.size)) as blocks:
            async for block in blocks:
                await incoming.write(block)
            return await incoming.finish(new)
