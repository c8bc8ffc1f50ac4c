"""Signatures of URLs of Google Cloud Storage: V4, by an RSA key. No I/O, and no clock of its own.

Sources: "V4 signing process with your own program" and "Canonical requests", Google Cloud Storage documentation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import quote

LONGEST = timedelta(days=7)
"""How long a URL may be good at most."""
_ALGORITHM = "GOOG4-RSA-SHA256"


class Signer(Protocol):
    """An account with its key."""

    account: str | None

    def sign(self, text: bytes) -> bytes:
        """Return the RSA signature (PKCS #1 v1.5, SHA-256) of a text."""
        ...


def presigned(
    signer: Signer,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    lifetime: timedelta,
    now: datetime,
) -> str:
    """Return the query of a URL by which anyone may send this one request until ``lifetime``, a week at most, is over.

    ``headers``, named in lower case and ``host`` among them, must come just so; of others only those that begin with ``x-goog-``
    are refused. ``path`` is escaped already.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/auto/storage/goog4_request"
    added = {
        "X-Goog-Algorithm": _ALGORITHM,
        "X-Goog-Credential": f"{signer.account}/{scope}",
        "X-Goog-Date": stamp,
        "X-Goog-Expires": str(int(min(lifetime, LONGEST).total_seconds())),
        "X-Goog-SignedHeaders": ";".join(sorted(headers)),
    }
    escaped = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in [*query, *added.items()])
    written = "&".join(f"{name}={value}" for name, value in escaped)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    request = "\n".join([method, path, written, lines, added["X-Goog-SignedHeaders"], "UNSIGNED-PAYLOAD"])
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    return f"{written}&X-Goog-Signature={signer.sign(text.encode()).hex()}"
