"""The native API of preflights: whether a service that fetches files by URL will be able to fetch this one."""

from __future__ import annotations

import msgspec
from litestar import Router, post

from fileferry.api.bodies import takes_json
from fileferry.engine.engine import Engine
from fileferry.engine.preflight.preflights import Preflight
from fileferry.model import Principal, Scope
from fileferry.web.requests import AnyRequest, json_body, parse_expires_in, public_url


class NewPreflight(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which service is to fetch the file, such as ``slack``, and how long its job takes (``30m``) where that is known."""

    service: str = msgspec.field(name="for", default="generic")
    job: str | int | None = None


class CheckObject(msgspec.Struct, kw_only=True):
    """One check: ``outcome`` is passed, failed or unknown, ``advice`` what to do, ``found`` what was seen."""

    check: str
    outcome: str
    said: str
    advice: str | None
    found: str | None


class PreflightSource(msgspec.Struct):
    """Where the service says what it wants, and the day on which that was read."""

    url: str
    date: str


class PreflightObject(msgspec.Struct, kw_only=True):
    """How a file would do with a service: ``outcome`` is failed where a check is, else unknown where one is. ``url`` was asked."""

    service: str = msgspec.field(name="for")
    title: str
    sources: list[PreflightSource]
    url: str
    outcome: str
    checks: list[CheckObject]


@post("/files/{file_id:str}/preflight", status_code=200, operation_class=takes_json(NewPreflight))
async def preflight_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> PreflightObject:
    """Ask a file's public URL as another service would, and check what that service wants. Takes 10 seconds at most."""
    asked = await json_body(request, engine, Scope.READ, NewPreflight)
    stored = await engine.files.get(principal, file_id)
    url, job = public_url(request, engine, stored), parse_expires_in(asked.job)
    found = await engine.preflights.run(stored, url, asked.service, job)
    return preflight_object(found)


def preflight_object(found: Preflight) -> PreflightObject:
    """Return a preflight as the native API shows it."""
    return PreflightObject(
        service=found.consumer,
        title=found.title,
        sources=[PreflightSource(source.url, source.date.isoformat()) for source in found.sources],
        url=found.url,
        outcome=found.outcome,
        checks=[
            CheckObject(
                check=check.check,
                outcome=check.outcome,
                said=check.said,
                advice=check.advice,
                found=check.found,
            )
            for check in found.checks
        ],
    )


router = Router("/api", route_handlers=[preflight_file])
