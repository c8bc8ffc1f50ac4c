"""Signatures of requests to Azure Storage, in a header (Shared Key) and in URLs (service SAS). No I/O, no clock of its own.

Sources: "Authorize with Shared Key" and "Create a service SAS", Azure Storage REST API reference.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

import msgspec

VERSION = "2021-12-02"
"""The version of the service that requests ask for, and that signatures are of: blocks of up to 4000 MiB are in it."""
_SIGNED = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


class Credentials(msgspec.Struct, frozen=True):
    """What opens an account: its ``key``, by which all can be signed, or a ``sas``, which goes with each request as it is."""

    account: str
    key: bytes | None = None
    sas: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.account!r})"


def credentials_of(account: str, key: str | None, sas: str | None) -> Credentials:
    """Return the credentials that settings give, the key where there are both. Raises ValueError with a sentence."""
    if not key:
        return Credentials(account, sas=(sas or "").strip().removeprefix("?"))
    try:
        return Credentials(account, base64.b64decode(key.strip(), validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("the account key is not base64") from None


def query_string(query: Sequence[tuple[str, str]]) -> str:
    """Return a query with everything escaped but what RFC 3986 calls unreserved."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)


def signed(
    credentials: Credentials,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    now: datetime,
) -> dict[str, str]:
    """Return ``headers``, named in lower case, with those that authorize the request.

    ``path`` is that of the URL, with the account where an emulator has it there. ``now`` is in UTC: a request that is more than 15
    minutes off is refused. Without a key nothing is signed: the SAS is in the query then.
    """
    told = {**headers, "x-ms-date": format_datetime(now.astimezone(UTC), usegmt=True), "x-ms-version": VERSION}
    if credentials.key is None:
        return told
    lines = [method, *(told.get(name, "") for name in _SIGNED)]
    lines[3] = lines[3] if lines[3] != "0" else ""  # Content-Length is not said of no body
    lines += [f"{name}:{' '.join(told[name].split())}" for name in sorted(told) if name.startswith("x-ms-")]
    lines.append(f"/{credentials.account}{path}")
    lines += [f"{name.lower()}:{value}" for name, value in sorted(query)]
    told["authorization"] = f"SharedKey {credentials.account}:{_signature(credentials.key, lines)}"
    return told


def shared_access(
    credentials: Credentials, name: str, permissions: str, protocol: str, ends: datetime, presented: Mapping[str, str]
) -> str:
    """Return the query by which anyone may do with one blob what ``permissions`` say, in the order of the service, until ``ends``.

    ``name`` is the container's and the blob's, with a slash between. ``protocol`` is ``https``, or ``https,http``. ``presented``
    has what is to be answered, by the names of the service: ``rscc`` Cache-Control, ``rscd`` Content-Disposition, ``rsct``
    Content-Type. Only an account key can sign.
    """
    assert credentials.key is not None
    until = ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [permissions, "", until, f"/blob/{credentials.account}/{name}", "", "", protocol, VERSION, "b", "", ""]
    lines += [presented.get(field, "") for field in ("rscc", "rscd", "rsce", "rscl", "rsct")]
    query = [("sv", VERSION), ("spr", protocol), ("se", until), ("sr", "b"), ("sp", permissions), *presented.items()]
    return query_string([*query, ("sig", _signature(credentials.key, lines))])


def _signature(key: bytes, lines: Sequence[str]) -> str:
    return base64.b64encode(hmac.digest(key, "\n".join(lines).encode(), "sha256")).decode()
