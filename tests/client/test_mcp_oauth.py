"""The SDK's own client connects by OAuth: it finds the way, registers, sends a person to the page, and gets new tokens."""

from __future__ import annotations

import asyncio
import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.oauth2 import AuthorizationCodeResult
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

from support.live_server import LiveServer

BACK = "http://127.0.0.1:9/callback"


class Storage:
    """Keeps tokens and the id of the client, as a host does on a disk."""

    tokens: Any = None
    client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info


def allowed(url: str, key: str) -> str:
    """Allow what a page asks for, by a key, as somebody without scripts does; return where the browser is led."""
    with httpx.Client(trust_env=False, timeout=60) as browser:
        page = browser.get(url)
        assert page.status_code == 200, page.text
        fields = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
        sent: dict[str, Any] = {html.unescape(name): html.unescape(value) for name, value in fields}
        sent |= {"decision": "allow", "key": key, "may": ["upload", "read"]}
        origin = urlsplit(url)._replace(path="", query="").geturl()
        answer = browser.post(f"{origin}/ui/authorize", data=sent, headers={"Origin": origin})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


def test_the_sdk_connects_by_oauth_and_refreshes(server: LiveServer) -> None:
    storage, places = Storage(), list[str]()

    async def lead(url: str) -> None:
        places.append(await asyncio.to_thread(allowed, url, server.root_key))

    async def come_back() -> AuthorizationCodeResult:
        query = parse_qs(urlsplit(places[-1]).query)
        return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0], iss=query["iss"][0])

    def provider() -> OAuthClientProvider:
        metadata = OAuthClientMetadata(client_name="SDK", redirect_uris=[BACK])  # type: ignore[list-item]
        return OAuthClientProvider(f"{server.url}/mcp", metadata, storage, lead, come_back)

    async def names() -> list[str]:
        async with (
            httpx2.AsyncClient(auth=provider(), timeout=60, trust_env=False) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as client,
        ):
            return [tool.name for tool in (await client.list_tools()).tools]

    first = asyncio.run(names())
    assert ("create_upload" in first, "delete_file" in first) == (True, False)
    before = storage.tokens
    # As one that has ended: the host comes with its refresh token.
    storage.tokens = before.model_copy(update={"access_token": "ffo_ended"})
    assert asyncio.run(names()) == first
    assert storage.tokens.refresh_token is not None
    assert len(places) <= 2
    with server.client() as api:
        for grant in api.get("/api/grants").json()["grants"]:
            if grant["client_name"] == "SDK":
                api.delete(f"/api/grants/{grant['id']}")
