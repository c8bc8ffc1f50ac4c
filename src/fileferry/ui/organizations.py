"""The pages of organizations and workspaces, and of the limits of what each may keep."""

from __future__ import annotations

from litestar import Response, get, post

from fileferry.engine.engine import Engine
from fileferry.errors import InvalidParameter
from fileferry.ui import limits, pages, visits
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest, parse_expires_in


@get("/organizations")
async def list_organizations(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show the organizations that the key may act in, and the workspaces of the present one."""
    principal = visitor.principal
    found = (await engine.organizations.list(principal, "", 1000)).items
    workspaces = (await engine.workspaces.list(principal, "", 1000)).items
    return await pages.page(
        request,
        visitor,
        "organizations.html",
        "Organizations",
        "/organizations",
        found=[(one, await engine.organizations.kept(principal, one)) for one in found],
        workspaces=[(one, await engine.workspaces.kept(principal, one)) for one in workspaces],
        is_root=principal.key.organization_id is None,
        spoken=limits.spoken,
    )


@post("/organizations", status_code=200)
async def make_organization(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Make an organization."""
    form = await visits.form_of(request, engine, visitor.form_token)
    made = await engine.organizations.create(
        visitor.principal, form.needed("slug", "Short name"), form.optional("name"), None
    )
    await visitor.leave_notice(f"Made the organization {made.name}.")
    return pages.redirect(request, f"/organizations/{made.id}")


@get("/organizations/{organization_id:str}")
async def show_organization(
    request: AnyRequest, engine: Engine, visitor: Visitor, organization_id: str
) -> Response[str]:
    """Show an organization and its limits."""
    principal = visitor.principal
    organization = await engine.organizations.get(principal, organization_id)
    return await pages.page(
        request,
        visitor,
        "organization.html",
        organization.name,
        "/organizations",
        organization=organization,
        kept=await engine.organizations.kept(principal, organization),
        fields=limits.FIELDS,
        values=limits.shown(organization.limits),
        of_end_users=limits.shown(organization.end_user_limits),
        is_root=principal.key.organization_id is None,
        by_default="sent on" if engine.settings.redirect == "auto" else "not sent on",
        has_bucket=engine.store.direct_downloads is not None,
    )


@post("/organizations/{organization_id:str}", status_code=200)
async def change_organization(
    request: AnyRequest, engine: Engine, visitor: Visitor, organization_id: str
) -> Response[str]:
    """Change what an organization, or each of its end users, may have."""
    form = await visits.form_of(request, engine, visitor.form_token)
    before = await engine.organizations.get(visitor.principal, organization_id)
    whose = form.get("whose")
    if whose == "end_users":
        changes = limits.changes_of(form, before=before.end_user_limits)
        await engine.organizations.change(visitor.principal, organization_id, end_user_changes=changes)
    elif whose == "all":
        changes = limits.changes_of(form, before=before.limits)
        await engine.organizations.change(visitor.principal, organization_id, changes=changes)
    elif whose == "redirect":
        chosen = form.get("redirect")
        if chosen not in ("", "auto", "never"):
            raise InvalidParameter("Fetches are sent on, or never.", parameter="redirect")
        await engine.organizations.change(visitor.principal, organization_id, redirect=chosen or None)
    else:
        raise InvalidParameter("Limits are of all, or of each end user.", parameter="whose")
    await visitor.leave_notice("Changed." if whose == "redirect" else "The limits are changed.")
    return pages.redirect(request, f"/organizations/{organization_id}")


@post("/workspaces", status_code=200)
async def make_workspace(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Make a workspace."""
    form = await visits.form_of(request, engine, visitor.form_token)
    keep, kept_for = form.optional("keep_versions"), parse_expires_in(form.optional("keep_versions_for"))
    if keep is not None and not (keep.isascii() and keep.isdigit() and len(keep) < 8):
        raise InvalidParameter("How many versions to keep is a number.", parameter="keep_versions")
    made = await engine.workspaces.create(
        visitor.principal,
        form.needed("name", "Name"),
        None,
        None if keep is None else int(keep),
        None if kept_for is None else int(kept_for.total_seconds()),
    )
    await visitor.leave_notice(f"Made the workspace {made.name}.")
    return pages.redirect(request, "/organizations")


@post("/workspaces/{workspace_id:str}/delete", status_code=200)
async def delete_workspace(request: AnyRequest, engine: Engine, visitor: Visitor, workspace_id: str) -> Response[str]:
    """Delete an empty workspace."""
    await visits.form_of(request, engine, visitor.form_token)
    await engine.workspaces.delete(visitor.principal, workspace_id, engine.sweeper.sweep)
    await visitor.leave_notice("The workspace is deleted.")
    return pages.redirect(request, "/organizations")


handlers = [
    list_organizations,
    make_organization,
    show_organization,
    change_organization,
    make_workspace,
    delete_workspace,
]
