"""The client load, one for every server: wrk for many small requests, a plain socket for a large transfer."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

SCRIPT = Path(__file__).with_name("flood.lua")
CHUNK = 1024 * 1024
IDLE_SECONDS = 120.0


class LoadError(Exception):
    """An answer outside 2xx, a short body or a broken connection: what was measured does not count."""


@dataclass(frozen=True)
class Answer:
    """A complete answer, header names in lower case; ``seconds`` from before the request, or its connection, to its last byte."""

    headers: Mapping[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True)
class Flood:
    """What wrk saw: requests answered in ``seconds``, and latencies in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


class KeptAlive:
    """One connection that stays open, for requests that need the answers to earlier ones. A context manager."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=IDLE_SECONDS)

    def __enter__(self) -> KeptAlive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request and read its answer; raises LoadError for one outside 2xx or a broken connection."""
        started = time.perf_counter()
        try:
            self._connection.request(method, target, body, dict(headers))
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise LoadError(f"{method}: {error!r}") from error
        seconds = time.perf_counter() - started
        if not 200 <= response.status <= 299:
            raise LoadError(f"{method} was answered with {response.status}: {content[:200]!r}")
        return Answer({name.lower(): value for name, value in response.getheaders()}, content, seconds)


def is_installed() -> bool:
    """Whether wrk is there."""
    return shutil.which("wrk") is not None


def flood(
    port: int,
    method: str,
    targets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    connections: int,
    seconds: float,
    scratch: Path,
) -> Flood:
    """Send the request over kept-alive connections as fast as answers come, for ``seconds``.

    ``{n}`` in a target becomes a running number. Raises LoadError when one answer was not 2xx or a connection broke.
    """
    targets_file, body_file = scratch / "targets", scratch / "body"
    targets_file.write_text("".join(f"{target}\n" for target in targets))
    body_file.write_bytes(body or b"")
    command = [
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(connections),
        "--duration",
        f"{seconds:.0f}s",
        "--timeout",
        "30s",
    ]
    command += ["--script", str(SCRIPT), f"http://127.0.0.1:{port}/", "--"]
    command += [method, str(targets_file), "-" if body is None else str(body_file)]
    command += [f"{name}: {value}" for name, value in headers.items()]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise LoadError(f"wrk failed: {(result.stdout + result.stderr).strip()[-300:]}")
    seen = json.loads(result.stdout.splitlines()[-1])
    if seen["refused"] or seen["broken"] or not seen["requests"]:
        raise LoadError(
            f"{seen['refused']} answers of {seen['requests']} were not 2xx, {seen['broken']} connections broke"
        )
    return Flood(seen["requests"], seen["seconds"], seen["p50_ms"], seen["p99_ms"])


def send(port: int, method: str, target: str, headers: Mapping[str, str], body: bytes | Path) -> Answer:
    """Send one request on a connection of its own; a Path goes by sendfile, so that the client costs next to nothing.

    Raises LoadError for an answer outside 2xx or a broken connection.
    """
    size = body.stat().st_size if isinstance(body, Path) else len(body)
    started = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), IDLE_SECONDS) as connection:
            connection.sendall(_head(port, method, target, {**headers, "Content-Length": str(size)}))
            _send_body(connection, body)
            with http.client.HTTPResponse(connection, method=method) as response:
                response.begin()
                content = response.read()
                seconds = time.perf_counter() - started
                _await_close(connection)
    except (OSError, http.client.HTTPException) as error:
        raise LoadError(f"{method} of {size} bytes: {error!r}") from error
    if not 200 <= response.status <= 299:
        raise LoadError(f"{method} was answered with {response.status}: {content[:200]!r}")
    return Answer({name.lower(): value for name, value in response.getheaders()}, content, seconds)


def receive(port: int, target: str, expected: int) -> float:
    """Download a target on one connection, dropping the bytes as they come; return the seconds it took.

    Raises LoadError unless exactly ``expected`` bytes came in a 2xx answer.
    """
    buffer = bytearray(CHUNK)
    received = 0
    started = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), IDLE_SECONDS) as connection:
            connection.sendall(_head(port, "GET", target, {}))
            with http.client.HTTPResponse(connection, method="GET") as response:
                response.begin()
                while count := response.readinto(buffer):
                    received += count
                seconds = time.perf_counter() - started
                _await_close(connection)
    except (OSError, http.client.HTTPException) as error:
        raise LoadError(f"GET: {error!r} after {received} bytes") from error
    if not 200 <= response.status <= 299 or received != expected:
        raise LoadError(f"GET was answered with {response.status} and {received} bytes of {expected}")
    return seconds


def location(port: int, target: str) -> str:
    """Ask for a target, and return the URL that it redirects to; raises LoadError where it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=IDLE_SECONDS)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        raise LoadError(f"GET: {error!r}") from error
    finally:
        connection.close()
    url = response.headers.get("Location")
    if not 300 <= response.status <= 399 or url is None:
        raise LoadError(f"GET was answered with {response.status} and leads nowhere else")
    return url


def _head(port: int, method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _await_close(connection: socket.socket) -> None:
    # The server was asked to close. @tus/server 2.4.5 throws outside of any request when the client hangs up first.
    while connection.recv(CHUNK):
        pass


def _send_body(connection: socket.socket, body: bytes | Path) -> None:
    if isinstance(body, bytes):
        connection.sendall(body)
        return
    with body.open("rb") as file:
        connection.sendfile(file)
