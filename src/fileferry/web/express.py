"""Handlers that nearly every request is for, called without the framework's machinery around them. What they are, where they are
and how they tell of errors is declared to the framework alone, as of all others, and so OpenAPI tells of them.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from litestar import Litestar, Request, Response
from litestar.datastructures import Headers, MultiDict, State
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.utils.helpers import get_enum_string_value
from litestar.utils.path import normalize_path

from fileferry.engine.engine import Engine
from fileferry.model import Principal
from fileferry.telemetry import Application, Message, Receive, Send
from fileferry.web.caching import keep_private
from fileferry.web.identities import spell
from fileferry.web.requests import AnyRequest
from fileferry.web.targets import is_spelt_as_routed, refuse_other_spellings
from fileferry.web.waiting import tell_applied

EXPRESS = {"express": True}
"""The ``opt`` of a handler that is called in this way. It takes a request, an engine, a principal and parts of the path; those who
give it parameters in the query take the long way, where the framework reads and checks them."""

_HOST = re.compile(rb"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?")
_BODILESS = (204, 304)
_GIVEN = ("request", "engine", "principal")

Authenticate = Callable[[AnyRequest, Engine], Awaitable[Principal]]


class _Request(Request[Any, Any, Any]):
    """The framework's, which makes its headers, its query and its state once, not each time that it is asked for them."""

    @functools.cached_property
    def headers(self) -> Headers:
        return Headers.from_scope(self.scope)

    @functools.cached_property
    def query_params(self) -> MultiDict[Any]:
        return super().query_params

    @functools.cached_property
    def state(self) -> State:
        return State(self.scope["state"])


class _Way:
    """How a handler is called: which of its parameters it gets, and what answers its errors."""

    def __init__(self, handler: HTTPRouteHandler) -> None:
        assert list(handler.resolve_guards()) == [refuse_other_spellings], "others would not be asked"
        assert handler.resolve_before_request() is spell, "another would not be called"
        (self.render,) = handler.resolve_exception_handlers().values()
        parameters = inspect.signature(handler.fn).parameters.values()
        self.handler = handler
        self.media_type = get_enum_string_value(handler.media_type or MediaType.JSON)
        self.call: Callable[..., Awaitable[Any]] = handler.fn
        self.needs_principal = any(parameter.name == "principal" for parameter in parameters)
        self.needs_engine = any(parameter.name == "engine" for parameter in parameters)
        self.of_path = [one.name for one in parameters if one.name not in _GIVEN and one.default is one.empty]
        # Left out, they have the values that the handler's signature says.
        self.takes_query = any(one.default is not one.empty for one in parameters)

    def whole(self, data: Any) -> tuple[Message, Message] | None:
        """Return the messages of an answer that is JSON or bytes, as the framework would send them; None for any other."""
        answer = data if type(data) is Response else None
        content = data if answer is None else answer.content
        status = (None if answer is None else answer.status_code) or self.handler.status_code
        media_type = (None if answer is None else answer.media_type) or self.media_type
        if (
            status in _BODILESS
            or media_type.startswith("text/")
            or not isinstance(content, msgspec.Struct | dict | bytes)
        ):
            return None
        body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        fields = {} if answer is None else {name.lower(): value for name, value in answer.headers.items()}
        fields.setdefault("content-type", media_type)
        fields.setdefault("content-length", str(len(body)))
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
        return (
            {"type": "http.response.start", "status": status, "headers": headers},
            {"type": "http.response.body", "body": body, "more_body": False},
        )


class Express:
    """ASGI application around the framework's: answers requests for handlers marked ``EXPRESS``, and passes all others on."""

    def __init__(self, framework: Litestar, authenticate: Authenticate) -> None:
        self._framework = framework
        self._authenticate = authenticate
        self._ways: dict[HTTPRouteHandler, _Way] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        way = self._way(scope) if scope["type"] == "http" and _is_plain(scope) else None
        if way is None:
            await cast(Application, self._framework)(scope, receive, send)
            return
        has_started = False

        async def telling_send(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                await tell_applied(message, scope)  # type: ignore[arg-type]
                await keep_private(message, scope)  # type: ignore[arg-type]
            await send(message)

        request: AnyRequest = _Request(scope, receive, send)  # type: ignore[arg-type]
        try:
            await spell(request)
            data = await self._called(way, request)
            if (whole := way.whole(data)) is not None:
                for message in whole:
                    await telling_send(message)
                return
            is_answer = callable(data)  # an ASGI application already
            answer = data if is_answer else await way.handler.to_response(self._framework, data, request)
            await answer(scope, receive, telling_send)  # type: ignore[arg-type]
        except Exception as error:
            if has_started:
                raise
            answer = way.render(request, error).to_asgi_response(app=None, request=request)
            await answer(scope, receive, telling_send)  # type: ignore[arg-type]

    def _way(self, scope: Message) -> _Way | None:
        """Return how to call the handler that the framework would choose; None where it is not marked, or there is none."""
        try:
            _, handler, path, parameters, template = self._framework.asgi_router.handle_routing(
                path=normalize_path(scope["path"]), method=scope["method"]
            )
        except Exception:
            return None  # which the framework then tells
        if not isinstance(handler, HTTPRouteHandler) or not handler.opt.get("express"):
            return None
        way = self._ways.get(handler)
        if way is None:
            way = self._ways[handler] = _Way(handler)
        if way.takes_query and scope["query_string"]:
            return None
        if not is_spelt_as_routed(scope["raw_path"], template, parameters, handler):
            return None
        scope["app"] = scope["litestar_app"] = self._framework
        scope.update(path=path, path_params=parameters, path_template=template, route_handler=handler)
        scope.setdefault("state", {})
        return way

    async def _called(self, way: _Way, request: AnyRequest) -> Any:
        engine: Engine = self._framework.state.engine
        given: dict[str, Any] = {"request": request}
        if way.needs_engine:
            given["engine"] = engine
        if way.needs_principal:
            given["principal"] = await self._authenticate(request, engine)
        for name in way.of_path:
            given[name] = request.scope["path_params"][name]
        return await way.call(**given)


def _is_plain(scope: Message) -> bool:
    """Whether a request has one host as nearly all write it; the framework judges all others, and refuses some."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None and not scope.get("root_path")
