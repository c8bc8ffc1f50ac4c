"""Who asks for a page: the cookie of a session, the forms that only a page of ours can send, and where requests come from."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from litestar.datastructures import Cookie

from fileferry import telemetry
from fileferry.engine.access.sessions import Visit, form_token
from fileferry.engine.engine import Engine
from fileferry.errors import BadRequest, Forbidden, InvalidParameter, Unauthorized
from fileferry.model import Principal
from fileferry.ui import proxied
from fileferry.web.requests import AnyRequest, small_body_of

_SECURE_NAME = "__Host-fileferry"
_PLAIN_NAME = "fileferry"
_LARGEST_FORM = 256 * 1024
_MOST_FIELDS = 4000


class Visitor:
    """Somebody who is signed in, in one request."""

    def __init__(self, engine: Engine, visit: Visit, token: str) -> None:
        self.visit = visit
        self.principal: Principal = visit.principal
        self.token = token
        self.form_token = form_token(token)
        self._engine = engine

    async def take_notice(self) -> dict[str, Any] | None:
        """Return what this page is to say of what was done before."""
        return await self._engine.sessions.take_notice(self.visit.session)

    async def leave_notice(self, text: str, undo: str | None = None) -> None:
        """Have the next page say something, and offer to undo it."""
        await self._engine.sessions.leave_notice(self.visit.session, {"text": text, "undo": undo})


class Form:
    """The fields of a form that was sent."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self._fields = fields

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """Every field as it was sent, in order."""
        return self._fields

    def get(self, name: str, default: str = "") -> str:
        """Return a field without the blanks around it; the last one of that name."""
        return next((value.strip() for key, value in reversed(self._fields) if key == name), default)

    def optional(self, name: str) -> str | None:
        """Return a field that says something, or None."""
        return self.get(name) or None

    def secret(self, name: str) -> str:
        """Return a field as it was typed, blanks and all."""
        return next((value for key, value in reversed(self._fields) if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return every field of a name."""
        return [value for key, value in self._fields if key == name]

    def needed(self, name: str, label: str) -> str:
        """Return a field that must say something; raises InvalidParameter, which calls it by its label."""
        if not (value := self.get(name)):
            raise InvalidParameter(f"{label}: say something here.", parameter=name)
        return value


async def visitor_of(request: AnyRequest, engine: Engine) -> Visitor:
    """Return who is signed in; raises Unauthorized for nobody."""
    token = token_of(request)
    if token is None:
        raise Unauthorized("You are not signed in.")
    visit = await known(request, engine, token)
    principal = visit.principal
    telemetry.tell(key=principal.key.id, organization=principal.organization.id, end_user=principal.end_user)
    await engine.rates.spend_request(principal)
    request.state.principal = principal
    return Visitor(engine, visit, token)


async def known(request: AnyRequest, engine: Engine, token: str) -> Visit:
    """Return the session that a token opens; raises Unauthorized, also where the proxy in front says somebody else by now."""
    visit = await engine.sessions.visit(token)
    if engine.settings.proxy_user_header is not None:
        account = await engine.accounts.find(visit.principal.key.id)
        proxied.refuse_other(account, proxied.vouched(request, engine))
    return visit


def token_of(request: AnyRequest) -> str | None:
    """Return the token that the session's cookie holds."""
    return request.cookies.get(_SECURE_NAME) or request.cookies.get(_PLAIN_NAME)


def cookie_of(request: AnyRequest, engine: Engine, token: str, path: str) -> Cookie:
    """Return the cookie that holds a token until the browser ends; an empty token takes it away.

    Where the browser speaks HTTPS nobody else on the way, and no other host of the domain, can set or read it.
    """
    is_secure = _speaks_https(request, engine)
    return Cookie(
        key=_SECURE_NAME if is_secure else _PLAIN_NAME,
        value=token,
        path="/" if is_secure else path,
        httponly=True,
        secure=is_secure,
        samesite="lax",
        max_age=None if token else 0,
    )


async def form_of(request: AnyRequest, engine: Engine, token: str) -> Form:
    """Return the form that a page of ours sent; ``token`` is what its form carries. Raises Forbidden for any other."""
    refuse_other_origins(request, engine)
    body = await small_body_of(request, _LARGEST_FORM, engine.settings.body_idle_timeout)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise BadRequest("The form cannot be read.") from error
    if any("\x00" in value for _name, value in fields):
        raise BadRequest("The form cannot be read.")
    form = Form(fields)
    refuse_forged(form.get("form_token"), token)
    return form


def refuse_forged(sent: str, token: str) -> None:
    """Raise Forbidden unless a form carries the token that only a page for the same browser has."""
    if not hmac.compare_digest(sent.encode(), token.encode()):
        raise Forbidden("This form is out of date: go back, reload the page and send it again.")


def refuse_other_origins(request: AnyRequest, engine: Engine) -> None:
    """Raise Forbidden for what a page of another site had the browser send."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Forbidden("This was sent by a page of another site.")
    origin = request.headers.get("origin")
    if origin is None:
        return
    own = {request.headers.get("host", "").lower(), urlsplit(engine.settings.base_url or "").netloc.lower()}
    if urlsplit(origin).netloc.lower() not in own - {""}:
        raise Forbidden("This was sent by a page of another site.")


def _speaks_https(request: AnyRequest, engine: Engine) -> bool:
    said = (request.headers.get("origin", ""), engine.settings.base_url or "", f"{request.scope['scheme']}://")
    return any(text.startswith("https://") for text in said)


def is_own_path(path: str) -> bool:
    """Whether an address that a form or a link brought is a path below the root of our pages, and leads nowhere else."""
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return False
    try:
        parts = urlsplit(path)
    except ValueError:
        return False
    return not parts.netloc and not parts.scheme
