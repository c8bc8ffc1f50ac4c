"""The requests about organizations, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import httpx

from fileferry.client.calls.call import (
    Call,
    Unchanged,
    given,
    members,
    moment_text,
    page_of,
    read_as,
    segment,
    with_query,
)
from fileferry.client.nouns.audit import AuditRecord, audit_record_from
from fileferry.client.nouns.organizations import Organization, organization_from
from fileferry.client.nouns.pages import Page


def create(slug: str, *, name: str | None, organization_id: str | None) -> Call[Organization]:
    """Return the making of an organization."""
    body: dict[str, object] = {"slug": slug, **given(name=name, id=organization_id)}
    return Call(method="POST", path="/api/organizations", read=_organization, json=body, repeatable=False)


def get(organization: Organization | str) -> Call[Organization]:
    """Return the question what an organization is."""
    return Call(method="GET", path=f"/api/organizations/{segment(organization)}", read=_organization)


def update(
    organization: Organization | str,
    *,
    limits: Mapping[str, object] | None,
    end_user_limits: Mapping[str, object] | None,
    redirect: str | Unchanged | None,
) -> Call[Organization]:
    """Return the change of limits, of all that an organization has or of each end user, where None lifts one, or of redirects."""
    path = f"/api/organizations/{segment(organization)}"
    body = members(limits=limits, end_user_limits=end_user_limits)
    if not isinstance(redirect, Unchanged):
        body["redirect"] = redirect
    return Call(method="PATCH", path=path, read=_organization, json=body)


def list_all(*, cursor: str | None) -> Call[Page[Organization]]:
    """Return the question for one page of organizations."""
    path = with_query("/api/organizations", given(cursor=cursor))
    return Call(method="GET", path=path, read=page_of("organizations", organization_from))


def audit(
    *,
    since: datetime | None,
    types: Iterable[str] | None,
    organization: Organization | str | None,
    cursor: str | None,
) -> Call[Page[AuditRecord]]:
    """Return the question for one page of an organization's audit log; raise InvalidExpiry for a time without a zone."""
    wanted = {
        "since": None if since is None else moment_text(since),
        "types": None if types is None else ",".join(types),
    }
    path = with_query("/api/audit", given(organization=organization, cursor=cursor, **wanted))
    return Call(method="GET", path=path, read=page_of("records", audit_record_from))


def _organization(response: httpx.Response) -> Organization:
    return read_as(response, organization_from, "an organization")
