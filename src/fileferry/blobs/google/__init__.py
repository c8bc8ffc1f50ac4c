"""The blob store in a bucket of Google Cloud Storage: ``objects`` speaks the verbs, ``client`` sends, ``credentials`` opens.

``location`` reads the setting; ``direct``, ``signing`` and ``probe`` are for clients that go there themselves; the rest is
``blobs.objects``.
"""

from __future__ import annotations

from fileferry.blobs.google.client import Client
from fileferry.blobs.google.credentials import Credentials, resolve
from fileferry.blobs.google.location import Location, parse
from fileferry.blobs.google.store import GoogleStore

__all__ = ["Client", "Credentials", "GoogleStore", "Location", "parse", "resolve"]
