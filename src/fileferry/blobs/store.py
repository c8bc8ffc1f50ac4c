"""The interface every blob store keeps, with one contract sentence on every method. It has no code of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import timedelta
from io import FileIO
from typing import Protocol

import msgspec

from fileferry.blobs.direct import DirectDownloads, DirectUploads, Report
from fileferry.model import Extent


class BlobStat(msgspec.Struct, frozen=True):
    """What a store knows of one committed blob. ``size`` is in bytes."""

    key: str
    size: int


class FileSlice(msgspec.Struct, frozen=True):
    """``length`` bytes from ``offset`` on of an open file, for the kernel to send without their passing through here."""

    file: FileIO
    offset: int
    length: int


class Capabilities(msgspec.Struct, frozen=True):
    """What a store can, so that nobody asks which one it is.

    ``has_files``: ``open_file`` gives one of every blob. ``grace``: how long after something was written of a blob the claims of
    other processes cannot be seen, so that ``orphans`` and ``delete_unowned`` pass it over; zero where they can be.
    """

    has_files: bool
    grace: timedelta = timedelta(0)


class BlobWriter(Protocol):
    """One blob being written. Nothing of it is visible before ``commit``; a writer left without commit leaves nothing."""

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Add bytes at the end. Raises InsufficientStorage when the store is full."""
        ...

    async def commit(self) -> None:
        """Make the blob durable and readable under its key; what was appended survives power loss once this returns.

        Raises InsufficientStorage when the store is full. May be called once.
        """
        ...

    async def close(self) -> None:
        """Give up the claim on the key: an uncommitted blob is removed, a committed one from now on needs an owner.

        Until this is called ``orphans`` does not name the key, so that the owner can be recorded first.
        """
        ...


class BlobStore(Protocol):
    """Where bytes live. Keys are UUIDs made by the engine; no string of a client ever is, or is part of, a key.

    Every method may raise Unavailable when the store cannot be reached.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this store can; it never changes."""
        ...

    @property
    def direct_uploads(self) -> DirectUploads | None:
        """How clients send blobs to the store themselves; None where they cannot, or ``probe`` has not found that they can."""
        ...

    @property
    def direct_downloads(self) -> DirectDownloads | None:
        """How clients fetch blobs from the store themselves; None as ``direct_uploads``."""
        ...

    async def probe(self) -> Report:
        """Try with small objects of its own what the store does and enforces, and go by that from now on."""
        ...

    def open_write(self, key: str) -> BlobWriter:
        """Start the blob ``key``, which must be new."""
        ...

    def open_region(self, key: str, offset: int) -> BlobWriter:
        """Start writing at ``offset`` of the unfinished blob ``key``, which the first region makes.

        Several regions may be open at once, also in other processes; the caller sees to it that they do not overlap. Their
        ``commit`` makes the region durable but not the blob readable; closed without, what it wrote is given back. Writing
        raises BlobAssembled once the blob was put together.
        """
        ...

    async def discard_region(self, key: str, offset: int, length: int) -> None:
        """Give back the space of a region that nothing refers to any more, whether the blob is finished or not."""
        ...

    async def assemble(self, key: str) -> None:
        """Make an unfinished blob readable as it is, copying nothing; one that is already so stays so. Raises BlobMissing."""
        ...

    def read(self, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
        """Yield ``length`` bytes from offset ``start`` in pieces of bounded size. Raises BlobMissing before the first piece."""
        ...

    async def open_file(self, key: str) -> FileIO | None:
        """Open the file whose bytes are the blob's, offset by offset, by its absolute path; the caller closes it.

        None from a store that has no such files: its blobs can only be ``read``. Raises BlobMissing.
        """
        ...

    async def stat(self, key: str) -> BlobStat:
        """Return the committed blob's size. Raises BlobMissing."""
        ...

    async def runs(self, key: str) -> Sequence[Extent]:
        """Return where the committed blob has bytes, in order; what lies between was given back. Raises BlobMissing."""
        ...

    async def is_begun(self, key: str) -> bool:
        """Whether anything durable has come of the blob, be it committed or not."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the blob and give its space back; a missing blob is not an error.

        Readers already under way finish what is one run of bytes; they may get BlobMissing at the next region."""
        ...

    async def delete_unowned(self, key: str, is_owned: Callable[[], Awaitable[bool]]) -> bool:
        """Remove the blob, or what has come of it, if no writer claims it and ``is_owned``, asked while none can, says no.

        Returns whether it did.
        """
        ...

    def orphans(self) -> AsyncGenerator[str]:
        """Yield keys that hold bytes and that no writer claims, in any order and bounded memory; most of them have an owner.

        Among them are, perhaps a second time, those of blobs that have come in part and were left so.
        """
        ...

    async def identity(self) -> str | None:
        """Return the id that ``identify`` gave the store; None for a store that has none yet."""
        ...

    async def identify(self, id: str) -> None:
        """Give the store an id, durably, so that no other database takes its blobs for orphans."""
        ...

    async def check(self) -> None:
        """Return if the store takes writes now. Raises Unavailable or InsufficientStorage otherwise."""
        ...

    async def close(self) -> None:
        """Finish what was started and let go of every resource."""
        ...


class BlobAssembled(Exception):
    """The blob is put together already and takes no more regions."""


class BlobMissing(Exception):
    """The store has no committed blob under this key."""
