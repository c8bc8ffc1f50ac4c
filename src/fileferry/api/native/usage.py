"""``GET /api/usage``: what an organization keeps, and what each of the last days brought."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import Parameter

from fileferry.engine.engine import Engine
from fileferry.errors import InvalidParameter
from fileferry.model import Principal
from fileferry.web.requests import whole_number

_DAYS = 30
_MOST_DAYS = 365

Days = Annotated[str | None, Parameter(description="How many days, the present one included: 1 to 365, 30 by default.")]


class DayObject(msgspec.Struct):
    """What a day (in UTC) brought: files that came and are there, their bytes, and whole fetches as far as events are kept."""

    date: str
    files: int
    bytes: int
    fetches: int


class UsageReport(msgspec.Struct):
    """What is kept by now, each version as one of ``files``, and the last days, the earliest first."""

    bytes: int
    files: int
    days: list[DayObject]


@get("/usage")
async def show_usage(engine: Engine, principal: Principal, days: Days = None) -> UsageReport:
    """Tell what the organization keeps, and what each of the last days brought. Not for a key that sees a part of it."""
    count = _DAYS if days is None else whole_number(days)
    if count is None or not 1 <= count <= _MOST_DAYS:
        raise InvalidParameter(f"days must be a number from 1 to {_MOST_DAYS}.", parameter="days")
    found = await engine.browsing.days(principal, count)
    kept = await engine.browsing.kept(principal)
    shown = [DayObject(day.date.strftime("%Y-%m-%d"), day.files, day.bytes, day.fetches) for day in found]
    return UsageReport(kept.bytes, kept.files, shown)


router = Router("/api", route_handlers=[show_usage])
