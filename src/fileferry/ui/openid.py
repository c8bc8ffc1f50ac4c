"""Signing in at an OpenID provider: the way there and the way back. What of it is believed is for ``engine.access.openid``."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from litestar import Response, get
from litestar.datastructures import Cookie

from fileferry.engine.access.openid import Beginning, Provider
from fileferry.engine.engine import Engine
from fileferry.errors import FerryError, NotFound, Unauthorized
from fileferry.ui import pages, sign_in, visits
from fileferry.web.requests import AnyRequest

_COOKIE = "fileferry-oidc"
_SECONDS = 600


@get("/oidc")
async def go_to_provider(request: AnyRequest, engine: Engine) -> Response[str]:
    """Send a browser to the provider. What it needs to come back is in a cookie of its own, for ten minutes."""
    provider = _provider(engine)
    onward = sign_in.onward_of(request.query_params.get("next", ""))
    try:
        await engine.rates.spend_sign_in(sign_in.whence(request)["address"])
        begun = await provider.begin(_back(engine))
    except FerryError as error:
        return sign_in.form_page(request, engine, onward, error.detail, error.status)
    answer = pages.redirect(request, "")
    answer.headers["Location"] = begun.url
    kept = ".".join((begun.state, begun.nonce, begun.verifier, quote(onward, safe="")))
    answer.cookies.append(_cookie(request, engine, kept))
    return answer


@get("/oidc/callback")
async def come_back(request: AnyRequest, engine: Engine) -> Response[str]:
    """Sign in whom the provider has sent back to the browser that began it."""
    provider = _provider(engine)
    state, nonce, verifier, onward = (request.cookies.get(_COOKIE, "").split(".") + [""] * 4)[:4]
    onward = sign_in.onward_of(unquote(onward))
    try:
        if not state or not verifier:
            raise Unauthorized("This sign-in was not begun in this browser, or ten minutes ago: begin anew.")
        told = {name: request.query_params[name] for name in ("state", "code", "iss") if name in request.query_params}
        said = await provider.finish(told, Beginning("", state, nonce, verifier), _back(engine))
        token = await engine.sessions.open_vouched(said, **sign_in.whence(request))
    except FerryError as error:
        answer: Response[Any] = sign_in.form_page(request, engine, onward, error.detail, error.status)
    else:
        await sign_in.end_present(request, engine)
        answer = sign_in.entered(request, engine, token, onward)
    answer.cookies.append(_cookie(request, engine, ""))
    return answer


def _provider(engine: Engine) -> Provider:
    if engine.provider is None:
        raise NotFound("There is nothing at this address.")
    return engine.provider


def _back(engine: Engine) -> str:
    return f"{(engine.settings.base_url or '').rstrip('/')}/ui/oidc/callback"


def _cookie(request: AnyRequest, engine: Engine, value: str) -> Cookie:
    cookie = visits.cookie_of(request, engine, value, pages.root_of(engine))
    cookie.key, cookie.path = _COOKIE, pages.root_of(engine)
    cookie.max_age = _SECONDS if value else 0
    return cookie


handlers = [go_to_provider, come_back]
