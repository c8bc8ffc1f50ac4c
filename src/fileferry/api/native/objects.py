"""What the native API answers with: its nouns as JSON. Reading requests and deciding anything is not done here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from fileferry.engine.engine import Engine
from fileferry.engine.receiving.direct_tickets import DirectUrl
from fileferry.engine.receiving.parts import part_count
from fileferry.model import (
    Folder,
    Part,
    Scan,
    ScanOutcome,
    State,
    StoredFile,
    Upload,
    Version,
    format_optional_time,
    format_time,
)
from fileferry.web import short_urls
from fileferry.web.requests import AnyRequest, public_url, upload_urls

UrlStyle = Literal["signed", "short"]
"""Whether a URL says all by itself, or is a path of 33 characters behind the server's address."""


class ScanObject(msgspec.Struct, kw_only=True):
    """A scan for malware: what it came to, what was found or went wrong, and by which engine with signatures of when."""

    outcome: str
    detail: str | None
    engine: str | None
    signatures: str | None
    signatures_at: str | None
    started_at: str | None
    ended_at: str | None


class FileObject(msgspec.Struct, kw_only=True):
    """A file as the native API shows it. Sizes are bytes, times RFC 3339 in UTC, digests lower-case hex, authors user ids.

    ``at_path`` is false for a hand-off, whose name others may have too. ``reason`` says why it was rejected, ``end_user`` whose
    file it is. ``fetches_left`` is how often it may still be fetched whole, null for any number. ``scan`` is null while it is
    being judged.
    """

    id: str
    version_id: str
    name: str
    path: str
    size: int
    content_type: str
    status: str
    reason: str | None
    sha256: str | None
    crc32c: str
    etag: str
    metadata: dict[str, Any]
    url: str
    organization_id: str
    workspace_id: str
    folder_id: str | None
    at_path: bool
    end_user: str | None
    created_at: str
    created_by: str | None
    modified_at: str
    modified_by: str | None
    expires_at: str | None
    deleted_at: str | None
    restorable_until: str | None
    fetches_left: int | None
    scan: ScanObject | None


class FilePage(msgspec.Struct):
    """A page of files, by path; ``next_cursor`` is null on the last."""

    files: list[FileObject]
    next_cursor: str | None


class VersionObject(msgspec.Struct, kw_only=True):
    """One content of a file. Sizes are bytes, times RFC 3339 in UTC, digests lower-case hex, the author a user id."""

    version_id: str
    size: int
    content_type: str
    status: str
    sha256: str | None
    crc32c: str
    etag: str
    url: str
    created_at: str
    created_by: str | None
    expires_at: str | None
    is_current: bool


class VersionList(msgspec.Struct):
    """The versions of a file, newest first."""

    versions: list[VersionObject]


class ReceivedPart(msgspec.Struct):
    """A part that has arrived. ``etag`` is the MD5 of its bytes, as hex."""

    part_number: int
    size: int
    etag: str


class DirectPart(msgspec.Struct):
    """Where a part, of exactly ``size`` bytes, is PUT without a key: an address of the store that the file will be in."""

    part_number: int
    size: int
    url: str


class UploadObject(msgspec.Struct, kw_only=True):
    """An upload with its ticket: PUT the bytes to ``url`` before ``url_expires_at``, then complete it.

    With parts, part N of ``part_count`` (each ``part_size`` bytes but the last) goes to ``part_url`` + ``&partNumber=N``.
    ``offset`` is how many bytes have come as a stream, one after the other, and ``crc32c`` is theirs (null without a stream).
    With ``direct`` the parts, or the whole as the only one, may go to the store past the server.
    """

    id: str
    file_id: str
    version_id: str
    state: str
    name: str
    path: str
    size: int | None
    max_size: int
    auto_complete: bool
    url: str
    url_expires_at: str
    part_url: str
    part_size: int | None
    part_count: int | None
    parts: list[ReceivedPart]
    offset: int
    crc32c: str | None
    created_at: str
    direct: list[DirectPart] | None


class FolderObject(msgspec.Struct):
    """A folder: an addressable prefix of a workspace."""

    id: str
    path: str
    workspace_id: str
    created_at: str


class FolderPage(msgspec.Struct):
    """A page of folders."""

    folders: list[FolderObject]
    next_cursor: str | None


def file_object(request: AnyRequest, engine: Engine, stored: StoredFile) -> FileObject:
    """Return a file as the native API shows it."""
    file, version = stored.file, stored.version
    # What is deleted but can be restored keeps its versions as they were.
    is_deleted = file.deleted_at is not None and version.state is not State.EXPIRED
    return FileObject(
        id=file.id,
        version_id=str(version.number),
        name=file.name,
        path=file.path,
        size=version.size,
        content_type=version.content_type,
        status=State.DELETED if is_deleted else version.state,
        reason=version.reason,
        sha256=version.digests.sha256,
        crc32c=version.digests.crc32c,
        etag=version.etag,
        metadata=file.metadata,
        url=public_url(request, engine, stored),
        organization_id=file.organization_id,
        workspace_id=file.workspace_id,
        folder_id=file.folder_id,
        at_path=file.owns_path,
        end_user=file.end_user,
        created_at=format_time(file.created_at),
        created_by=file.created_by,
        modified_at=format_time(file.modified_at),
        modified_by=file.modified_by,
        expires_at=format_optional_time(file.expires_at),
        deleted_at=format_optional_time(file.deleted_at),
        restorable_until=format_optional_time(file.restorable_until),
        fetches_left=version.fetches_left,
        scan=_scan_object(version),
    )


def _scan_object(version: Version) -> ScanObject | None:
    scan = version.scan
    if scan is None and version.state is State.READY:
        scan = Scan(outcome=ScanOutcome.SKIPPED_DISABLED)  # nobody has looked into it
    if scan is None:
        return None
    return ScanObject(
        outcome=scan.outcome,
        detail=scan.detail,
        engine=scan.engine,
        signatures=scan.signatures,
        signatures_at=format_optional_time(scan.signatures_at),
        started_at=format_optional_time(scan.started_at),
        ended_at=format_optional_time(scan.ended_at),
    )


def version_object(request: AnyRequest, engine: Engine, current: StoredFile, version: Version) -> VersionObject:
    """Return a version of the file ``current`` as the native API shows it."""
    return VersionObject(
        version_id=str(version.number),
        size=version.size,
        content_type=version.content_type,
        status=version.state,
        sha256=version.digests.sha256,
        crc32c=version.digests.crc32c,
        etag=version.etag,
        url=public_url(request, engine, StoredFile(current.file, version)),
        created_at=format_time(version.created_at),
        created_by=version.created_by,
        expires_at=format_optional_time(version.expires_at),
        is_current=version.id == current.version.id,
    )


async def styled_uploads(
    request: AnyRequest,
    engine: Engine,
    uploads: Sequence[Upload],
    style: UrlStyle,
    direct: Mapping[str, list[DirectUrl] | None] | None = None,
) -> list[UploadObject]:
    """Return uploads that nothing has come for as the native API shows them, with fresh URLs of one style.

    ``direct`` are URLs of the store, by upload, where there are any.
    """
    shown = [upload_object(request, engine, upload, [], (direct or {}).get(upload.id)) for upload in uploads]
    if style == "signed":
        return shown
    return [
        msgspec.structs.replace(
            each,
            url=short.url,
            url_expires_at=format_time(short.ends_at),
            part_url=f"{short.url}?uploadId={upload.multipart_name}",
        )
        for each, upload, short in zip(
            shown, uploads, await short_urls.for_uploads(request, engine, uploads), strict=True
        )
    ]


def upload_object(
    request: AnyRequest, engine: Engine, upload: Upload, parts: list[Part], direct: list[DirectUrl] | None = None
) -> UploadObject:
    """Return an upload as the native API shows it, with fresh signed URLs."""
    counted = upload.part_size is not None and upload.promised_size is not None
    url, part_url = upload_urls(request, engine, upload)
    return UploadObject(
        id=upload.id,
        file_id=upload.file_id,
        version_id=str(upload.number),
        state=upload.state,
        name=upload.name,
        path=upload.path,
        size=upload.size,
        max_size=upload.max_size,
        auto_complete=upload.auto_complete,
        url=url,
        url_expires_at=format_time(engine.tickets.url_expiry()),
        part_url=part_url,
        part_size=upload.part_size,
        part_count=part_count(upload) if counted else None,
        parts=[ReceivedPart(part.number, part.size, part.md5) for part in parts],
        offset=upload.offset,
        crc32c=upload.stream.crc32c if upload.stream else None,
        created_at=format_time(upload.created_at),
        direct=None if direct is None else [DirectPart(part.number, part.size, part.url) for part in direct],
    )


def folder_object(folder: Folder) -> FolderObject:
    """Return a folder as the native API shows it."""
    return FolderObject(folder.id, folder.path, folder.workspace_id, format_time(folder.created_at))
