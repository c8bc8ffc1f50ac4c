"""The native API, ``/api``: fileferry's own nouns as JSON, one module each, with problem+json errors and cursors.

The client and the command line speak it. Flows that others published are beside this folder, not in it.
"""

from __future__ import annotations

from fileferry.api.native import (
    audit,
    batches,
    events,
    files,
    folders,
    grants,
    keys,
    organizations,
    preflights,
    requests,
    server,
    sessions,
    shares,
    uploads,
    usage,
    users,
    webhooks,
    workspaces,
)

routers = [
    uploads.router,
    batches.router,
    files.router,
    preflights.router,
    folders.router,
    events.router,
    audit.router,
    keys.router,
    users.router,
    sessions.router,
    grants.router,
    organizations.router,
    usage.router,
    workspaces.router,
    webhooks.router,
    shares.router,
    requests.router,
    server.router,
]
"""What the application serves of it."""
