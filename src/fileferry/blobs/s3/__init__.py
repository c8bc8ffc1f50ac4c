"""The blob store in a bucket of any S3 store: ``store`` keeps the contract, ``objects`` speaks the verbs, ``client`` sends.

``location`` reads the setting, ``signing`` signs, ``writers`` writes objects of any length within the memory of ``budget``,
``direct`` and ``probe`` are for clients that go there themselves, ``pieces`` finds the bytes of blobs.
"""

from __future__ import annotations

from fileferry.blobs.s3.budget import Budget
from fileferry.blobs.s3.client import Client
from fileferry.blobs.s3.location import Location, parse
from fileferry.blobs.s3.signing import Credentials
from fileferry.blobs.s3.store import S3Store

__all__ = ["Budget", "Client", "Credentials", "Location", "S3Store", "parse"]
