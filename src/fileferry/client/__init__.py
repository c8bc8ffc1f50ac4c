"""The Python client: ``Client`` and ``AsyncClient``. It knows the server only by HTTP and by the error catalogue."""

from __future__ import annotations

from fileferry.client.asynchronous import AsyncClient
from fileferry.client.asynchronous_webhooks import AsyncWebhooks
from fileferry.client.asynchronous_workspaces import AsyncWorkspaceFiles
from fileferry.client.blocking import Client
from fileferry.client.blocking_webhooks import Webhooks
from fileferry.client.blocking_workspaces import WorkspaceFiles
from fileferry.client.call import UNCHANGED
from fileferry.client.failures import ConnectionFailed, NotConfigured, SourceChanged, TimedOut, UnexpectedAnswer
from fileferry.client.nouns import (
    ApiKey,
    Delivery,
    Event,
    File,
    Folder,
    Organization,
    Scan,
    Version,
    Webhook,
    Workspace,
)
from fileferry.client.retrying import RetryPolicy

__all__ = [
    "UNCHANGED",
    "ApiKey",
    "AsyncClient",
    "AsyncWebhooks",
    "AsyncWorkspaceFiles",
    "Client",
    "ConnectionFailed",
    "Delivery",
    "Event",
    "File",
    "Folder",
    "NotConfigured",
    "Organization",
    "RetryPolicy",
    "Scan",
    "SourceChanged",
    "TimedOut",
    "UnexpectedAnswer",
    "Version",
    "Webhook",
    "Webhooks",
    "Workspace",
    "WorkspaceFiles",
]
