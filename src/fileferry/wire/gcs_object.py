"""An upload as Google Cloud Storage's clients read it when all bytes are there: its object resource, and the headers beside it.

Source: the Cloud Storage JSON API reference, "Objects", and the XML API reference, "HTTP headers".
"""

from __future__ import annotations

import base64
from typing import Any

from fileferry.engine.completion import ReceivedBytes
from fileferry.model import Upload, format_time

PROTOCOL = "google"
"""What ``upload.wire["protocol"]`` says of an upload for which a Google session was initiated."""


def is_session(upload: Upload) -> bool:
    """Whether a Google session was initiated for an upload."""
    return upload.wire.get("protocol") == PROTOCOL


def object_headers(upload: Upload, received: ReceivedBytes) -> dict[str, str]:
    """Return the headers that say what is stored, without ``ETag``."""
    hashes = f"crc32c={_base64(received.digests.crc32c)}"
    if received.digests.md5 is not None:
        hashes += f",md5={_base64(received.digests.md5)}"
    return {
        "x-goog-hash": hashes,
        "x-goog-generation": str(upload.number),
        "x-goog-stored-content-length": str(received.size),
        "Cache-Control": "no-store",
    }


def object_resource(upload: Upload, received: ReceivedBytes, base_url: str) -> dict[str, Any]:
    """Return the object resource. Its links need a key: who may upload may not therefore read."""
    link = f"{base_url}/api/files/{upload.file_id}"
    received_at = format_time(received.received_at)
    resource = {
        "kind": "storage#object",
        "id": f"{upload.workspace_id}/{upload.name}/{upload.number}",
        "selfLink": link,
        "mediaLink": f"{link}/content",
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


def md5_member(received: ReceivedBytes) -> dict[str, str]:
    """Return ``md5Hash``, unless the bytes came in pieces that leave it unknown."""
    return {} if received.digests.md5 is None else {"md5Hash": _base64(received.digests.md5)}


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
