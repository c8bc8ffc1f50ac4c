"""``AsyncWebhooks``: who is told of an organization's events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import webhooks
from fileferry.client.calls.call import UNCHANGED, Lifetime, Unchanged
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.webhooks import Delivery, Webhook


class AsyncWebhooks:
    """The webhooks of an organization; ``AsyncClient.webhooks`` gives it. Its methods raise as the client's do."""

    def __init__(self, transport: Transport, organization: Organization | str | None) -> None:
        self._transport = transport
        self._organization = organization

    async def create(self, url: str, *, types: Sequence[str] | None = None) -> Webhook:
        """Have events of ``types``, or all, posted to ``url`` from now on; the ``secret`` is in this answer only.

        >>> hook = await hooks.create("https://receiver.example/hook", types=["file.ready"])
        >>> hook.secret[:6]
        'whsec_'
        """
        return await self._transport.run(webhooks.create(url, types=types, organization=self._organization))

    def list(self) -> AsyncIterator[Webhook]:
        """Yield the webhooks, without their secrets.

        >>> [found.url async for found in hooks.list()]
        ['https://receiver.example/hook']
        """
        return self._transport.pages(lambda cursor: webhooks.list_all(organization=self._organization, cursor=cursor))

    async def get(self, webhook: Webhook | str) -> Webhook:
        """Return a webhook as it is now.

        >>> (await hooks.get(hook)).enabled
        True
        """
        return await self._transport.run(webhooks.get(webhook, organization=self._organization))

    async def update(
        self,
        webhook: Webhook | str,
        *,
        url: str | Unchanged = UNCHANGED,
        types: Sequence[str] | Unchanged | None = UNCHANGED,
        enabled: bool | Unchanged = UNCHANGED,
    ) -> Webhook:
        """Change where events go, which (None: all), and whether they are sent, where it is given.

        >>> (await hooks.update(hook, types=["file.rejected"], enabled=False)).enabled
        False
        """
        return await self._transport.run(
            webhooks.update(webhook, url=url, types=types, enabled=enabled, organization=self._organization)
        )

    async def delete(self, webhook: Webhook | str) -> None:
        """Delete a webhook with its log; what waits is not sent.

        >>> await hooks.delete(hook)
        """
        await self._transport.delete(webhooks.delete(webhook, organization=self._organization))

    async def rotate(self, webhook: Webhook | str, *, grace: Lifetime | None = None) -> Webhook:
        """Give a webhook a new secret; the old one signs beside it for ``grace``, by default not at all.

        >>> renewed = await hooks.rotate(hook, grace="1h")
        >>> renewed.secret == hook.secret
        False
        """
        return await self._transport.run(webhooks.rotate(webhook, grace=grace, organization=self._organization))

    async def test(self, webhook: Webhook | str) -> Delivery:
        """Have a test event sent; raise Conflict while the webhook is disabled.

        >>> (await hooks.test(hook)).type
        'webhook.test'
        """
        return await self._transport.run(webhooks.test(webhook, organization=self._organization))

    def deliveries(self, webhook: Webhook | str, *, state: str | None = None) -> AsyncIterator[Delivery]:
        """Yield what was sent and what waits, newest first: all, or what is ``pending``, ``delivered`` or ``failed``.

        >>> sent = await hooks.test(hook)
        >>> [found.type async for found in hooks.deliveries(hook)]
        ['webhook.test']
        """
        return self._transport.pages(
            lambda cursor: webhooks.deliveries(webhook, state=state, organization=self._organization, cursor=cursor)
        )

    async def replay(self, webhook: Webhook | str, delivery: Delivery | str) -> Delivery:
        """Have a delivery sent again, whatever became of it; raise Conflict while the webhook is disabled.

        >>> sent = await hooks.test(hook)
        >>> (await hooks.replay(hook, sent)).state
        'pending'
        """
        return await self._transport.run(webhooks.replay(webhook, delivery, organization=self._organization))

    async def replay_failed(self, webhook: Webhook | str, since: datetime) -> int:
        """Have every failed delivery sent again that is of ``since`` (aware) or later; return how many.

        >>> await hooks.replay_failed(hook, since=hook.created_at)
        0
        """
        return await self._transport.run(webhooks.replay_failed(webhook, since, organization=self._organization))
