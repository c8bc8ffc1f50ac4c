"""What one workspace should be like, in plain Python: lists and dictionaries, no database, no bytes on a disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

RESTORE_WINDOW = timedelta(days=30)
IDLE = timedelta(days=7)


@dataclass
class Version:
    """One content of a file; ``ended`` once it is no longer kept."""

    number: int
    content: bytes
    token: str
    expires_at: datetime | None
    superseded_at: datetime | None = None
    ended: bool = False

    def is_shown(self, now: datetime) -> bool:
        return not self.ended and (self.expires_at is None or self.expires_at > now)


@dataclass
class File:
    """A file; its last version is the current one, and without any it only keeps its path."""

    id: str
    path: str
    owns_path: bool = True
    versions: list[Version] = field(default_factory=list)
    deleted: bool = False
    restorable_until: datetime | None = None

    @property
    def current(self) -> Version:
        return self.versions[-1]

    def has_path(self, now: datetime) -> bool:
        """Whether nothing else may have its path."""
        return self.owns_path and not self.deleted and not self._is_over(now)

    def is_living(self, now: datetime) -> bool:
        return bool(self.versions) and not self.deleted and not self._is_over(now)

    def is_restorable(self, now: datetime) -> bool:
        return self.deleted and self.restorable_until is not None and self.restorable_until > now

    def shown(self, now: datetime) -> list[Version]:
        """Return the versions that can be had, the last completed first."""
        return [version for version in reversed(self.versions) if version.is_shown(now)]

    def _is_over(self, now: datetime) -> bool:
        return bool(self.versions) and not self.current.is_shown(now)

    def end(self) -> None:
        self.deleted, self.restorable_until = True, None
        for version in self.versions:
            version.ended = True

    def trim(self, keep: int) -> None:
        kept = [version for version in self.versions if not version.ended]
        for version in kept[:-keep]:
            version.ended = True


@dataclass
class Upload:
    """A version that is to come; ``content`` once its bytes are there."""

    id: str
    file_id: str
    number: int
    path: str
    lifetime: timedelta | None
    completes_itself: bool
    touched_at: datetime
    content: bytes | None = None
    is_open: bool = True
    is_completed: bool = False


class Workspace:
    """Files and uploads of one workspace, and how many versions it keeps."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.uploads: list[Upload] = []
        self.keep: int | None = None
        self.keep_for: timedelta | None = None
        self.last_number = 0

    def owner(self, path: str, now: datetime) -> File | None:
        return next((file for file in self.files.values() if file.path == path and file.has_path(now)), None)

    def living(self, now: datetime) -> list[File]:
        return [file for file in self.files.values() if file.is_living(now)]

    def restorable(self, now: datetime) -> list[File]:
        return [file for file in self.files.values() if file.is_restorable(now)]

    def blobs(self, now: datetime) -> list[bytes]:
        """Return the contents that must be in the store after a sweep, and nothing else."""
        kept = self.living(now) + self.restorable(now)
        return sorted(
            [version.content for file in kept for version in file.versions if not version.ended]
            + [upload.content for upload in self.uploads if upload.is_open and upload.content is not None]
        )

    def add(self, file: File, version: Version, now: datetime) -> None:
        """Make a version the current one of a file."""
        self.files.setdefault(file.id, file)
        if file.versions:
            file.current.superseded_at = now
        file.versions.append(version)
        if self.keep is not None:
            file.trim(self.keep)

    def target(self, upload: Upload, now: datetime) -> File | None:
        """Return the file that an upload makes a version of: the one it was promised to, else the owner of its path."""
        promised = self.files.get(upload.file_id)
        return promised if promised and promised.has_path(now) else self.owner(upload.path, now)

    def delete(self, file: File, now: datetime, *, permanent: bool) -> None:
        for upload in self.uploads:
            upload.is_open &= upload.file_id != file.id
        if permanent or not file.owns_path:
            file.end()
            return
        file.deleted = True
        file.restorable_until = min(_known([file.current.expires_at, now + RESTORE_WINDOW]))

    def restore(self, file: File, now: datetime) -> None:
        stem, dot, extension = file.path.partition(".")
        path, number = file.path, 1
        while self.owner(path, now) is not None:
            number += 1
            path = f"{stem} ({number}){dot}{extension}"
        file.path, file.deleted, file.restorable_until = path, False, None

    def sweep(self, now: datetime) -> None:
        for upload in self.uploads:
            upload.is_open &= upload.touched_at >= now - IDLE
        promised = {upload.file_id for upload in self.uploads if upload.is_open}
        for file in list(self.files.values()):
            if not file.versions and file.id not in promised:
                del self.files[file.id]
            elif file.versions and not file.is_living(now) and not file.is_restorable(now):
                file.end()
            for version in file.versions:
                self._end_old(version, now)

    def scan(self) -> None:
        for file in self.files.values():
            if self.keep is not None and not file.deleted:
                file.trim(self.keep)

    def _end_old(self, version: Version, now: datetime) -> None:
        if version.superseded_at is None:
            return
        is_outdated = self.keep_for is not None and version.superseded_at <= now - self.keep_for
        version.ended |= is_outdated or not version.is_shown(now)


def _known(times: Iterable[datetime | None]) -> list[datetime]:
    return [time for time in times if time is not None]
