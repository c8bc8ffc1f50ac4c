"""The digests of a stream, carried on from request to request: what is known of them is put aside with the stream's row."""

from __future__ import annotations

from collections.abc import Iterable

from fileferry.engine.inspection import suspendable
from fileferry.engine.inspection.digests import Algorithm, Hasher
from fileferry.engine.receiving.completion import promised_digests
from fileferry.model import Stream, Upload

SUSPENDABLE = {Algorithm.MD5: "md5", Algorithm.SHA256: "sha256"}
"""The digests that are carried on, and what ``suspendable`` calls them."""


class RunningDigests:
    """Digests of the whole stream that are carried from request to request; one that cannot be is left out."""

    def __init__(self, upload: Upload, sha256_size: int) -> None:
        wanted = {Algorithm.MD5, *(name for name in promised_digests(upload) if name in SUSPENDABLE)}
        if upload.size is not None and upload.size <= sha256_size:
            wanted.add(Algorithm.SHA256)
        self._digests: dict[Algorithm, suspendable.Hash] = {}
        for algorithm in sorted(wanted):
            digest = self._take_up(upload, algorithm)
            if digest is not None:
                self._digests[algorithm] = digest

    def update(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes."""
        for chunk in chunks:
            for digest in self._digests.values():
                digest.update(chunk)

    def states(self) -> dict[str, str]:
        """Return what is kept of them, as hex."""
        found = {algorithm.value: suspendable.state_of(digest) for algorithm, digest in self._digests.items()}
        return {name: state.hex() for name, state in found.items() if state is not None}

    def _take_up(self, upload: Upload, algorithm: Algorithm) -> suspendable.Hash | None:
        name = SUSPENDABLE[algorithm]
        if upload.stream is None or upload.stream.size == 0:
            return suspendable.begin(name)
        state = upload.stream.hashes.get(algorithm.value)
        return None if state is None else suspendable.resume(name, bytes.fromhex(state))


class RegionHasher(Hasher):
    """The CRC32C of one region, while the digests of the whole stream go on."""

    def __init__(self, running: RunningDigests) -> None:
        super().__init__()
        self._of_stream = running

    def update(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes."""
        chunks = list(chunks)
        super().update(chunks)
        self._of_stream.update(chunks)

    @property
    def is_light(self) -> bool:
        """Never: digests of the whole are worth a thread of their own."""
        return False


def finished(stream: Stream) -> dict[Algorithm, str | None]:
    """Return the digests of all that a stream has, as hex; None for one that was not carried on."""
    found: dict[Algorithm, str | None] = {}
    for algorithm, name in SUSPENDABLE.items():
        state = stream.hashes.get(algorithm.value)
        digest = None if state is None else suspendable.resume(name, bytes.fromhex(state))
        found[algorithm] = None if digest is None else digest.digest().hex()
    return found
