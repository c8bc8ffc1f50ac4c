"""How far a file of the signed flow is, in the words of the flow: its status, its steps, and what was wrong with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from fileferry.engine.engine import Engine
from fileferry.engine.files.end_users import Progress
from fileferry.model import Principal, ScanOutcome, State, StoredFile, UploadState, format_optional_time, format_time
from fileferry.settings import Settings
from fileferry.web import waiting
from fileferry.web.requests import AnyRequest

URL_LIFETIME = timedelta(seconds=600)
_SCANNED = (
    *(ScanOutcome.CLEAN, ScanOutcome.INFECTED),
    *(ScanOutcome.SKIPPED_ENCRYPTED, ScanOutcome.SKIPPED_UNSUPPORTED),
)
_SETTLED = ("PROCESSED", "FAILED")
_NOT_UPLOADED = "not_uploaded"

_STATUS: dict[State, ProcessingStatus] = {
    State.PROCESSING: "PROCESSING",
    State.READY: "PROCESSED",
    State.REJECTED: "FAILED",
    State.EXPIRED: "PROCESSING",  # another version waits to take its place
}

ProcessingStatus = Literal["PENDING", "PROCESSING", "PROCESSED", "FAILED"]


class ProcessingStep(msgspec.Struct):
    """Something that is done to a file before it may be used; ``endedAt`` is null while it waits or is under way."""

    status: Literal["ANTIVIRUS_SCANNING"]
    created_at: str = msgspec.field(name="createdAt")
    ended_at: str | None = msgspec.field(name="endedAt")


class FileWarnings(msgspec.Struct):
    """What was wrong with a file: it had no bytes, malware was found in it, or it had more bytes than it may."""

    empty: bool
    infected: bool
    length: bool


class FileStatus(msgspec.Struct):
    """How far a file is: no bytes yet, being checked, ready to be attached, or of no use."""

    processing_status: ProcessingStatus
    processing_steps: list[ProcessingStep]
    warnings: FileWarnings


class SignedFile(msgspec.Struct, kw_only=True):
    """A file of the user's. ``url`` serves it and is null until it is ready; ``reason`` is why it never will be."""

    file_id: str
    file_name: str
    processing_status: ProcessingStatus
    reason: str | None
    content_type: str | None
    size: int | None
    created_at: str
    expires_at: str | None
    url: str | None


async def awaited_progress(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> Progress:
    """Return how far a file is; where the request waits for that, once it is ready or of no use."""

    async def read() -> tuple[Progress, str | None]:
        progress = await engine.end_users.progress(principal, file_id)
        is_settled = processing_status(engine, progress) in _SETTLED
        return progress, None if is_settled else file_id

    return await waiting.settled(request, engine, read)


def coming_file(progress: Progress, status: ProcessingStatus) -> SignedFile:
    """Show a file of which no byte has come yet, or whose bytes were refused."""
    upload = progress.upload
    assert upload is not None, "it is what there is of a file without bytes"
    return SignedFile(
        file_id=upload.file_id,
        file_name=upload.name,
        processing_status=status,
        reason=upload.refusal or (_NOT_UPLOADED if status == "FAILED" else None),
        content_type=None,
        size=None,
        created_at=format_time(upload.created_at),
        expires_at=None,
        url=None,
    )


def status_of(engine: Engine, progress: Progress) -> FileStatus:
    """Show how far a file is."""
    return FileStatus(
        processing_status(engine, progress),
        [] if progress.stored is None else _steps(engine.settings, progress.stored),
        _warnings(progress),
    )


def processing_status(engine: Engine, progress: Progress) -> ProcessingStatus:
    """Return how far a file is, in one word of the flow."""
    if progress.stored is not None:
        return _STATUS[progress.stored.version.state]
    upload = progress.upload
    assert upload is not None, "it is what there is of a file without bytes"
    # What comes in several requests may go on after the URL has ended, by URLs that its protocol gave out.
    has_failed = upload.refusal is not None or upload.state is UploadState.EXPIRED
    if has_failed or engine.tickets.has_lapsed(upload):
        return "FAILED"
    return "PENDING" if upload.state is UploadState.OPEN else "PROCESSING"


def _steps(settings: Settings, stored: StoredFile) -> list[ProcessingStep]:
    """Return the scan, where there is to be one or there was one."""
    version = stored.version
    has_scanner = settings.clamd is not None
    if version.state is State.PROCESSING and has_scanner and version.size <= settings.clamd_max_size:
        return [_scanning(version.created_at, None)]
    scan = version.scan
    if scan is None or scan.started_at is None:
        return []
    was_tried = scan.outcome in _SCANNED or (scan.outcome is ScanOutcome.ERROR and has_scanner)
    return [_scanning(scan.started_at, scan.ended_at)] if was_tried else []


def _scanning(started_at: datetime, ended_at: datetime | None) -> ProcessingStep:
    return ProcessingStep("ANTIVIRUS_SCANNING", format_time(started_at), format_optional_time(ended_at))


def _warnings(progress: Progress) -> FileWarnings:
    if progress.stored is None:
        refusal = progress.upload.refusal if progress.upload is not None else None
        return FileWarnings(empty=False, infected=False, length=refusal == "too_long")
    version = progress.stored.version
    return FileWarnings(
        empty=version.size == 0,
        infected=version.reason == "infected",
        length=version.reason == "size_mismatch",
    )
