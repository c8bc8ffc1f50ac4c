"""The blob store in a bucket of Google: what is Google's own of it, which is what clients may do there by themselves."""

from __future__ import annotations

from typing import Any

from fileferry.blobs.direct import Report
from fileferry.blobs.google.client import Client
from fileferry.blobs.google.direct import GoogleUploads, signed_download
from fileferry.blobs.google.objects import Objects
from fileferry.blobs.google.probe import Probe
from fileferry.blobs.objects.downloads import ObjectDownloads
from fileferry.blobs.objects.probing import has_found
from fileferry.blobs.objects.store import ObjectStore


class GoogleStore(ObjectStore):
    """A BlobStore in a bucket. ``prefix`` is what all names begin with; ``limits`` are those of every ObjectStore."""

    def __init__(self, client: Client, prefix: str, **limits: Any) -> None:
        objects = Objects(client, prefix)
        super().__init__(objects, **limits)
        self._client = client
        self._bucket = objects

    async def probe(self) -> Report:
        """Try it with objects below ``probe/``."""
        report = await Probe(self._client, self._bucket).run()
        found = {"names_parts": has_found(report, "etag"), "has_sessions": has_found(report, "session")}
        uploads = GoogleUploads(self._client, self._bucket, **found)
        self.direct_uploads = uploads if report.uploads else None
        sign = signed_download(self._client)
        self.direct_downloads = ObjectDownloads(sign, self.find_object) if report.downloads else None
        return report

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
