"""The Python client: ``Client`` and ``AsyncClient``. It knows the server only by HTTP and by the error catalogue.

``asynchronous`` is written by hand and ``blocking`` is generated from it; both send what ``calls`` says and move bytes by
``transfers``, and give back ``nouns``.
"""

from __future__ import annotations

from fileferry.client.asynchronous.client import AsyncClient
from fileferry.client.asynchronous.requests import AsyncFileRequests
from fileferry.client.asynchronous.shares import AsyncShares
from fileferry.client.asynchronous.tickets import AsyncTickets
from fileferry.client.asynchronous.webhooks import AsyncWebhooks
from fileferry.client.asynchronous.workspace_files import AsyncWorkspaceFiles
from fileferry.client.blocking.client import Client
from fileferry.client.blocking.requests import FileRequests
from fileferry.client.blocking.shares import Shares
from fileferry.client.blocking.tickets import Tickets
from fileferry.client.blocking.webhooks import Webhooks
from fileferry.client.blocking.workspace_files import WorkspaceFiles
from fileferry.client.calls.call import UNCHANGED, Lifetime
from fileferry.client.failures import ConnectionFailed, NotConfigured, SourceChanged, TimedOut, UnexpectedAnswer
from fileferry.client.nouns.audit import AuditRecord
from fileferry.client.nouns.batches import Batch
from fileferry.client.nouns.events import Event
from fileferry.client.nouns.files import File, Scan
from fileferry.client.nouns.folders import Folder
from fileferry.client.nouns.identities import Identity
from fileferry.client.nouns.keys import ApiKey
from fileferry.client.nouns.limits import Usage
from fileferry.client.nouns.links import Link
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.preflights import Check, Preflight
from fileferry.client.nouns.requests import FileRequest, SentFile
from fileferry.client.nouns.server import Day, Process, ServerStatus, Task, UsageReport
from fileferry.client.nouns.sessions import Grant, Session
from fileferry.client.nouns.shares import Share
from fileferry.client.nouns.uploads import Ticket, UnfinishedUpload
from fileferry.client.nouns.users import User
from fileferry.client.nouns.versions import Version
from fileferry.client.nouns.webhooks import Delivery, Webhook
from fileferry.client.nouns.workspaces import Workspace
from fileferry.client.retrying import RetryPolicy
from fileferry.client.transfers.parts import Progress
from fileferry.client.transfers.sources import Readable

__all__ = [
    "UNCHANGED",
    "ApiKey",
    "AsyncClient",
    "AsyncFileRequests",
    "AsyncShares",
    "AsyncTickets",
    "AsyncWebhooks",
    "AsyncWorkspaceFiles",
    "AuditRecord",
    "Batch",
    "Check",
    "Client",
    "ConnectionFailed",
    "Day",
    "Delivery",
    "Event",
    "File",
    "FileRequest",
    "FileRequests",
    "Folder",
    "Grant",
    "Identity",
    "Lifetime",
    "Link",
    "NotConfigured",
    "Organization",
    "Preflight",
    "Process",
    "Progress",
    "Readable",
    "RetryPolicy",
    "Scan",
    "SentFile",
    "ServerStatus",
    "Session",
    "Share",
    "Shares",
    "SourceChanged",
    "Task",
    "Ticket",
    "Tickets",
    "TimedOut",
    "UnexpectedAnswer",
    "UnfinishedUpload",
    "Usage",
    "UsageReport",
    "User",
    "Version",
    "Webhook",
    "Webhooks",
    "Workspace",
    "WorkspaceFiles",
]
