"""What tests at the public edge share: hand-made bodies, waiting for a condition, and looking for bytes that nobody owns."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import time
from collections.abc import Callable
from typing import Any

import google_crc32c
import httpx

from fileferry.db import upkeep
from fileferry.db.opening import open_database
from fileferry.settings import Settings
from support.live_server import LiveServer

_KEY_LENGTH = 36
BOUNDARY = "edge-7f2c"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def part(headers: str | bytes, content: bytes) -> bytes:
    """Return one part of a multipart body; ``headers`` is what follows ``Content-Disposition: form-data; ``."""
    head = headers if isinstance(headers, bytes) else headers.encode()
    return b"--" + BOUNDARY.encode() + b"\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Return a whole multipart body."""
    return b"".join(parts) + b"--" + BOUNDARY.encode() + b"--\r\n"


def file_part(content: bytes, filename: str = "a.bin", more: str = "") -> bytes:
    """Return the part of a file, with further header lines in ``more``."""
    return part(f'name="file"; filename="{filename}"{more}', content)


def send_form(http: httpx.Client, *parts: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    """POST a hand-made form to the one-call flow."""
    return http.post("/v1/files", content=form(*parts), headers={"Content-Type": MULTIPART, **(headers or {})})


def sha256_field(content: bytes) -> str:
    """Return the RFC 9530 field value of the SHA-256 of ``content``."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def crc32c_hex(content: bytes) -> str:
    """Return the CRC32C of ``content`` as the API writes it."""
    return f"{google_crc32c.value(content):08x}"


def fetch(url: str, **options: Any) -> httpx.Response:
    """GET ``url`` as a stranger would: no key, no cookies, no proxy."""
    return httpx.get(url, trust_env=False, timeout=30, **options)


def eventually(condition: Callable[[], bool], within: float = 90.0) -> None:
    """Return once ``condition`` holds; fail when it does not ``within`` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not hold within {within} s"
        time.sleep(0.02)


def leftovers(server: LiveServer) -> list[str]:
    """Return the names of everything in the server's store that came since this test has it and belongs to no file."""
    folders = [server.data / "incoming", server.data / "blobs"]
    names = [path.name for folder in folders for path in folder.rglob("*") if path.is_file()]
    names = [name for name in names if len(name) != _KEY_LENGTH or _made_at(name) >= server.lent_at]
    owned: set[str] = set()

    async def look() -> None:
        database = open_database(Settings(data=server.data, database_url=server.database_url))
        try:
            for start in range(0, len(names), 500):
                owned.update(await database.read(upkeep.with_bytes, names[start : start + 500]))
        finally:
            await database.close()

    asyncio.run(look())
    return [name for name in names if name not in owned]


def _made_at(key: str) -> float:
    """Return when a key was made, in seconds since 1970: it is a UUID of version 7 (RFC 9562 section 5.7)."""
    return (int(key.replace("-", "")[:12], 16) + 1) / 1000


def nothing_left(server: LiveServer) -> None:
    """Fail unless the store soon holds nothing but what files own."""
    eventually(lambda: not leftovers(server))


def exchange(server: LiveServer, request: bytes, *, finish: bool = True, seconds: float = 10) -> bytes:
    """Send raw bytes and return everything the server answers until it closes; ``finish`` ends our side after sending."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(request)
        if finish:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while block := connection.recv(65536):
                answer += block
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def first_words(server: LiveServer, request: bytes) -> bytes:
    """Send raw bytes, more of which the server may wait for, and return what it answers first; our side stays open meanwhile."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def head_of(server: LiveServer, method: str, target: str, *lines: str, key: str | None = None) -> bytes:
    """Return the head of a raw request that carries a key, the root key unless told otherwise."""
    own = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"X-API-Key: {key or server.root_key}"]
    return "\r\n".join([*own, "Connection: close", *lines, "", ""]).encode("latin-1")
