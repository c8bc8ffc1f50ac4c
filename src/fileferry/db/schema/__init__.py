"""The tables, as SQLAlchemy Core, by family. Migrations create them; these are what the queries are written against.

All are imported here, so that ``metadata`` knows every table.
"""

from __future__ import annotations

from fileferry.db.schema.access import key_secrets, keys, organizations, signing_secrets, users, workspaces
from fileferry.db.schema.accounts import accounts
from fileferry.db.schema.batches import batches
from fileferry.db.schema.columns import Instant, metadata
from fileferry.db.schema.commits import commits
from fileferry.db.schema.direct import direct_uploads
from fileferry.db.schema.events import deliveries, events, webhooks
from fileferry.db.schema.files import files, folders, inline_bytes, jobs, references, shared_blobs, usage, versions
from fileferry.db.schema.housekeeping import leases, stores
from fileferry.db.schema.lent_keys import lent_keys
from fileferry.db.schema.names import names, names_progress
from fileferry.db.schema.presence import key_uses, processes
from fileferry.db.schema.rates import rates
from fileferry.db.schema.sessions import sessions
from fileferry.db.schema.shares import file_requests, sent_files, share_files, shares
from fileferry.db.schema.short_urls import short_urls
from fileferry.db.schema.uploads import idempotency, parts, uploads

__all__ = [
    "Instant",
    "accounts",
    "batches",
    "commits",
    "deliveries",
    "direct_uploads",
    "events",
    "file_requests",
    "files",
    "folders",
    "idempotency",
    "inline_bytes",
    "jobs",
    "key_secrets",
    "key_uses",
    "keys",
    "leases",
    "lent_keys",
    "metadata",
    "names",
    "names_progress",
    "organizations",
    "parts",
    "processes",
    "rates",
    "references",
    "sent_files",
    "sessions",
    "share_files",
    "shared_blobs",
    "shares",
    "short_urls",
    "signing_secrets",
    "stores",
    "uploads",
    "usage",
    "users",
    "versions",
    "webhooks",
    "workspaces",
]
