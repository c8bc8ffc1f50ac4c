"""What works beside the uploads of a trial of kills: a scanner that finds some of them, and a receiver that is told of all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import httpx

from faults.waiting import eventually
from support.clamd import LiveClamd
from support.live_server import LiveServer
from support.receiver import Receiver

_ENDS = ("file.ready", "file.rejected")
_PATIENCE = 120.0


class Sent(Protocol):
    """An upload that was answered."""

    path: str
    digest: str
    is_infected: bool


class Company:
    """A real clamd and a real receiver of webhooks: ``settings`` are what a server needs to know them."""

    def __init__(self, clamd: LiveClamd, receiver: Receiver) -> None:
        self.settings = {
            "clamd": clamd.unix,
            "processing_lease": "2s",
            "webhook_networks": "127.0.0.0/8",
        }
        self._receiver = receiver
        self._heard = 0
        self.told_again = 0
        """How many messages came more than once, as they may; known in the end."""

    @property
    def told(self) -> int:
        """How many messages came."""
        return len(self._receiver.received)

    def subscribe(self, server: LiveServer) -> None:
        """Have a server tell the receiver of every end."""
        with server.client() as client:
            asked = {"url": self._receiver.url, "types": list(_ENDS)}
            assert client.post("/api/webhooks", json=asked).status_code == 201

    def hear(self, client: httpx.Client) -> None:
        """Return once the server sends: what comes next is then sent while files arrive."""
        self._heard += 1
        path = f"heard-{self._heard}"
        assert client.put(f"/api/upload/{path}", content=b"heard").status_code == 201
        eventually(lambda: path in {end[0] for end in self._ends()}, "the receiver is told of it", _PATIENCE)

    def judge(self, client: httpx.Client, acknowledged: Sequence[Sent]) -> None:
        """The receiver is told of each acknowledged file, of its one right end, and of nothing that is not there."""
        expected = {(sent.path, sent.digest, _ENDS[sent.is_infected]) for sent in acknowledged}
        eventually(lambda: expected <= self._ends(), "the receiver was told of every acknowledged file", _PATIENCE)
        both = Counter((path, digest) for path, digest, _type in self._ends())
        assert [end for end, count in both.items() if count > 1] == [], "told of two ends of one file"
        for file in {data["file_id"] for _type, data in self._messages()}:
            answer = client.get(f"/api/files/{file}")
            assert answer.status_code == 200, f"told of a file that is not there: {answer.text}"
        ids = Counter(message.id for message in self._receiver.received)
        self.told_again = sum(count - 1 for count in ids.values())

    def _ends(self) -> set[tuple[str, str, str]]:
        return {(data["path"], data["sha256"], type) for type, data in self._messages()}

    def _messages(self) -> list[tuple[str, dict[str, Any]]]:
        # A server that is killed may leave a message of which half came.
        whole = [m for m in list(self._receiver.received) if len(m.body) == int(m.headers["content-length"])]
        payloads = [json.loads(message.body) for message in whole]
        return [(payload["type"], payload["data"]) for payload in payloads]
