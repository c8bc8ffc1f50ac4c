"""The request for a preflight, as a value."""

from __future__ import annotations

from fileferry.client.calls.call import Call, Lifetime, given, lifetime_text, read_as, segment, with_query
from fileferry.client.nouns.files import File
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.preflights import Preflight, preflight_from


def run(
    file: File | str, service: str, *, job: Lifetime | None, organization: Organization | str | None
) -> Call[Preflight]:
    """Return the question how a file would do with a service."""
    body = given(**{"for": service, "job": None if job is None else lifetime_text(job)})
    path = with_query(f"/api/files/{segment(file)}/preflight", given(organization=organization))
    return Call(
        method="POST", path=path, json=body, read=lambda response: read_as(response, preflight_from, "a preflight")
    )
