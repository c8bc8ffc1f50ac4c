"""The state file of an upload that a later process can continue: which upload on the server belongs to which file here.

It holds no key. The server knows which parts it has, so the file is written once, before the first part.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from fileferry.client.nouns.uploads import Ticket
from fileferry.client.transfers.locking import open_locked


class Journal:
    """What is remembered of one upload; held by one process at a time."""

    def __init__(self, file: IO[bytes], source: Path, identity: list[int] | None) -> None:
        self._file = file
        self._source = source
        self._identity = identity
        said = self._read()
        self.upload_id: str | None = None
        """The upload to continue."""
        self.outdated_id: str | None = None
        """An upload of what the file held earlier, which nobody will continue."""
        if isinstance(upload_id := said.get("upload_id"), str):
            if said.get("identity") == identity:
                self.upload_id = upload_id
            else:
                self.outdated_id = upload_id

    def remember(self, ticket: Ticket) -> None:
        """Write down which upload this is; it is on disk when this returns."""
        said = {
            "upload_id": ticket.upload_id,
            "file_id": ticket.file_id,
            "created_at": ticket.created_at.isoformat(),
            "source": str(self._source),
            "identity": self._identity,
        }
        self._write(json.dumps(said).encode() + b"\n")
        self.upload_id = ticket.upload_id

    def forget(self) -> None:
        """Forget the upload: it is complete, or nothing of it is left."""
        self._write(b"")
        self.upload_id = self.outdated_id = None

    def _read(self) -> Mapping[str, object]:
        try:
            said = json.loads(self._file.read())
        except ValueError:
            # Empty, or torn by a power cut: the upload starts anew.
            return {}
        return said if isinstance(said, dict) else {}

    def _write(self, content: bytes) -> None:
        # In place, because the lock is on this very file; what is torn counts as nothing.
        self._file.seek(0)
        self._file.truncate()
        self._file.write(content)
        self._file.flush()
        os.fsync(self._file.fileno())


@contextlib.contextmanager
def journal(server: str, source: Path, asked: Mapping[str, object], identity: list[int] | None) -> Iterator[Journal]:
    """Open the journal of uploading the file ``source`` to ``server`` as ``asked``; raise Conflict while another holds it.

    It stays behind, to be continued, unless it was forgotten.
    """
    absolute = Path(os.path.abspath(source))
    key = hashlib.sha256(json.dumps([server, os.fsdecode(absolute), asked], sort_keys=True).encode("utf-8", "replace"))
    folder = state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{key.hexdigest()}.json"
    with open_locked(path, f"Another process is uploading {absolute} to the same place.", mode=0o600) as file:
        try:
            yield Journal(file, absolute, identity)
        finally:
            # Before the lock goes with the file, so that no other process's journal is touched.
            file.flush()
            if os.fstat(file.fileno()).st_size == 0:
                path.unlink(missing_ok=True)


def state_folder() -> Path:
    """Return where journals are kept: ``fileferry`` in XDG_STATE_HOME, by default ``~/.local/state``."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".local" / "state") / "fileferry"
