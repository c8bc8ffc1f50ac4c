"""Stands between a client and a real server: sees every request, and does to single parts what networks do. Knows no API."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

PATIENCE = 30.0


@dataclass
class Passing:
    """A request on its way; ``part`` is its partNumber, None for a request that carries no part."""

    handler: BaseHTTPRequestHandler
    body: bytes
    part: int | None
    relay: Relay

    def forward(self) -> tuple[int, Mapping[str, str], bytes]:
        """Return what the server answers."""
        upstream = http.client.HTTPConnection(urlsplit(self.relay.server).netloc, timeout=PATIENCE)
        with contextlib.closing(upstream):
            upstream.putrequest(self.handler.command, self.handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.handler.headers.items():
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(self.body)))
            upstream.endheaders(self.body)
            answer = upstream.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                self.handler.send_header(name, value)
        self.handler.send_header("Content-Length", str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body)


Fault = Callable[[Passing], None]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Any

    def handle(self) -> None:
        # Clients that are killed are part of what is tested here.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.pass_on()

    def do_POST(self) -> None:
        self.pass_on()

    def do_PUT(self) -> None:
        self.pass_on()

    def do_DELETE(self) -> None:
        self.pass_on()

    def pass_on(self) -> None:
        number = parse_qs(urlsplit(self.path).query).get("partNumber")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.relay.pass_on(Passing(self, body, int(number[0]) if number else None, self.server.relay))


@dataclass
class Relay:
    """Passes requests on to ``server``. ``faults`` happen to the first sending of a part, ``before`` runs before each part."""

    server: str
    faults: dict[int, Fault] = field(default_factory=dict)
    before: Callable[[int], object] = lambda number: None
    sent: Counter[int] = field(default_factory=Counter)
    """How often each part came."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request without a part."""
    addresses: list[str] = field(default_factory=list)
    """The addresses that parts came to, without their queries, each once."""
    most_at_once: int = 0

    def __enter__(self) -> Relay:
        self._lock = threading.Lock()
        self._under_way = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.relay = self  # type: ignore[attr-defined]
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def pass_on(self, passing: Passing) -> None:
        path = urlsplit(passing.handler.path).path
        if passing.part is None:
            self.calls.append((passing.handler.command, path))
            passing.answer(*passing.forward())
            return
        with self._lock:
            self.sent[passing.part] += 1
            if path not in self.addresses:
                self.addresses.append(path)
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
            fault = self.faults.pop(passing.part, whole)
        try:
            self.before(passing.part)
            fault(passing)
        finally:
            with self._lock:
                self._under_way -= 1


def whole(passing: Passing) -> None:
    """Pass a request and its answer on as they are."""
    passing.answer(*passing.forward())


def lost(passing: Passing) -> None:
    """Break the connection; the server gets nothing."""
    passing.handler.close_connection = True


def answer_lost(passing: Passing) -> None:
    """Let the server have the part, and break the connection."""
    passing.forward()
    passing.handler.close_connection = True


def altered(passing: Passing) -> None:
    """Change a byte on the way."""
    passing.body = bytes([passing.body[0] ^ 1]) + passing.body[1:]
    whole(passing)


def refused(status: int, code: str) -> Fault:
    """Answer an S3 error of one's own."""
    text = f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>It &lt;is&gt; so.</Message></Error>"
    return lambda passing: passing.answer(status, {"Content-Type": "application/xml"}, text.encode())
