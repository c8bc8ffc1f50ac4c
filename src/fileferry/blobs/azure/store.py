"""The blob store in a container of Azure: what is Azure's own of it, which is what clients may do there by themselves."""

from __future__ import annotations

from typing import Any

from fileferry.blobs.azure.client import Client
from fileferry.blobs.azure.direct import AzureUploads, shared_download
from fileferry.blobs.azure.objects import Objects
from fileferry.blobs.azure.probe import Probe
from fileferry.blobs.direct import Report
from fileferry.blobs.objects.downloads import ObjectDownloads
from fileferry.blobs.objects.store import ObjectStore


class AzureStore(ObjectStore):
    """A BlobStore in a container. ``prefix`` is what all names begin with; ``limits`` are those of every ObjectStore."""

    def __init__(self, client: Client, prefix: str, **limits: Any) -> None:
        objects = Objects(client, prefix)
        super().__init__(objects, **limits)
        self._client = client
        self._container = objects

    async def probe(self) -> Report:
        """Try it with blobs below ``probe/``."""
        report = await Probe(self._client, self._container).run()
        self.direct_uploads = AzureUploads(self._client, self._container) if report.uploads else None
        sign = shared_download(self._client)
        self.direct_downloads = ObjectDownloads(sign, self.find_object) if report.downloads else None
        return report

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
