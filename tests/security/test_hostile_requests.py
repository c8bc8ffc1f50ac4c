"""Hostile names, headers and addresses: refused as the client's mistake, never a 500, never outside the data folder."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from contract.edge import exchange, head_of
from support.live_server import LiveServer


def answer_to(server: LiveServer, request: bytes) -> tuple[int, bytes]:
    answer = exchange(server, request, finish=False)
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer.split(b" ", 2)[1]), answer


TARGETS = [
    "/api/upload/../../../../etc/cron.d/x",
    "/api/upload/..%2f..%2f..%2fetc%2fpasswd",
    "/api/upload/%2e%2e/%2e%2e/x",
    "/api/upload/%2e%2e%5c%2e%2e%5cx/..",
    "/api/upload/a%00.txt",
    "/api/upload/a%0d%0aSet-Cookie:%20x",
    "/api/upload/%7f",
    "/api/upload/%c2%85",
    "/api/upload/%ed%a0%80",
    "/api/upload/%c0%ae%c0%ae/x",
    "/api/upload/" + "a" * 300,
    "/api/upload/" + "a/" * 700 + "a",
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_hostile_path_is_refused_and_nothing_is_written(server: LiveServer, target: str) -> None:
    before = set(server.data.parent.iterdir())
    status, answer = answer_to(server, head_of(server, "PUT", target, "Content-Length: 1") + b"a")
    assert status in (400, 404), answer
    assert set(server.data.parent.iterdir()) == before


def test_no_file_name_of_a_client_is_on_the_disk(server: LiveServer) -> None:
    with server.client() as http:
        http.put("/api/upload/telltale/%5C..%5C..%5Cname.bin", content=bytes(400_000))
        http.post("/v1/files", files={"file": ("../telltale.bin", bytes(400_000))})
    names = [path.name for path in Path(server.data).rglob("*")]
    assert not [name for name in names if "telltale" in name or "name" in name]


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /f/../../etc/passwd HTTP/1.1",
        b"GET /f/%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
        b"GET /f/%00/x HTTP/1.1",
        b"GET /api/files/..%2f..%2fkeys HTTP/1.1",
        b"GET /api/files?prefix=%ff%fe&cursor=%00 HTTP/1.1",
        b"GET /api/files?limit=1&limit=2 HTTP/1.1",
        b"GET /api/files?organization=%27%20OR%201=1-- HTTP/1.1",
        b"GET /api/files?workspace=%00 HTTP/1.1",
        b"GET /api/organizations/%ed%a0%80 HTTP/1.1",
        b"GET /docs/../api/files HTTP/1.1",
        b"GET /api/files/x/content?download=%ff HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"PATCH /v1/files HTTP/1.1",
        b"GET //api//files HTTP/1.1",
        b"GET http://elsewhere/api/files HTTP/1.1",
        b"GET /" + b"a" * 60_000 + b" HTTP/1.1",
    ],
    ids=lambda line: line[:50].decode(),
)
def test_a_hostile_address_is_no_fault_of_the_server(server: LiveServer, request_line: bytes) -> None:
    lines = [request_line, b"Host: x", b"X-API-Key: " + server.root_key.encode(), b"Connection: close", b"", b""]
    status, answer = answer_to(server, b"\r\n".join(lines))
    assert status < 500, answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "line",
    [
        b"Host: ",
        b"Host: a b",
        b"Host: \xff\xfe",
        b"Host: evil\x01",
        b"Host: [::1",
        b"Host: x:99999999",
        b"Host: x/../y?z#@",
        b"Accept: \xff",
        b"Range: bytes=\xb2-",
        b"If-None-Match: \xff",
        b'If-None-Match: "' + b"x" * 5000 + b'"',
        b"If-Match: unquoted",
        b"If-Modified-Since: \xff",
        b"X-Request-Id: \xff\xfe",
        b"Content-Type: multipart/form-data; boundary=\xff",
        b"Content-Encoding: \xff",
        b"Cookie: " + b"x" * 5000,
    ],
    ids=lambda line: repr(line[:40]),
)
@pytest.mark.parametrize(("method", "target"), [("GET", "FILE"), ("PUT", "/api/upload/h"), ("POST", "/v1/files")])
def test_a_hostile_header_is_no_fault_of_the_server(
    server: LiveServer, method: str, target: str, line: bytes, uploaded: str
) -> None:
    lines = [f"{method} {target.replace('FILE', uploaded)} HTTP/1.1".encode()]
    if not line.startswith(b"Host"):
        lines.append(b"Host: x")
    key = b"X-API-Key: " + server.root_key.encode()
    status, answer = answer_to(
        server, b"\r\n".join([*lines, line, key, b"Connection: close", b"Content-Length: 0", b"", b""])
    )
    assert status < 500, answer
    head = answer.partition(b"\r\n\r\n")[0]
    assert b"evil" not in head


@pytest.fixture(scope="module")
def uploaded(server: LiveServer) -> str:
    with server.client() as http:
        url: str = http.put("/api/upload/hostile.txt", content=b"abc").json()["url"]
    return url.removeprefix(server.url)


def test_many_headers_and_parts_are_bounded(server: LiveServer) -> None:
    many = [f"X-H{number}: {'x' * 200}" for number in range(2000)]
    answer = exchange(server, head_of(server, "GET", "/api/files", *many), finish=False)
    assert not answer or int(answer.split()[1]) in (200, 400, 431)


@pytest.mark.parametrize("depth", [33, 500, 975, 979])
def test_metadata_nested_too_deep_is_refused_and_spoils_no_list(http: httpx.Client, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    answer = http.post("/api/upload/deep.txt", params={"metadata": nested}, content=b"x")
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_metadata"
    assert http.get("/api/files").status_code == 200
