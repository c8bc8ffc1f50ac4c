"""A link to a real server that a test can cut and take away: passes bytes on as they come, and counts them. Knows no HTTP."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

BLOCK = 16 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a reset, as a network that breaks does."""


class Link:
    """Passes connections on to ``server``; all are cut whenever another ``every`` bytes have been sent to it (None: never).

    ``alters`` is the count of the byte towards the server that arrives as another one.
    """

    def __init__(self, server: str, *, every: int | None = None, alters: int | None = None) -> None:
        host, port = server.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self._every = every
        self._alters = alters
        self._lock = threading.Lock()
        self._open: list[tuple[socket.socket, socket.socket]] = []
        self.sent = 0
        """Bytes that went towards the server, over all connections."""
        self.cuts = 0
        # Bound for good: nobody else gets the port while the link is down.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self._address = self._reservation.getsockname()
        self.url = f"http://127.0.0.1:{self._address[1]}"

    def __enter__(self) -> Link:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()
        self._reservation.close()

    def up(self) -> None:
        """Accept connections."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(self._address)
        self._listener.listen(64)
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,))
        self._accepting.start()

    def down(self) -> None:
        """Refuse connections, and cut those that there are."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        self.cut()

    def cut(self) -> None:
        """Break every connection: the client sees a reset, the server an end after what has passed."""
        with self._lock:
            self._cut()

    def _cut(self) -> None:
        self.cuts += 1
        for client, server in self._open:
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            for end in (client, server):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            with self._lock:
                self._open.append((client, server))
            threading.Thread(target=self._upwards, args=(client, server), daemon=True).start()
            threading.Thread(target=self._downwards, args=(server, client), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while block := client.recv(BLOCK):
                if self._alters is not None and self.sent <= self._alters < self.sent + len(block):
                    altered = bytearray(block)
                    altered[self._alters - self.sent] ^= 1
                    block = bytes(altered)
                server.sendall(block)
                with self._lock:
                    before, self.sent = self.sent, self.sent + len(block)
                    if self._every and self.sent // self._every > before // self._every:
                        self._cut()
            server.shutdown(socket.SHUT_WR)

    def _downwards(self, server: socket.socket, client: socket.socket) -> None:
        with server, contextlib.suppress(OSError):
            while block := server.recv(BLOCK):
                client.sendall(block)
            client.shutdown(socket.SHUT_WR)
