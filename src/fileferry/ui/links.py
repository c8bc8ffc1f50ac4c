"""What the pages of shares and of requests have in common: the passphrase, who asks and from where, and how errors are told.

Nothing of pages is loaded before somebody asks for one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from litestar import Response
from litestar.datastructures import Cookie

from fileferry.engine.access.passphrases import UNLOCKED_FOR
from fileferry.engine.engine import Engine
from fileferry.errors import BadRequest, FerryError, PassphraseRequired
from fileferry.telemetry import client_of
from fileferry.ui.visits import refuse_other_origins
from fileferry.web import problems
from fileferry.web.requests import AnyRequest, small_body_of

UNLOCKED = "unlocked"
"""The cookie that shows that a passphrase was known."""
PRIVATE = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex"}
_LARGEST_FORM = 16 * 1024
_CHALLENGE = 'Basic realm="The passphrase of this link", charset="UTF-8"'
_HEADINGS = {401: "Locked", 404: "Not here", 410: "No longer here", 413: "Too large", 415: "Not this kind of file"}

Unlock = Callable[[str, str, str], Awaitable[str]]


def is_for_people(request: AnyRequest) -> bool:
    """Whether a request wants a page: browsers ask for one, programs get JSON."""
    return "text/html" in request.headers.get("accept", "")


def path_of(engine: Engine, path: str) -> str:
    """Return a path of this service as browsers know it, after what a proxy in front adds."""
    base = engine.settings.base_url
    return ("" if base is None else urlsplit(base).path.rstrip("/")) + path


async def shown(request: AnyRequest, token: str, unlock: Unlock) -> str | None:
    """Return what a request shows of a passphrase: by its cookie, or by the password of Basic authentication (RFC 7617).

    Raises what ``unlock`` does.
    """
    passphrase = _basic_password(request)
    if passphrase is not None:
        return await unlock(token, passphrase, client_of(request.scope))
    return request.cookies.get(UNLOCKED)


async def unlocked(request: AnyRequest, engine: Engine, token: str, path: str, unlock: Unlock) -> Response[Any]:
    """Take the form with the passphrase, and lead back to the page that it opens; raises Forbidden for a forged form."""
    refuse_other_origins(request, engine)
    body = await small_body_of(request, _LARGEST_FORM, engine.settings.body_idle_timeout)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=4, errors="strict")
    except ValueError as error:
        raise BadRequest("The form cannot be read.") from error
    shown = await unlock(token, fields.get("passphrase", [""])[0], client_of(request.scope))
    answer = redirect(path_of(engine, path))
    answer.set_cookie(cookie_of(request, engine, UNLOCKED, shown, path, int(UNLOCKED_FOR.total_seconds())))
    return answer


def redirect(address: str) -> Response[Any]:
    """Return an answer that leads on to a page."""
    return Response(b"", status_code=303, media_type="text/plain", headers={**PRIVATE, "Location": address})


def cookie_of(request: AnyRequest, engine: Engine, name: str, value: str, path: str, seconds: int) -> Cookie:
    """Return a cookie for the pages at a path alone, which no script sees and no other site has sent with its forms."""
    base = engine.settings.base_url or f"{request.scope['scheme']}://"
    return Cookie(
        key=name,
        value=value,
        path=path_of(engine, path),
        httponly=True,
        secure=base.startswith("https://"),
        samesite="lax",
        max_age=seconds,
    )


def render_error(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer with a page for people, which asks for the passphrase where that is missing; with a problem for programs."""
    failure = problems.known(error)
    if not is_for_people(request):
        answer: Response[Any] = problems.render(request, failure)
        answer.headers.update(PRIVATE)
        if isinstance(failure, PassphraseRequired):
            answer.headers["WWW-Authenticate"] = _CHALLENGE
        return answer
    return _error_page(request, failure)


def _error_page(request: AnyRequest, failure: FerryError) -> Response[Any]:
    from fileferry.ui import pages
    from fileferry.ui.engines import engine_of

    is_locked = isinstance(failure, PassphraseRequired)
    is_wrong = is_locked and failure.detail != failure.title
    engine = engine_of(request)
    answer = pages.render(
        request,
        "locked.html" if is_locked else "link_error.html",
        status=failure.status,
        failure=failure,
        heading=_HEADINGS.get(failure.status, "That did not work"),
        error=failure.detail if is_wrong else None,
        # The form of a link leads to its first page, whichever of its addresses asked.
        address=path_of(engine, "/".join(request.scope["path"].split("/")[:3])),
    )
    answer.headers.update(PRIVATE)
    if is_locked:
        answer.headers["WWW-Authenticate"] = "Form"  # browsers would ask for Basic in a window of their own
    if failure.retry_after is not None:
        answer.headers["Retry-After"] = str(max(1, round(failure.retry_after)))
    return answer


def _basic_password(request: AnyRequest) -> str | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise BadRequest("Authorization: Basic needs USER:PASSPHRASE in base64.") from error
    return password
