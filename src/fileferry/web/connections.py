"""One connection, below the application: bounds on what comes before a request, on how long that takes, and on what waits unsent.

It is uvicorn's own in everything else. Who gets a connection at all is the business of ``admission``.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import socket
import termios
from typing import Any, cast

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from fileferry.errors import BadRequest, FerryError, HeadTooLarge, RequestTimeout
from fileferry.telemetry import CUT, Application, unread
from fileferry.web import admission, dates, heads, problems, zerocopy
from fileferry.web.admission import Place
from fileferry.web.long_bodies import LongBodies, ReadingCycle

# What the kernel holds of an answer beyond what is on its way: enough to keep a fast line busy while the next block is read.
# A bound on all of it (SO_SNDBUF) would bound the speed over long distances; without any, the kernel holds megabytes.
_MOST_UNSENT = 128 * 1024
# Requests that came before the first of them was answered. Clients that do this at all send a few.
_MOST_PIPELINED = 100
# A client that still sends when it is refused would lose the answer with the connection (RFC 9112, 9.6): what comes is dropped,
# within these bounds.
_MOST_DROPPED = 256 * 1024
_MOST_SECONDS = 2.0


class Connection(LongBodies):
    """A connection whose client can neither fill the memory nor keep it open without an end.

    Each read is judged by what it brought: bytes in a row that end no head and belong to no body are those of a head, of the
    trailers of a chunked body, or nothing at all, and may be ``max_request_head`` at most.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._admission = admission.of_process(server_state)
        self._settings = self._admission.settings
        self._is_reserved = False
        self._in_body = False
        self._fields = 0  # bytes of the head, or of the trailers, so far
        self._has_moved_on = False
        self._refusal: FerryError | None = None
        self._kept_back: FerryError | None = None  # a refusal that answers of earlier requests go before
        self._dropped: int | None = None  # bytes since it was refused
        self._head_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._drained = 0  # how often the kernel has taken all that waited

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Bound what waits in memory, and find a place."""
        super().connection_made(transport)
        # Whatever the kernel does not take holds its writer up, so that one watch sees every answer that does not move.
        transport.set_write_buffer_limits(high=0)
        with contextlib.suppress(OSError):
            self._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)
        place = self._admission.place(len(self.connections))
        if place is Place.NONE:
            self._refuse(admission.busy(), "full")
            self.transport.close()
            return
        if place is Place.RESERVED:
            self._is_reserved = True
            self.app = cast(Any, admission.reserved(cast(Application, self.app)))
        self._admission.is_idle(self)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._admission.is_at_work(self)
        for timer in (self._head_timer, self._answer_timer, self._end_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Close at once; nothing was asked here, or all is answered."""
        self.transport.abort()

    # What comes

    def data_received(self, data: bytes) -> None:
        """Read on, as far as the bounds allow."""
        most = int(self._settings.max_request_head)
        while data and not self._is_ending():
            readable = len(data) if self._in_body else most - self._fields
            piece, data = data[:readable], data[readable:]
            self._has_moved_on = False
            super().data_received(piece)
            self._fields = 0 if self._has_moved_on else self._fields + len(piece)
            if self._fields >= most and not self._is_ending():
                self._refuse(HeadTooLarge(limit=most), "head_too_large")
        if self._dropped is not None:
            self._drop(len(data))
        elif not self._is_answering():
            self._expect_head()

    def on_message_begin(self) -> None:
        """Begin a request, unless too many wait already."""
        if len(self.pipeline) >= _MOST_PIPELINED:
            self._stop_reading(HeadTooLarge("Too many requests wait for their answers on this connection."))
        self._in_body = False
        super().on_message_begin()
        if self.scheme == "http":  # with TLS the kernel does not know what is to be sent
            self.scope["extensions"] = zerocopy.EXTENSIONS

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of a head; those of trailers are dropped."""
        # The parser leaves the white space after a value, which is no part of it (RFC 9110, 5.5).
        super().on_header(name, value.rstrip(b" \t"))
        if len(self.headers) > self._settings.max_request_headers:
            self._stop_reading(
                HeadTooLarge(f"A request may have at most {self._settings.max_request_headers} header fields.")
            )

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        if (fault := heads.fault_of(self.parser.get_http_version(), self.headers)) is not None:
            self._stop_reading(fault)
        self._has_moved_on = self._in_body = True
        self._admission.is_at_work(self)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()
        if self._is_reserved:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take bytes of a body."""
        self._has_moved_on = True
        before = cast(bytes, self.cycle.body)
        if not before:
            # What is added to no bytes is not copied, and neither are bytes that are read from them; a bytearray would do both.
            self.cycle.body = cast(bytearray, b"")
        elif type(before) is bytes:
            # What is added to bytes copies all of them, each time: a client may send its body in chunks of one byte.
            self.cycle.body = bytearray(before)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._has_moved_on = True
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with what was sent meanwhile, or be idle."""
        super().on_response_complete()
        if self._is_answering() or self.transport.is_closing():
            return
        if self._kept_back is not None:
            self._tell(self._kept_back)
            return
        self._admission.is_idle(self)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # uvicorn names the class itself; nothing has been sent yet.
        cycle.__class__ = ReadingCycle
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Say why no more is read: a bound or a rule of ours, or what the parser found."""
        refusal = self._refusal or BadRequest("The request is not valid HTTP/1.1.")
        self._refuse(refusal, "head_too_large" if isinstance(refusal, HeadTooLarge) else "bad_request")

    def _stop_reading(self, error: FerryError) -> None:
        """Leave the parser, which then asks for ``send_400_response``."""
        self._refusal = error
        raise error

    def _drop(self, size: int) -> None:
        self._dropped = (self._dropped or 0) + size
        if self._dropped > _MOST_DROPPED:
            self.transport.abort()

    def _is_ending(self) -> bool:
        return self._dropped is not None or self.transport.is_closing()

    def _expect_head(self) -> None:
        if self._head_timer is None and not self._is_ending():
            seconds = self._settings.request_head_timeout.total_seconds()
            self._head_timer = self.loop.call_later(seconds, self._give_head_up)

    def _give_head_up(self) -> None:
        self._head_timer = None
        if self._is_answering() or self._is_ending():
            return
        if self._fields:
            self._refuse(RequestTimeout("The head of the request did not come in time."), "head_timeout")
        else:
            CUT.labels("head_timeout").inc()
            self.transport.close()

    def _is_answering(self) -> bool:
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _is_next_answered(self) -> bool:
        """Whether an answer now would be read as that of the request which is being read."""
        if self._in_body:
            return not self.pipeline and not self.cycle.response_started
        return not self._is_answering()

    def _refuse(self, error: FerryError, reason: str) -> None:
        """End the connection with an answer, or without words where those would be read as a part of another answer."""
        CUT.labels(reason).inc()
        if not self._in_body and self._is_answering():
            self._kept_back, self._dropped = error, 0
            return
        if not self._is_next_answered():
            self.transport.abort()
            return
        self._tell(error)

    def _tell(self, error: FerryError) -> None:
        """Write a refusal as the last answer of the connection."""
        if self._in_body:  # nobody waits for the rest of it, nor for another answer
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        with unread(error.status) as id:
            body = problems.document(error)
        fields = {
            **problems.fields_of(error),
            "Content-Length": str(len(body)),
            "Date": dates.now(),
            "Connection": "close",
            "X-Request-Id": id,
        }
        lines = [f"{name.lower()}: {value}\r\n".encode() for name, value in fields.items()]
        self.transport.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body]))
        self.transport.write_eof()
        self._dropped = 0
        self._end_timer = self.loop.call_later(_MOST_SECONDS, self.transport.abort)

    # What goes

    def pause_writing(self) -> None:
        """Hold the writer up, and watch whether the client takes anything."""
        super().pause_writing()
        self._watch_answer()

    def resume_writing(self) -> None:
        """Let the writer go on."""
        self._drained += 1
        super().resume_writing()

    def _watch_answer(self) -> None:
        if self._answer_timer is None:
            seconds = self._settings.answer_idle_timeout.total_seconds()
            self._answer_timer = self.loop.call_later(seconds, self._judge_answer, self._drained, self._untaken())

    def _judge_answer(self, drained: int, untaken: int) -> None:
        self._answer_timer = None
        if not self.flow.write_paused:
            return
        if (self._drained, self._untaken()) == (drained, untaken):
            CUT.labels("answer_stalled").inc()
            self.transport.abort()
            return
        self._watch_answer()

    def _untaken(self) -> int:
        """Return how many bytes the client has not acknowledged: what waits here, and in the kernel (tcp(7), SIOCOUTQ)."""
        in_kernel = array.array("i", [0])
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._socket().fileno(), termios.TIOCOUTQ, in_kernel)
        return self.transport.get_write_buffer_size() + in_kernel[0]

    def _socket(self) -> socket.socket:
        return cast(socket.socket, self.transport.get_extra_info("socket"))
