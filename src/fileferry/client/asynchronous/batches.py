"""What a client does with batches: several files at once, all or none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from fileferry.client.asynchronous.runtime import source_of
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.asynchronous.uploads import send_whole
from fileferry.client.calls import batches
from fileferry.client.calls.call import Lifetime, lifetime_text
from fileferry.client.calls.uploads import NewFile
from fileferry.client.nouns.batches import Batch
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.workspaces import Workspace
from fileferry.client.transfers.manner import MULTIPART_THRESHOLD, manner_of
from fileferry.client.transfers.sources import Readable, Source
from fileferry.errors import FerryError, InvalidParameter


class Batches:
    """Batches; a part of ``AsyncClient``."""

    _transport: Transport

    async def upload_batch(
        self,
        files: Mapping[str, Readable],
        *,
        at_path: bool = False,
        expires_in: Lifetime | None = None,
        workspace: Workspace | str | None = None,
        organization: Organization | str | None = None,
    ) -> Batch:
        """Upload several files that become files together, or none of them: by their names, or ``at_path`` by their paths.

        Each source is as of ``upload``, and its size must be known. ``Batch.manifest_url`` lists the files for whoever takes them
        further, without a key.

        >>> batch = await client.upload_batch({"a.txt": b"Hello", "b.txt": b"world"})
        >>> [file.name for file in batch.files]
        ['a.txt', 'b.txt']
        """
        sources: dict[str, Source] = {}
        for name, readable in files.items():
            source = source_of(readable)
            if source.size is None:
                raise InvalidParameter("A batch takes files of a known size.")
            sources[name] = source
        if not sources:
            raise InvalidParameter("A batch takes one file at least.")
        member = "path" if at_path else "name"
        opened = await self._transport.run(
            batches.create(
                ({member: name, "size": source.size} for name, source in sources.items()),
                expires_in=None if expires_in is None else lifetime_text(expires_in),
                workspace=None if workspace is None else id_of(workspace),
                organization=organization,
            )
        )
        manner = manner_of(
            None, progress=None, resume=False, parallel=1, part_size=None, multipart_threshold=MULTIPART_THRESHOLD
        )
        try:
            for ticket, source in zip(opened.tickets, sources.values(), strict=True):
                await send_whole(self._transport, ticket, source, NewFile(organization=organization), manner)
            return await self._transport.run(batches.commit(opened.batch_id, organization))
        except Exception:
            # A courtesy, tried once: the server ends by itself what nobody commits.
            with contextlib.suppress(FerryError):
                await self._transport.send(batches.abort(opened.batch_id, organization))
            raise
