"""Quotas: limits on all that an organization, a workspace, a key or an end user keeps together. What counts is in ``db.usage``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection

from fileferry.db import usage
from fileferry.db.usage import Usage
from fileferry.errors import QuotaExceeded
from fileferry.model import Limits, Principal, Workspace

Whose = Literal["organization", "workspace", "key", "end_user"]


class Quota(msgspec.Struct, frozen=True):
    """One limit on what is kept together; ``subject`` is the name it is counted by. None is any number."""

    whose: Whose
    subject: str
    max_bytes: int | None
    max_files: int | None

    def refuse(self, kept: Usage) -> None:
        """Raise QuotaExceeded for more than may be kept."""
        for limit, most, has in (
            ("max_bytes", self.max_bytes, kept.bytes),
            ("max_files", self.max_files, kept.files),
        ):
            if most is not None and has > most:
                raise QuotaExceeded(
                    f"{_SAID[self.whose]} may keep at most {most} {limit[4:]} together, and would have more with this: "
                    "delete files for good, or have the limit raised.",
                    limit=limit,
                    subject=self.whose,
                    maximum=most,
                )


_SAID = {
    "organization": "The organization",
    "workspace": "The workspace",
    "key": "What was uploaded with this API key: it",
    "end_user": "The end user",
}


def has_quota(limits: Limits) -> bool:
    """Whether limits say anything of what may be kept together."""
    return limits.max_bytes is not None or limits.max_files is not None


def quotas_of(principal: Principal, workspace: Workspace | None = None) -> tuple[Quota, ...]:
    """Return the quotas that what a principal uploads to a workspace counts against."""
    organization, key, end_user = principal.organization, principal.key, principal.end_user
    found = []
    if has_quota(organization.limits):
        found.append(_quota("organization", usage.of_organization(organization.id), organization.limits))
    if has_quota(key.limits):
        found.append(_quota("key", usage.of_key(key.id), key.limits))
    if workspace is not None and has_quota(workspace.limits):
        found.append(_quota("workspace", usage.of_workspace(workspace.id), workspace.limits))
    if end_user is not None and has_quota(organization.end_user_limits):
        subject = usage.of_end_user(organization.id, end_user)
        found.append(_quota("end_user", subject, organization.end_user_limits))
    return tuple(found)


def refuse_full(conn: Connection, principal: Principal, workspace: Workspace, size: int, files: int = 1) -> None:
    """Raise QuotaExceeded where so many bytes and files of a principal's would be too many for a workspace by now.

    It saves sending them in vain; ``enforce`` decides. Where a new version makes others go, only that can tell.
    """
    if workspace.keep_versions is None:
        refuse_more(conn, quotas_of(principal, workspace), size, files)


def refuse_more(conn: Connection, quotas: Sequence[Quota], size: int, files: int = 1) -> None:
    """Raise QuotaExceeded where so many bytes and files would be too many by now."""
    for quota in quotas:
        kept = usage.find(conn, quota.subject) or usage.count(conn, quota.subject)
        quota.refuse(Usage(kept.bytes + size, kept.files + files))


def enforce(conn: Connection, quotas: Sequence[Quota]) -> None:
    """Raise QuotaExceeded where more is kept by now than may be, which undoes the transaction that has brought it."""
    for quota in quotas:
        quota.refuse(usage.find(conn, quota.subject) or usage.recount(conn, quota.subject))


def kept(conn: Connection, subject: str, limits: Limits) -> Usage | None:
    """Return what somebody keeps, where limits say anything of that."""
    if not has_quota(limits):
        return None
    return usage.find(conn, subject) or usage.count(conn, subject)


def renew(conn: Connection, subject: str, before: Limits, after: Limits) -> None:
    """Begin or end counting for somebody whose limits are changed."""
    if has_quota(after) and not has_quota(before):
        usage.recount(conn, subject)
    elif has_quota(before) and not has_quota(after):
        usage.forget(conn, subject)


def _quota(whose: Whose, subject: str, limits: Limits) -> Quota:
    return Quota(whose, subject, limits.max_bytes, limits.max_files)
