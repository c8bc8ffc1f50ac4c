"""A crowd of slow clients on one event loop: some trickle a body, some trickle a head, some hardly read their download."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType

from faults.raw_http import head
from support.live_server import LiveServer

UPLOADERS = 120
READERS = 50
GREETERS = 30
_TICK_SECONDS = 0.1
_SIZE = 1_000_000
# Every other one has sent enough to be written to disk already.
_BEGINNINGS = (1, 600_000)
_RECEIVE_BUFFER = 4096


class SlowCrowd:
    """200 connections that each move a byte now and then while the block runs; in the end the uploads are completed."""

    def __init__(self, server: LiveServer, download: str) -> None:
        self._server = server
        self._download = download
        self._present = threading.Event()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stay()))
        self.statuses: list[int] = []
        """The answers of the slow uploads, once the block has ended."""
        self.downloaded: list[int] = []
        """How many bytes of body the slow readers had taken, each."""

    def __enter__(self) -> SlowCrowd:
        self._thread.start()
        assert self._present.wait(60), "the crowd did not get in"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join()

    async def _stay(self) -> None:
        uploaders = [await self._begin_upload(number) for number in range(UPLOADERS)]
        greeters = [await self._connect() for _ in range(GREETERS)]
        readers = [await self._begin_download() for _ in range(READERS)]
        self._present.set()
        sent = [_BEGINNINGS[number % len(_BEGINNINGS)] for number in range(UPLOADERS)]
        greeting = head(self._server, "/api/files", size=0, method="GET")
        ticks = 0
        while not self._leaving.is_set():
            for number, (_, writer) in enumerate(uploaders):
                writer.write(b"x")
                sent[number] += 1
            for _, writer in greeters:
                writer.write(greeting[ticks : ticks + 1] if ticks < len(greeting) - 4 else b"")
            for index, (reader, _) in enumerate(readers):
                self.downloaded[index] += len(await reader.read(1))
            ticks += 1
            await asyncio.sleep(_TICK_SECONDS)
        self.statuses = [
            await _finish(reader, writer, _SIZE - done) for (reader, writer), done in zip(uploaders, sent, strict=True)
        ]
        for _, writer in [*uploaders, *greeters, *readers]:
            writer.close()

    async def _connect(self, limit: int = 65536) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connection = socket.socket()
        if limit == _RECEIVE_BUFFER:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self._server.port))
        return await asyncio.open_connection(sock=connection, limit=limit)

    async def _begin_upload(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self._connect()
        writer.write(head(self._server, f"/api/upload/slow-{number}.bin", size=_SIZE))
        writer.write(bytes(_BEGINNINGS[number % len(_BEGINNINGS)]))
        await writer.drain()
        return reader, writer

    async def _begin_download(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self._connect(_RECEIVE_BUFFER)
        writer.write(head(self._server, self._download, size=0, method="GET"))
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        self.downloaded.append(0)
        return reader, writer


async def _finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, missing: int) -> int:
    writer.write(bytes(missing))
    return int((await reader.readline()).split()[1])
