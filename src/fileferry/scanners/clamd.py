"""ClamAV's daemon as a scanner: bytes go to it as they come, and what it replies becomes a verdict. Knows nothing of files."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
from collections.abc import AsyncIterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fileferry.model import ScanOutcome
from fileferry.scanners.scanner import Identity, ScanFailed, ScannerAway, ScannerTroubled, Verdict

CEILING = 2**31 - 3
"""The most bytes that any clamd looks into, whatever its settings say; measured with 1.4.6."""

PATIENCE = 5.0  # seconds: neither connecting nor saying who it is waits for scans, so a clamd that takes longer is away
_LONGEST_REPLY = 4096
_LONGEST_SOCKET_PATH = 107

# What a clamd answers that was told not to say who it is (EnableVersionCommand of 1.5): it is there, and of no name.
_NAMELESS = re.compile(r"COMMAND UNAVAILABLE\n?")
_VERSION = re.compile(r"(ClamAV [^/]+)(?:/(\d+)/(.+))?")
# With ExtendedDetectionInfo the hash and the size of what was found follow its name.
_FOUND = re.compile(r"stream: (\S{1,255}?)(?:\([0-9a-f]{32,}:\d+\))? FOUND")
_STREAM_TOO_LONG = "INSTREAM size limit exceeded. ERROR"
# These say something of clamd, of its disk or of the way to it, and nothing of the bytes.
_AWAY = re.compile(
    r"COMMAND READ TIMED OUT|shutting down|temporary (?:file|directory)|cli_gentempfd|Can't (?:write to|create new) file"
    r"|(?:accept\(\)|read (?:timeout|poll)) ERROR",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"stream: (Exceeded (?:time limit|max .*|scan .*)) ERROR")
_UNKNOWN = Identity(None, None, None)


class Clamd:
    """The clamd at ``tcp://HOST:PORT`` or ``unix:///PATH``; every scan and every question has a connection of its own.

    Plain sockets rather than asyncio's streams: clamd may answer and close while bytes are still being sent, and a stream
    that fails to write forgets the answer that had come.
    """

    def __init__(self, address: str, max_size: int, timeout: timedelta) -> None:
        """``max_size`` is in bytes; one scan may take ``timeout``. Raises ValueError for an address of another form."""
        self._address = address
        self._target = _target(address)
        self._timeout = timeout.total_seconds()
        self.max_size = min(max_size, CEILING)

    async def identify(self) -> Identity:
        """Return which clamd answers now; raises ScannerAway. It tells the time of its signatures as its own clock shows it."""
        connection = await self._connect()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_sendall(connection, b"zVERSION\0")
                reply = await self._reply(connection)
        except OSError as error:
            raise self._away(error) from error
        finally:
            connection.close()
        identity = _identity(reply)
        if identity is None:
            raise ScannerAway(f"What answers at {self._address} is no clamd: {reply[:80]!r}.")
        return identity

    async def scan(self, blocks: AsyncIterable[bytes]) -> Verdict:
        """Send bytes, at most ``max_size`` (ValueError), and return the verdict; see Scanner.

        Signatures may be reloaded at any time, and another clamd may take the place of one, so clamd is asked before each scan
        and after it which it has: a verdict may name older ones than were used, but never newer ones.
        """
        before = await self.identify()
        connection = await self._connect()
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                reply, heard_all = await self._stream(connection, blocks)
        except TimeoutError:
            if not deadline.expired():
                raise
            await self.identify()  # a clamd that hangs is away; one that answers is kept busy by these bytes
            raise ScanFailed(f"The scan took longer than {self._timeout:g} s.") from None
        finally:
            connection.close()
        verdict = _verdict(reply, before)
        if verdict.outcome is ScanOutcome.CLEAN and not heard_all:
            raise ScanFailed("clamd answered before it had all bytes.")
        return msgspec.structs.replace(verdict, scanner=_common(before, await self._identity_now()))

    async def _identity_now(self) -> Identity:
        try:
            return await self.identify()
        except ScannerAway:
            return _UNKNOWN  # the verdict came before that

    async def close(self) -> None:
        """Do nothing: connections end with the scans they are for."""

    async def _connect(self) -> socket.socket:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._first_open()
        except OSError as error:
            raise self._away(error) from error

    async def _first_open(self) -> socket.socket:
        refusal = OSError("the host has no address")
        for family, target in await self._targets():
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.setblocking(False)
                if family != socket.AF_UNIX:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.get_running_loop().sock_connect(connection, target)
                return connection
            except OSError as error:
                connection.close()
                refusal = error
            except BaseException:
                connection.close()
                raise
        raise refusal

    async def _targets(self) -> list[tuple[int, Any]]:
        if isinstance(self._target, str):
            return [(socket.AF_UNIX, self._target)]
        host, port = self._target
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, target) for family, _type, _protocol, _name, target in found]

    async def _stream(self, connection: socket.socket, blocks: AsyncIterable[bytes]) -> tuple[str, bool]:
        """Return the reply, and whether everything was sent before it."""
        answer = asyncio.create_task(self._reply(connection))
        try:
            heard_all = await self._send_all(connection, blocks, answer)
            return await answer, heard_all
        finally:
            await _end(answer)

    async def _send_all(
        self, connection: socket.socket, blocks: AsyncIterable[bytes], answer: asyncio.Task[str]
    ) -> bool:
        """Send until clamd has all or takes no more, and return whether it has all; its answer says why not."""
        if not await _send(connection, b"zINSTREAM\0", answer):
            return False
        size = 0
        async for block in blocks:
            size += len(block)
            if size > self.max_size:
                raise ValueError(f"More than {self.max_size} bytes were given to be scanned.")
            # A block of no bytes would say that these are all.
            if block and not await _send(connection, struct.pack(">I", len(block)) + block, answer):
                return False
        return await _send(connection, struct.pack(">I", 0), answer)

    async def _reply(self, connection: socket.socket) -> str:
        """Return what clamd says up to the NUL that ends it, or as much of it as any reply could be; raises ScannerAway.

        What it says of itself before it has understood a command ends with a newline, which is kept: it ends no verdict.
        """
        received = b""
        while b"\0" not in received and not received.endswith(b"\n") and len(received) < _LONGEST_REPLY:
            try:
                part = await asyncio.get_running_loop().sock_recv(connection, _LONGEST_REPLY)
            except OSError as error:
                raise self._away(error) from error
            if not part:
                raise ScannerAway(f"clamd at {self._address} closed the connection; it said {received[:80]!r}.")
            received += part
        return received.partition(b"\0")[0].decode(errors="replace")

    def _away(self, error: OSError) -> ScannerAway:
        return ScannerAway(f"clamd at {self._address} cannot be reached: {str(error) or 'it does not answer'}.")


async def _send(connection: socket.socket, data: bytes, answer: asyncio.Task[str]) -> bool:
    """Send, unless the answer comes first; return whether all was sent."""
    if answer.done():
        return False
    sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(connection, data))
    try:
        await asyncio.wait({sending, answer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(sending)
    return not sending.cancelled() and sending.exception() is None


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel what still runs and wait until it let go of its socket, which may then be closed."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _target(address: str) -> str | tuple[str, int]:
    """Return the path of a Unix socket, or host and port."""
    try:
        parts = urlsplit(address)
        path = address.removeprefix("unix://")
        if parts.scheme == "unix" and path.startswith("/") and 1 < len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        if parts.scheme == "tcp" and parts.netloc == address.removeprefix("tcp://") and "@" not in parts.netloc:
            host, port = parts.hostname, parts.port
            if host and port:
                host.encode("idna")
                return host, port
    except ValueError:
        pass  # what urlsplit says does not help
    raise ValueError(f"{address!r} is no address of clamd: it takes tcp://HOST:PORT or unix:///PATH.")


def _identity(reply: str) -> Identity | None:
    if _NAMELESS.fullmatch(reply):
        return _UNKNOWN
    match = _VERSION.fullmatch(reply)
    return match and Identity(match[1], match[2], _moment(match[3]))


def _common(before: Identity, after: Identity) -> Identity:
    """Return what is true of whichever of two clamds did it, or of one whose signatures changed: the older ones."""
    if before == after:
        return before
    engine = before.engine if before.engine == after.engine else None
    if before.signatures is None or after.signatures is None:
        return Identity(engine, None, None)
    older = min(before, after, key=lambda identity: int(identity.signatures or 0))
    return Identity(engine, older.signatures, older.signatures_at)


def _moment(text: str | None) -> datetime | None:
    """Read what C's ctime writes; clamd does not say in which zone, and its images run in UTC."""
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None


def _verdict(reply: str, scanner: Identity) -> Verdict:
    if reply == "stream: OK":
        return Verdict(ScanOutcome.CLEAN, scanner)
    if match := _FOUND.fullmatch(reply):
        return Verdict(_outcome(match[1]), scanner, match[1])
    if reply == _STREAM_TOO_LONG:
        detail = "clamd's own StreamMaxLength is lower than FILEFERRY_CLAMD_MAX_SIZE."
        return Verdict(ScanOutcome.SKIPPED_TOO_LARGE, scanner, detail)
    if match := _LIMIT.fullmatch(reply):
        return Verdict(ScanOutcome.SKIPPED_TOO_LARGE, scanner, match[1])
    if _AWAY.search(reply):
        raise ScannerTroubled(f"clamd could not take the bytes: {reply[:200]}")
    raise ScanFailed(f"clamd answered {reply[:200]!r}.")


def _outcome(name: str) -> ScanOutcome:
    """Return what it means that ``name`` was found: clamd reports what it did not look into as findings too."""
    if name.startswith("Heuristics.Encrypted."):
        return ScanOutcome.SKIPPED_ENCRYPTED
    if name.startswith("Heuristics.Limits.Exceeded"):
        return ScanOutcome.SKIPPED_TOO_LARGE
    return ScanOutcome.INFECTED
