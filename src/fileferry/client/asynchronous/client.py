"""``AsyncClient``: the connection to one server, with all that can be done there; each noun has a module beside this one."""

from __future__ import annotations

from types import TracebackType

from fileferry.client.asynchronous.batches import Batches
from fileferry.client.asynchronous.files import Files
from fileferry.client.asynchronous.folders import Folders
from fileferry.client.asynchronous.keys import Keys
from fileferry.client.asynchronous.organizations import Organizations
from fileferry.client.asynchronous.preflights import Preflights
from fileferry.client.asynchronous.requests import AsyncFileRequests
from fileferry.client.asynchronous.shares import AsyncShares
from fileferry.client.asynchronous.standing import Standing
from fileferry.client.asynchronous.tickets import AsyncTickets
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.asynchronous.users import Users
from fileferry.client.asynchronous.webhooks import AsyncWebhooks
from fileferry.client.asynchronous.workspace_files import AsyncWorkspaceFiles
from fileferry.client.asynchronous.workspaces import Workspaces
from fileferry.client.connection import Connection
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.workspaces import Workspace
from fileferry.client.retrying import PATIENT, RetryPolicy


class AsyncClient(Files, Batches, Preflights, Folders, Workspaces, Keys, Users, Organizations, Standing):
    """A connection to one fileferry server; use it as an asynchronous context manager, from one event loop.

    >>> from fileferry import AsyncClient
    >>> async with AsyncClient() as client:
    ...     file = await client.upload(b"Hello", name="hello.txt", expires_in="24h")
    ...     await client.download(file)
    b'Hello'

    Files: ``upload``, ``upload_batch``, ``download``, ``get``, ``list``, ``update``, ``delete``, ``restore``, ``link``,
    ``preflight``, ``wait``, ``events``, ``past_events``, ``versions``. By path in a workspace: ``workspace``. For others to
    upload: ``tickets``. Pages for people: ``shares``, ``requests``. Who may do what: ``create_key``, ``update_key``,
    ``whoami``, who did what: ``audit``, people: ``create_user``, who is signed in: ``list_sessions``. Who is told: ``webhooks``.
    How the server stands: ``server``, ``usage``. Where an id is asked for, the object with that id does too.

    ``url``, ``key`` and ``end_user`` default to FILEFERRY_URL, FILEFERRY_KEY and FILEFERRY_END_USER, the key also to what the
    file FILEFERRY_KEY_FILE holds. With an end user all is done
    on that user's behalf, and only that user's files are there. ``timeout`` is in seconds without any progress.
    ``organization`` (itself, id or slug) names another organization than the key's own; only a root key may.

    Every method raises a ``FerryError``: one of the catalogue as the server answered it, ``ConnectionFailed`` or
    ``TimedOut`` without an answer, ``NotConfigured`` without a server. What can be repeated was repeated by then.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        end_user: str | None = None,
        timeout: float = 60.0,
        retries: RetryPolicy = PATIENT,
    ) -> None:
        self._transport = Transport(Connection(url, key, end_user, timeout), retries)

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end; empty where none is known.

        >>> client.url.startswith("http")
        True
        """
        return self._transport.connection.url

    def __repr__(self) -> str:
        return f"AsyncClient(url={self._transport.connection.url!r})"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections.

        >>> await client.close()
        """
        await self._transport.http.aclose()

    def workspace(
        self, workspace: Workspace | str, *, organization: Organization | str | None = None
    ) -> AsyncWorkspaceFiles:
        """Return the files of a workspace, given as itself, by its id or its name; nothing is asked yet.

        ``organization`` (id or slug) names another one than the key's own; root key only.

        >>> reports = client.workspace("reports")
        >>> (await reports.get("2026/november.pdf")).size
        6
        """
        return AsyncWorkspaceFiles(self, self._transport, id_of(workspace), organization)

    @property
    def tickets(self) -> AsyncTickets:
        """Upload tickets: URLs that others, such as a browser, send bytes to without a key.

        >>> ticket = await client.tickets.create(name="photo.jpg", max_size=5_000_000)
        >>> ticket.max_size
        5000000
        """
        return AsyncTickets(self._transport)

    def webhooks(self, *, organization: Organization | str | None = None) -> AsyncWebhooks:
        """Return the webhooks of the key's organization, or of another one for the root key.

        >>> hooks = client.webhooks()
        >>> [found.url async for found in hooks.list()]
        ['https://receiver.example/hook']
        """
        return AsyncWebhooks(self._transport, organization)

    def shares(self, *, organization: Organization | str | None = None) -> AsyncShares:
        """Return the shares that the key has made: pages with files, for whoever has their links.

        >>> shares = client.shares()
        >>> (await shares.create(file)).url.startswith(client.url + "/s/")
        True
        """
        return AsyncShares(self._transport, organization)

    def requests(self, *, organization: Organization | str | None = None) -> AsyncFileRequests:
        """Return the requests for files that the key has made: pages by which people without a key upload.

        >>> requests = client.requests()
        >>> (await requests.create("Photos of the site")).url.startswith(client.url + "/r/")
        True
        """
        return AsyncFileRequests(self._transport, organization)
