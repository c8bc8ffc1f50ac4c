"""What a client does with workspaces themselves; the files in one are in ``workspace_files``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import workspaces
from fileferry.client.calls.call import UNCHANGED, Lifetime, Unchanged
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.workspaces import Workspace


class Workspaces:
    """Workspaces; a part of ``AsyncClient``."""

    _transport: Transport

    async def create_workspace(
        self,
        name: str,
        *,
        workspace_id: str | None = None,
        keep_versions: int | None = None,
        keep_versions_for: Lifetime | None = None,
        limits: Mapping[str, object] | None = None,
        organization: Organization | str | None = None,
    ) -> Workspace:
        """Make a workspace that keeps all versions, or so many of each file, or replaced ones for so long.

        ``limits`` are set by the names of the native API.

        >>> (await client.create_workspace("ledger", keep_versions=10)).name
        'ledger'
        """
        return await self._transport.run(
            workspaces.create(
                name,
                workspace_id=workspace_id,
                keep_versions=keep_versions,
                keep_versions_for=keep_versions_for,
                limits=limits,
                organization=organization,
            )
        )

    def list_workspaces(self, *, organization: Organization | str | None = None) -> AsyncIterator[Workspace]:
        """Yield the workspaces of the organization.

        >>> [found.name async for found in client.list_workspaces()]
        ['default', 'reports']
        """
        return self._transport.pages(lambda cursor: workspaces.list_all(organization=organization, cursor=cursor))

    async def get_workspace(
        self, workspace: Workspace | str, *, organization: Organization | str | None = None
    ) -> Workspace:
        """Return a workspace, given as itself, by its id or its name.

        >>> (await client.get_workspace("reports")).is_default
        False
        """
        return await self._transport.run(workspaces.get(workspace, organization=organization))

    async def update_workspace(
        self,
        workspace: Workspace | str,
        *,
        keep_versions: int | Unchanged | None = UNCHANGED,
        keep_versions_for: Lifetime | Unchanged | None = UNCHANGED,
        limits: Mapping[str, object] | None = None,
        organization: Organization | str | None = None,
    ) -> Workspace:
        """Change which versions a workspace keeps, where it is given; None keeps all.

        ``limits`` are set by the names of the native API; None lifts one.

        >>> (await client.update_workspace("reports", keep_versions=5)).keep_versions
        5
        """
        return await self._transport.run(
            workspaces.update(
                workspace,
                keep_versions=keep_versions,
                keep_versions_for=keep_versions_for,
                limits=limits,
                organization=organization,
            )
        )

    async def delete_workspace(
        self, workspace: Workspace | str, *, organization: Organization | str | None = None
    ) -> None:
        """Delete a workspace; raise Conflict for the default one, and while files are in it or can be restored there.

        >>> ledger = await client.create_workspace("ledger")
        >>> await client.delete_workspace(ledger)
        """
        await self._transport.delete(workspaces.delete(workspace, organization=organization))
