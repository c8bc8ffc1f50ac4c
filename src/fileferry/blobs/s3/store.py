"""The blob store in a bucket of an S3 store: what is S3's own of it, which is what clients may do there by themselves."""

from __future__ import annotations

from typing import Any

from fileferry.blobs.direct import Report
from fileferry.blobs.objects.downloads import ObjectDownloads
from fileferry.blobs.objects.probing import has_found
from fileferry.blobs.objects.store import ObjectStore
from fileferry.blobs.s3.client import Client
from fileferry.blobs.s3.direct import PINNED, S3Uploads, presigned_download
from fileferry.blobs.s3.objects import Objects
from fileferry.blobs.s3.probe import Probe


class S3Store(ObjectStore):
    """A BlobStore in a bucket. ``prefix`` is what all keys begin with; ``limits`` are those of every ObjectStore."""

    def __init__(self, client: Client, prefix: str, **limits: Any) -> None:
        objects = Objects(client, prefix)
        super().__init__(objects, **limits)
        self._client = client
        self._bucket = objects

    async def probe(self) -> Report:
        """Try it with objects below ``probe/``."""
        report = await Probe(self._client, self._bucket).run()
        uploads = S3Uploads(self._client, self._bucket, PINNED if has_found(report, "pinned") else frozenset())
        self.direct_uploads = uploads if report.uploads else None
        sign = presigned_download(self._client)
        self.direct_downloads = ObjectDownloads(sign, self.find_object) if report.downloads else None
        return report

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
