"""What a client does with API keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import keys
from fileferry.client.calls.call import UNCHANGED, Lifetime, Unchanged
from fileferry.client.nouns.identities import Identity
from fileferry.client.nouns.keys import ApiKey
from fileferry.client.nouns.organizations import Organization


class Keys:
    """API keys; a part of ``AsyncClient``."""

    _transport: Transport

    async def create_key(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        organization: Organization | str | None = None,
        expires_in: Lifetime | None = None,
        user_id: str | None = None,
        user_name: str | None = None,
        user_email: str | None = None,
        limits: Mapping[str, object] | None = None,
        path_prefix: str | None = None,
        on_behalf_of: Iterable[str] | None = None,
    ) -> ApiKey:
        """Make an API key; its ``secret`` is in this answer only. Scopes: upload, read, delete, admin.

        The user is named as the author of what the key does: one that has keys already by ``user_id``, or a new one. ``limits``
        are set by the names of the native API. ``path_prefix`` confines the key to a folder, ``on_behalf_of`` to end users.

        >>> made = await client.create_key("nightly-export", scopes=["upload"], expires_in="90d")
        >>> made.secret[:3]
        'ff_'
        """
        return await self._transport.run(
            keys.create(
                name,
                scopes=scopes,
                organization=organization,
                expires_in=expires_in,
                user_id=user_id,
                user_name=user_name,
                user_email=user_email,
                limits=limits,
                path_prefix=path_prefix,
                on_behalf_of=on_behalf_of,
            )
        )

    async def whoami(self, *, organization: Organization | str | None = None) -> Identity:
        """Return who the client acts as: its key, the organization and the end user. Any key may ask.

        >>> identity = await client.whoami()
        >>> identity.key.scopes, identity.is_root
        (('admin', 'delete', 'read', 'upload'), False)
        """
        return await self._transport.run(keys.whoami(organization=organization))

    async def get_key(self, key: ApiKey | str, *, organization: Organization | str | None = None) -> ApiKey:
        """Return a key of the organization, with its limits and what counts against them.

        >>> (await client.get_key(key)).scopes
        ('read', 'upload')
        """
        return await self._transport.run(keys.get(key, organization=organization))

    async def update_key(
        self,
        key: ApiKey | str,
        *,
        name: str | None = None,
        scopes: Iterable[str] | None = None,
        limits: Mapping[str, object] | None = None,
        path_prefix: str | Unchanged | None = UNCHANGED,
        on_behalf_of: Iterable[str] | Unchanged | None = UNCHANGED,
        organization: Organization | str | None = None,
    ) -> ApiKey:
        """Change what a key may do, from its next request on; None lifts what confines it, and a limit.

        >>> (await client.update_key(key, scopes=["read"], limits={"max_size": "10MiB"})).scopes
        ('read',)
        """
        return await self._transport.run(
            keys.update(
                key,
                name=name,
                scopes=scopes,
                limits=limits,
                path_prefix=path_prefix,
                on_behalf_of=on_behalf_of,
                organization=organization,
            )
        )

    def list_keys(self, *, organization: Organization | str | None = None) -> AsyncIterator[ApiKey]:
        """Yield the keys of the organization, revoked ones too, without their secrets.

        >>> [found.name async for found in client.list_keys()]
        ['backend', 'clerk']
        """
        return self._transport.pages(lambda cursor: keys.list_all(organization=organization, cursor=cursor))

    async def revoke_key(self, key: ApiKey | str, *, organization: Organization | str | None = None) -> None:
        """Revoke a key: it stops working at once.

        >>> await client.revoke_key(key)
        """
        await self._transport.delete(keys.revoke(key, organization=organization))

    async def rotate_key(
        self, key: ApiKey | str, *, grace: Lifetime | None = None, organization: Organization | str | None = None
    ) -> ApiKey:
        """Give a key a new secret; the old one works on for ``grace``, by default not at all.

        >>> renewed = await client.rotate_key(key, grace="1h")
        >>> renewed.secret == key.secret
        False
        """
        return await self._transport.run(keys.rotate(key, grace=grace, organization=organization))
