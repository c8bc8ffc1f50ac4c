"""What a client does with API keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import keys
from fileferry.client.calls.call import UNCHANGED, Lifetime, Unchanged
from fileferry.client.nouns.keys import ApiKey


class Keys:
    """API keys; a part of ``AsyncClient``."""

    _transport: Transport

    async def create_key(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        organization: str | None = None,
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

    async def get_key(self, key_id: str) -> ApiKey:
        """Return a key of the organization, with its limits and what counts against them."""
        return await self._transport.run(keys.get(key_id))

    async def update_key(
        self,
        key_id: str,
        *,
        name: str | None = None,
        scopes: Iterable[str] | None = None,
        limits: Mapping[str, object] | None = None,
        path_prefix: str | Unchanged | None = UNCHANGED,
        on_behalf_of: Iterable[str] | Unchanged | None = UNCHANGED,
    ) -> ApiKey:
        """Change what a key may do, from its next request on; None lifts what confines it, and a limit."""
        return await self._transport.run(
            keys.update(
                key_id,
                name=name,
                scopes=scopes,
                limits=limits,
                path_prefix=path_prefix,
                on_behalf_of=on_behalf_of,
            )
        )

    def list_keys(self) -> AsyncIterator[ApiKey]:
        """Yield the keys that this key may see, without their secrets."""
        return self._transport.pages(lambda cursor: keys.list_all(cursor=cursor))

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key: it stops working at once."""
        await self._transport.delete(keys.revoke(key_id))

    async def rotate_key(self, key_id: str, *, grace: Lifetime | None = None) -> ApiKey:
        """Give a key a new secret; the old one works on for ``grace``, by default not at all."""
        return await self._transport.run(keys.rotate(key_id, grace=grace))
