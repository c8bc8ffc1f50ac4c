"""A proxy that gives every request to the next of several servers, in a thread of its own: ``with RoundRobin(ports) as proxy``.

Each request has a connection of its own on both sides, so that no two of a client go to one server. A server that takes no
connection is passed over; what breaks after that breaks for the client too, as with any proxy.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

_MOST_HEAD = 256 * 1024
_BLOCK = 64 * 1024
_NOBODY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HOP = re.compile(rb"^(?:connection|keep-alive):.*\r\n", re.IGNORECASE | re.MULTILINE)


class RoundRobin:
    """Passes requests to servers on ports of this machine, in turn; ``passed`` counts them by port."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.passed = dict.fromkeys(ports, 0)
        self._ports = itertools.cycle(ports)
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._passing: set[asyncio.Task[None] | None] = set()  # the loop alone would let go of one that waits
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._pass, sock=self._listener, limit=_MOST_HEAD)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._passing.add(task := asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            served = await self._connect()
            if served is None:
                writer.write(_NOBODY)
                await writer.drain()
                return
            from_server, to_server = served
            to_server.write(_HOP.sub(b"", head[:-2]) + b"Connection: close\r\n\r\n")
            sending = asyncio.create_task(_copy(reader, to_server))
            try:
                await _copy(from_server, writer)
            finally:
                sending.cancel()
                to_server.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._passing.discard(task)
            with suppress(Exception):
                writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self.passed:
            port = next(self._ports)
            with suppress(OSError):
                served = await asyncio.open_connection("127.0.0.1", port)
                self.passed[port] += 1
                return served
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()
