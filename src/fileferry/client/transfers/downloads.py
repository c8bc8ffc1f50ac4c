"""Where downloaded bytes go, and what proves them: partial files that a later call resumes, open files and memory.

Reads answers and keeps bytes; asks nothing itself. Bytes reach the destination's name only whole and verified.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Protocol

import httpx

from fileferry.client.failures import ConnectionFailed, error_from, unreadable
from fileferry.client.nouns.files import File
from fileferry.client.transfers.locking import open_locked
from fileferry.client.transfers.sources import refuse_text
from fileferry.errors import Conflict, DigestMismatch

CHUNK = 1024 * 1024

CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-\d{1,19}/(\d{1,19}|\*)")
REPR_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")


class Sink(Protocol):
    """Keeps the bytes of one download."""

    def held(self) -> tuple[int, str]:
        """Return how many leading bytes are kept from earlier, and the ETag of the content they belong to (or "")."""

    def written(self) -> Iterator[bytes]:
        """Yield the bytes that are kept from earlier."""

    def restart(self, etag: str) -> None:
        """Drop everything; what is written next belongs to the content with this ETag (or "")."""

    def write(self, chunk: bytes) -> object:
        """Append a chunk."""

    def commit(self) -> None:
        """Make the bytes the destination's: they are whole."""


class PartialFile:
    """``NAME.part`` beside the destination, and ``NAME.part.etag`` that says which content it is the start of."""

    def __init__(self, destination: Path, file: IO[bytes], origin: str) -> None:
        self._destination = destination
        self._part = part_of(destination)
        self._label = label_of(destination)
        self._file = file
        self._committed = False
        # An ETag means something only together with its address; the digest keeps a secret address out of the label.
        self._origin = hashlib.sha256(origin.encode()).hexdigest()

    def held(self) -> tuple[int, str]:
        """Return the part's size less one byte, so that a whole part can be resumed too, and its ETag."""
        try:
            origin, _, etag = self._label.read_text().partition("\n")
        except (OSError, ValueError):
            return 0, ""
        size = os.fstat(self._file.fileno()).st_size
        if origin != self._origin or size < 2:
            return 0, ""
        self._file.truncate(size - 1)
        self._file.seek(0)
        return size - 1, etag

    def written(self) -> Iterator[bytes]:
        """Yield the part's bytes."""
        while chunk := self._file.read(CHUNK):
            yield chunk

    def restart(self, etag: str) -> None:
        """Empty the part, then label it: a part is never longer than what its label speaks for."""
        self._label.unlink(missing_ok=True)
        self._file.seek(0)
        self._file.truncate()
        if etag:
            self._label.write_text(f"{self._origin}\n{etag}")

    def write(self, chunk: bytes) -> object:
        """Append to the part."""
        return self._file.write(chunk)

    def commit(self) -> None:
        """Rename the part to the destination, after its bytes are on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self._part, self._destination)
        self._label.unlink(missing_ok=True)
        self._committed = True

    def tidy(self) -> None:
        """Leave no part behind that holds nothing."""
        if self._committed:
            return
        self._file.flush()
        if os.fstat(self._file.fileno()).st_size == 0:
            self._label.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)


class OpenFile:
    """A binary file of the caller's, written from where it stands. Without seek it cannot start over."""

    def __init__(self, file: IO[bytes]) -> None:
        refuse_text(file)
        self._file = file
        self._begun = False
        seekable = getattr(file, "seekable", None)
        self._start = file.tell() if seekable and seekable() else None

    def held(self) -> tuple[int, str]:
        """Return nothing: what the file held before is not ours."""
        return 0, ""

    def written(self) -> Iterator[bytes]:
        """Yield nothing."""
        return iter(())

    def restart(self, etag: str) -> None:
        """Go back to where the file stood; raise Conflict when it cannot and bytes were already written."""
        del etag
        if self._begun:
            if self._start is None:
                raise Conflict("The content changed during the download, and what was written cannot be taken back.")
            self._file.seek(self._start)
            self._file.truncate()

    def write(self, chunk: bytes) -> object:
        """Write to the file."""
        self._begun = True
        return self._file.write(chunk)

    def commit(self) -> None:
        """Flush the file."""
        self._file.flush()


class Receiving:
    """One download over all its attempts: what to ask for next, what arrived, and whether it is right."""

    def __init__(self, sink: Sink, file: File | None) -> None:
        self._sink = sink
        self._file = file
        self._sha256 = hashlib.sha256()
        self._expected: str | None = None
        self.total: int | None = None
        """Size of the content in bytes, where it is known."""
        self.received, self._etag = sink.held()
        """Leading bytes of the content that are kept."""
        if self.received and _is_strong(self._etag):
            for chunk in sink.written():
                self._sha256.update(chunk)
        else:
            self._restart("")

    def headers(self) -> dict[str, str]:
        """Return the request headers for the bytes that are missing."""
        headers = {"Accept-Encoding": "identity", "Want-Repr-Digest": "sha-256=1"}
        if self.received and self._etag:
            headers |= {"Range": f"bytes={self.received}-", "If-Range": self._etag}
        return headers

    def begin(self, response: httpx.Response) -> None:
        """Take in an answer's headers; start over when it brings the whole content or another one.

        Raise the error that a refusal carries; its body must have been read.
        """
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and self.received:
            self._restart("")
            raise ConnectionFailed("The content is not what it was; the download starts over.")
        if response.is_error:
            raise error_from(response)
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            described = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if not described or int(described[1]) != self.received or response.headers.get("ETag") != self._etag:
                self._restart("")
                raise ConnectionFailed("The server answered with another range than was asked for.")
            self.total = None if described[2] == "*" else int(described[2])
        elif response.status_code == httpx.codes.OK:
            etag = response.headers.get("ETag", "")
            self._restart(etag if _is_strong(etag) else "")
            length = response.headers.get("Content-Length", "")
            self.total = int(length) if length.isdecimal() else None
        else:
            raise unreadable(response, "a file's content")
        self._expected = self._expected_digest(response.headers)

    def take(self, chunk: bytes) -> None:
        """Keep the next bytes."""
        self._sink.write(chunk)
        self._sha256.update(chunk)
        self.received += len(chunk)

    def finish(self) -> None:
        """Hand the content over; raise ConnectionFailed when bytes are missing, DigestMismatch when they are wrong."""
        if self.total is not None and self.received < self.total:
            raise ConnectionFailed(f"The content ended after {self.received} of {self.total} bytes.")
        wrong = self._expected is not None and self._sha256.hexdigest() != self._expected
        if wrong or (self.total is not None and self.received > self.total):
            self._restart("")
            raise DigestMismatch("The bytes received are not the file's: SHA-256 or size differs. Nothing was kept.")
        self._sink.commit()

    def _restart(self, etag: str) -> None:
        self._sink.restart(etag)
        self._sha256 = hashlib.sha256()
        self.received, self._etag = 0, etag

    def _expected_digest(self, headers: Mapping[str, str]) -> str | None:
        if found := REPR_DIGEST.search(headers.get("Repr-Digest", "")):
            with contextlib.suppress(binascii.Error):
                return base64.b64decode(found[1], validate=True).hex()
        # A description from earlier speaks for these bytes only while the content is still the same.
        if self._file is not None and self._file.etag == headers.get("ETag"):
            return self._file.sha256
        return None


@contextlib.contextmanager
def partial_file(destination: Path, origin: str) -> Iterator[PartialFile]:
    """Open the partial file of a download from ``origin``; raise Conflict while another process writes it.

    It stays behind, to be resumed, unless it was committed or holds nothing.
    """
    part = part_of(destination)
    with open_locked(part, f"Another download is writing {part}.") as file:
        partial = PartialFile(destination, file, origin)
        try:
            yield partial
        finally:
            # Before the lock goes with the file, so that no other download's part is touched.
            partial.tidy()


def part_of(destination: Path) -> Path:
    """Return where the bytes of an unfinished download are kept."""
    return destination.with_name(destination.name + ".part")


def label_of(destination: Path) -> Path:
    """Return where it is written which content an unfinished download belongs to."""
    return destination.with_name(destination.name + ".part.etag")


def _is_strong(etag: str) -> bool:
    return etag.startswith('"')
