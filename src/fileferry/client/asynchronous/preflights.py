"""What a client asks before it gives the URL of a file to another service."""

from __future__ import annotations

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import preflights
from fileferry.client.calls.call import Lifetime
from fileferry.client.nouns.files import File
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.preflights import Preflight


class Preflights:
    """Preflights; a part of ``AsyncClient``."""

    _transport: Transport

    async def preflight(
        self,
        file: File | str,
        service: str = "generic",
        *,
        job: Lifetime | None = None,
        organization: Organization | str | None = None,
    ) -> Preflight:
        """Have the server ask a file's public URL as ``service`` would, such as ``slack``, and check what that wants of it.

        ``job`` is how long the service takes, where that is known: the file must live as long. Takes ten seconds at most.

        >>> found = await client.preflight(file, "openai-file", job="10m")
        >>> found.service, [check.outcome for check in found.checks if check.check == "size"]
        ('openai-file', ['passed'])
        """
        return await self._transport.run(preflights.run(file, service, job=job, organization=organization))
