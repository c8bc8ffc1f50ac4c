"""Requests written to a socket byte by byte, for clients that stop, trickle, vanish or hardly read."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from types import TracebackType
from typing import Any

from support.live_server import LiveServer


class RawRequest:
    """One HTTP/1.1 request on a connection of its own; ``receive_buffer`` (bytes) makes it a client that takes little at a time."""

    def __init__(
        self,
        server: LiveServer,
        target: str,
        *,
        size: int,
        method: str = "POST",
        boundary: str | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(60)
        self._socket.connect(("127.0.0.1", server.port))
        self._socket.sendall(head(server, target, size=size, method=method, boundary=boundary))

    def __enter__(self) -> RawRequest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes of the body."""
        self._socket.sendall(data)

    def response(self) -> http.client.HTTPResponse:
        """Wait for the head of the answer; its body is read from what this returns."""
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response

    def answer(self) -> tuple[int, dict[str, Any]]:
        """Return status and JSON body of the answer."""
        response = self.response()
        return response.status, json.loads(response.read())

    def is_cut(self) -> bool:
        """Wait for the end of the connection; return whether it came without a success."""
        try:
            answer = self._socket.recv(65536)
        except ConnectionError:
            return True
        return not answer.startswith(b"HTTP/1.1 2")

    def vanish(self) -> None:
        """Reset the connection, as a client does whose machine or process died."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def head(server: LiveServer, target: str, *, size: int, method: str = "POST", boundary: str | None = None) -> bytes:
    """Return the head of a request that carries the root key."""
    kind = f"multipart/form-data; boundary={boundary}" if boundary else "application/octet-stream"
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {server.root_key}",
        f"Content-Type: {kind}",
        f"Content-Length: {size}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
