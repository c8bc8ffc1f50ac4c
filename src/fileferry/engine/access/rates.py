"""Rates: how many requests, bytes and tickets a key, its organization and its end user may have in a stretch of time, and how many
guesses of a passphrase a link.

Each is counted in fixed windows, one number per rate and window, so that it is known to the second when the next begins.
"""

from __future__ import annotations

import ipaddress
import math
import zlib
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec
from limits import RateLimitItem, parse_many
from sqlalchemy import Connection

from fileferry.db import keys, organizations
from fileferry.db.database import Database
from fileferry.engine.access.counters import Counters
from fileferry.engine.access.shares import Shares
from fileferry.errors import BadRequest, InvalidParameter, NotFound, RateLimited
from fileferry.model import Clock, Limits, Principal, Upload
from fileferry.settings import Settings, SettingsError

# A number in a structured field has at most 15 digits (RFC 9651 section 3.3.1).
_LARGEST = 10**15 - 1
_LONGEST = 366 * 86400
# How long the limits of those who asked for a ticket are remembered.
_REMEMBERED = timedelta(seconds=1)
_MOST_REMEMBERED = 10_000
# How much may come, and be kept, of a body that nobody announced the length of before it is counted (bytes).
_STEP = 256 * 1024
# How often an address may name a short URL that never was. Many may share an address.
_MOST_GUESSES, _GUESSES_WINDOW = 100, 60


class Standing(msgspec.Struct, frozen=True):
    """How it stands with one rate: ``remaining`` of ``quota`` in a window of ``window`` seconds, that ends in ``reset`` seconds."""

    name: str
    resource: str
    quota: int
    window: int
    remaining: int
    reset: int


_standings: ContextVar[dict[str, Standing] | None] = ContextVar("rate_standings", default=None)


def listen() -> dict[str, Standing]:
    """Return what will hold, by name, every rate that the request being answered is counted under."""
    found: dict[str, Standing] = {}
    _standings.set(found)
    return found


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[RateLimitItem, ...]:
    """Read rates such as ``100/minute`` or ``10/second; 5000 per 2 hours``, shortest window first; raises InvalidParameter."""
    try:
        items = parse_many(text)
    except ValueError:
        items = []
    if not items or any(not 0 < item.amount <= _LARGEST or item.get_expiry() > _LONGEST for item in items):
        raise InvalidParameter(f"{text!r} is no rate: write for example 100/minute, or 10/second; 5000/hour.")
    return tuple(sorted(items, key=lambda item: item.get_expiry()))


def check(settings: Settings) -> None:
    """Raise SettingsError for rates, or an address of Redis, that cannot be used."""
    _limits_of_keys(settings)
    _check_guesses(settings)
    Counters(settings.redis_url)  # connects to nothing until it counts


class _Budget(msgspec.Struct, frozen=True):
    """One rate of one subject: a key, an organization or an end user."""

    name: str
    resource: str
    subject: str
    id: str
    item: RateLimitItem

    def now(self, moment: datetime) -> _Window:
        """Return the window that ``moment`` is in. Those of different subjects do not all begin at once."""
        length = self.item.get_expiry()
        number, passed = divmod(moment.timestamp() + zlib.crc32(self.id.encode()), length)
        return _Window(self, self.item.key_for(self.resource, self.subject, self.id, int(number)), length - passed)


class _Window(msgspec.Struct, frozen=True):
    """What is counted under ``key`` until ``rest`` seconds from now."""

    budget: _Budget
    key: str
    rest: float

    @property
    def item(self) -> RateLimitItem:
        """The rate: how much in how long."""
        return self.budget.item

    @property
    def seconds(self) -> int:
        """Whole seconds after which the next window has begun for certain."""
        return max(1, math.ceil(self.rest))

    def admits(self, spent: int, cost: int, own: int) -> bool:
        """Whether ``cost`` fits in; what is larger than a whole window takes one that nobody else has spent of."""
        return spent + cost <= self.item.amount or spent <= own

    def standing(self, spent: int) -> Standing:
        """Return how it stands after ``spent``."""
        budget, quota = self.budget, self.item.amount
        left = max(0, quota - spent)
        return Standing(budget.name, budget.resource, quota, budget.item.get_expiry(), left, self.seconds)


class Rates:
    """Spends what keys, organizations and end users may have. Raises SettingsError for settings that it cannot count by."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._of_keys = _limits_of_keys(settings)
        self._of_links = (settings.passphrase_guesses, settings.link_guesses)
        self._sign_ins = settings.sign_in_attempts
        self._payers: dict[tuple[str, str], tuple[datetime, Principal]] = {}
        is_alone = settings.redis_url is not None or settings.resolved_database_file() is not None
        self._counters = Counters(settings.redis_url) if is_alone else Shares(database, clock)

    async def spend_request(self, payer: Principal) -> None:
        """Count one request; raises RateLimited."""
        budgets = self._budgets(payer, "requests")
        if budgets:
            await self.spend(budgets, 1, {})

    async def spend_guess(self, link_id: str, address: str) -> None:
        """Count one passphrase that an address tries at a link; raises RateLimited."""
        await self.spend(self._guesses(link_id, address), 1, {})

    async def forgive_guess(self, link_id: str, address: str) -> None:
        """Take back one that was right."""
        await self.count(self._guesses(link_id, address), -1)

    async def spend_sign_in(self, address: str) -> None:
        """Count one attempt to sign in from an address; raises RateLimited."""
        items, holder = parse(self._sign_ins), _holder_of(address)
        await self.spend([_Budget("sign-ins", "sign-ins", "address", holder, item) for item in items], 1, {})

    async def count_request(self, payer: Principal) -> None:
        """Count one request that is answered whether it fits in or not."""
        now = self._clock()
        windows = [budget.now(now) for budget in self._budgets(payer, "requests")]
        for window, total in zip(windows, await self._count(windows, 1), strict=True):
            _note(window.standing(total))

    async def spend_tickets(self, payer: Principal, count: int) -> None:
        """Count upload tickets, all or none; raises RateLimited, and BadRequest for more at once than a window has."""
        budgets = self._budgets(payer, "tickets")
        if budgets:
            most = min(budget.item.amount for budget in budgets)
            if count > most:  # unlike the bytes of a body they can be asked for in smaller numbers
                raise BadRequest(f"At most {most} upload tickets may be had at once; ask for fewer.")
            await self.spend(budgets, count, {})

    def toll(self, payer: Principal) -> Toll | None:
        """Return what counts the bytes of one body; None where no rate limits them."""
        budgets = self._budgets(payer, "bytes")
        return Toll(self, budgets) if budgets else None

    async def admit(self, upload: Upload, announced: int | None) -> Toll | None:
        """Return what counts the bytes of one body for an upload, those that were announced counted already; raises RateLimited."""
        toll = self.toll(await self.payer(upload))
        if toll is not None:
            await toll.announce(announced)
        return toll

    async def payer(self, upload: Upload) -> Principal:
        """Return who asked for an upload, with limits that are at most a second old."""
        now = self._clock()
        asked = (upload.key_id, upload.organization_id)
        known = self._payers.get(asked)
        if known is None or known[0] <= now:
            if len(self._payers) >= _MOST_REMEMBERED:
                self._payers.clear()
            known = self._payers[asked] = (now + _REMEMBERED, await self._database.lookup(_find_payer, *asked))
        payer = known[1]
        return payer if upload.end_user is None else msgspec.structs.replace(payer, end_user=upload.end_user)

    async def refuse_guesser(self, address: str) -> None:
        """Raise RateLimited for an address that names too many short URLs that never were."""
        if await self._counters.get(_guesser(address)) >= _MOST_GUESSES:
            raise RateLimited(
                "Too many URLs that never were came from this address; repeat in a minute.", retry_after=_GUESSES_WINDOW
            )

    async def count_guess(self, address: str) -> None:
        """Count a short URL that never was."""
        await self._counters.spend(_guesser(address), _GUESSES_WINDOW, 1, _MOST_GUESSES)

    async def are_shared(self) -> bool:
        """Whether rates are counted where the settings say: false while Redis is away."""
        return await self._counters.are_shared()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._counters.close()

    async def spend(self, budgets: Sequence[_Budget], cost: int, own: dict[str, int]) -> None:
        """Count ``cost`` under every budget or under none; ``own`` is what the same body has spent before, by window.

        Raises RateLimited.
        """
        now = self._clock()
        windows = [budget.now(now) for budget in budgets]
        # Looked at first, so that what one refuses takes nothing from another or from less, not even for a moment. A single
        # request of a single subject finds room for itself or leaves none: it is counted at once.
        is_simple = len(windows) == 1 and cost == 1
        if not is_simple:
            spent = [await self._counters.get(window.key) for window in windows]
            self._refuse(windows, spent, cost, own)
        after = [
            await self._counters.spend(window.key, window.item.get_expiry(), cost, window.item.amount)
            for window in windows
        ]
        before = [total - cost for total in after]
        try:
            self._refuse(windows, before, cost, own)
        except RateLimited:
            if not is_simple:  # others were faster
                await self._count(windows, -cost)
            raise
        for window, total in zip(windows, after, strict=True):
            _note(window.standing(total))
            own[window.key] = own.get(window.key, 0) + cost

    async def count(self, budgets: Sequence[_Budget], cost: int) -> None:
        """Count what was had already, whether it fits in or not."""
        now = self._clock()
        await self._count([budget.now(now) for budget in budgets], cost)

    async def _count(self, windows: Sequence[_Window], amount: int) -> list[int]:
        return [await self._counters.add(window.key, window.item.get_expiry(), amount) for window in windows]

    def _refuse(self, windows: Sequence[_Window], spent: Sequence[int], cost: int, own: dict[str, int]) -> None:
        refusing = [
            window
            for window, total in zip(windows, spent, strict=True)
            if not window.admits(total, cost, own.get(window.key, 0))
        ]
        if not refusing:
            return
        for window, total in zip(windows, spent, strict=True):
            _note(window.standing(total))
        last = max(refusing, key=lambda window: window.rest)
        budget = last.budget
        raise RateLimited(
            f"The {budget.subject.replace('_', ' ')} may have {budget.item.amount} {budget.resource} in"
            f" {budget.item.get_expiry()} seconds; repeat in {last.seconds}.",
            retry_after=last.seconds,
            limit=budget.resource,
            subject=budget.subject,
        )

    def _guesses(self, link_id: str, address: str) -> list[_Budget]:
        of_address, of_link = self._of_links
        return [
            *_budgets_of("address", f"{link_id}/{_holder_of(address)}", "guesses", of_address),
            *_budgets_of("link", link_id, "guesses", of_link),
        ]

    def _budgets(self, payer: Principal, resource: str) -> list[_Budget]:
        key, organization = payer.key, payer.organization
        of_keys, of_key = getattr(self._of_keys, resource), getattr(key.limits, resource)
        of_organization = getattr(organization.limits, resource)
        found: list[_Budget] = []
        if of_keys or of_key:
            found += _budgets_of("key", key.id, resource, of_keys, of_key)
        if of_organization:
            found += _budgets_of("organization", organization.id, resource, of_organization)
        if payer.end_user is not None and (of_end_users := getattr(organization.end_user_limits, resource)):
            found += _budgets_of("end_user", f"{organization.id}/{payer.end_user}", resource, of_end_users)
        return found


class Toll:
    """The bytes of one body on their way in: counted when they are announced, or as they come."""

    def __init__(self, rates: Rates, budgets: Sequence[_Budget]) -> None:
        self._rates = rates
        self._budgets = budgets
        self._own: dict[str, int] = {}
        self._credit = 0
        self._due = 0

    async def announce(self, size: int | None) -> None:
        """Count all bytes of a body before it is read, where its length is known; raises RateLimited."""
        if size:
            await self._rates.spend(self._budgets, size, self._own)
            self._credit = size

    async def pay(self, size: int) -> None:
        """Take note of bytes that came; those that were not announced are counted, and too many of them raise RateLimited."""
        paid = min(size, self._credit)
        self._credit -= paid
        self._due += size - paid
        # The first of them at once: who has spent everything need send no more.
        if self._due >= _STEP or (self._due and not self._own):
            await self.settle()

    async def settle(self) -> None:
        """Count what came since it was counted last; raises RateLimited, and then it is counted all the same."""
        due, self._due = self._due, 0
        if not due:
            return
        try:
            await self._rates.spend(self._budgets, due, self._own)
        except RateLimited:
            await self._rates.count(self._budgets, due)
            raise


def _guesser(address: str) -> str:
    """Return the counter of an address."""
    return f"guesses/{_holder_of(address)}"


def _holder_of(address: str) -> str:
    """Return what an address counts as: itself, or for IPv6 its network, of which a holder has all (RFC 4291 section 2.5.1)."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(known) if known.version == 4 else str(ipaddress.ip_network((known, 64), strict=False))


def _limits_of_keys(settings: Settings) -> Limits:
    try:
        parse(settings.sign_in_attempts)
    except InvalidParameter as error:
        raise SettingsError(f"FILEFERRY_SIGN_IN_ATTEMPTS: {error.detail}") from error
    limits = Limits(requests=settings.key_requests, bytes=settings.key_bytes, tickets=settings.key_tickets)
    for resource in ("requests", "bytes", "tickets"):
        text = getattr(limits, resource)
        try:
            if text is not None:
                parse(text)
        except InvalidParameter as error:
            raise SettingsError(f"FILEFERRY_KEY_{resource.upper()}: {error.detail}") from error
    return limits


def _check_guesses(settings: Settings) -> None:
    for name in ("passphrase_guesses", "link_guesses"):
        try:
            parse(getattr(settings, name))
        except InvalidParameter as error:
            raise SettingsError(f"FILEFERRY_{name.upper()}: {error.detail}") from error


def _find_payer(conn: Connection, key_id: str, organization_id: str) -> Principal:
    key, organization = keys.find(conn, key_id), organizations.find_organization(conn, organization_id)
    if key is None or organization is None:
        raise NotFound()
    return Principal(key, organization)


@lru_cache(maxsize=4096)
def _named(subject: str, resource: str, *texts: str | None) -> tuple[tuple[str, RateLimitItem], ...]:
    """Return the rates of a subject and their names, of those with the same window the lowest."""
    lowest: dict[int, RateLimitItem] = {}
    for item in sorted((item for text in texts if text for item in parse(text)), key=lambda item: -item.amount):
        lowest[item.get_expiry()] = item
    name = resource if subject == "key" else f"{subject.replace('_', '-')}-{resource}"
    windows = sorted(lowest)
    return tuple((name if window == windows[0] else f"{name}-{window}s", lowest[window]) for window in windows)


def _budgets_of(subject: str, id: str, resource: str, *texts: str | None) -> list[_Budget]:
    return [_Budget(name, resource, subject, id, item) for name, item in _named(subject, resource, *texts)]


def _note(standing: Standing) -> None:
    found = _standings.get()
    if found is not None:
        found[standing.name] = standing
