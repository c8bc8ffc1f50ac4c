"""The native API of grants, ``/api/grants``: programs that somebody has lent a key to by OAuth. They are made at a page."""

from __future__ import annotations

import msgspec
from litestar import Router, delete, get

from fileferry.engine.engine import Engine
from fileferry.model import Principal, format_time


class GrantObject(msgspec.Struct, kw_only=True):
    """A program that acts by the key ``key_id``, with these of its scopes, until ``expires_at`` unless it comes back before."""

    id: str
    key_id: str
    end_user: str | None
    client_id: str
    client_name: str
    scopes: list[str]
    created_at: str
    last_used_at: str
    expires_at: str


class GrantList(msgspec.Struct):
    """Grants, the last used first; at most 1000."""

    grants: list[GrantObject]


@get("/grants")
async def list_grants(engine: Engine, principal: Principal) -> GrantList:
    """List the programs that this key is lent to; with the scope admin, those of any key of the organization."""
    return GrantList(
        [
            GrantObject(
                id=lent.id,
                key_id=lent.key_id,
                end_user=lent.end_user,
                client_id=lent.client_id,
                client_name=lent.client_name,
                scopes=lent.scopes.split(),
                created_at=format_time(lent.created_at),
                last_used_at=format_time(lent.used_at),
                expires_at=format_time(lent.ends_at),
            )
            for lent in await engine.lending.list(principal)
        ]
    )


@delete("/grants/{grant_id:str}")
async def revoke_grant(engine: Engine, principal: Principal, grant_id: str) -> None:
    """End a program's access at once."""
    await engine.lending.revoke(principal, grant_id)


router = Router("/api", route_handlers=[list_grants, revoke_grant])
