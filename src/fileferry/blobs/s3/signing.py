"""Signatures of requests to S3, in headers and in URLs: AWS Signature Version 4. No I/O, and no clock of its own.

Sources: "Authenticating Requests: Using the Authorization Header" and "… Using Query Parameters", Amazon S3 API Reference.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

UNSIGNED = "UNSIGNED-PAYLOAD"
"""Said in place of a body's SHA-256 where TLS guards it on its way."""
LONGEST = timedelta(days=7)
"""How long a URL may be good at most."""
EMPTY = hashlib.sha256(b"").hexdigest()
"""The SHA-256 of no bytes."""


class Credentials(msgspec.Struct, frozen=True):
    """An access key. ``token`` comes with keys that are good for a while only."""

    key_id: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.key_id!r})"


def query_string(query: Sequence[tuple[str, str]]) -> str:
    """Return a query as the signature has it: sorted, everything escaped but what RFC 3986 calls unreserved."""
    escaped = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in escaped)


def signed(
    credentials: Credentials,
    region: str,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    payload: str,
    now: datetime,
) -> dict[str, str]:
    """Return ``headers``, named in lower case and ``host`` among them, with those that sign the request; all of them are signed.

    ``path`` is escaped already, ``query`` is made by ``query_string``, ``payload`` is the body's SHA-256 as hex or ``UNSIGNED``.
    ``now`` is in UTC: stores refuse one that is more than 15 minutes off.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    told = {**headers, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    if credentials.token is not None:
        told["x-amz-security-token"] = credentials.token
    names, scope = ";".join(sorted(told)), _scope(stamp, region)
    signature = _signature(credentials, region, method, path, query, told, payload, stamp)
    credential = f"Credential={credentials.key_id}/{scope}"
    told["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    return told


def presigned(
    credentials: Credentials,
    region: str,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    lifetime: timedelta,
    now: datetime,
) -> str:
    """Return the query of a URL by which anyone may send this one request until ``lifetime``, a week at most, is over.

    ``headers``, named in lower case and ``host`` among them, must come just so; others may come too, whatever they are.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    added = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.key_id}/{_scope(stamp, region)}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(int(min(lifetime, LONGEST).total_seconds())),
        "X-Amz-SignedHeaders": ";".join(sorted(headers)),
    }
    if credentials.token is not None:
        added["X-Amz-Security-Token"] = credentials.token
    written = query_string([*query, *added.items()])
    payload = headers.get("x-amz-content-sha256", UNSIGNED)
    signature = _signature(credentials, region, method, path, written, headers, payload, stamp)
    return f"{written}&X-Amz-Signature={signature}"


def _scope(stamp: str, region: str) -> str:
    return f"{stamp[:8]}/{region}/s3/aws4_request"


def _signature(
    credentials: Credentials,
    region: str,
    method: str,
    path: str,
    query: str,
    told: Mapping[str, str],
    payload: str,
    stamp: str,
) -> str:
    names = ";".join(sorted(told))
    lines = "".join(f"{name}:{' '.join(told[name].split())}\n" for name in sorted(told))
    request = "\n".join([method, path, query, lines, names, payload])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, _scope(stamp, region), hashlib.sha256(request.encode()).hexdigest()])
    return hmac.digest(_key(credentials.secret, stamp[:8], region), text.encode(), "sha256").hex()


@functools.lru_cache(maxsize=4)
def _key(secret: str, day: str, region: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key
