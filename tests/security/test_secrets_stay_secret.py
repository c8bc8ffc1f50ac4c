"""No key, link token or signature is ever in a log line or an error, whatever is asked and however wrong."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from contract.edge import eventually, exchange, fetch, head_of

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer


def token_of(url: str) -> str:
    return url.partition("/f/")[2].partition("/")[0]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_is_in_the_log_or_in_an_error(make_server: MakeServer, log_format: str) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(log_level="debug", log_format=log_format, sweep_interval="1s")
    errors: list[str] = []
    with server.client() as http:
        made = http.post("/api/keys", json={"name": "a", "scopes": ["read"]}).json()
        rotated = http.post(f"/api/keys/{made['id']}/rotate", json={"grace": "1h"}).json()
        weak = rotated["key"]
        file = http.put("/api/upload/secret.txt", content=b"abc").json()
        kept = http.post("/v1/files", files={"file": ("b.bin", bytes(400_000))}).json()
        lost = http.put("/api/upload/lost.bin", content=bytes(400_000)).json()
        token = token_of(file["url"])
        altered = [token[:-1] + "A" * 2, "A" + token, token[:20] + "!" + token[20:], token.lower(), token + "%0a"]
        secrets = [server.root_key, made["key"], weak, token, token_of(kept["url"]), token_of(lost["url"])]
        for key in (weak, server.root_key[:-1], server.root_key + "x"):
            with server.client(key) as other:
                answers: list[httpx.Response] = [
                    other.put("/api/upload/a", content=b"a"),
                    other.post("/v1/files", content=b"a"),
                    other.post("/api/organizations", json={"slug": key}),
                    other.get(f"/api/keys/{key}"),
                    other.get(f"/api/nothing/{key}?api_key={key}&sig={token}"),
                    other.get("/api/files", params={"cursor": key, "prefix": key}),
                    other.get("/v1/files", headers={"api-key": server.root_key}),
                ]
                errors += [answer.text for answer in answers if answer.is_error]
        for path in (f"/api/keys/{weak}", f"/api/organizations/{weak}", f"/v1/files/{weak}"):
            http.get(path)
        http.post("/api/keys", content=f'{{"name": "{weak}", "scopes": ["{weak}"]'.encode())
        http.get("/api/files", headers={"X-Request-Id": "fine", "Authorization": f"Basic {server.root_key}"})
        for path in altered:
            errors.append(fetch(f"{server.url}/f/{path}/x").text)
        fetch(file["url"])
        fetch(file["url"], headers={"Range": "bytes=9-"})
        # Errors of the server's own, with a traceback in the log.
        shutil.rmtree(server.data / "blobs")
        errors += [fetch(lost["url"]).text, fetch(kept["url"]).text]
        with contextlib.suppress(httpx.TransportError):
            errors.append(http.put("/api/upload/late.bin", content=bytes(400_000)).text)
        http.delete(f"/api/files/{file['id']}")
        errors.append(fetch(file["url"]).text)
    exchange(server, head_of(server, "PUT", "/api/upload/cut", "Content-Length: 900000") + bytes(500_000))
    exchange(
        server, b"GET /f/" + token.encode() + b"/\xff HTTP/1.1\r\nHost: x\r\nX-API-Key: " + weak.encode() + b"\r\n\r\n"
    )
    eventually(lambda: "/api/upload/cut" in server.log_text())
    log = server.log_text()
    assert "internal_error" in " ".join(errors)
    assert "Traceback" in log or "bytes" in log
    for secret in secrets:
        assert secret not in log
        assert not any(secret in error for error in errors)
    # Nor most of one: what is shown of a key is its prefix.
    for secret in secrets:
        assert secret[10:30] not in log
    assert not re.search(r"ff_[0-9A-Za-z]{12,}", log)


@pytest.mark.sqlite  # looks into the folder
def test_nobody_else_on_the_machine_can_read_what_is_stored(make_server: MakeServer, tmp_path: Any) -> None:
    before = os.umask(0o022)
    try:
        server = make_server(store=f"file://{tmp_path}/blobs")
        with server.client() as http:
            http.put("/api/upload/small.txt", content=b"x").raise_for_status()
            http.put("/api/upload/large.bin", content=bytes(100_000)).raise_for_status()
    finally:
        os.umask(before)
    made = [server.data, *server.data.rglob("*"), tmp_path / "blobs", *(tmp_path / "blobs").rglob("*")]
    assert {path.name for path in made} >= {"data", "fileferry.db", "fileferry.db-wal", "blobs"}
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_a_made_root_key_is_printed_once_and_never_logged(make_server: MakeServer, tmp_path: Any) -> None:
    server = make_server(root_key="")
    server.restart()
    shown = re.findall(r"ff_[0-9A-Za-z]{20,}", server.log_text())
    assert len(shown) == 1
    with server.client(shown[0]) as http:
        assert http.get("/api/keys").status_code == 200
