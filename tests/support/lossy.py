"""A link between a client and a server that is slow and breaks: a TCP relay that counts what it carries. Knows no HTTP.

Where the kernel has ``netem`` a network namespace would do; this needs neither it nor root.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from types import TracebackType

_BLOCK = 256 * 1024
_PATIENCE = 60.0


class LossyLink:
    """Carries connections to ``port`` on this machine: ``with LossyLink(port, cuts) as link``, then connect to ``link.url``.

    ``cuts`` are the numbers of bytes carried upwards after which everything that is open is reset. ``rate`` is in bytes a second
    upwards, of each connection.
    """

    def __init__(self, port: int, cuts: Sequence[int] = (), rate: float | None = None) -> None:
        self.carried = 0
        """How many bytes came from clients."""
        self.broken = 0
        """How many of the cuts took place."""
        self._port = port
        self._cuts = sorted(cuts)
        self._rate = rate
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> LossyLink:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing alone would leave the thread waiting for the next connection.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE)
            except OSError:
                return
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._carry_up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._carry_down, args=(server, client), daemon=True).start()

    def _carry_up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_BLOCK):
                if self._breaks(len(data)):
                    self._reset_all()
                    return
                server.sendall(data)
                if self._rate is not None:
                    time.sleep(len(data) / self._rate)
        self._shut(server)

    def _carry_down(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_BLOCK):
                client.sendall(data)
        self._shut(client)

    def _breaks(self, size: int) -> bool:
        with self._lock:
            self.carried += size
            if not self._cuts or self.carried < self._cuts[0]:
                return False
            self._cuts.pop(0)
            self.broken += 1
            return True

    def _reset_all(self) -> None:
        with self._lock:
            ended, self._open = self._open, set()
        for connection in ended:
            with contextlib.suppress(OSError):
                # A reset, not an orderly end; and it wakes whoever waits on the connection.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RD)
                connection.close()

    def _shut(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
