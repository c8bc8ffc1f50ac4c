"""Webhooks, by which organizations are told of their events: making and changing them, and the log of what was sent.

The sending is in ``deliveries``.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec
from sqlalchemy import Connection

from fileferry.db import events
from fileferry.db import webhooks as stored
from fileferry.db.database import Database
from fileferry.engine.access import policy
from fileferry.engine.access.links import Links
from fileferry.engine.events.addresses import told
from fileferry.errors import Conflict, InvalidParameter, NotFound
from fileferry.model import Clock, Delivery, DeliveryState, Event, Page, Principal, Scope, Webhook, format_time, new_id

TYPES = (
    "file.ready",
    "file.rejected",
    "file.fetched",
    "file.expired",
    "file.deleted",
    "file.restored",
    "file.recalled",
    "share.created",
    "share.changed",
    "share.downloaded",
    "share.deleted",
    "request.created",
    "request.changed",
    "request.received",
    "request.finished",
    "request.deleted",
)
"""The events that a webhook can be told of."""
TEST_TYPE = "webhook.test"
"""The event that a test sends."""

_SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins
_SECRET_BYTES = 32
_MOST = 100
_LONGEST_URL = 2048
_PAGE = 500
_NEWEST = 2**63 - 1
_HOST = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


class Webhooks:
    """The webhooks of all organizations. Everything needs the scope admin; those of other organizations are not found."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, principal: Principal, url: str, types: Sequence[str] | None) -> Webhook:
        """Make a webhook for the events from now on, those of ``types`` or all; its secret is to be shown only now.

        Raises InvalidParameter for a URL or type that cannot be used, Conflict where there are too many.
        """
        policy.authorize(principal, Scope.ADMIN)
        _check_url(url)
        wanted = _checked_types(types)
        now = self._clock()

        def store(conn: Connection) -> Webhook:
            if stored.count(conn, principal.organization.id) >= _MOST:
                raise Conflict(f"An organization may have at most {_MOST} webhooks.")
            webhook = Webhook(
                id=new_id(now),
                organization_id=principal.organization.id,
                url=url,
                types=wanted,
                secret=_new_secret(),
                last_event_id=_last_event(conn, principal),
                created_at=now,
            )
            stored.insert_webhook(conn, webhook)
            return webhook

        return await self._database.grow(store)

    async def list(self, principal: Principal, after_id: str, limit: int) -> Page[Webhook]:
        """Return a page of the organization's webhooks."""
        policy.authorize(principal, Scope.ADMIN)
        found = await self._database.read(stored.list_webhooks, principal.organization.id, after_id, limit + 1)
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def get(self, principal: Principal, webhook_id: str) -> Webhook:
        """Return one webhook of the organization; raises NotFound."""
        policy.authorize(principal, Scope.ADMIN)
        return await self._database.read(_find, principal, webhook_id)

    async def change(
        self,
        principal: Principal,
        webhook_id: str,
        *,
        url: str | msgspec.UnsetType = msgspec.UNSET,
        types: Sequence[str] | msgspec.UnsetType | None = msgspec.UNSET,
        enabled: bool | msgspec.UnsetType = msgspec.UNSET,
    ) -> Webhook:
        """Change where a webhook's events go, which ones (None: all), and whether they do.

        What waits goes to the new URL. Disabling gives up what waits; events of the time while it was disabled are not sent.
        Raises as ``create``, and NotFound.
        """
        policy.authorize(principal, Scope.ADMIN)
        values: dict[str, object] = {}
        if url is not msgspec.UNSET:
            _check_url(url)
            values["url"] = url
        if types is not msgspec.UNSET:
            values["types"] = _checked_types(types)

        def store(conn: Connection) -> Webhook:
            webhook = _find(conn, principal, webhook_id)
            if values:
                stored.update_webhook(conn, webhook.id, **values)
            if enabled is False and webhook.disabled_at is None:
                stored.disable(conn, webhook.id, "Disabled by request.", self._clock())
            if enabled is True and webhook.disabled_at is not None:
                again = {"disabled_at": None, "disabled_reason": None, "last_event_id": _last_event(conn, principal)}
                stored.update_webhook(conn, webhook.id, **again)
            return _find(conn, principal, webhook_id)

        # To send nothing more must work on a full disk.
        disables_only = enabled is False and not values
        return await (self._database.free if disables_only else self._database.grow)(store)

    async def delete(self, principal: Principal, webhook_id: str) -> None:
        """Delete a webhook, what waits to be sent to it, and its log; raises NotFound."""
        webhook = await self.get(principal, webhook_id)
        # Its log may be long: first nothing is added to it any more, then it goes piece by piece.
        await self._database.free(stored.disable, webhook.id, "It is being deleted.", self._clock())
        while await self._database.free(stored.delete_some, webhook.id, _PAGE):
            pass

    async def rotate(self, principal: Principal, webhook_id: str, grace: timedelta) -> Webhook:
        """Give a webhook a new secret, to be shown only now; the present one signs beside it for ``grace``. Raises NotFound."""
        policy.authorize(principal, Scope.ADMIN)

        def store(conn: Connection) -> Webhook:
            webhook = _find(conn, principal, webhook_id)
            stored.update_webhook(
                conn,
                webhook.id,
                secret=_new_secret(),
                old_secret=webhook.secret if grace else None,
                old_secret_until=self._clock() + grace if grace else None,
            )
            return _find(conn, principal, webhook_id)

        return await self._database.free(store)

    async def put_secret(self, principal: Principal, webhook_id: str, secret: str) -> None:
        """Sign with this secret from now on; raises InvalidParameter for what is none, and NotFound."""
        policy.authorize(principal, Scope.ADMIN)
        _check_secret(secret)

        def store(conn: Connection) -> None:
            webhook = _find(conn, principal, webhook_id)
            stored.update_webhook(conn, webhook.id, secret=secret, old_secret=None, old_secret_until=None)

        await self._database.grow(store)

    async def deliveries(
        self, principal: Principal, webhook_id: str, state: DeliveryState | None, before: int | None, limit: int
    ) -> Page[Delivery]:
        """Return a page of a webhook's log, newest first: all of it, or what is in one state. Raises NotFound."""
        webhook = await self.get(principal, webhook_id)
        before = _NEWEST if before is None else before
        found = await self._database.read(stored.list_deliveries, webhook.id, state, before, limit + 1)
        return Page(found[:limit], str(found[limit - 1].number) if len(found) > limit else None)

    async def replay(self, principal: Principal, webhook_id: str, number: int) -> Delivery:
        """Send a delivery again, or at once, whatever became of it; raises NotFound, and Conflict while the webhook is disabled."""
        policy.authorize(principal, Scope.ADMIN)

        def store(conn: Connection) -> Delivery:
            webhook = _find_enabled(conn, principal, webhook_id)
            delivery = stored.find_delivery(conn, webhook.id, number)
            if delivery is None:
                raise NotFound("The webhook has no delivery with this id.")
            stored.replay(conn, delivery.id, self._clock())
            return stored.find_delivery(conn, webhook.id, number) or delivery

        return await self._database.grow(store)

    async def replay_failed(self, principal: Principal, webhook_id: str, since: datetime) -> int:
        """Send again every delivery that was given up and is of ``since`` or later; return how many. Raises as ``replay``."""
        policy.authorize(principal, Scope.ADMIN)

        def store(conn: Connection, after: int) -> list[int]:
            webhook = _find_enabled(conn, principal, webhook_id)
            return stored.replay_failed(conn, webhook.id, since, after, self._clock(), _PAGE)

        replayed, after = 0, 0
        while page := await self._database.grow(partial(store, after=after)):
            replayed, after = replayed + len(page), page[-1]
        return replayed

    async def test(self, principal: Principal, webhook_id: str) -> Delivery:
        """Send an event of the type ``webhook.test``, whatever types the webhook wants; raises as ``replay``."""
        policy.authorize(principal, Scope.ADMIN)

        def store(conn: Connection) -> Delivery:
            webhook = _find_enabled(conn, principal, webhook_id)
            now = self._clock()
            made = stored.insert_delivery(
                conn,
                webhook_id=webhook.id,
                event_id=-1 - secrets.randbits(62),
                file_id=new_id(now),  # of its own, so that it waits for no other
                type=TEST_TYPE,
                body=body(TEST_TYPE, now, {"organization_id": webhook.organization_id, "webhook_id": webhook.id}),
                now=now,
            )
            delivery = stored.find_delivery(conn, webhook.id, made)
            assert delivery is not None
            return delivery

        return await self._database.grow(store)


def message_id(delivery: Delivery) -> str:
    """Return the ``webhook-id`` of a delivery: the same at every attempt, and no other delivery's."""
    if delivery.event_id < 0:
        return f"test_{-delivery.event_id}_{delivery.webhook_id}"
    return f"evt_{delivery.event_id}_{delivery.webhook_id}"


def event_body(event: Event, minter: Links, base_url: str | None) -> str:
    """Return what a webhook is sent of an event; ``base_url`` is the address of the service where it is set."""
    known = {"event_id": str(event.number), "organization_id": event.organization_id}
    return body(event.type, event.created_at, {**told(event, minter, base_url), **known})


def body(type: str, at: datetime, data: dict[str, object]) -> str:
    """Return the JSON that is sent of something that happened at ``at``."""
    return msgspec.json.encode({"type": type, "timestamp": format_time(at), "data": data}).decode()


def _find(conn: Connection, principal: Principal, webhook_id: str) -> Webhook:
    webhook = stored.find(conn, webhook_id)
    if webhook is None or webhook.organization_id != principal.organization.id:
        raise NotFound("There is no webhook with this id in the organization.")
    return webhook


def _last_event(conn: Connection, principal: Principal) -> int:
    _forgotten, last = events.bounds(conn, principal.organization.id)
    return last


def _find_enabled(conn: Connection, principal: Principal, webhook_id: str) -> Webhook:
    webhook = _find(conn, principal, webhook_id)
    if webhook.disabled_at is not None:
        raise Conflict("The webhook is disabled: enable it first.")
    return webhook


def _new_secret() -> str:
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _check_secret(secret: str) -> None:
    """Raise InvalidParameter for what is no secret in the form of Standard Webhooks: ``whsec_`` and base64 of 24 to 64 bytes."""
    try:
        size = len(base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True))
    except ValueError:
        size = 0
    if not secret.startswith(_SECRET_PREFIX) or not 24 <= size <= 64:
        raise InvalidParameter("The secret must be whsec_ and 24 to 64 random bytes in base64.", parameter="secret")


def _checked_types(types: Sequence[str] | None) -> list[str] | None:
    if types is None:
        return None
    unknown = [type for type in types if type not in TYPES]
    if unknown or not types:
        raise InvalidParameter(f"types must be some of {', '.join(TYPES)}.", parameter="types")
    return sorted(set(types))


def _check_url(url: str) -> None:
    """Raise InvalidParameter for what is no plain HTTP address. Where it leads is checked whenever it is connected to."""
    if len(url) > _LONGEST_URL:  # before it is parsed, which takes long for a host of other letters than ASCII
        raise InvalidParameter(f"url must have at most {_LONGEST_URL} characters.", parameter="url")
    import httpx  # loaded where it is used only: it would make every start slower

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidParameter(f"url cannot be used: {error}", parameter="url") from error
    if parsed.scheme not in ("http", "https") or not _HOST.fullmatch(parsed.raw_host):
        raise InvalidParameter("url must be an absolute http:// or https:// address.", parameter="url")
    if parsed.userinfo:
        raise InvalidParameter("url may hold no user and password: the signature says who sends.", parameter="url")
    if parsed.fragment or parsed.port == 0 or (parsed.port or 0) > 65535:
        raise InvalidParameter("url must have a possible port and no fragment.", parameter="url")
