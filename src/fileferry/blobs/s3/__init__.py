"""The blob store in a bucket of any S3 store: ``objects`` speaks the verbs, ``client`` sends, ``signing`` signs.

``location`` reads the setting, ``direct`` and ``probe`` are for clients that go there themselves; the rest is ``blobs.objects``.
"""

from __future__ import annotations

from fileferry.blobs.s3.client import Client
from fileferry.blobs.s3.location import Location, parse
from fileferry.blobs.s3.signing import Credentials
from fileferry.blobs.s3.store import S3Store

__all__ = ["Client", "Credentials", "Location", "S3Store", "parse"]
