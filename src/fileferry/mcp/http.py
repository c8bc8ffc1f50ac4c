"""``/mcp``: the tools by streamable HTTP, for whoever shows a key. No session is kept: any replica answers any request.

The SDK is loaded with the first request that has a key, so that a server that no agent uses does without it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request, Response

from fileferry.errors import (
    CATALOGUE,
    FerryError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
)
from fileferry.mcp.api import Api
from fileferry.model import Principal
from fileferry.telemetry import Application, Message, Receive, Send
from fileferry.web import cors, problems
from fileferry.web.caching import PRIVATE
from fileferry.web.standing import LENT

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH = "/mcp"
"""In this spelling only, as every address here has one."""
LARGEST_BODY = 256 * 1024
"""Bytes of a request: the largest text that a tool takes fits in, escaped."""
_API = "fileferry.api"  # where a request's scope has the native API for its agent
# What of a request is for the requests that its tools make: who asks, and where the server is.
_PASSED_ON = (b"authorization", b"x-api-key", b"api-key", b"user-id", b"host", b"x-request-id")
_METHODS = "POST, OPTIONS"

Authenticate = Callable[[Request[Any, Any, Any]], Awaitable[Principal]]
Challenge = Callable[[Request[Any, Any, Any]], str | None]
"""Returns what a request without a key is told of how to get one (``WWW-Authenticate``)."""


class Mcp:
    """ASGI application around the service: answers ``/mcp``, and passes everything else on."""

    def __init__(self, application: Application, authenticate: Authenticate, challenge: Challenge) -> None:
        self._application = application
        self._authenticate = authenticate
        self._challenge = challenge
        self._manager: StreamableHTTPSessionManager | None = None
        self._lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "lifespan":
            try:
                await self._application(scope, receive, send)
            finally:
                await self._stop()
            return
        if scope["type"] != "http" or scope["raw_path"] != PATH.encode():
            await self._application(scope, receive, send)
            return
        request: Request[Any, Any, Any] = Request(scope, receive, send)  # type: ignore[arg-type]
        scope["path_template"] = PATH
        try:
            if request.method == "OPTIONS":
                headers = cors.preflight(request, _METHODS)
                await _answer(Response(b"", status_code=200, headers=headers), request, send)
                return
            if request.method != "POST":
                raise MethodNotAllowed("Tools are called with POST.", headers={"Allow": _METHODS})
            principal = await self._authenticate(request)
            manager = await self._started()
        except Exception as error:
            refusal = problems.render(request, error)
            refusal.headers.update({**PRIVATE, **cors.ANY_ORIGIN})
            if isinstance(error, Unauthorized) and (challenge := self._challenge(request)) is not None:
                refusal.headers["WWW-Authenticate"] = challenge
                refusal.headers["Access-Control-Expose-Headers"] += ", WWW-Authenticate"
            await _answer(refusal, request, send)
            return
        scope[_API] = _Inside(self._application, scope, principal)
        await manager.handle_request(scope, receive, _from_any_origin(send))

    async def _started(self) -> StreamableHTTPSessionManager:
        async with self._lock:
            if self._manager is None:
                if find_spec("mcp") is None:
                    raise NotFound("This server has no tools for agents: install fileferry[mcp] there.")
                made = await asyncio.to_thread(_made)
                ready = asyncio.Event()
                # Entered and left by one task, as its tasks want it.
                self._running = asyncio.create_task(self._run(made, ready))
                await ready.wait()
                self._manager = made
        return self._manager

    async def _run(self, manager: StreamableHTTPSessionManager, ready: asyncio.Event) -> None:
        async with manager.run():
            ready.set()
            await self._stopping.wait()

    async def _stop(self) -> None:
        self._stopping.set()
        if self._running is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._running


class _Inside(Api):
    """The native API of this process, asked without a connection, with the key of the request that calls a tool."""

    def __init__(self, application: Application, scope: Message, principal: Principal) -> None:
        self._application = application
        self._scope = scope
        self._principal = principal

    async def scopes(self) -> frozenset[str]:
        return frozenset(self._principal.key.scopes)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        content_type: str | None = None,
        wait: int = 0,
    ) -> Any:
        body = content or b"" if json is None else msgspec.json.encode(json)
        headers = [(name, value) for name, value in self._scope["headers"] if name in _PASSED_ON]
        headers += [
            (b"content-type", (content_type or "application/json").encode("latin-1", "replace")),
            (b"content-length", str(len(body)).encode()),
        ]
        if wait:
            headers.append((b"prefer", f"wait={wait}".encode()))
        target, _, query = path.partition("?")
        scope = {name: value for name, value in self._scope.items() if name not in (_API, "state", "path_template")}
        scope |= {
            "method": method,
            "path": unquote_to_bytes(target).decode(errors="replace"),
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "extensions": {},
        }
        if self._principal.lent is not None:
            scope[LENT] = True
        return _read(*await _exchange(self._application, scope, body))


def of(scope: Message) -> Api:
    """Return the native API for the agent whose request this is."""
    api: Api = scope[_API]
    return api


async def _exchange(application: Application, scope: Message, body: bytes) -> tuple[int, bytes]:
    """Return status and body of an answer."""
    sent = [{"type": "http.request", "body": body, "more_body": False}]
    status, pieces = 0, []
    gone = asyncio.Event()

    async def receive() -> Message:
        if not sent:
            await gone.wait()
        return sent.pop()

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            pieces.append(message.get("body", b""))

    await application(scope, receive, send)
    return status, b"".join(pieces)


def _read(status: int, body: bytes) -> Any:
    """Return what an answer of the native API says; raises the error that it is."""
    said = msgspec.json.decode(body) if body else None
    if status < 400:
        return said
    problem = said if isinstance(said, dict) else {}
    kind: type[FerryError] = CATALOGUE.get(problem.get("code", ""), InternalError)
    raise kind(problem.get("detail"), retry_after=problem.get("retry_after"))


def _made() -> StreamableHTTPSessionManager:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from fileferry.mcp.server import Context, build

    def connected(context: Context) -> Api:
        assert context.request is not None, "over HTTP there is one"
        return of(context.request.scope)

    server = build(connected)
    # Whoever calls has shown a key, which no page of another origin has: names of hosts need not be known.
    return StreamableHTTPSessionManager(server, json_response=True, stateless=True, max_request_body_size=LARGEST_BODY)


def _from_any_origin(send: Send) -> Send:
    extra = [(name.lower().encode(), value.encode()) for name, value in {**PRIVATE, **cors.ANY_ORIGIN}.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return sending


async def _answer(response: Response[bytes], request: Request[Any, Any, Any], send: Send) -> None:
    await response.to_asgi_response(app=None, request=request)(request.scope, request.receive, send)  # type: ignore[arg-type]
