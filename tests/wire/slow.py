"""Requests that are sent piece by piece, and whose sender knows when the server has begun to take them."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class SlowRequest:
    """One request to a signed URL on a connection of its own; made, it is one whose body the server waits for."""

    def __init__(self, url: str, size: int | None, method: str, headers: Mapping[str, str]) -> None:
        address = urlsplit(url)
        assert address.hostname
        self._socket = socket.create_connection((address.hostname, address.port or 80), timeout=30)
        framing = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
        head = f"{method} {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n{framing}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._socket.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        # The server says 100 when it first asks for the body: only then has the upload begun.
        said = b""
        while b"\r\n\r\n" not in said:
            said += self._socket.recv(1)
        assert said.startswith(b"HTTP/1.1 100"), said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are: of a chunked body, framing included."""
        self._socket.sendall(data)

    def answer(self) -> tuple[int, str]:
        """Wait for the answer; return its status and body."""
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response.status, response.read().decode()

    def vanish(self) -> None:
        """Reset the connection, as a client does whose machine or process died."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class SlowPut(SlowRequest):
    """A plain PUT."""

    def __init__(self, url: str, size: int | None) -> None:
        super().__init__(url, size, "PUT", {})
