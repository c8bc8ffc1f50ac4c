"""What a client does with users: people who sign in to the dashboard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import users
from fileferry.client.calls.call import UNCHANGED, Unchanged
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.users import User


class Users:
    """Users; a part of ``AsyncClient``."""

    _transport: Transport

    async def create_user(
        self,
        name: str,
        password: str,
        *,
        scopes: Iterable[str],
        limits: Mapping[str, object] | None = None,
        path_prefix: str | None = None,
        organization: Organization | str | None = None,
    ) -> User:
        """Make somebody who signs in to the dashboard with this name and password, and may change that. Scopes are those of keys.

        >>> made = await client.create_user("ada", "a password of hers", scopes=["read"])
        >>> made.name, made.scopes
        ('ada', ('read',))
        """
        call = users.create(
            name, password, scopes=scopes, limits=limits, path_prefix=path_prefix, organization=organization
        )
        return await self._transport.run(call)

    def list_users(self, *, organization: Organization | str | None = None) -> AsyncIterator[User]:
        """Yield the users of the organization, also those whom a proxy or an OpenID provider vouches for.

        >>> [found.name async for found in client.list_users()]
        ['ada']
        """
        return self._transport.pages(lambda cursor: users.list_all(organization=organization, cursor=cursor))

    async def get_user(self, user: User | str, *, organization: Organization | str | None = None) -> User:
        """Return a user of the organization.

        >>> (await client.get_user(user)).issuer is None
        True
        """
        return await self._transport.run(users.get(user, organization=organization))

    async def update_user(
        self,
        user: User | str,
        *,
        scopes: Iterable[str] | None = None,
        limits: Mapping[str, object] | None = None,
        path_prefix: str | Unchanged | None = UNCHANGED,
        organization: Organization | str | None = None,
    ) -> User:
        """Change what a user may do, from the next request on; None lifts the folder, and a limit.

        >>> (await client.update_user(user, scopes=["read", "upload"])).scopes
        ('read', 'upload')
        """
        return await self._transport.run(
            users.update(user, scopes=scopes, limits=limits, path_prefix=path_prefix, organization=organization)
        )

    async def set_password(
        self, user: User | str, password: str, *, organization: Organization | str | None = None
    ) -> None:
        """Give a user another password; all their sessions end.

        >>> await client.set_password(user, "another password")
        """
        await self._transport.run(users.set_password(user, password, organization=organization))

    async def delete_user(self, user: User | str, *, organization: Organization | str | None = None) -> None:
        """Remove a user: their sessions end at once, their links are served no more, and their files stay.

        >>> await client.delete_user(user)
        """
        await self._transport.delete(users.delete(user, organization=organization))
