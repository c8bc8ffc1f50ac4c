"""A server below a sub-path, behind a front that strips it: every address that it tells leads through the front."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fileferry import Client

SUB_PATH = "/hand/off"


class Front(ThreadingHTTPServer):
    """Passes what is below the sub-path on to ``port``, without it, and answers 502 for all else."""

    daemon_threads = True
    port = 0


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def _pass(self) -> None:
        if not self.path.startswith(f"{SUB_PATH}/"):
            self.send_error(502)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        inner = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        inner.request(self.command, self.path.removeprefix(SUB_PATH), body, dict(self.headers.items()))
        answer = inner.getresponse()
        content = answer.read()
        inner.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        if "content-length" not in {name.lower() for name, _ in answer.getheaders()} and answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def __getattr__(self, name: str) -> Any:
        """Return what answers any method, which the standard library looks for by its name."""
        if name.startswith("do_"):
            return self._pass
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    made = Front(("127.0.0.1", 0), _Passing)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_the_client_works_below_a_sub_path(front: Front, make_server: Callable[..., Any], tmp_path: Any) -> None:
    base = f"http://127.0.0.1:{front.server_port}{SUB_PATH}"
    server = make_server(base_url=base)
    front.port = server.port
    content = bytes(range(256)) * 40_000
    source = tmp_path / "source.bin"
    source.write_bytes(content)
    with Client(base, server.root_key) as client:
        small = client.upload(b"abc", name="small.txt")
        large = client.upload(source, path="deep/large.bin")
        assert small.url.startswith(f"{base}/f/")
        client.download(large, tmp_path / "back.bin")
        assert (tmp_path / "back.bin").read_bytes() == content
        assert [file.path for file in client.list(prefix="deep/")] == ["deep/large.bin"]
        client.delete(small)
