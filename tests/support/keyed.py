"""Stands before a server and puts a key into each request, for programs of others that know no keys. Knows no API."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_SECONDS = 60.0
_OF_THE_CONNECTION = {"connection", "content-length", "transfer-encoding", "date", "server"}


class Keyed:
    """Passes requests on to ``port`` of this machine: ``with Keyed(port, key) as keyed``, then ask ``keyed.url``."""

    def __init__(self, port: int, key: str) -> None:
        class Handler(_Handler):
            def server_of(self) -> tuple[int, str]:
                return port, key

        self._http = _Http(("127.0.0.1", 0), Handler)
        self._serving = threading.Thread(target=self._http.serve_forever)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._serving.join()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone before its answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def server_of(self) -> tuple[int, str]:
        """Return the port to pass requests on to, and the key to put into them."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def do_OPTIONS(self) -> None:
        self._pass_on()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""

    def _pass_on(self) -> None:
        port, key = self.server_of()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        server = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        try:
            server.request(self.command, self.path, body, {**asked, "Authorization": f"Bearer {key}"})
            answer = server.getresponse()
            content = answer.read()
        finally:
            server.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_THE_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
