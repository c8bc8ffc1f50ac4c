"""Who an authenticating proxy in front says that a request is from. What anybody else says of that is not heard."""

from __future__ import annotations

from fileferry.engine.access import roles
from fileferry.engine.access.accounts import Vouched
from fileferry.engine.engine import Engine
from fileferry.errors import Unauthorized
from fileferry.model import Account
from fileferry.settings import networks
from fileferry.telemetry import comes_from
from fileferry.web.requests import AnyRequest

ISSUER = "proxy"
"""Who vouches for the accounts of these people."""


def vouched(request: AnyRequest, engine: Engine) -> Vouched | None:
    """Return whom the proxy names, with the role of their groups; None where it names nobody, or no proxy of ours sent it.

    Raises Forbidden for somebody whose groups have no role.
    """
    settings = engine.settings
    if settings.proxy_user_header is None:
        return None
    if not comes_from(request.scope, networks("trusted_proxies", settings.trusted_proxies)):
        return None
    named = request.headers.getall(settings.proxy_user_header, [])
    subject = named[0].strip() if len(named) == 1 else ""  # of two, one was there before the proxy
    if not subject or len(subject) > 255 or not subject.isprintable():
        return None
    told = ",".join(request.headers.getall(settings.proxy_groups_header, []))
    groups = [group.strip() for group in told.split(",")]
    return Vouched(ISSUER, subject, subject, roles.role_of(engine.roles, groups))


def refuse_other(account: Account | None, said: Vouched | None) -> None:
    """Raise Unauthorized for the session of an account that the proxy vouched for once, and does not with the same rights now."""
    if account is None or account.issuer != ISSUER:
        return
    if said is None or said.subject != account.subject or not said.role.is_of(account.key):
        raise Unauthorized("The proxy in front says somebody else by now, or other groups.")
