"""How a page is made of a template: what every template may use, and the headers that keep a page from being misused."""

from __future__ import annotations

import functools
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from markupsafe import Markup

from fileferry.engine.access import policy
from fileferry.engine.engine import Engine
from fileferry.errors import Forbidden
from fileferry.model import Principal, Scope
from fileferry.ui import assets, words
from fileferry.ui.engines import engine_of
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest

MEDIA_TYPE = "text/html"
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; form-action 'self' {form_action}; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A page of the list at the left, and which scope its engine calls need.
_SECTIONS = (
    ("/files", "Files", Scope.READ),
    ("/upload", "Upload", Scope.UPLOAD),
    ("/shares", "Shares", Scope.READ),
    ("/requests", "Requests", Scope.UPLOAD),
    ("/uploads", "Under way", Scope.UPLOAD),
    ("/problems", "Problems", Scope.READ),
    ("/events", "Events", Scope.READ),
    ("/usage", "Usage", Scope.READ),
    ("/keys", "Keys", Scope.ADMIN),
    ("/people", "People", Scope.ADMIN),
    ("/webhooks", "Webhooks", Scope.ADMIN),
    ("/organizations", "Organizations", Scope.ADMIN),
    ("/audit", "Audit log", Scope.ADMIN),
    ("/connect", "Connect", None),
    ("/sessions", "Sessions", None),
)


def root_of(engine: Engine) -> str:
    """Return the path that all addresses of pages begin with: what a proxy adds before ``/ui``, too."""
    base = engine.settings.base_url
    return ("" if base is None else urlsplit(base).path.rstrip("/")) + "/ui"


def render(
    request: AnyRequest, template: str, *, status: int = 200, form_action: str = "", **context: Any
) -> Response[str]:
    """Return a page that needs nobody to be signed in; its forms may lead on to ``form_action``, beside here."""
    engine, nonce = engine_of(request), secrets.token_urlsafe(16)
    root = root_of(engine)
    given = {
        "root": root,
        "nonce": nonce,
        "now": engine.clock(),
        "asset": lambda name: root + assets.address(name),
        **context,
    }
    text = _environment().get_template(template).render(given)
    headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(nonce=nonce, form_action=form_action)}
    return Response(text, status_code=status, media_type=MEDIA_TYPE, headers=headers)


async def page(
    request: AnyRequest,
    visitor: Visitor,
    template: str,
    heading: str,
    current: str,
    *,
    status: int = 200,
    **context: Any,
) -> Response[str]:
    """Return a page for somebody who is signed in; ``current`` is its place in the list of pages."""
    principal = visitor.principal
    can = {scope: may(principal, scope) for scope in Scope}
    sections = [{"path": path, "name": name} for path, name, scope in _SECTIONS if scope is None or can[scope]]
    if principal.key.organization_id is None:
        sections.append({"path": "/server", "name": "Server"})
    return render(
        request,
        template,
        status=status,
        title=heading,
        current=current,
        sections=sections,
        principal=principal,
        can={scope.value: is_allowed for scope, is_allowed in can.items()},
        notice=await visitor.take_notice(),
        token=lambda: Markup('<input type="hidden" name="form_token" value="{}">').format(visitor.form_token),
        form_token=visitor.form_token,
        **context,
    )


def may(principal: Principal, scope: Scope) -> bool:
    """Whether somebody may open the pages that need a scope."""
    try:
        policy.authorize(principal, scope)
    except Forbidden:
        return False
    return True


def redirect(request: AnyRequest, path: str) -> Response[str]:
    """Return an answer that leads on to a page, by its path below the root."""
    headers = {**_HEADERS, "Location": root_of(engine_of(request)) + path}
    return Response("", status_code=303, media_type=MEDIA_TYPE, headers=headers)


def with_query(path: str, **parameters: object) -> str:
    """Return an address with the parameters that say anything."""
    said = {name: value for name, value in parameters.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(said)}" if said else path


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fileferry.ui"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.filters.update(
        size=words.size,
        age=words.age,
        left=words.left,
        moment=words.moment,
        state=words.state,
        tone=words.tone,
        scan=words.scan,
        event=words.event,
    )
    environment.globals["with_query"] = with_query
    return environment
