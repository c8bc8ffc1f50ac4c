"""A stand-in for faults that a real server cannot be made to show: it answers each request with the next step of a script.

It stores nothing and knows no API; what the real server does is tested against the real one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Any

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def handle(self) -> None:
        # A client that gives up is part of what is tested here.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.faulty.take(self)

    def do_POST(self) -> None:
        self.server.faulty.take(self)

    def do_PUT(self) -> None:
        self.server.faulty.take(self)

    def do_DELETE(self) -> None:
        self.server.faulty.take(self)


Step = Callable[[Handler, bytes], None]
"""Answers one request whose body was read; a step with ``reads_body = False`` gets none."""


@dataclass
class FaultyServer:
    """Serves the steps of its script in order, and repeats the last one."""

    script: list[Step]
    seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> FaultyServer:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.faulty = self  # type: ignore[attr-defined]
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

    def take(self, handler: Handler) -> None:
        step = self.script[min(len(self.seen), len(self.script) - 1)]
        seen = Seen(handler.command, handler.path, dict(handler.headers.items()), b"")
        self.seen.append(seen)
        if getattr(step, "reads_body", True):
            seen.body = handler.read_body()
        step(handler, seen.body)


def accepted(**changes: object) -> Step:
    """Answer an upload as the server does, with ``changes`` to the file object."""

    def step(handler: Handler, body: bytes) -> None:
        said = file_object(body) | changes
        handler.answer(201, json.dumps(said).encode(), {"Content-Type": "application/json"})

    return step


def refused(status: int, code: str, headers: dict[str, str] | None = None, **members: object) -> Step:
    """Answer with a problem of the catalogue."""

    def step(handler: Handler, body: bytes) -> None:
        problem = {"status": status, "code": code, "detail": "So it is.", "request_id": "r-1", **members}
        handler.answer(status, json.dumps(problem).encode(), {**(headers or {})})

    return step


def refused_early(status: int, code: str) -> Step:
    """Answer a problem before the body was read, then break the connection on the client that still sends."""

    def step(handler: Handler, body: bytes) -> None:
        handler.rfile.read(1)
        refused(status, code, {"Connection": "close"})(handler, body)
        handler.close_connection = True

    step.reads_body = False  # type: ignore[attr-defined]
    return step


def plain(status: int, body: bytes = b"") -> Step:
    """Answer as a proxy does that knows nothing of fileferry."""
    return lambda handler, _: handler.answer(status, body)


def lost(handler: Handler, body: bytes) -> None:
    """Take the request and break the connection without an answer."""
    handler.close_connection = True


def content(whole: bytes, *, etag: str = '"v1"', upto: int | None = None, digest_of: bytes | None = None) -> Step:
    """Serve ``whole`` with ranges; break off after its first ``upto`` bytes; claim the digest of ``digest_of``."""

    def step(handler: Handler, body: bytes) -> None:
        start = 0
        if "Range" in handler.headers and handler.headers["If-Range"] == etag:
            start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        digest = base64.b64encode(hashlib.sha256(digest_of or whole).digest()).decode()
        headers = {"ETag": etag, "Repr-Digest": f"sha-256=:{digest}:", "Content-Length": str(len(whole) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        handler.answer(206 if start else 200, whole[start:upto], headers)
        if upto is not None:
            handler.close_connection = True

    return step


def file_object(body: bytes) -> dict[str, object]:
    """Return the native file object for these bytes."""
    return {
        "id": "f1",
        "version_id": "1",
        "name": "a.txt",
        "path": "a.txt",
        "size": len(body),
        "content_type": "text/plain",
        "status": "ready",
        "reason": None,
        "sha256": hashlib.sha256(body).hexdigest(),
        "crc32c": "00000000",
        "etag": '"v1"',
        "metadata": {},
        "url": "http://127.0.0.1/f/a.txt",
        "created_at": "2026-01-01T00:00:00Z",
        "modified_at": "2026-01-01T00:00:00Z",
        "expires_at": None,
    }
