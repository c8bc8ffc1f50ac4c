"""The requests about a server as a whole, as values: how it stands, what days brought, who is signed in, what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from fileferry.client.calls.call import Call, given, nothing, read_as, segment, with_query
from fileferry.client.nouns.events import Event, event_from
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.server import ServerStatus, UsageReport, server_status_from, usage_report_from
from fileferry.client.nouns.sessions import Grant, Session, grants_from, sessions_from


def status() -> Call[ServerStatus]:
    """Return the question how the server stands."""
    return Call(method="GET", path="/api/server", read=lambda answer: read_as(answer, server_status_from, "a server"))


def usage(*, days: int | None, organization: Organization | str | None) -> Call[UsageReport]:
    """Return the question what is kept, and what each of the last days brought."""
    path = with_query("/api/usage", given(days=days, organization=organization))
    return Call(method="GET", path=path, read=lambda answer: read_as(answer, usage_report_from, "what is kept"))


def sessions(*, organization: Organization | str | None) -> Call[tuple[Session, ...]]:
    """Return the question who is signed in."""
    path = with_query("/api/sessions", given(organization=organization))
    return Call(method="GET", path=path, read=lambda answer: read_as(answer, sessions_from, "a list of sessions"))


def end_session(session: Session | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the end of a session."""
    path = f"/api/sessions/{segment(session)}"
    return Call(method="DELETE", path=with_query(path, given(organization=organization)), read=nothing)


def grants(*, organization: Organization | str | None) -> Call[tuple[Grant, ...]]:
    """Return the question which programs keys are lent to."""
    path = with_query("/api/grants", given(organization=organization))
    return Call(method="GET", path=path, read=lambda answer: read_as(answer, grants_from, "a list of grants"))


def end_grant(grant: Grant | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the end of what a program may do."""
    path = with_query(f"/api/grants/{segment(grant)}", given(organization=organization))
    return Call(method="DELETE", path=path, read=nothing)


def past_events(
    *,
    after: str,
    types: Iterable[str] | None,
    file_id: str | None,
    organization: Organization | str | None,
) -> Call[Page[Event]]:
    """Return the question for one page of what happened after an event."""
    wanted = None if types is None else ",".join(types)
    query = given(after=after, types=wanted, file=file_id, organization=organization, limit=1000)
    path, headers = with_query("/api/events", query), {"Accept": "application/json"}
    return Call(method="GET", path=path, headers=headers, read=_events)


def _events(response: httpx.Response) -> Page[Event]:
    def page(said: Mapping[str, Any]) -> Page[Event]:
        return Page(tuple(map(event_from, said["events"])), said["next_cursor"] if said["more"] else None)

    return read_as(response, page, "a list of events")
