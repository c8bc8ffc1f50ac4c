"""A receiver of webhooks: a real HTTP server on a port that stays its own, which keeps what it is sent and answers as told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

from standardwebhooks import Webhook

PATIENCE = 60.0


@dataclass(frozen=True)
class Message:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The ``webhook-id``."""
        return self.headers["webhook-id"]

    def verified(self, secret: str, at: datetime | None = None) -> Any:
        """Return the payload as the ``standardwebhooks`` package verifies it at a time; raise WebhookVerificationError."""
        moment = at or datetime.now(UTC)

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Clock:
                return cls.fromtimestamp(moment.timestamp(), tz)

        with mock.patch("standardwebhooks.webhooks.datetime", Clock):
            return Webhook(secret).verify(self.body, self.headers)


@dataclass(frozen=True)
class Reply:
    """What to answer; ``endless`` goes on sending a body until the other side has enough."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False


Answer = Callable[[Message], Reply]


class Receiver:
    """Answers 200 unless ``answer`` is another function of the message, which may also block."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Answer = lambda _message: Reply()
        self.received: list[Message] = []
        self._arrived = threading.Condition()
        self._tls = tls
        # Bound but never listening: while the receiver is down, connections to its port are refused.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def stop(self) -> None:
        """Refuse connections until started again."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._reservation.close()

    def wait_for(self, count: int) -> list[Message]:
        """Return what came once it is so many messages; raise TimeoutError when that takes too long."""
        deadline = time.monotonic() + PATIENCE
        with self._arrived:
            while len(self.received) < count:
                if not self._arrived.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{len(self.received)} of {count} messages came.")
            return list(self.received)

    def _took(self, message: Message) -> Reply:
        with self._arrived:
            self.received.append(message)
            self._arrived.notify_all()
        return self.answer(message)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = receiver._took(Message(self.path, headers, body))
                with contextlib.suppress(ConnectionError):
                    self._send(reply)

            def log_message(self, format: str, *args: object) -> None:
                pass

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.endless:
                    self.end_headers()
                    while True:
                        self.wfile.write(b"and so on " * 1000)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return Handler


@contextlib.contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Open a receiver and close it in the end."""
    receiver = Receiver(tls)
    try:
        receiver.start()
        yield receiver
    finally:
        receiver.close()
