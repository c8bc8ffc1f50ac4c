"""How what was tried on a store of objects is told, and what follows for clients that may be sent there. It tries nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from fileferry.blobs.direct import Observation, Report
from fileferry.blobs.objects.requests import Answer

_SKEW = timedelta(minutes=5)


def judged(
    store: str, seen: list[Observation], for_uploads: Mapping[str, str], for_downloads: Mapping[str, str]
) -> Report:
    """Return what was found; ``for_uploads`` and ``for_downloads`` say what must be fine, and what it means where it is not."""
    fine = {observation.name: observation.is_fine for observation in seen}
    reasons = {}
    for what, demands in (("uploads", for_uploads), ("downloads", for_downloads)):
        if not fine.get("public", False):
            missing = ["clients are not known to reach it: say by which address, as public=https://HOST"]
        else:
            # What was not tried for lack of something else is no reason where there is that.
            unfit = [reason for name, reason in demands.items() if not fine.get(name, True)]
            missing = unfit or [reason for name, reason in demands.items() if name not in fine]
        reasons[what] = missing
    lines = [f"Direct {what} are not used: {'; '.join(missing)}." for what, missing in reasons.items() if missing]
    costly = [_with_cost(one, {**for_uploads, **for_downloads}) for one in seen]
    return Report(store, costly, not reasons["uploads"], not reasons["downloads"], lines)


def has_found(report: Report, name: str) -> bool:
    """Whether what was tried under a name is as it should be."""
    return any(seen.name == name and seen.is_fine for seen in report.observations)


def compare_clocks(reached: Answer, now: datetime, too_far: str) -> Observation:
    """Compare our clock with that of an answer; ``too_far`` is the store's code for clocks that are too far apart."""
    try:
        skew = now - parsedate_to_datetime(reached.headers["date"])
    except (KeyError, ValueError):
        return Observation("clock", "compare the clocks", "it tells no time", "", True)
    is_fine = abs(skew) < _SKEW and reached.code != too_far
    follows = "" if is_fine else "set the clock of this machine or of the store: requests will be refused"
    return Observation("clock", "compare the clocks", f"{skew.total_seconds():+.0f} s", follows, is_fine)


def seen_of(name: str, tried: str, came: Answer, is_fine: bool, follows: str = "") -> Observation:
    """Return what was seen of one answer."""
    return Observation(name, tried, told(came), follows, is_fine)


def told(came: Answer) -> str:
    """Return an answer in a few words."""
    if came.status == 0:
        return f"no answer, {came.body.decode()}"
    return f"{came.status} {came.code}".rstrip() if came.status >= 300 else str(came.status)


def no_answer(error: Exception) -> Answer:
    """Return what stands for an answer where none came."""
    return Answer(0, {}, (str(error) or type(error).__name__).encode())


def is_refusal(answer: Answer) -> bool:
    """Whether the store said no."""
    return answer.status == 0 or 400 <= answer.status < 500


def _with_cost(seen: Observation, demands: Mapping[str, str]) -> Observation:
    """Say what follows of an observation that is not as it should be, where that was not said."""
    demand = demands.get(seen.name)
    if seen.is_fine or seen.follows or demand is None:
        return seen
    return msgspec.structs.replace(seen, follows=f"clients are not sent there: {demand}")
