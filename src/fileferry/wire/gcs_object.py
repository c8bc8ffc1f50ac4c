"""Google Cloud Storage's words for an upload, whether its bytes come whole or in a session: hashes, and the object that it becomes.

Source: the Cloud Storage JSON API reference, "Objects", and the XML API reference, "HTTP headers".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving.completion import ReceivedBytes
from fileferry.errors import InvalidDigest
from fileferry.model import Upload, format_time

_PROTOCOL = "google"
_HASHES = {"crc32c": (Algorithm.CRC32C, 4), "md5": (Algorithm.MD5, 16)}


def session_words(content_type: str | None, digests: Mapping[Algorithm, bytes]) -> dict[str, Any]:
    """Return what ``upload.wire`` keeps of an initiation: the file's type, and digests that the whole must have."""
    promised = {algorithm.value: digest.hex() for algorithm, digest in digests.items()}
    return {"protocol": _PROTOCOL, "content_type": content_type, "digests": promised}


def is_session(upload: Upload) -> bool:
    """Whether a Google session was initiated for an upload."""
    return upload.wire.get("protocol") == _PROTOCOL


def session_type(upload: Upload) -> str | None:
    """Return the file's type as the initiation said it."""
    return upload.wire.get("content_type") if is_session(upload) else None


def promised_hashes(upload: Upload) -> dict[Algorithm, bytes]:
    """Return the digests of the whole that the initiation promised."""
    promised = upload.wire["digests"] if is_session(upload) else {}
    return {Algorithm(name): bytes.fromhex(digest) for name, digest in promised.items()}


def declared_hashes(headers: Any) -> dict[Algorithm, bytes]:
    """Return the digests that ``x-goog-hash`` declares; raises InvalidDigest."""
    members = [member.partition("=") for field in headers.getall("x-goog-hash", []) for member in field.split(",")]
    return parse_hashes(*((name.strip().lower(), value) for name, _, value in members))


def parse_hashes(*named: tuple[str, str | None]) -> dict[Algorithm, bytes]:
    """Read hashes by name, base64; None is left out. Raises InvalidDigest."""
    found: dict[Algorithm, bytes] = {}
    for name, value in named:
        if value is None:
            continue
        if name not in _HASHES:
            raise InvalidDigest(f"Google's hashes are {' and '.join(_HASHES)}.")
        algorithm, size = _HASHES[name]
        try:
            digest = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidDigest(f"The {name} hash is not base64.") from error
        if len(digest) != size:
            raise InvalidDigest(f"A {name} hash has {size} bytes.")
        if found.setdefault(algorithm, digest) != digest:
            raise InvalidDigest(f"Two different {name} hashes were declared.")
    return found


def object_headers(upload: Upload, received: ReceivedBytes) -> dict[str, str]:
    """Return the headers that say what is stored, without ``ETag``."""
    return {
        "x-goog-hash": hashes_field(received.digests.crc32c, received.digests.md5),
        "x-goog-generation": str(upload.number),
        "x-goog-stored-content-length": str(received.size),
        "Cache-Control": "no-store",
    }


def hashes_field(crc32c: str, md5: str | None) -> str:
    """Return the value of ``x-goog-hash`` for digests given as hex."""
    hashes = f"crc32c={_base64(crc32c)}"
    return hashes if md5 is None else f"{hashes},md5={_base64(md5)}"


def object_resource(upload: Upload, received: ReceivedBytes, base_url: str) -> dict[str, Any]:
    """Return the object resource."""
    link = f"{base_url}/api/files/{upload.file_id}"
    received_at = format_time(received.received_at)
    resource = {
        "kind": "storage#object",
        "id": f"{upload.workspace_id}/{upload.name}/{upload.number}",
        "selfLink": link,
        "mediaLink": location_of(upload, base_url),
        "name": upload.name,
        "bucket": upload.workspace_id,
        "generation": str(upload.number),
        "metageneration": "1",
        "contentType": received.content_type,
        "storageClass": "STANDARD",
        "size": str(received.size),
        "crc32c": _base64(received.digests.crc32c),
        "etag": received.etag.strip('"'),
        "timeCreated": received_at,
        "updated": received_at,
    }
    return resource | md5_member(received)


def location_of(upload: Upload, base_url: str) -> str:
    """Return where the file's bytes will be. It needs a key: who may upload may not therefore read."""
    return f"{base_url}/api/files/{upload.file_id}/content"


def md5_member(received: ReceivedBytes) -> dict[str, str]:
    """Return ``md5Hash``, unless the bytes came in pieces that leave it unknown."""
    return {} if received.digests.md5 is None else {"md5Hash": _base64(received.digests.md5)}


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
