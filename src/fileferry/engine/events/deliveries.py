"""The sending of events to webhooks, in the Standard Webhooks form: what is due, how it is signed, and what an answer means.

Nothing is lost: a delivery moves only once its answer is known, so that a crash may repeat one.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from secrets import token_hex

import msgspec
from sqlalchemy import Connection
from standardwebhooks import Webhook as Signer

from fileferry.db import bookkeeping, events
from fileferry.db import webhooks as stored
from fileferry.db.database import Database
from fileferry.engine.access.links import Links
from fileferry.engine.events import egress
from fileferry.engine.events.egress import Egress, EgressError, Resolve
from fileferry.engine.events.webhooks import event_body, message_id
from fileferry.errors import InsufficientStorage
from fileferry.logs import get_logger
from fileferry.model import EVENT_TYPES, Clock, Delivery, DeliveryState, Webhook
from fileferry.settings import Settings

SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=8),
    timedelta(hours=10),
)
"""How long after each failed attempt the next one is made, a day in all; each wait is up to a fifth longer by chance."""
LONGEST_QUEUE = 3 * sum(SCHEDULE, timedelta(0))
"""How long events of a file wait behind one another for a receiver that fails; older ones are given up with the one before."""
LONGEST_RETRY_AFTER = timedelta(hours=24)
"""How long a receiver may put an attempt off."""

_JITTER = 0.2
_GONE = 410
_BUSY = {429, 502, 503, 504}
_AT_ONCE = 32
_AT_ONCE_EACH = 4
_AT_ONCE_OF_ONE = 24  # organization: the rest is for others, however slow the receivers of one are
_PAGE = 500
_TICK = 0.5
_BREATH = 0.05  # seconds between rounds, however often others tell of events
_LEASE = "webhooks"
_LEASE_TIME = timedelta(seconds=10)
_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)
_log = get_logger(__name__)


class _Outcome(msgspec.Struct, frozen=True):
    """How an attempt ended: an HTTP status or an error, and how long the receiver wants to be left alone."""

    status: int | None = None
    error: str | None = None
    retry_after: timedelta = timedelta(0)

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Deliveries:
    """Makes deliveries of events, and sends them: in one process at a time (a database lease), several at once.

    A receiver that fails is sent one at a time until it answers well, so that slow ones hold up nobody else.
    """

    def __init__(
        self,
        database: Database,
        minter: Links,
        settings: Settings,
        clock: Clock,
        *,
        resolve: Resolve = egress.resolve,
        chance: Callable[[], float] = random.random,
        holder: str | None = None,
    ) -> None:
        self._database = database
        self._minter = minter
        self._base_url = settings.base_url
        self._networks = egress.networks_of(settings)
        self._clock = clock
        self._resolve = resolve
        self._chance = chance
        self._holder = holder or str(uuid.uuid4())
        self._is_held = False
        self._ask_at = _BEFORE
        self._told = database.bell()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._load: Counter[str] = Counter()  # by webhook and by organization
        self._turns: dict[str, int] = {}
        self._turn = 0
        self._troubled: set[str] = set()
        self._left_alone: dict[tuple[str, str], datetime] = {}  # by webhook and URL: another address has said nothing

    async def run(self) -> None:
        """Deliver until cancelled; a failed round is logged and the next one tried."""
        async with Egress(self._networks, self._resolve) as sender:
            try:
                while True:
                    is_behind = False
                    try:
                        if await self._is_in_charge():
                            is_behind = await self._round(sender)
                    except Exception:
                        _log.exception("webhooks_failed")
                    await self._wait(0 if is_behind else _TICK)
            finally:
                await self._stop()

    async def settle(self) -> None:
        """Deliver, whoever holds the lease, until nothing is due and every answer is recorded."""
        async with Egress(self._networks, self._resolve) as sender:
            while await self._round(sender) or self._running:
                await self._wait(_TICK if self._running else 0)

    async def _round(self, sender: Egress) -> bool:
        """Make deliveries of new events and begin what is due; return whether more events wait."""
        lagging = await self._database.read(stored.list_lagging, _PAGE)
        is_behind = len(lagging) == _PAGE
        for webhook_id in lagging:
            try:
                is_behind |= await self._database.grow(self._take_up, webhook_id)
            except InsufficientStorage:
                is_behind = False  # the events are kept, and taken up once there is room
                break
        await self._begin_due(sender)
        return is_behind

    def _take_up(self, conn: Connection, webhook_id: str) -> bool:
        """Make deliveries of a webhook's next events, and move on; return whether there may be more."""
        webhook = stored.find(conn, webhook_id)
        if webhook is None or webhook.disabled_at is not None:
            return False
        _forgotten, newest = events.bounds(conn, webhook.organization_id)
        found = events.list_after(
            conn, webhook.organization_id, webhook.last_event_id, _PAGE, webhook.types or EVENT_TYPES
        )
        now = self._clock()
        for event in found:
            stored.insert_delivery(
                conn,
                webhook_id=webhook.id,
                event_id=event.number,
                file_id=event.file_id,
                type=event.type,
                body=event_body(event, self._minter, self._base_url),
                trace_id=(event.actor or {}).get("trace_id"),
                now=now,
            )
        is_behind = len(found) == _PAGE
        stored.update_webhook(conn, webhook.id, last_event_id=found[-1].number if is_behind else newest)
        return is_behind

    async def _begin_due(self, sender: Egress) -> None:
        now = self._clock()
        waiting = await self._database.read(stored.list_with_due, now)
        self._turns = {webhook.id: self._turns.get(webhook.id, 0) for webhook in waiting}
        for webhook in sorted(waiting, key=self._precedence):
            room = self._room_for(webhook, now)
            if room <= 0:
                continue
            under_way = set(self._running)  # what ends while the database is read may be read as still due
            due = await self._database.read(stored.list_due, webhook.id, now, room + self._load[webhook.id])
            for delivery in [delivery for delivery in due if delivery.id not in under_way][:room]:
                self._load.update((webhook.id, webhook.organization_id))
                self._turns[webhook.id] = self._turn = self._turn + 1
                self._running[delivery.id] = asyncio.create_task(self._deliver(sender, webhook, delivery))

    def _precedence(self, webhook: Webhook) -> tuple[int, int, int]:
        """Return what sorts webhooks: least under way for their organization, then for them, then by whose turn is longest ago.

        So nobody waits for the slots of others longer than one attempt takes, however many webhooks they have.
        """
        return self._load[webhook.organization_id], self._load[webhook.id], self._turns[webhook.id]

    def _room_for(self, webhook: Webhook, now: datetime) -> int:
        """How many deliveries to a webhook may be begun."""
        if self._left_alone.get((webhook.id, webhook.url), now) > now:
            return 0
        most = 1 if webhook.id in self._troubled else _AT_ONCE_EACH
        of_organization = _AT_ONCE_OF_ONE - self._load[webhook.organization_id]
        return min(most - self._load[webhook.id], of_organization, _AT_ONCE - len(self._running))

    async def _deliver(self, sender: Egress, webhook: Webhook, delivery: Delivery) -> None:
        try:
            outcome = await self._attempt(sender, webhook, delivery)
            self._bear_in_mind(webhook, outcome)
            await self._database.write(self._record, webhook, delivery, outcome, self._chance())
        except Exception:
            _log.exception("delivery_failed", webhook=webhook.id, delivery=delivery.id)
            # The delivery is still due, but not before the database takes a write again: that of the lease.
            self._ask_at = _BEFORE
        finally:
            del self._running[delivery.id]
            self._load.subtract((webhook.id, webhook.organization_id))

    async def _attempt(self, sender: Egress, webhook: Webhook, delivery: Delivery) -> _Outcome:
        now = self._clock()
        headers = {
            "content-type": "application/json",
            "user-agent": "fileferry",
            "webhook-id": message_id(delivery),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": _signatures(webhook, delivery, now),
        }
        if delivery.trace_id is not None:
            # Each attempt is a step of its own in that trace.
            headers["traceparent"] = f"00-{delivery.trace_id}-{token_hex(8)}-01"
        try:
            answer = await sender.post(webhook.url, headers, delivery.body.encode())
        except EgressError as error:
            return _Outcome(error=str(error))
        except Exception as error:
            # Whatever it is, it would happen again at once: it takes its turn as other failures do.
            _log.exception("attempt_failed", webhook=webhook.id, delivery=delivery.id)
            return _Outcome(error=f"The server failed: {type(error).__name__}.")
        if 200 <= answer.status < 300:
            return _Outcome(answer.status)
        retry_after = _parse_retry_after(answer.retry_after, now) if answer.status in _BUSY else timedelta(0)
        return _Outcome(answer.status, _meaning(answer.status), retry_after)

    def _bear_in_mind(self, webhook: Webhook, outcome: _Outcome) -> None:
        """Send less to a receiver in trouble. It is forgotten with the process, which does no harm."""
        if outcome.is_success:
            self._troubled.discard(webhook.id)
            self._left_alone.pop((webhook.id, webhook.url), None)
            return
        self._troubled.add(webhook.id)
        if outcome.retry_after:
            self._left_alone[webhook.id, webhook.url] = self._clock() + outcome.retry_after

    def _record(self, conn: Connection, webhook: Webhook, delivery: Delivery, outcome: _Outcome, chance: float) -> None:
        now = self._clock()
        state, next_at = DeliveryState.PENDING, now
        if outcome.is_success:
            state = DeliveryState.DELIVERED
        elif outcome.status == _GONE or delivery.attempts >= len(SCHEDULE):
            state = DeliveryState.FAILED
        else:
            next_at = now + max(SCHEDULE[delivery.attempts] * (1 + _JITTER * chance), outcome.retry_after)
        moved = stored.record(
            conn, delivery, state=state, next_at=next_at, status=outcome.status, error=outcome.error, now=now
        )
        if moved and outcome.status == _GONE:
            self._disable(conn, webhook, now)
        elif moved and state == DeliveryState.FAILED:
            # Each would be attempted for a day of its own after the one before, and there may be thousands.
            stored.give_up_following(conn, delivery, made_before=now - LONGEST_QUEUE)

    def _disable(self, conn: Connection, webhook: Webhook, now: datetime) -> None:
        present = stored.find(conn, webhook.id)
        # The answer is about the address that was asked, which may be another by now.
        if present is not None and present.disabled_at is None and present.url == webhook.url:
            stored.disable(conn, webhook.id, "The receiver answered 410 (Gone).", now)

    async def _is_in_charge(self) -> bool:
        """Whether this process sends: it holds the lease, which is taken only where there is a webhook to send to."""
        now = self._clock()
        if now < self._ask_at:
            return self._is_held
        self._is_held = False
        if await self._database.lookup(stored.any_enabled):
            until = now + _LEASE_TIME
            self._is_held = await self._database.write(bookkeeping.take_lease, _LEASE, self._holder, now, until)
            self._ask_at = now + _LEASE_TIME / 3
        return self._is_held

    async def _wait(self, seconds: float) -> None:
        """Wait for so long, or until some delivery under way ends or another process tells of an event."""
        told = asyncio.create_task(self._told.wait(seconds))
        try:
            done, _others = await asyncio.wait([told, *self._running.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
        if seconds and done == {told}:
            await asyncio.sleep(_BREATH)

    async def _stop(self) -> None:
        under_way = list(self._running.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if self._is_held:
            now = self._clock()
            await self._database.write(bookkeeping.take_lease, _LEASE, self._holder, now, now)


def _signatures(webhook: Webhook, delivery: Delivery, now: datetime) -> str:
    """Return the signature of the body as sent at ``now``, and the one with the old secret during its grace."""
    secrets = [webhook.secret]
    if webhook.old_secret is not None and webhook.old_secret_until is not None and now < webhook.old_secret_until:
        secrets.append(webhook.old_secret)
    # The signer takes the hour as it stands for one of UTC.
    at = now.astimezone(UTC)
    return " ".join(Signer(secret).sign(message_id(delivery), at, delivery.body) for secret in secrets)


def _parse_retry_after(value: str | None, now: datetime) -> timedelta:
    """Read Retry-After, seconds or a date, within bounds; nothing where it is neither."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), LONGEST_RETRY_AFTER.total_seconds()))
    else:
        try:
            wait = parsedate_to_datetime(text).astimezone(UTC) - now
        except (ValueError, OverflowError):
            return timedelta(0)
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def _meaning(status: int) -> str:
    if 300 <= status < 400:
        return f"Answered {status}: redirects are not followed."
    return f"Answered {status}."
