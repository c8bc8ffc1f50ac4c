"""The limits in force: what server, organization, workspace, key and end user allow of one file, taken together at the time of use.

What is counted against a limit is not here: sums of what is kept are in ``quotas``, rates in ``rates``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection

from fileferry.db import keys, organizations, requests, workspaces
from fileferry.db.uploads import Usable
from fileferry.engine.access import rates
from fileferry.engine.inspection.examination import named_refusal
from fileferry.engine.inspection.media_types import canonical
from fileferry.errors import FileTooLarge, Gone, InvalidExpiry, InvalidParameter, UnsupportedType
from fileferry.model import NO_LIMITS, FileRequest, Key, Limits, Principal, Rules, Upload, Version, Workspace
from fileferry.settings import Settings

RATES = ("requests", "bytes", "tickets")
"""The limits that are rates."""
_LEAST = ("max_size", "max_retention")
_NUMBERS = {"max_size": 0, "max_retention": 1, "max_bytes": 0, "max_files": 0}
_LARGEST = 2**62
_MOST_TYPES = 100
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


def intersect(*several: Limits) -> Limits:
    """Return what all of these allow. What is counted against a limit (sums, rates) is not one of them: see each by itself."""
    said = [limits for limits in several if limits != NO_LIMITS]
    if len(said) < 2:
        return said[0] if said else NO_LIMITS
    least = {name: _least([getattr(limits, name) for limits in said]) for name in _LEAST}
    return Limits(
        max_size=least["max_size"],
        max_retention=least["max_retention"],
        types=_common([limits.types for limits in said if limits.types is not None]),
        refuse_empty=True if any(limits.refuse_empty for limits in said) else None,
        serve_unscanned=_agreed([limits.serve_unscanned for limits in said if limits.serve_unscanned is not None]),
    )


def of_server(settings: Settings) -> Limits:
    """Return what the settings allow everyone."""
    retention = settings.max_retention
    return Limits(
        max_size=int(settings.max_file_size),
        types=settings.allowed_types,
        max_retention=None if retention is None else int(retention.total_seconds()),
        refuse_empty=settings.refuse_empty or None,
        serve_unscanned=settings.serve_unscanned,
    )


def of_end_users(settings: Settings, told: Limits) -> Limits:
    """Return what each end user is allowed: what their organization has ``told``, and the settings where it says nothing."""
    return msgspec.structs.replace(
        told,
        max_size=int(settings.end_user_max_size) if told.max_size is None else told.max_size,
        types=settings.end_user_types if told.types is None else told.types,
        refuse_empty=True if told.refuse_empty is None else told.refuse_empty,
    )


def at_use(settings: Settings, usable: Usable) -> Limits:
    """Return what is allowed now to the one who asked for an upload."""
    several = [of_server(settings), *usable.limits, usable.key.limits]
    if usable.upload.end_user is not None:
        several.append(of_end_users(settings, usable.end_user_limits))
    return _together(settings, several)


def in_force(settings: Settings, principal: Principal, workspace: Workspace | None) -> Limits:
    """Return what a principal is allowed in a workspace of its organization, or in any as far as that says nothing more (None)."""
    organization, key = principal.organization, principal.key
    several = [of_server(settings), organization.limits, key.limits]
    if workspace is not None:
        several.append(workspace.limits)
    if principal.end_user is not None:
        several.append(of_end_users(settings, organization.end_user_limits))
    return _together(settings, several)


def _together(settings: Settings, several: Sequence[Limits]) -> Limits:
    allowed = intersect(*several)
    if settings.clamd is None or allowed.serve_unscanned:
        return allowed
    # What the scanner cannot take would be rejected once it is here.
    return msgspec.structs.replace(allowed, max_size=min(largest(allowed), int(settings.clamd_max_size)))


def asker(conn: Connection, upload: Upload) -> tuple[Principal, Workspace]:
    """Return who asked for an upload, as it stands now, and the workspace that it goes to."""
    organization = organizations.find_organization(conn, upload.organization_id)
    key = keys.find(conn, upload.key_id)
    assert organization is not None, "the upload's row refers to it"
    assert key is not None, "the upload's row refers to it"
    if upload.request_id is not None:
        key = sender(key, living_request(conn, upload.request_id))
    return Principal(key, organization, upload.end_user), workspaces.find_by_id(conn, upload.workspace_id)


def living_request(conn: Connection, request_id: str, now: datetime | None = None) -> FileRequest:
    """Return a request for files that is there, and at ``now`` (None: whenever) not over; raises Gone."""
    request = requests.find(conn, request_id)
    if request is None or (now is not None and request.expires_at is not None and request.expires_at <= now):
        raise Gone("The request for this file is over.")
    return request


def sender(key: Key, request: FileRequest) -> Key:
    """Return by what right somebody sends files for a request: the key's that made it, held to what the request takes."""
    both = intersect(key.limits, Limits(max_size=request.max_size, types=request.types))
    return msgspec.structs.replace(
        key, limits=msgspec.structs.replace(key.limits, max_size=both.max_size, types=both.types)
    )


def largest(limits: Limits) -> int:
    """Return the most bytes a file may have under limits in force, of which the server's always are."""
    assert limits.max_size is not None
    return limits.max_size


def refuse_size(limits: Limits, size: int | None) -> None:
    """Raise FileTooLarge for a size (bytes) over the limit; None is not known."""
    if size is not None and size > largest(limits):
        raise FileTooLarge(f"The file has {size} bytes; the limit is {limits.max_size}.", limit=limits.max_size)


def refuse_type(limits: Limits, name: str, declared: str | None) -> None:
    """Raise UnsupportedType for a file that its name or declared type shows not to be of an allowed type."""
    if limits.types is None:
        return
    reason = named_refusal(limits.types, name.rpartition("/")[2], declared)
    if reason is not None:
        raise UnsupportedType(reason)


def expiry(limits: Limits, now: datetime, expires_in: timedelta | None, expires_at: datetime | None) -> datetime | None:
    """Return when a file ends: what was asked for, within what the limits allow; None keeps it.

    Raises InvalidExpiry when both are given, the time has passed, or it is later than the limits allow.
    """
    return _within(limits, now, now, asked_end(now, expires_in, expires_at))


def new_expiry(
    limits: Limits, now: datetime, expires_in: timedelta | None, expires_at: datetime | None, version: Version
) -> datetime | None:
    """Return when a version ends whose end is changed: any earlier end, or a later one within what the limits allow since it came.

    Raises as ``expiry``.
    """
    asked = asked_end(now, expires_in, expires_at)
    if asked is not None and (version.expires_at is None or asked <= version.expires_at):
        return asked
    return _within(limits, version.created_at, now, asked)


def _within(limits: Limits, since: datetime, now: datetime, asked: datetime | None) -> datetime | None:
    latest = _latest(limits, since)
    if latest is None or (asked is not None and asked <= latest):
        return asked
    if asked is None and latest > now:
        return latest
    allowed = timedelta(seconds=limits.max_retention or 0)
    raise InvalidExpiry(
        f"Files may be kept for at most {_spoken(allowed)} here, from when they came; ask for a shorter life."
    )


def remaining(
    limits: Limits, now: datetime, expires_in: timedelta | None, expires_at: datetime | None, *, since: datetime
) -> datetime | None:
    """Return when a version ends that was promised a life: by then, or as early as the limits say by now; None keeps it.

    ``since`` is when it came. Raises InvalidExpiry when the time has passed.
    """
    known = [
        moment for moment in (_latest(limits, since), asked_end(now, expires_in, expires_at)) if moment is not None
    ]
    return min(known, default=None)


def changed(before: Limits, changes: Mapping[str, Any], *, parameter: str) -> Limits:
    """Return limits with some of them set, or lifted by None. Sizes are bytes, ``max_retention`` seconds.

    ``parameter`` is what errors call them. Raises InvalidParameter.
    """
    values = dict(changes)
    for name in _NUMBERS:
        if values.get(name) is not None and not _NUMBERS[name] <= values[name] <= _LARGEST:
            raise InvalidParameter(
                f"{name} must be a whole number from {_NUMBERS[name]}.", parameter=f"{parameter}.{name}"
            )
    if values.get("types") is not None:
        values["types"] = media_types(values["types"], f"{parameter}.types")
    for name in RATES:
        if values.get(name) is not None:
            rates.parse(values[name])
    return msgspec.structs.replace(before, **values)


def media_types(types: Sequence[str], parameter: str) -> tuple[str, ...]:
    """Return media types in the form that they are compared in; raises InvalidParameter."""
    named = tuple(dict.fromkeys(canonical(name) for name in types))
    if len(named) > _MOST_TYPES or not all(_MEDIA_TYPE.fullmatch(name) for name in named):
        raise InvalidParameter(
            f"types must be up to {_MOST_TYPES} media types such as application/pdf.", parameter=parameter
        )
    return named


def rules(settings: Settings, limits: Limits) -> Rules | None:
    """Return what a version must be under these limits; None where there is nothing to judge, and it is ready at once."""
    if settings.clamd is None and limits.types is None and not limits.refuse_empty:
        return None
    return Rules(settings.clamd is not None, limits.types, bool(limits.refuse_empty), bool(limits.serve_unscanned))


def _latest(limits: Limits, since: datetime) -> datetime | None:
    return None if limits.max_retention is None else since + timedelta(seconds=limits.max_retention)


def asked_end(now: datetime, expires_in: timedelta | None, expires_at: datetime | None) -> datetime | None:
    """Return when something is to end, None for never; raises InvalidExpiry for both, and for a time that has passed."""
    if expires_in is not None and expires_at is not None:
        raise InvalidExpiry("Give either expires_in or expires_at, not both.")
    asked = now + expires_in if expires_in is not None else expires_at
    if asked is not None and asked <= now:
        raise InvalidExpiry("expires_at lies in the past.")
    return asked


def _least(values: list[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _common(several: list[tuple[str, ...]]) -> tuple[str, ...] | None:
    if not several:
        return None
    return tuple(name for name in several[0] if all(name in types for types in several))


def _agreed(several: list[bool]) -> bool | None:
    return all(several) if several else None


def _spoken(life: timedelta) -> str:
    """Write a life as a client may ask for one: in days, or else in seconds."""
    seconds = int(life.total_seconds())
    return f"{seconds // 86400}d" if seconds % 86400 == 0 else f"{seconds}s"
