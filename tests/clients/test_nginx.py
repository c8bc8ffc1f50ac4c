"""nginx sends whole files from the store by the lines of docs/proxies.md: what it answers is what the server would."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.live_server import LiveServer
from support.nginx import Nginx

pytestmark = [pytest.mark.service("nginx"), pytest.mark.folder("nginx sends files of it")]

CONTENT = os.urandom(3_000_001)
PAGE = Path(__file__).parents[2] / "docs" / "proxies.md"
# What differs from answer to answer, or says who answered and on which connection.
OWN = {"date", "server", "connection", "x-request-id"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that hands whole files over."""
    live = LiveServer(tmp_path_factory.mktemp("accelerated"), {"accel": "x-accel-redirect"})
    try:
        live.start()
        yield live
    finally:
        live.close()


@pytest.fixture(scope="module")
def nginx(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx in front of it, with the documented lines."""
    found = re.search(r"```nginx\n(location /fileferry-store/ \{.+?\n\})\n```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    lines = found[1].replace("/srv/fileferry/", f"{server.data}/")
    with Nginx(tmp_path_factory.mktemp("nginx") / "front", server.port, lines) as running:
        yield running


@pytest.fixture(scope="module")
def path(server: LiveServer) -> str:
    """The path of the URL of a file in the store."""
    return put(server, "a page.html")


def put(server: LiveServer, name: str, content: bytes = CONTENT, **query: str) -> str:
    with server.client() as client:
        answer = client.put(f"/api/upload/{name}", content=content, params=query)
    assert answer.is_success, answer.text
    url: str = answer.json()["url"]
    return url.removeprefix(server.url)


def get(at: LiveServer | Nginx, path: str, **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.get(f"{at.url}{path}", headers={**headers, "Accept-Encoding": "identity"})


def fields(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OWN}


def test_nginx_sends_the_file_with_every_header_of_ours(server: LiveServer, nginx: Nginx, path: str) -> None:
    handed = get(server, path)
    assert (handed.status_code, handed.content) == (200, b"")
    assert handed.headers["x-accel-redirect"].startswith("/fileferry-store/blobs/")
    sent = get(nginx, path)
    assert (sent.status_code, sent.content) == (200, CONTENT), nginx.log_text()
    expected = {**fields(handed), "content-length": str(len(CONTENT)), "accept-ranges": "bytes"}
    del expected["x-accel-redirect"]
    assert fields(sent) == expected
    assert "sandbox" in sent.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=5-1000000"},
        {"Range": "bytes=-7"},
        {"Range": "bytes=0-1", "If-Range": '"other"'},
        {"If-None-Match": '"other"'},
        {"If-Match": "*"},
        {"x-ms-version": "2020-10-02"},
    ],
)
def test_what_nginx_would_answer_otherwise_is_answered_by_the_server(
    nginx: Nginx, path: str, headers: dict[str, str]
) -> None:
    answer = get(nginx, path, **headers)
    ranged = headers.get("Range") if "If-Range" not in headers else None
    expected = {"bytes=5-1000000": CONTENT[5:1000001], "bytes=-7": CONTENT[-7:]}.get(ranged or "", CONTENT)
    assert answer.content == expected
    assert "x-accel-redirect" not in answer.headers


def test_conditions_and_heads_are_the_servers(server: LiveServer, nginx: Nginx, path: str) -> None:
    etag = get(nginx, path).headers["etag"]
    assert get(nginx, path, **{"If-None-Match": etag}).status_code == 304
    assert get(nginx, path, **{"If-Match": '"other"'}).status_code == 412
    with httpx.Client(trust_env=False) as client:
        asked = client.head(f"{nginx.url}{path}")
    assert (asked.status_code, asked.headers["content-length"]) == (200, str(len(CONTENT)))


def test_the_store_is_not_open_to_anybody(server: LiveServer, nginx: Nginx, path: str) -> None:
    place = get(server, path).headers["x-accel-redirect"]
    assert get(nginx, place).status_code == 404
    with server.client() as client:
        file = client.put("/api/upload/gone.bin", content=CONTENT).json()
        client.delete(f"/api/files/{file['id']}")
    assert get(nginx, file["url"].removeprefix(server.url)).status_code == 410


def test_small_and_limited_files_are_the_servers(server: LiveServer, nginx: Nginx) -> None:
    assert get(nginx, put(server, "small.txt", b"small")).content == b"small"
    limited = put(server, "limited.bin", expires_after_fetches="1")
    assert "x-accel-redirect" not in get(nginx, limited).headers
    assert get(nginx, limited).status_code == 410
