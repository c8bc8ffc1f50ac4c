"""A host of agents as the SDK makes one: it moves files with nothing but what tools answer and curl, also where URLs are harmed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from client.hosts import BLOCK, MOST_TRAFFIC, Host, curl, move_up_and_down, try_harmed_urls
from support.live_server import LiveServer

ERAS = ["auto", "2026-07-28", "legacy"]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Three processes on one port: who answers is never the same for long, and nothing is kept from one call to the next."""
    live = LiveServer(tmp_path_factory.mktemp("server"), {}, workers=3)
    live.start()
    yield live
    live.close()


@pytest.mark.parametrize("era", ERAS)
def test_a_host_moves_a_file_up_and_down_without_its_bytes(replicas: LiveServer, era: str, tmp_path: Path) -> None:
    assert move_up_and_down(replicas, era, BLOCK, tmp_path) < MOST_TRAFFIC


def test_every_url_survives_its_way_through_a_model_or_says_how_to_get_another(
    replicas: LiveServer, tmp_path: Path
) -> None:
    try_harmed_urls(replicas, tmp_path)


@pytest.mark.parametrize("era", ["auto", "legacy"])
def test_a_host_on_the_same_machine_has_the_same_tools(server: LiveServer, era: str, tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_bytes(b"abcd")
    environment = {"FILEFERRY_URL": server.url, "FILEFERRY_KEY": server.root_key, "NO_PROXY": "127.0.0.1"}
    command = StdioServerParameters(command=sys.executable, args=["-m", "fileferry", "mcp"], env=environment)

    async def run() -> None:
        host = Host()
        async with Client(stdio_client(command), mode=era) as host.client:
            ticket = await host.tell("create_upload", path="from/here.txt")
            assert ticket["upload"]["url"].startswith(f"{server.url}/t/")
            assert curl(ticket["curl"], source).returncode == 0
            status = await host.tell("upload_status", upload_id=ticket["upload_id"], wait=10)
            assert status["file"]["size"] == 4
            saved = await host.tell("put_text", path="from/größe.txt", text="grün")
            assert saved["file"]["size"] == 5
            found = await host.tell("search_files", query="GRÖSSE")
            assert [file["path"] for file in found["files"]] == ["from/größe.txt"]
            refused = await host.client.call_tool("put_text", {"path": "from/../../keys", "text": "x"})
            assert refused.is_error
            assert refused.structured_content["error"]["code"] == "invalid_parameter"

    asyncio.run(run())
