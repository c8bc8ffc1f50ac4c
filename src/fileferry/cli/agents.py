"""``mcp`` and ``skill``: what agents on this machine need to move files by a server."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fileferry.absent import absent
from fileferry.cli.session import MISUSED, Key, Url, fail, session, told_failures

if TYPE_CHECKING:
    from fileferry.client.asynchronous.transport import Transport

_NEEDED = ("mcp", "msgspec")


def mcp(url: Url = None, key: Key = None) -> None:
    """Give agents the tools of a server, by the Model Context Protocol over standard input and output.

    Hosts of agents start it by themselves: see docs/agents.md. The server also has the tools at /mcp.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        fail("This command needs more: pip install 'fileferry[mcp]'.", MISUSED)
    import asyncio

    with told_failures():
        asyncio.run(_serve(url, key))


def skill(url: Url = None, key: Key = None) -> None:
    """Print how an agent with a shell uses the server: a SKILL.md with its address."""
    from fileferry.client.calls.call import Call

    with session(url, key) as client:
        print(client._transport.run(Call(method="GET", path="/SKILL.md", read=lambda response: response.text)), end="")


async def _serve(url: str | None, key: str | None) -> None:
    from mcp.server.stdio import stdio_server

    with absent("pygments", "rich"):
        from fileferry.cli.profiles import connection
        from fileferry.client.asynchronous.transport import Transport
        from fileferry.client.connection import Connection
        from fileferry.client.retrying import RetryPolicy
    from fileferry.mcp.server import build

    # Somebody waits for the answer to each call: what does not pass soon is told, and the agent asks again.
    api = _Elsewhere(Transport(Connection(*connection(url, key), None, 60.0), RetryPolicy(outage=5.0)))
    server = build(lambda _context: api)
    try:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())
    finally:
        await api.transport.http.aclose()


class _Elsewhere:
    """The native API of a server that this machine reaches, with the key of the command."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def scopes(self) -> frozenset[str]:
        """Return the scopes of the key, as they are now."""
        identity = await self.ask("GET", "/api/whoami")
        return frozenset(identity["key"]["scopes"])

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        content_type: str | None = None,
        wait: int = 0,
    ) -> Any:
        """Return what the server answers; raises its error."""
        from fileferry.client.calls.call import Call

        headers = {"Prefer": f"wait={wait}"} if wait else {}
        if content is not None:
            headers["Content-Type"] = content_type or "application/octet-stream"
        call: Call[Any] = Call(
            method=method,
            path=path,
            read=lambda response: response.json() if response.content else None,
            headers=headers,
            json=json,
            content=content,
            repeatable=method == "GET",
            seconds=wait,
        )
        return await self.transport.run(call)
