"""Signed requests to an S3 store. It knows no verb of S3."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import httpcore

from fileferry.blobs.objects import client as objects
from fileferry.blobs.objects.requests import Pause, Refusals, md5_of
from fileferry.blobs.s3.location import Location
from fileferry.blobs.s3.signing import EMPTY, UNSIGNED, Credentials, presigned, query_string, signed
from fileferry.model import Clock, utc_now

_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_MEANINGS = {
    "RequestTimeTooSkewed": "the clocks of this machine and of the store are too far apart",
    "InvalidAccessKeyId": "it does not know the access key",
    "SignatureDoesNotMatch": "the secret does not belong to the access key",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is not good",
    "AccessDenied": "the access key may not do this",
    "403": "the access key may not do this",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region: say which by region=NAME",
    "AuthorizationHeaderMalformed": "the bucket is in another region: say which by region=NAME",
}


class Client(objects.Client):
    """Sends requests for one bucket."""

    def __init__(
        self, location: Location, credentials: Credentials, clock: Clock = utc_now, pause: Pause = asyncio.sleep
    ) -> None:
        store = f"The bucket {location.bucket} at {location.origin}"
        super().__init__(location.scheme, Refusals(store, _MEANINGS, _FULL, absent="NoSuchBucket"), clock, pause)
        self.location = location
        self._credentials = credentials

    def presigned(
        self,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        lifetime: timedelta,
        *,
        from_here: bool = False,
    ) -> str:
        """Return a URL by which anyone may send one request about ``key`` with these headers, until ``lifetime`` is over.

        It is of the address that clients reach the bucket by, or ``from_here`` of the one that this server does.
        """
        where = self.location
        origin = where.origin if from_here or where.public is None else where.public
        path = f"{where.root}{where.prefix}{key}"
        told = {**headers, "host": urlsplit(origin).netloc}
        written = presigned(self._credentials, where.region, method, path, query, told, lifetime, self.clock())
        return f"{origin}{path}?{written}"

    async def _send(
        self,
        method: str,
        key: str | None,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> httpcore.Response:
        where = self.location
        path = where.root if key is None else f"{where.root}{where.prefix}{key}"
        written = query_string(query)
        named = {"host": where.host, **headers}
        payload = named.pop("x-amz-content-sha256")
        told = signed(self._credentials, where.region, method, path, written, named, payload, self.clock())
        return await self._sender.send(method, f"{where.origin}{path}{written and f'?{written}'}", told, body)

    def _sums(self, body: bytes) -> dict[str, str]:
        # With TLS around a body its MD5 is enough, else the signature must cover it.
        if not body:
            return {"x-amz-content-sha256": EMPTY}
        sha256 = UNSIGNED if self.location.scheme == "https" else hashlib.sha256(body).hexdigest()
        return {"x-amz-content-sha256": sha256, "content-md5": md5_of(body)}
