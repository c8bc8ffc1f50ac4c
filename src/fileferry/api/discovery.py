"""What the workspaces flow's client asks before it comes to files: organizations, the hub that serves them, their workspaces,
and whether all is well. It tells only what is there; making and changing workspaces is the native API's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Response, Router, get
from litestar.di import Provide
from litestar.params import Parameter

from fileferry.api.auth import acting_in
from fileferry.api.searches import Flag, Name, Offset, Order, page_link, parse_flag, parse_offset, parse_order
from fileferry.api.workspace_objects import UserObject
from fileferry.engine.engine import Engine
from fileferry.errors import FerryError, InsufficientStorage
from fileferry.model import Page, Principal, Scope, Workspace, format_time, normalized
from fileferry.version import version
from fileferry.web.requests import AnyRequest, base_url, parse_limit

HUB_CODE = "fileferry"
SERVICE = "evo"
_AT_ONCE = 1000
_LONGEST_NAME = 60
_NOBODY = UserObject("00000000-0000-0000-0000-000000000000", None, None)

T = TypeVar("T")

Services = Annotated[list[str] | None, Parameter(description=f"Which services are looked for; here is {SERVICE!r}.")]
Limit = Annotated[str | None, Parameter(description="How many to return, 1 to 1000; 50 by default.")]


class DiscoveredOrganization(msgspec.Struct):
    """An organization that the key may act in."""

    id: str
    display_name: str


class Hub(msgspec.Struct):
    """This server."""

    code: str
    display_name: str
    url: str


class ServiceAccess(msgspec.Struct):
    """Which services an organization has at a hub."""

    hub_code: str
    org_id: str
    services: list[str]


class DiscoveredService(msgspec.Struct):
    """A service."""

    code: str
    display_name: str


class Discovered(msgspec.Struct):
    """Everything that can be selected."""

    organizations: list[DiscoveredOrganization]
    hubs: list[Hub]
    services: list[DiscoveredService]
    service_access: list[ServiceAccess]
    accounts: list[str] | None = None
    has_new_instances: bool = False


class Discovery(msgspec.Struct):
    """The answer of discovery."""

    discovery: Discovered


class DiscoveredWorkspace(msgspec.Struct, kw_only=True):
    """A workspace. Nobody is recorded as its author, and it has no bounds on the map."""

    id: str
    name: str
    description: str = ""
    current_user_role: str
    created_at: str
    created_by: UserObject
    updated_at: str
    updated_by: UserObject
    bounding_box: None = None
    default_coordinate_system: str = ""
    labels: list[str] = []
    ml_enabled: bool = False
    self_link: str


class WorkspaceName(msgspec.Struct):
    """A workspace in a summary."""

    id: str
    name: str


class PageLinks(msgspec.Struct):
    """Where a listing begins, ends and goes on; ``count`` of ``total`` workspaces are on this page."""

    count: int
    total: int
    first: str
    last: str
    next: str | None
    previous: str | None


class DiscoveredWorkspaces(msgspec.Struct):
    """A page of workspaces."""

    results: list[DiscoveredWorkspace]
    links: PageLinks


class WorkspaceSummary(msgspec.Struct):
    """A page of workspaces' names."""

    results: list[WorkspaceName]
    links: PageLinks


class Health(msgspec.Struct, omit_defaults=True):
    """Whether the service can work: ``pass``, ``degraded`` where it can only read, ``fail``."""

    status: str
    version: str
    dependencies: dict[str, str] | None = None


class Window(msgspec.Struct, frozen=True):
    """Which workspaces are asked for; those that are ``deleted`` are none, as none can be."""

    name: str
    order: tuple[tuple[str, bool], ...]
    deleted: bool
    offset: int
    limit: int


def window_of(
    principal: Principal,
    name: Name = "",
    order_by: Order = None,
    deleted: Flag = None,
    limit: Limit = None,
    offset: Offset = None,
) -> Window:
    """Return the window that a query describes; raises InvalidParameter. It needs the principal only to come after it."""
    order = parse_order(order_by, ("name", "created_at", "updated_at", "user_role"))
    return Window(
        normalized(name or "", "name").casefold(),
        order,
        parse_flag("deleted", deleted),
        parse_offset(offset),
        parse_limit(limit, 50, _AT_ONCE),
    )


@get("/evo/identity/v2/discovery")
async def discover(request: AnyRequest, engine: Engine, principal: Principal, service: Services = None) -> Discovery:
    """Tell which organizations the key may act in, all of them at this server."""
    organizations = await _all(lambda after: engine.organizations.list(principal, after, _AT_ONCE))
    here = service is None or SERVICE in service
    return Discovery(
        Discovered(
            organizations=[DiscoveredOrganization(each.id, each.name) for each in organizations],
            hubs=[Hub(HUB_CODE, "fileferry", base_url(request, engine))],
            services=[DiscoveredService(SERVICE, "fileferry")] if here else [],
            service_access=[ServiceAccess(HUB_CODE, each.id, [SERVICE]) for each in organizations if here],
        )
    )


@get("/workspace/orgs/{organization_id:str}/workspaces")
async def list_workspaces(
    request: AnyRequest, engine: Engine, principal: Principal, window: Window
) -> DiscoveredWorkspaces:
    """List the workspaces of an organization."""
    found = await _workspaces(engine, principal, window)
    shown = [_described(request, engine, principal, each) for each in _page(found, window)]
    return DiscoveredWorkspaces(shown, _links(request, engine, window, len(found)))


@get("/workspace/orgs/{organization_id:str}/workspaces/summary")
async def list_workspace_names(
    request: AnyRequest, engine: Engine, principal: Principal, window: Window
) -> WorkspaceSummary:
    """List the workspaces of an organization by name only."""
    found = await _workspaces(engine, principal, window)
    shown = [WorkspaceName(each.id, each.name[:_LONGEST_NAME]) for each in _page(found, window)]
    return WorkspaceSummary(shown, _links(request, engine, window, len(found)))


@get("/workspace/orgs/{organization_id:str}/workspaces/{workspace_id:str}")
async def get_workspace(
    request: AnyRequest, engine: Engine, principal: Principal, workspace_id: str, deleted: Flag = None
) -> DiscoveredWorkspace:
    """Describe a workspace; with ``deleted=true`` a deleted one too, of which there are none."""
    parse_flag("deleted", deleted)
    found = await engine.workspaces.get(principal, workspace_id)
    return _described(request, engine, principal, found)


@get(["/file/health_check", "/workspace/health_check"])
async def check_health(
    engine: Engine, full: Flag = None, check_dependencies: Flag = None, strict: Flag = None
) -> Response[Any]:
    """Tell whether uploads are taken: a word, or with ``full`` an object. ``strict`` takes a degraded service for a failed one."""
    status, dependencies = await _health(engine)
    failed = status == "fail" or (status == "degraded" and parse_flag("strict", strict))
    code = 503 if failed else 200
    if not parse_flag("full", full):
        return Response(status, status_code=code, media_type="text/plain")
    shown = dependencies if parse_flag("check_dependencies", check_dependencies) else None
    return Response(Health(status, version(), shown), status_code=code)


router = Router(
    "/",
    route_handlers=[
        discover,
        check_health,
        Router(
            "/",
            route_handlers=[list_workspaces, list_workspace_names, get_workspace],
            dependencies={
                "principal": Provide(acting_in),
                "window": Provide(window_of, sync_to_thread=False),
            },
        ),
    ],
)


async def _workspaces(engine: Engine, principal: Principal, window: Window) -> list[Workspace]:
    every = await _all(lambda after: engine.workspaces.list(principal, after, _AT_ONCE))
    found = [each for each in every if window.name in each.name.casefold() and not window.deleted]
    for field, descending in reversed(window.order):  # the last one sorts least
        if field != "user_role":  # the same for all of them
            found.sort(
                key=lambda each: each.name if field == "name" else each.created_at.isoformat(), reverse=descending
            )
    return found


async def _all(page: Callable[[str], Awaitable[Page[T]]]) -> list[T]:
    """Return the items of every page: the client wants numbered pages and totals, of what are few."""
    found = await page("")
    items = list(found.items)
    while found.next_cursor is not None:
        found = await page(found.next_cursor)
        items += found.items
    return items


def _page(found: list[T], window: Window) -> list[T]:
    return found[window.offset : window.offset + window.limit]


def _described(request: AnyRequest, engine: Engine, principal: Principal, workspace: Workspace) -> DiscoveredWorkspace:
    address = f"/workspace/orgs/{workspace.organization_id}/workspaces/{workspace.id}"
    return DiscoveredWorkspace(
        id=workspace.id,
        name=workspace.name[:_LONGEST_NAME],  # the client refuses the whole page for one longer name
        current_user_role=_role(principal),
        created_at=format_time(workspace.created_at),
        created_by=_NOBODY,
        updated_at=format_time(workspace.created_at),
        updated_by=_NOBODY,
        self_link=f"{base_url(request, engine)}{address}",
    )


def _role(principal: Principal) -> str:
    if Scope.ADMIN in principal.key.scopes:
        return "owner"
    return "editor" if Scope.UPLOAD in principal.key.scopes else "viewer"


def _links(request: AnyRequest, engine: Engine, window: Window, total: int) -> PageLinks:
    def link(offset: int) -> str:
        return page_link(request, engine, window.limit, offset)

    end = window.offset + window.limit
    return PageLinks(
        count=len(range(window.offset, min(end, total))),
        total=total,
        first=link(0),
        last=link(max(0, total - 1) // window.limit * window.limit),
        next=link(end) if end < total else None,
        previous=link(max(0, window.offset - window.limit)) if window.offset else None,
    )


async def _health(engine: Engine) -> tuple[str, dict[str, str]]:
    try:
        found = await engine.shortcomings()
    except FerryError:
        return "fail", {"storage": "fail"}
    scanner = {} if engine.settings.clamd is None else {"scanner": "fail" if "scanner_away" in found else "pass"}
    storage = "fail" if InsufficientStorage.code in found else "pass"
    return "degraded" if found else "pass", {"storage": storage, **scanner}
