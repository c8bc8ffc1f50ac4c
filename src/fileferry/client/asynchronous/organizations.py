"""What a client does with organizations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import organizations
from fileferry.client.calls.call import UNCHANGED, Unchanged
from fileferry.client.nouns.audit import AuditRecord
from fileferry.client.nouns.organizations import Organization


class Organizations:
    """Organizations; a part of ``AsyncClient``."""

    _transport: Transport

    async def create_organization(
        self, slug: str, *, name: str | None = None, organization_id: str | None = None
    ) -> Organization:
        """Make an organization; only the root key may.

        >>> (await client.create_organization("acme", name="Acme")).slug
        'acme'
        """
        return await self._transport.run(organizations.create(slug, name=name, organization_id=organization_id))

    async def get_organization(self, organization: Organization | str) -> Organization:
        """Return an organization, given as itself, by its id or its slug, with its limits and what counts against them.

        >>> (await client.get_organization("default")).is_default
        True
        """
        return await self._transport.run(organizations.get(organization))

    async def update_organization(
        self,
        organization: Organization | str,
        *,
        limits: Mapping[str, object] | None = None,
        end_user_limits: Mapping[str, object] | None = None,
        redirect: str | Unchanged | None = UNCHANGED,
    ) -> Organization:
        """Set limits of an organization, for which it takes the root key, or of each of its end users; None lifts one.

        ``redirect="never"`` has whoever fetches its files get them from the server, ``"auto"`` from the store where that can be;
        None leaves it to the server's setting.

        >>> organization = await client.update_organization("default", limits={"max_files": 1000})
        >>> organization.limits
        {'max_files': 1000}
        """
        return await self._transport.run(
            organizations.update(organization, limits=limits, end_user_limits=end_user_limits, redirect=redirect)
        )

    def list_organizations(self) -> AsyncIterator[Organization]:
        """Yield the organizations that this key may see.

        >>> "default" in [found.slug async for found in client.list_organizations()]
        True
        """
        return self._transport.pages(lambda cursor: organizations.list_all(cursor=cursor))

    def audit(
        self,
        *,
        since: datetime | None = None,
        types: Iterable[str] | None = None,
        organization: Organization | str | None = None,
    ) -> AsyncIterator[AuditRecord]:
        """Yield who did what in the organization, oldest first: from ``since`` (aware) on, and only ``types``, where given.

        >>> key = await client.create_key("backup job", scopes=["upload"])
        >>> [done.data["name"] async for done in client.audit(types=["key.created"])][-1]
        'backup job'
        """
        wanted = None if types is None else tuple(types)
        return self._transport.pages(
            lambda cursor: organizations.audit(since=since, types=wanted, organization=organization, cursor=cursor)
        )
