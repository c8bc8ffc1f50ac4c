"""Examples of what requests carry and answers show, for the OpenAPI document. A test holds each against its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
_FILE_ID = "0193f5a4-7c1e-7b52-9c0e-5d1f3a2b4c6d"
_FOLDER_ID = "0193f5a4-7c1e-7b52-9c0e-5d1f3a2b4c6e"
_UPLOAD_ID = "0193f5a4-7c1e-7b52-9c0e-5d1f3a2b4c6f"
_ORGANIZATION_ID = "0193f5a4-7c1e-7b52-9c0e-5d1f3a2b4c70"
_WORKSPACE_ID = "0193f5a4-7c1e-7b52-9c0e-5d1f3a2b4c71"
_PART = "900150983cd24fb0d6963f7d28e17f72"
_PUBLIC = "https://files.example.com/f/AQG42sW36H-liJHwgI-MDPuT0U3PyLo_o48BJJe_Z978/report.pdf"
_SIGNED = (
    f"https://files.example.com/u/{_UPLOAD_ID}/report.pdf?se=2027-01-02T00:00:07Z&sp=cw&sig=AcHJpLZjkE7GpKxlJusj3w4"
)
_TIME, _LATER = "2027-01-01T00:00:07.000Z", "2027-01-02T00:00:07.000Z"

EXAMPLES: Mapping[str, dict[str, Any]] = {
    # What requests carry.
    "NewUpload": {"name": "report.pdf", "size": 3, "sha256": _SHA256, "expires_in": "7d"},
    "NewBatch": {"files": [{"name": "report.pdf", "size": 3}, {"name": "data.csv"}], "url_style": "short"},
    "NewUrls": {"url_style": "short"},
    "UploadCompletion": {"parts": [{"part_number": 1, "etag": _PART}]},
    "FileChanges": {"name": "annual report.pdf", "metadata": {"order": 17}, "expires_in": "30d"},
    "NewLink": {"expires_in": "1h"},
    "NewFolder": {"path": "reports/2027"},
    "NewKey": {"name": "worker", "scopes": ["upload", "read"], "expires_in": "90d"},
    "KeyChanges": {"name": "worker", "limits": {"max_size": "100MiB"}},
    "Rotation": {"grace": "1h"},
    "NewOrganization": {"slug": "acme", "name": "Acme"},
    "OrganizationChanges": {"limits": {"max_bytes": "10GiB"}},
    "NewWorkspace": {"name": "reports", "keep_versions": 5},
    "WorkspaceChanges": {"keep_versions": None, "keep_versions_for": "30d"},
    "NewWebhook": {"url": "https://example.com/hook", "types": ["file.ready"]},
    "WebhookChanges": {"enabled": False},
    "SecretRotation": {"grace": "1h"},
    "Replay": {"since": _TIME},
    "NamedFolder": {"name": "inbox"},
    "NewTickets": {"filesMetadata": [{"name": "report.pdf", "size": 3, "checksum": _SHA256}]},
    "Confirmation": {"ids": [_FILE_ID]},
    "NewMultipart": {"name": "report.pdf", "size": 20_000_000, "partSize": 8_388_608},
    "Completion": {"id": _FILE_ID, "uploadId": _UPLOAD_ID, "parts": [{"partNumber": 1, "etag": _PART}]},
    "MultipartName": {"id": _FILE_ID, "uploadId": _UPLOAD_ID},
    "PartsAsked": {"id": _FILE_ID, "uploadId": _UPLOAD_ID, "partNumbers": [2, 3]},
    "AttachmentTarget": {"message_id": "message-17"},
    "LargeUpload": {"filename": "report.pdf", "file_size": 3, "mime_type": "application/pdf"},
    "Registration": {
        "filename": "report.pdf",
        "gcs_path": f"files/{_ORGANIZATION_ID}/{_FILE_ID}/report.pdf",
        "file_size": 3,
        "mime_type": "application/pdf",
        "file_id": _FILE_ID,
    },
    # What answers show.
    "FileObject": {
        "id": _FILE_ID,
        "version_id": "1893456001000000000",
        "name": "report.pdf",
        "path": "reports/2027/report.pdf",
        "at_path": True,
        "size": 3,
        "content_type": "application/pdf",
        "status": "ready",
        "reason": None,
        "sha256": _SHA256,
        "crc32c": "364b3fb7",
        "etag": '"0193f5a47c1e"',
        "metadata": {"order": 17},
        "url": _PUBLIC,
        "organization_id": _ORGANIZATION_ID,
        "workspace_id": _WORKSPACE_ID,
        "folder_id": _FOLDER_ID,
        "end_user": None,
        "created_at": _TIME,
        "created_by": None,
        "modified_at": _TIME,
        "modified_by": None,
        "expires_at": _LATER,
        "deleted_at": None,
        "restorable_until": None,
        "fetches_left": None,
        "scan": None,
    },
    "UploadObject": {
        "id": _UPLOAD_ID,
        "file_id": _FILE_ID,
        "version_id": "1893456001000000000",
        "state": "open",
        "name": "report.pdf",
        "path": "report.pdf",
        "size": 3,
        "max_size": 3,
        "auto_complete": False,
        "url": _SIGNED,
        "url_expires_at": _LATER,
        "part_url": f"{_SIGNED}&uploadId={_UPLOAD_ID}",
        "part_size": None,
        "part_count": None,
        "parts": [],
        "offset": 0,
        "crc32c": None,
        "created_at": _TIME,
        "direct": None,
    },
    "DirectFile": {
        "url": _PUBLIC,
        "file_id": _FILE_ID,
        "filename": "report.pdf",
        "content_type": "application/pdf",
        "size": 3,
        "sha256": _SHA256,
        "crc32c": "364b3fb7",
        "metadata": {},
        "created_at": _TIME,
        "expires_at": None,
        "status": "ready",
        "reason": None,
    },
    "Ticket": {
        "id": _FILE_ID,
        "url": _SIGNED,
        "s3Key": "f/AQG42sW36H-liJHwgI-MDPuT0U3PyLo_o48BJJe_Z978/report.pdf",
        "headers": {},
        "expiresAt": _LATER,
        "limits": {"size": 3, "maxSize": 3},
    },
    "SignedUrl": {
        "expires_in": 600,
        "file_id": _FILE_ID,
        "file_limits": {"allowed_types": ["application/pdf"], "max_size": 104_857_600},
        "file_url": _SIGNED,
    },
    "UploadAnswer": {"file_id": _FILE_ID, "version_id": "1893456001000000000", "upload": _SIGNED},
    "UploadSession": {
        "upload_url": _SIGNED,
        "gcs_path": f"files/{_ORGANIZATION_ID}/{_FILE_ID}/report.pdf",
        "file_id": _FILE_ID,
        "expires_at": _LATER,
        "max_file_size": 104_857_600,
        "upload_type": "resumable",
        "chunk_size_recommended": 5_242_880,
    },
}
"""Examples by the name of their schema."""
