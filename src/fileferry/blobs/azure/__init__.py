"""The blob store in a container of Azure Blob Storage: ``objects`` speaks the verbs, ``client`` sends, ``signing`` signs.

``location`` reads the setting, ``direct`` and ``probe`` are for clients that go there themselves; the rest is ``blobs.objects``.
"""

from __future__ import annotations

from fileferry.blobs.azure.client import Client
from fileferry.blobs.azure.location import Location, parse, resolve
from fileferry.blobs.azure.signing import Credentials
from fileferry.blobs.azure.store import AzureStore

__all__ = ["AzureStore", "Client", "Credentials", "Location", "parse", "resolve"]
