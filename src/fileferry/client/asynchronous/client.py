"""``AsyncClient``: the connection to one server, with all that can be done there; each noun has a module beside this one."""

from __future__ import annotations

from types import TracebackType

from fileferry.client.asynchronous.files import Files
from fileferry.client.asynchronous.folders import Folders
from fileferry.client.asynchronous.keys import Keys
from fileferry.client.asynchronous.organizations import Organizations
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.asynchronous.webhooks import AsyncWebhooks
from fileferry.client.asynchronous.workspace_files import AsyncWorkspaceFiles
from fileferry.client.asynchronous.workspaces import Workspaces
from fileferry.client.calls import workspaces
from fileferry.client.connection import Connection
from fileferry.client.nouns.workspaces import Workspace
from fileferry.client.retrying import PATIENT, RetryPolicy


class AsyncClient(Files, Folders, Workspaces, Keys, Organizations):
    """A connection to one fileferry server; use it as an asynchronous context manager, from one event loop.

    ``url``, ``key`` and ``end_user`` default to FILEFERRY_URL, FILEFERRY_KEY and FILEFERRY_END_USER. With an end user all is done
    on that user's behalf, and only that user's files are there. ``timeout`` is in seconds without any progress.
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

    def __repr__(self) -> str:
        return f"AsyncClient(url={self._transport.connection.url!r})"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.http.aclose()

    def workspace(self, workspace: Workspace | str, *, organization: str | None = None) -> AsyncWorkspaceFiles:
        """Return the files of a workspace, given as itself, by its id or its name; nothing is asked yet.

        ``organization`` (id or slug) names another one than the key's own; root key only.
        """
        return AsyncWorkspaceFiles(self, self._transport, workspaces.id_of(workspace), organization)

    def webhooks(self, *, organization: str | None = None) -> AsyncWebhooks:
        """Return the webhooks of the key's organization, or of another one for the root key."""
        return AsyncWebhooks(self._transport, organization)
