"""kill -9 in the midst of each protocol's transfer: a new server knows what it has, and the file ends up right."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from faults.resuming import PIECE, SENDERS, Sender
from support.live_server import LiveServer

_KILLS = 2
_CRUMB = 64 * 1024


@pytest.mark.parametrize(("name", "workers"), [*((name, 1) for name in SENDERS), ("tus", 2)])
def test_a_transfer_goes_on_after_kill_9(make_server: Any, name: str, workers: int) -> None:
    go_on_after_kills(make_server(workers=workers, log_level="warning"), name, _KILLS)


def go_on_after_kills(server: LiveServer, name: str, kills: int) -> None:
    """Transfer a file by a protocol while the server dies so often; what is served in the end is what was sent."""
    content = random.Random(name).randbytes(6 * PIECE + 4321)
    promise: dict[str, Any] = {"path": "kept.bin", "auto_complete": True, "sha256": hashlib.sha256(content).hexdigest()}
    with server.client() as client:
        made = client.post("/api/uploads", json=promise)
        assert made.status_code == 201, made.text
        sender = SENDERS[name](made.json())
        sender.begin(len(content))
        for _ in range(kills):
            send_until_killed(server, sender, content)
            server.start()
        while pieces := sender.next_pieces(content):
            sender.send(content, pieces[0], whole)
        sender.complete(content)
    with server.client() as client:
        file = client.get("/api/files/path/kept.bin").json()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert client.get(file["url"]).content == content


def send_until_killed(server: LiveServer, sender: Sender, content: bytes) -> None:
    """Send one piece, and half of another, in whose midst the server dies; what was acknowledged must be known after."""
    pieces = sender.next_pieces(content)
    if pieces:
        sender.send(content, pieces[0], whole)

    def breaking_off(body: bytes) -> Iterator[bytes]:
        for start in range(0, len(body), _CRUMB):
            if start >= len(body) // 2 and server.is_running():
                server.kill()
            yield body[start : start + _CRUMB]

    left = sender.next_pieces(content)
    if not left:
        server.kill()
        return
    with pytest.raises(httpx.TransportError):
        sender.send(content, left[0], breaking_off)
    assert not server.is_running()


def whole(body: bytes) -> Iterator[bytes]:
    yield body
