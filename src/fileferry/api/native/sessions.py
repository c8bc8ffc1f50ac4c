"""The native API of sessions, ``/api/sessions``: who is signed in to the dashboard. They are begun there."""

from __future__ import annotations

import msgspec
from litestar import Router, delete, get

from fileferry.engine.engine import Engine
from fileferry.model import Principal, format_time


class SessionObject(msgspec.Struct, kw_only=True):
    """Somebody who is signed in to the dashboard by the key ``key_id``, from ``address``; ``id`` opens nothing."""

    id: str
    key_id: str
    end_user: str | None
    address: str
    user_agent: str
    created_at: str
    last_seen_at: str
    expires_at: str


class SessionList(msgspec.Struct):
    """Sessions, the last used first; at most 1000."""

    sessions: list[SessionObject]


@get("/sessions")
async def list_sessions(engine: Engine, principal: Principal) -> SessionList:
    """List who is signed in to the dashboard by this key; with the scope admin, by any key of the organization."""
    found = await engine.sessions.list(principal)
    return SessionList(
        [
            SessionObject(
                id=session.id,
                key_id=session.key_id,
                end_user=session.end_user,
                address=session.address,
                user_agent=session.user_agent,
                created_at=format_time(session.created_at),
                last_seen_at=format_time(session.seen_at),
                expires_at=format_time(session.ends_at),
            )
            for session in found
        ]
    )


@delete("/sessions/{session_id:str}")
async def end_session(engine: Engine, principal: Principal, session_id: str) -> None:
    """Sign somebody out of the dashboard."""
    await engine.sessions.revoke(principal, session_id)


router = Router("/api", route_handlers=[list_sessions, end_session])
