"""Following events as a stranger to our client would: a thread that reads a stream and keeps what it was told."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import Any, Self

import httpx

from contract.edge import eventually
from support.live_server import LiveServer


class Listener:
    """One stream of events, read until it ends or is left."""

    def __init__(self, server: LiveServer, query: str = "", *, key: str | None = None, **headers: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.blocks: list[dict[str, str]] = []
        self.is_open = False
        self.has_ended = False
        self._http = server.client(key)
        self._request = self._http.build_request(
            "GET", f"/api/events{query}", headers={"Accept": "text/event-stream", **headers}, timeout=60
        )
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._response = self._http.send(self._request, stream=True)
        assert self._response.status_code == 200
        self._thread.start()
        eventually(lambda: bool(self.blocks))
        return self

    def __exit__(self, *_: object) -> None:
        assert self._response is not None
        with contextlib.suppress(OSError):  # it has ended by itself
            # Closing alone would not wake the thread.
            self._response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._http.close()

    @property
    def headers(self) -> httpx.Headers:
        """What the answer began with."""
        assert self._response is not None
        return self._response.headers

    def told(self) -> list[tuple[str, str]]:
        """Return type and path of every event so far."""
        return [(event["type"], event["data"]["path"]) for event in list(self.events)]

    def _read(self) -> None:
        assert self._response is not None
        block: dict[str, str] = {}
        try:
            for line in self._response.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    block[name] = value
                    continue
                if "data" in block:
                    self.events.append(json.loads(block["data"]))
                self.blocks.append(block)
                block = {}
            self.has_ended = True
        except (httpx.HTTPError, httpx.StreamClosed):
            pass
