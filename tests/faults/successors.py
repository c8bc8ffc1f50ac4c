"""A tus upload in one long request, whose server dies in the midst of it, and that goes on at another one from what is recorded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

from faults.waiting import eventually

MIB = 1024 * 1024
CHECKPOINT = 64 * MIB
"""How often a request that goes on is recorded: as much of it is lost with its server at most (decision 0013)."""
_TUS = {"Tus-Resumable": "1.0.0"}
_SECONDS = 60.0


@dataclass(frozen=True)
class Noise:
    """``size`` bytes (whole MiB), made as they are needed, no MiB of which is another's."""

    size: int
    _noise: bytes = field(default_factory=lambda: os.urandom(MIB))

    def blocks(self, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from ``start`` on."""
        for number in range(start // MIB, self.size // MIB):
            block = number.to_bytes(8) + self._noise[8:]
            yield block[max(0, start - number * MIB) :]

    def digest(self) -> str:
        """Return the SHA-256 of all of it."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()


def begin(url: str, size: int) -> None:
    """Begin the upload."""
    told = {**_TUS, "Upload-Length": str(size)}
    answer = httpx.post(url, headers=told, trust_env=False, timeout=_SECONDS)
    assert answer.status_code == 201, answer.text


def offset_of(url: str) -> int:
    """Ask how far the upload is."""
    answer = httpx.head(url, headers=_TUS, trust_env=False, timeout=_SECONDS)
    assert answer.is_success, answer.status_code
    return int(answer.headers["upload-offset"])


def send_until_killed(
    url: str, noise: Noise, start: int, *, beyond: int, recorded: Callable[[], int], kill: Callable[[], None]
) -> int:
    """Send on from ``start``; kill the server once a checkpoint is ``recorded`` and so many bytes ``beyond`` it are sent.

    Return how many bytes had been sent altogether by then.
    """
    sent, is_killed = start, False

    def body() -> Iterator[bytes]:
        nonlocal sent, is_killed
        for block in noise.blocks(start):
            yield block
            if is_killed:
                continue  # until the connection says so
            sent += len(block)
            if sent >= start + CHECKPOINT + beyond:
                eventually(lambda: recorded() >= start + CHECKPOINT, "a checkpoint is recorded")
                kill()
                is_killed = True

    try:
        _patch(url, start, noise.size - start, body())
    except httpx.TransportError:
        return sent
    raise AssertionError("the server that was killed has answered")


def send_rest(url: str, noise: Noise, start: int) -> None:
    """Send what comes from ``start`` on."""
    answer = _patch(url, start, noise.size - start, noise.blocks(start))
    assert (answer.status_code, int(answer.headers["upload-offset"])) == (204, noise.size), answer.text


def digest_at(url: str) -> str:
    """Fetch a file; return its SHA-256."""
    digest = hashlib.sha256()
    with httpx.stream("GET", url, trust_env=False, timeout=_SECONDS) as answer:
        assert answer.status_code == 200
        for block in answer.iter_raw():
            digest.update(block)
    return digest.hexdigest()


def _patch(url: str, start: int, length: int, body: Iterator[bytes]) -> httpx.Response:
    headers = {
        **_TUS,
        "Upload-Offset": str(start),
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(length),
    }
    return httpx.patch(url, headers=headers, content=body, trust_env=False, timeout=_SECONDS)
