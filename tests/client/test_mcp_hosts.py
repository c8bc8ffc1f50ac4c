"""A host of agents as the SDK makes one: it moves files with nothing but what tools answer and curl, also where URLs are harmed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from support.live_server import LiveServer

ERAS = ["auto", "2026-07-28", "legacy"]
SIZE = 8 * 1024 * 1024
LARGE = 1024**3
MOST_TRAFFIC = 20 * 1024

Walk = Callable[["Host"], Awaitable[None]]


class Host:
    """Calls tools, and counts what passes at ``/mcp``."""

    client: Client

    def __init__(self) -> None:
        self.traffic = 0

    async def tell(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(name, arguments)
        assert not result.is_error, result.structured_content
        answer: dict[str, Any] = result.structured_content
        return answer

    async def count_request(self, request: httpx2.Request) -> None:
        self.traffic += len(request.content)

    async def count_answer(self, response: httpx2.Response) -> None:
        self.traffic += int(response.headers.get("content-length", 0))


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Three processes on one port: who answers is never the same for long, and nothing is kept from one call to the next."""
    live = LiveServer(tmp_path_factory.mktemp("server"), {}, workers=3)
    live.start()
    yield live
    live.close()


def over_http(server: LiveServer, era: str, walk: Walk) -> int:
    """Walk with a host that connects to ``/mcp``; return how many bytes passed there."""

    async def run() -> int:
        host = Host()
        hooks = {"request": [host.count_request], "response": [host.count_answer]}
        headers = {"Authorization": f"Bearer {server.root_key}"}
        # Nothing is kept alive, so that any process may get the next request. The first loads the SDK.
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with (
            httpx2.AsyncClient(headers=headers, event_hooks=hooks, timeout=60, limits=limits, trust_env=False) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=era) as host.client,
        ):
            await walk(host)
            return host.traffic

    return asyncio.run(run())


def curl(line: str, file: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line of curl as a tool told it."""
    words = [str(file) if word == "FILE" else word for word in shlex.split(line)]
    assert words[0] == "curl"
    return subprocess.run([*words, "--noproxy", "*"], capture_output=True, timeout=600)


def write(source: Path, size: int, seed: str) -> str:
    """Write so many bytes, each 8 MiB of them others; return their SHA-256."""
    digest = hashlib.sha256()
    with source.open("wb") as file:
        for number in range(size // SIZE):
            block = hashlib.shake_256(f"{seed} {number}".encode()).digest(SIZE)
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("era", "size"),
    [
        *((era, SIZE) for era in ERAS),
        *(pytest.param(era, LARGE, marks=pytest.mark.soak, id=f"{era}-1GiB") for era in ("2026-07-28", "legacy")),
    ],
)
def test_a_host_moves_a_file_up_and_down_without_its_bytes(
    replicas: LiveServer, era: str, size: int, tmp_path: Path
) -> None:
    source, target = tmp_path / "up.bin", tmp_path / "down.bin"
    digest = write(source, size, era)

    async def walk(host: Host) -> None:
        names = [tool.name for tool in (await host.client.list_tools()).tools]
        assert names[:2] == ["create_upload", "upload_status"]
        ticket = await host.tell("create_upload", name="up.bin", size=size, sha256=digest)
        sent = await asyncio.to_thread(curl, ticket["curl"], source)
        assert sent.returncode == 0, sent.stderr
        status = await host.tell("upload_status", upload_id=ticket["upload_id"], wait=50)
        assert status["file"]["status"] == "ready"
        file = await host.tell("get_file", file_id=status["file_id"])
        got = await asyncio.to_thread(curl, f"curl -fsS -o FILE {file['url']}", target)
        assert got.returncode == 0, got.stderr
        line = file["verify"].replace("FILE", str(target))
        checked = await asyncio.to_thread(subprocess.run, ["sh", "-c", line], capture_output=True)
        assert checked.returncode == 0, checked.stdout
        assert (await host.tell("delete_file", file_id=status["file_id"]))["deleted"]

    assert over_http(replicas, era, walk) < MOST_TRAFFIC
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest


def harmed(url: str) -> list[str]:
    """Return a URL as language models and chat programs give it on."""
    cut = [url.partition("?")[0], url[:120]]
    return [*cut, *(f"{url}{sign}" for sign in (")", ".", ",", "'", ">", "**")), url[:-1], url.upper(), f"{url}/"]


def test_every_url_survives_its_way_through_a_model_or_says_how_to_get_another(
    replicas: LiveServer, tmp_path: Path
) -> None:
    source, target = tmp_path / "a.txt", tmp_path / "b.txt"
    source.write_bytes(b"abc")
    sentence = "not whole"

    async def walk(host: Host) -> None:
        ticket = await host.tell("create_upload", name="a.txt")
        survived = []
        for url in harmed(ticket["upload"]["url"])[::-1]:
            answer = await asyncio.to_thread(curl, f"curl -sS -T FILE {shlex.quote(url)}", source)
            told = json.loads(answer.stdout)
            survived.append("sha256" in told)
            assert survived[-1] or (told["code"] == "mangled_url" and sentence in told["detail"]), (url, told)
        assert survived.count(True) == 2  # those that were cut where a short one has nothing to cut
        file = await host.tell("get_file", file_id=ticket["file_id"])
        survived = []
        for url in harmed(file["url"]):
            answer = await asyncio.to_thread(curl, f"curl -sS -o FILE -w %{{http_code}} {shlex.quote(url)}", target)
            survived.append(answer.stdout == b"200" and target.read_bytes() == b"abc")
            assert survived[-1] or sentence.encode() in target.read_bytes()
        assert survived.count(True) == 2

    over_http(replicas, "auto", walk)


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
