"""A host of agents as the SDK makes one, and its walks: files are moved with nothing but what tools answer and curl."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

MOST_TRAFFIC = 20 * 1024
"""Bytes at ``/mcp`` for a file of any size, up and down."""
BLOCK = 8 * 1024 * 1024

Walk = Callable[["Host"], Awaitable[None]]
Mangle = Callable[[str], str]


class Served(Protocol):
    """Where servers are, and the key to them."""

    url: str
    root_key: str


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
        self.traffic += int(response.headers["content-length"])


def over_http(served: Served, era: str, walk: Walk) -> int:
    """Walk with a host that connects to ``/mcp``; return how many bytes passed there."""

    async def run() -> int:
        host = Host()
        hooks = {"request": [host.count_request], "response": [host.count_answer]}
        headers = {"Authorization": f"Bearer {served.root_key}"}
        # Nothing is kept alive, so that any process may get the next request. The first loads the SDK.
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with (
            httpx2.AsyncClient(headers=headers, event_hooks=hooks, timeout=60, limits=limits, trust_env=False) as http,
            Client(streamable_http_client(f"{served.url}/mcp", http_client=http), mode=era) as host.client,
        ):
            await walk(host)
            return host.traffic

    return asyncio.run(run())


def curl(line: str, file: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line of curl as a tool told it."""
    words = [str(file) if word == "FILE" else word for word in shlex.split(line)]
    assert words[0] == "curl"
    return subprocess.run([*words, "--noproxy", "*"], capture_output=True, timeout=600)


def move_up_and_down(served: Served, era: str, size: int, folder: Path, mangle: Mangle = str) -> int:
    """Move a file of so many bytes (whole blocks) up, and down again; return how many bytes passed at ``/mcp``.

    Every line and URL that a tool told is given on by ``mangle``, and used as it comes out there.
    """
    source, target = folder / "up.bin", folder / "down.bin"
    digest = _write(source, size, era)

    async def walk(host: Host) -> None:
        names = [tool.name for tool in (await host.client.list_tools()).tools]
        assert names[:2] == ["create_upload", "upload_status"]
        ticket = await host.tell("create_upload", name="up.bin", size=size, sha256=digest)
        sent = await asyncio.to_thread(curl, mangle(ticket["curl"]), source)
        assert sent.returncode == 0, sent.stderr
        status = await host.tell("upload_status", upload_id=ticket["upload_id"], wait=50)
        assert status["file"]["status"] == "ready"
        file = await host.tell("get_file", file_id=status["file_id"])
        got = await asyncio.to_thread(curl, f"curl -fsS -o FILE {mangle(file['url'])}", target)
        assert got.returncode == 0, got.stderr
        line = file["verify"].replace("FILE", str(target))
        checked = await asyncio.to_thread(subprocess.run, ["sh", "-c", line], capture_output=True)
        assert checked.returncode == 0, checked.stdout
        assert (await host.tell("delete_file", file_id=status["file_id"]))["deleted"]

    traffic = over_http(served, era, walk)
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    return traffic


def cut(text: str) -> str:
    """Return a text as models give it on that cut what is long: no URL has a query, and there are 120 characters."""
    return text.partition("?")[0][:120]


def try_harmed_urls(served: Served, folder: Path) -> None:
    """Harm the URLs of a ticket and of a file: each still works, or says that it is not whole."""
    source, target = folder / "a.txt", folder / "b.txt"
    source.write_bytes(b"abc")
    sentence = "not whole"

    async def walk(host: Host) -> None:
        ticket = await host.tell("create_upload", name="a.txt")
        survived = []
        for url in _harmed(ticket["upload"]["url"])[::-1]:
            answer = await asyncio.to_thread(curl, f"curl -sS -T FILE {shlex.quote(url)}", source)
            told = json.loads(answer.stdout)
            survived.append("sha256" in told)
            assert survived[-1] or (told["code"] == "mangled_url" and sentence in told["detail"]), (url, told)
        assert survived.count(True) == 2  # those that were cut where a short one has nothing to cut
        await host.tell("upload_status", upload_id=ticket["upload_id"], wait=50)
        file = await host.tell("get_file", file_id=ticket["file_id"])
        survived = []
        for url in _harmed(file["url"]):
            answer = await asyncio.to_thread(curl, f"curl -sS -o FILE -w %{{http_code}} {shlex.quote(url)}", target)
            survived.append(answer.stdout == b"200" and target.read_bytes() == b"abc")
            assert survived[-1] or sentence.encode() in target.read_bytes()
        assert survived.count(True) == 2

    over_http(served, "auto", walk)


def _harmed(url: str) -> list[str]:
    """Return a URL as language models and chat programs give it on."""
    cuts = [url.partition("?")[0], url[:120]]
    return [*cuts, *(f"{url}{sign}" for sign in (")", ".", ",", "'", ">", "**")), url[:-1], url.upper(), f"{url}/"]


def _write(source: Path, size: int, seed: str) -> str:
    """Write so many bytes, each block of them others; return their SHA-256."""
    digest = hashlib.sha256()
    with source.open("wb") as file:
        for number in range(size // BLOCK):
            block = hashlib.shake_256(f"{seed} {number}".encode()).digest(BLOCK)
            file.write(block)
            digest.update(block)
    return digest.hexdigest()
