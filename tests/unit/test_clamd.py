"""What the scanner makes of a clamd that answers oddly, early, late or never; tests/services has the real one."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from fileferry.model import ScanOutcome
from fileferry.scanners import clamd
from fileferry.scanners.clamd import CEILING, Clamd
from fileferry.scanners.scanner import Identity, ScanFailed, ScannerAway, ScannerTroubled, Verdict

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]
BLOCK = bytes(64 * 1024)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine, on each of the loops that the server may have."""

    def on_loop(trial: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(trial)

    return on_loop


class Scripted:
    """A clamd on a port of its own that says who it is, and for the rest follows a script."""

    def __init__(self, script: Script, version: bytes = b"ClamAV 1.4.6/27000/Sat Nov 21 08:25:00 2026\0") -> None:
        self._script = script
        self._version = version

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            command = await reader.readuntil(b"\0")
            if command == b"zVERSION\0":
                writer.write(self._version)
            else:
                assert command == b"zINSTREAM\0"
                await self._script(reader, writer)
        writer.close()


async def received(reader: asyncio.StreamReader) -> list[bytes]:
    """Return the chunks of a stream, up to the empty one that ends it."""
    chunks = []
    while size := struct.unpack(">I", await reader.readexactly(4))[0]:
        chunks.append(await reader.readexactly(size))
    return chunks


def replies(*parts: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await received(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()

    return script


def resets(writer: asyncio.StreamWriter) -> None:
    """End a connection as a process that is killed does while bytes for it are on their way."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def these(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield BLOCK


async def scanned(script: Script, blocks: AsyncIterator[bytes] | None = None, timeout: timedelta = MINUTE) -> Verdict:
    async with Scripted(script) as address:
        return await Clamd(address, CEILING, timeout).scan(these(b"content") if blocks is None else blocks)


@pytest.mark.parametrize(
    ("reply", "outcome", "detail"),
    [
        (b"stream: OK", ScanOutcome.CLEAN, None),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND", ScanOutcome.INFECTED, "Win.Test.EICAR_HDB-1"),
        (b"stream: A.B(44d88612fea8a8f36de82e1278abb02f:68) FOUND", ScanOutcome.INFECTED, "A.B"),
        (b"stream: Heuristics.OLE2.ContainsMacros FOUND", ScanOutcome.INFECTED, "Heuristics.OLE2.ContainsMacros"),
        (b"stream: Heuristics.Encrypted.PDF FOUND", ScanOutcome.SKIPPED_ENCRYPTED, "Heuristics.Encrypted.PDF"),
        (
            b"stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND",
            ScanOutcome.SKIPPED_TOO_LARGE,
            "Heuristics.Limits.Exceeded.MaxScanTime",
        ),
        (b"stream: Exceeded time limit ERROR", ScanOutcome.SKIPPED_TOO_LARGE, "Exceeded time limit"),
        (b"stream: Exceeded max scan size ERROR", ScanOutcome.SKIPPED_TOO_LARGE, "Exceeded max scan size"),
    ],
)
def test_a_reply_becomes_a_verdict(run: Run, reply: bytes, outcome: ScanOutcome, detail: str | None) -> None:
    signatures = datetime(2026, 11, 21, 8, 25, tzinfo=UTC)
    expected = Verdict(outcome, Identity("ClamAV 1.4.6", "27000", signatures), detail)
    assert run(scanned(replies(reply + b"\0"))) == expected


@pytest.mark.parametrize(
    "reply",
    [
        b"stream: Can't open file or directory ERROR\0",
        b"UNKNOWN COMMAND\0",
        b"stream: ok\0",
        b"stream:  FOUND\0",
        b"\0",
        b"\xff\xfe\0",
        b"stream: OK, or not\0",
        b"stream: OK\n",
        b"stream: Can't allocate memory ERROR\0",
        b"stream: " + b"A" * 100_000 + b" FOUND\0",
    ],
)
def test_any_other_reply_is_a_failure_and_never_clean(run: Run, reply: bytes) -> None:
    with pytest.raises(ScanFailed):
        run(scanned(replies(reply)))


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"stream: OK",
        b"COMMAND READ TIMED OUT\n",
        b"COMMAND READ TIMED OUT\0",
        b"INSTREAM: Can't write to temporary file. ERROR\0",
        b"cli_gentempfd() failed. ERROR\0",
        b"read timeout ERROR\0",
        b"stream: Can't create temporary directory ERROR\0",
        b"stream: Can't write to file ERROR\0",
        b"stream: Can't create new file ERROR\0",
    ],
)
def test_no_whole_reply_or_one_about_clamd_itself_means_it_is_away(run: Run, reply: bytes) -> None:
    with pytest.raises(ScannerAway):
        run(scanned(replies(reply)))


def test_that_a_command_came_too_late_is_heard_although_the_connection_stays(run: Run) -> None:
    """Real clamds write this with a newline and never a NUL, and take a while to close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await received(reader)
        writer.write(b"COMMAND READ TIMED OUT\n")
        await asyncio.Event().wait()

    with pytest.raises(ScannerTroubled, match="READ TIMED OUT"):
        run(scanned(script, timeout=timedelta(seconds=10)))


OLD = datetime(2026, 11, 21, 8, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (b"ClamAV 1.4.6/9999/Sat Nov 21 08:25:00 2026\0", b"ClamAV 1.4.6/10000/Sun Nov 22 08:25:00 2026\0", OLD),
        (b"ClamAV 1.4.6/10000/Sun Nov 22 08:25:00 2026\0", b"ClamAV 1.4.6/9999/Sat Nov 21 08:25:00 2026\0", OLD),
        (b"ClamAV 1.4.6/10000/Sun Nov 22 08:25:00 2026\0", b"ClamAV 1.4.6\0", None),
        (b"ClamAV 1.4.6/10000/Sun Nov 22 08:25:00 2026\0", b"COMMAND UNAVAILABLE\0", None),
        (b"ClamAV 1.4.6/10000/Sun Nov 22 08:25:00 2026\0", b"", None),
    ],
    ids=["newer after it", "older after it", "own ones after it", "nameless after it", "gone after it"],
)
def test_a_verdict_names_no_newer_signatures_than_may_have_been_used(
    run: Run, before: bytes, after: bytes, named: datetime | None
) -> None:
    """A scripted clamd, as a real one cannot be made to change in the midst of a scan on cue."""

    async def trial() -> Verdict:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await received(reader)
            scripted._version = after
            writer.write(b"stream: OK\0")

        scripted = Scripted(script, before)
        async with scripted as address:
            return await Clamd(address, CEILING, MINUTE).scan(these(b"content"))

    verdict = run(trial())
    assert verdict.outcome is ScanOutcome.CLEAN
    assert verdict.scanner.signatures_at == named
    assert verdict.scanner.signatures == ("9999" if named else None)


def test_a_verdict_names_no_engine_where_another_took_its_place_meanwhile(run: Run) -> None:
    async def trial() -> Verdict:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await received(reader)
            scripted._version = b"ClamAV 1.0.9/27000/Sat Nov 21 08:25:00 2026\0"
            writer.write(b"stream: OK\0")

        scripted = Scripted(script)
        async with scripted as address:
            return await Clamd(address, CEILING, MINUTE).scan(these(b"content"))

    assert run(trial()).scanner == Identity(None, "27000", OLD)


def test_a_clamd_that_does_not_say_who_it_is_scans_all_the_same(run: Run) -> None:
    """ClamAV 1.5 with EnableVersionCommand off, which the installed one does not know: a scripted one."""

    async def trial() -> Verdict:
        async with Scripted(replies(b"stream: A FOUND\0"), b"COMMAND UNAVAILABLE\0") as address:
            return await Clamd(address, CEILING, MINUTE).scan(these(b"content"))

    assert run(trial()) == Verdict(ScanOutcome.INFECTED, Identity(None, None, None), "A")


def test_a_reply_may_come_in_pieces(run: Run) -> None:
    pieces = [bytes([byte]) for byte in b"stream: Test.Marker FOUND\0"]
    assert run(scanned(replies(*pieces))).detail == "Test.Marker"


def test_bytes_arrive_as_they_were_given_and_an_empty_block_ends_nothing(run: Run) -> None:
    chunks: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chunks.extend(await received(reader))
        writer.write(b"stream: OK\0")

    assert run(scanned(script, these(b"one", b"", b"two"))).outcome is ScanOutcome.CLEAN
    assert b"".join(chunks) == b"onetwo"


@pytest.mark.parametrize("goes", [True, False], ids=["then closes", "and stays"])
def test_an_answer_that_comes_while_bytes_are_sent_is_heard(run: Run, goes: bool) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        writer.write(b"INSTREAM size limit exceeded. ERROR\0")
        if not goes:
            await asyncio.Event().wait()

    verdict = run(scanned(script, endless()))
    assert verdict.outcome is ScanOutcome.SKIPPED_TOO_LARGE
    assert "StreamMaxLength" in verdict.detail


@pytest.fixture
def hasty() -> Iterator[str]:
    """A clamd in a thread, which therefore answers and is gone at any time: in the midst of whatever the scanner does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with listener.accept()[0] as connection:
                        is_question = connection.recv(10) == b"zVERSION\0"
                        connection.sendall(
                            b"ClamAV 1.4.6\0" if is_question else b"INSTREAM size limit exceeded. ERROR\0"
                        )

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_answer_is_heard_although_sending_fails_first(run: Run, hasty: str) -> None:
    async def trials() -> set[ScanOutcome]:
        scanner = Clamd(hasty, CEILING, MINUTE)
        return {(await scanner.scan(endless())).outcome for _ in range(50)}

    assert run(trials()) == {ScanOutcome.SKIPPED_TOO_LARGE}


def test_clean_before_all_bytes_were_there_is_not_believed(run: Run) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"stream: OK\0")
        await asyncio.Event().wait()

    with pytest.raises(ScanFailed, match="before it had all"):
        run(scanned(script, endless()))


@pytest.mark.parametrize("blocks", [endless, lambda: these(b"few")], ids=["many bytes", "few bytes"])
def test_a_reset_means_that_it_is_away(run: Run, blocks: Callable[[], AsyncIterator[bytes]]) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        resets(writer)

    with pytest.raises(ScannerAway):
        run(scanned(script, blocks()))


def test_a_clamd_that_takes_nothing_is_given_little_and_the_scan_ends(run: Run) -> None:
    given = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal given
        async for block in endless():
            given += len(block)
            yield block

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ScanFailed, match=r"longer than 0\.3 s"):
        run(scanned(script, counted(), timedelta(seconds=0.3)))
    assert 0 < given < 32 * 1024**2


def test_a_clamd_that_stops_answering_altogether_is_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clamd, "PATIENCE", 0.2)

    async def trial() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            scripted._version = b"ClamAV "
            await asyncio.Event().wait()

        scripted = Scripted(script)
        async with scripted as address:
            await Clamd(address, CEILING, timedelta(seconds=0.2)).scan(these(b"content"))

    with pytest.raises(ScannerAway):
        run(trial())


@pytest.mark.parametrize("error", [OSError("disk"), ConnectionResetError("store"), TimeoutError("store"), KeyError()])
def test_what_the_bytes_raise_comes_through_and_ends_the_connection(run: Run, error: Exception) -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()

    async def broken() -> AsyncIterator[bytes]:
        yield BLOCK
        raise error

    async def trial() -> None:
        async with Scripted(script) as address, asyncio.timeout(60):
            with pytest.raises(type(error)) as raised:
                await Clamd(address, CEILING, MINUTE).scan(broken())
            assert raised.value is error
            await ended.wait()

    run(trial())


def test_a_scan_that_is_cancelled_ends_its_connection(run: Run) -> None:
    ended, begun = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await reader.read()
        ended.set()

    async def trial() -> None:
        async with Scripted(script) as address, asyncio.timeout(60):
            scan = asyncio.create_task(Clamd(address, CEILING, MINUTE).scan(these(b"content")))
            await begun.wait()
            scan.cancel()
            await asyncio.wait({scan})
            assert scan.cancelled()
            await ended.wait()

    run(trial())


def test_more_bytes_than_may_be_scanned_are_refused(run: Run) -> None:
    async def trial() -> None:
        async with Scripted(replies(b"stream: OK\0")) as address:
            scanner = Clamd(address, 8, MINUTE)
            assert (await scanner.scan(these(b"1234", b"5678"))).outcome is ScanOutcome.CLEAN
            with pytest.raises(ValueError, match="More than 8 bytes"):
                await scanner.scan(these(b"1234", b"56789"))

    run(trial())


def test_no_clamd_scans_two_gibibytes() -> None:
    assert Clamd("tcp://127.0.0.1:3310", 5 * 1024**3, MINUTE).max_size < 2 * 1024**3


@pytest.mark.parametrize(
    ("version", "identity"),
    [
        (b"ClamAV 1.4.6\0", Identity("ClamAV 1.4.6", None, None)),
        (
            b"ClamAV 0.103.8/26828/Sun Mar  1 07:01:02 2026\0",
            Identity("ClamAV 0.103.8", "26828", datetime(2026, 3, 1, 7, 1, 2, tzinfo=UTC)),
        ),
        (b"ClamAV 1.4.6/27000/lately\0", Identity("ClamAV 1.4.6", "27000", None)),
        # What ClamAV 1.5 says with EnableVersionCommand off, which 1.4 does not know.
        (b"COMMAND UNAVAILABLE\0", Identity(None, None, None)),
        (b"COMMAND UNAVAILABLE\n", Identity(None, None, None)),
    ],
)
def test_it_says_who_it_is(run: Run, version: bytes, identity: Identity) -> None:
    async def trial() -> Identity:
        async with Scripted(replies(), version) as address:
            return await Clamd(address, CEILING, MINUTE).identify()

    assert run(trial()) == identity


@pytest.mark.parametrize(
    "version", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command\0", b"", b"A" * 100_000]
)
def test_what_is_no_clamd_is_a_scanner_that_is_away(run: Run, version: bytes) -> None:
    async def trial() -> None:
        async with Scripted(replies(), version) as address:
            await Clamd(address, CEILING, MINUTE).identify()

    with pytest.raises(ScannerAway):
        run(trial())


def test_nobody_there_means_that_it_is_away(run: Run, tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for address in (f"tcp://127.0.0.1:{bound.getsockname()[1]}", f"unix://{tmp_path}/none", "tcp://none.invalid:1"):
            with pytest.raises(ScannerAway, match="cannot be reached"):
                run(Clamd(address, CEILING, MINUTE).identify())


def test_a_host_may_be_an_address_in_brackets(run: Run) -> None:
    async def trial() -> ScanOutcome:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            command = await reader.readuntil(b"\0")
            writer.write(b"ClamAV 1.4.6\0" if command == b"zVERSION\0" else b"stream: A FOUND\0")
            writer.close()

        async with await asyncio.start_server(serve, "::1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return (await Clamd(f"tcp://[::1]:{port}", CEILING, MINUTE).scan(these(b"content"))).outcome

    assert run(trial()) is ScanOutcome.INFECTED


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:3310",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:70000",
        "tcp://127.0.0.1:port",
        "tcp://:3310",
        "tcp://[::1:3310",
        "tcp://127.0.0.1:3310/path",
        "tcp://user@127.0.0.1:3310",
        f"tcp://{'a' * 70}:3310",
        "http://127.0.0.1:3310",
        "unix://run/clamd.sock",
        "unix:/run/clamd.sock",
        "unix:///",
        f"unix:///{'a' * 107}",
        "/run/clamd.sock",
    ],
)
def test_an_address_of_another_form_is_refused_with_those_it_takes(address: str) -> None:
    with pytest.raises(ValueError, match=r"it takes tcp://HOST:PORT or unix:///PATH"):
        Clamd(address, CEILING, MINUTE)
