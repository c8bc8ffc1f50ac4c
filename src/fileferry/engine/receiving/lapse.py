"""How long an upload may go on by its URLs, and what is told of one that may not: one rule for all of them. Knows no signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fileferry.errors import AlreadyUploaded, Gone, NotFound
from fileferry.model import Upload, UploadState
from fileferry.settings import Settings


def pause(upload: Upload, settings: Settings) -> timedelta:
    """Return how long what was begun may rest before it goes on.

    A ticket grants the time of its URL again after each piece, and no more.
    """
    return min(upload.url_expires_at - upload.created_at, settings.upload_idle_timeout)


def session_end(upload: Upload, settings: Settings) -> datetime:
    """Return when the URL of a session that was begun for an upload ends, as far as it is known now: each piece moves it."""
    latest = upload.created_at + settings.upload_idle_timeout
    return min(latest, max(upload.url_expires_at, upload.touched_at + pause(upload, settings)))


def has_lapsed(upload: Upload, settings: Settings, now: datetime) -> bool:
    """Whether bytes that were promised did not come in time, and are not taken any more.

    What came whole, and waits for a call, waits as long as any upload does.
    """
    if upload.state is UploadState.RECEIVED and not upload.auto_complete:
        return upload.touched_at + settings.upload_idle_timeout <= now
    return max(upload.url_expires_at, upload.touched_at + pause(upload, settings)) <= now


def has_failed(upload: Upload, settings: Settings, now: datetime) -> bool:
    """Whether an end user is told that an upload has failed, which is final: nothing of it is taken, and nobody completes it."""
    is_under_way = upload.state in (UploadState.OPEN, UploadState.RECEIVED)
    return is_under_way and upload.end_user is not None and has_lapsed(upload, settings, now)


def refuse_ended(upload: Upload) -> None:
    """Raise AlreadyUploaded for a completed upload, Gone for one that was aborted or swept."""
    if upload.state is UploadState.COMPLETED:
        raise AlreadyUploaded()
    refuse_gone(upload)


def refuse_gone(upload: Upload) -> None:
    """Raise Gone for an upload that was aborted or swept; a completed one is as good as any."""
    if upload.state in (UploadState.ABORTED, UploadState.EXPIRED):
        raise Gone("The upload was aborted, or waited too long.")


def refuse_unknown(asked: Sequence[str], found: Mapping[str, Upload]) -> None:
    """Raise NotFound, naming the ids among ``asked`` that no upload was found for."""
    unknown = [id for id in asked if id not in found]
    if unknown:
        raise NotFound("There are no uploads for some of these ids.", ids=unknown)
