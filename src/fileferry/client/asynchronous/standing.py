"""What a client asks of a server as a whole: how it stands, what it keeps, who is signed in there, and what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from fileferry.client.asynchronous.transport import Transport
from fileferry.client.calls import server
from fileferry.client.following import Following
from fileferry.client.nouns.events import Event
from fileferry.client.nouns.files import File
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.server import ServerStatus, UsageReport
from fileferry.client.nouns.sessions import Grant, Session


class Standing:
    """The server as a whole; a part of ``AsyncClient``."""

    _transport: Transport

    async def server(self) -> ServerStatus:
        """Return how the server stands: what does not work, what is free, which processes live. Root key only.

        >>> (await client.server()).processes[0].role
        'serve'
        """
        return await self._transport.run(server.status())

    async def usage(self, *, days: int | None = None, organization: Organization | str | None = None) -> UsageReport:
        """Return what the organization keeps, and what each of so many ``days`` brought: 30 by default, 365 at most.

        >>> report = await client.usage(days=7)
        >>> report.files, len(report.days)
        (3, 7)
        """
        return await self._transport.run(server.usage(days=days, organization=organization))

    async def list_sessions(self, *, organization: Organization | str | None = None) -> tuple[Session, ...]:
        """Return who is signed in to the dashboard by this key; with the scope admin, by any key of the organization.

        >>> await client.list_sessions()
        ()
        """
        return await self._transport.run(server.sessions(organization=organization))

    async def end_session(self, session: Session | str, *, organization: Organization | str | None = None) -> None:
        """Sign somebody out of the dashboard; raise NotFound where nobody is signed in so.

        >>> for session in await client.list_sessions():
        ...     await client.end_session(session)
        """
        await self._transport.delete(server.end_session(session, organization=organization))

    async def list_grants(self, *, organization: Organization | str | None = None) -> tuple[Grant, ...]:
        """Return the programs that this key is lent to by OAuth; with the scope admin, those of any key of the organization.

        >>> await client.list_grants()
        ()
        """
        return await self._transport.run(server.grants(organization=organization))

    async def end_grant(self, grant: Grant | str, *, organization: Organization | str | None = None) -> None:
        """End at once what a program may do; raise NotFound where there is no such grant.

        >>> for grant in await client.list_grants():
        ...     await client.end_grant(grant)
        """
        await self._transport.delete(server.end_grant(grant, organization=organization))

    def past_events(
        self,
        *,
        after: str = "0",
        types: Iterable[str] | None = None,
        file: File | str | None = None,
        organization: Organization | str | None = None,
    ) -> AsyncIterator[Event]:
        """Yield what has happened to the files of the organization by now, the oldest that is kept first, and end.

        ``types`` and ``file`` leave out the others; ``after`` begins behind an event.

        >>> (await client.wait(file)).status
        'ready'
        >>> [event.type async for event in client.past_events(types=["file.ready"], file=file)]
        ['file.ready']
        """
        file_id, wanted = None if file is None else id_of(file), None if types is None else tuple(types)
        return self._transport.pages(
            lambda cursor: server.past_events(
                after=cursor or after, types=wanted, file_id=file_id, organization=organization
            )
        )

    def events(
        self,
        *,
        after: str | None = None,
        types: Iterable[str] | None = None,
        file: File | str | None = None,
        organization: Organization | str | None = None,
    ) -> AsyncIterator[Event]:
        """Yield what happens to the files of the organization, for ever: new events, or those after one, ``"0"`` for all.

        ``types`` and ``file`` leave out the others. A connection that breaks is made again, as the ``RetryPolicy`` says, and
        goes on where it was. An event of the type ``reset`` says that some before it may have been missed: they are no
        longer kept.

        >>> async for event in client.events(after="0", types=["file.ready"], file=file):
        ...     print(event.type, event.data["name"])
        ...     break
        file.ready hello.txt
        """
        file_id = None if file is None else id_of(file)
        return self._transport.follow(Following(after, types, file_id, organization))
