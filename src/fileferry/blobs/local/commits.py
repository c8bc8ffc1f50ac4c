"""Making blobs durable in groups, so that several share the sync of their folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from fileferry.blobs.local.disk import (
    claim_anew,
    create_claimed,
    rename_once,
    start_write_back,
    sync_folder,
    translated,
    write_all,
)
from fileferry.blobs.store import BlobMissing
from fileferry.groups import Job


class Commit(Job):
    """One blob on its way to durability: already written to ``source``, or small and held in ``chunks``."""

    def __init__(self, source: str | None, final: str, descriptor: int | None, chunks: list[bytes]) -> None:
        super().__init__()
        self.source = source
        self.final = final
        self.descriptor = descriptor
        self.chunks = chunks

    def place(self) -> None:
        """Put the blob where it belongs, not yet durably."""
        if self.source is not None:
            if rename_once(self.source, self.final) and self.descriptor is not None:
                self.descriptor = claim_anew(self.final, self.descriptor)
            return
        self.descriptor = create_claimed(self.final)
        write_all(self.descriptor, self.chunks)
        # Every file's blocks are on their way before the first sync waits, so that one journal commit serves the group.
        start_write_back(self.descriptor, 0, 0)

    def sync(self) -> None:
        """Make a small blob's bytes durable; those of a large one were synced before it came here."""
        if self.source is None and self.descriptor is not None:
            os.fsync(self.descriptor)


class Committer:
    """Makes waiting blobs durable as a group, so that they share the sync of their folder."""

    def __init__(self) -> None:
        self._known_folders: set[str] = set()

    def commit(self, group: list[Commit]) -> None:
        """Place every blob and sync each folder once; a blob that fails carries its own error."""
        placed = [job for job in group if _attempt(job, self._place, job)]
        synced = [job for job in placed if _attempt(job, job.sync)]
        folders: dict[str, list[Commit]] = {}
        for job in synced:
            folders.setdefault(os.path.dirname(job.final), []).append(job)
        for folder, jobs in folders.items():
            first, *others = jobs
            if not _attempt(first, sync_folder, folder):
                for job in others:
                    job.error = first.error

    def _place(self, job: Commit) -> None:
        folder = os.path.dirname(job.final)
        if folder not in self._known_folders:
            self._make_folder(folder)
        with contextlib.suppress(FileNotFoundError):
            job.place()
            return
        self._make_folder(folder)  # the old one was empty, and cleaned away since
        try:
            job.place()
        except FileNotFoundError as error:
            if job.source is None:
                raise
            raise BlobMissing(os.path.basename(job.final)) from error

    def _make_folder(self, folder: str) -> None:
        parent = os.path.dirname(folder)
        # Never the folder of all blobs: where that is missing its disk is, and the bytes would be under the mount point.
        for path in (parent, folder):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
        sync_folder(parent)
        sync_folder(os.path.dirname(parent))
        # Only the folders of this hour are worth remembering.
        if len(self._known_folders) > 64:
            self._known_folders.clear()
        self._known_folders.add(folder)


def _attempt(job: Commit, step: Callable[..., None], *args: object) -> bool:
    try:
        translated(step, *args)
    except Exception as error:
        job.error = error
        return False
    return True
