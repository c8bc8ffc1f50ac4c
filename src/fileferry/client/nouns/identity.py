"""By what a request names a noun: its id, whether a caller gave the noun or the id."""

from __future__ import annotations

from fileferry.client.nouns.files import File
from fileferry.client.nouns.folders import Folder
from fileferry.client.nouns.keys import ApiKey
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.requests import FileRequest
from fileferry.client.nouns.sessions import Grant, Session
from fileferry.client.nouns.shares import Share
from fileferry.client.nouns.uploads import Ticket, UnfinishedUpload
from fileferry.client.nouns.users import User
from fileferry.client.nouns.versions import Version
from fileferry.client.nouns.webhooks import Delivery, Webhook
from fileferry.client.nouns.workspaces import Workspace

Noun = (
    ApiKey
    | Delivery
    | File
    | FileRequest
    | Folder
    | Grant
    | Organization
    | Session
    | Share
    | Ticket
    | UnfinishedUpload
    | User
    | Version
    | Webhook
    | Workspace
)

_IDS: dict[type, str] = {
    ApiKey: "key_id",
    Delivery: "delivery_id",
    File: "file_id",
    FileRequest: "request_id",
    Folder: "folder_id",
    Grant: "grant_id",
    Organization: "organization_id",
    Session: "session_id",
    Share: "share_id",
    Ticket: "upload_id",
    UnfinishedUpload: "upload_id",
    User: "user_id",
    Version: "version_id",
    Webhook: "webhook_id",
    Workspace: "workspace_id",
}


def id_of(named: Noun | str) -> str:
    """Return the id of what is given as itself or by its id; raise TypeError for what is neither."""
    if isinstance(named, str):
        return named
    if type(named) not in _IDS:
        raise TypeError(f"{type(named).__name__} names nothing here: give what the client returned, or its id.")
    return str(getattr(named, _IDS[type(named)]))
