"""Uppy and tus-js-client in Chromium upload from a page of another origin, to signed URLs and with a key."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from browser.chromium import outcome_in_chromium
from contract.edge import fetch
from support.live_server import LiveServer
from support.node import PACKAGES
from wire.tus import is_there, stored, ticket

SIZE = 350_001
SERVED = {
    "/": ("text/html", Path(__file__).with_name("tus.html")),
    "/tus.min.js": ("text/javascript", PACKAGES / "tus-js-client/dist/tus.min.js"),
    "/uppy.min.mjs": ("text/javascript", PACKAGES / "uppy/dist/uppy.min.mjs"),
}


@pytest.mark.service("chromium")
@pytest.mark.service("node")
def test_pages_upload_with_uppy_and_tus_js_client(http: httpx.Client, server: LiveServer, tmp_path: Path) -> None:
    content = bytes(index % 251 for index in range(SIZE))
    tickets = {name: ticket(http) for name in ("parallel", "overridden", "resumed", "uppy", "uppyS3", "uppyForm")}
    in_parts = ticket(http)
    too_small = ticket(http, max_size=SIZE - 1)
    told = {
        "size": SIZE,
        "endpoint": f"{server.url}/tus/",
        "key": server.root_key,
        "refused": too_small["url"],
        "uppyS3Parts": in_parts["url"],
        **{name: asked["url"] for name, asked in tickets.items()},
    }
    outcome = outcome_in_chromium(SERVED, told, tmp_path)

    assert "error" not in outcome, outcome
    for asked in tickets.values():
        assert stored(http, asked) == content
    assert outcome["resumed"]["expires"]
    assert "address" not in outcome["parallel"]
    assert fetch(outcome["key"]["address"]).content == content

    assert stored(http, in_parts) == content * 20
    assert not [name for name in ("uppy", "uppyS3", "uppyS3Parts", "uppyForm", "uppyKey") if outcome[name]["failed"]]
    (location,) = outcome["uppyKey"]["successful"]
    upload = http.get(f"/api/uploads/{location.split('/')[4]}").json()
    assert stored(http, upload) == content
    file = http.get(f"/api/files/{upload['file_id']}").json()
    assert (file["name"], file["content_type"]) == ("uppy.bin", "application/x-page")

    assert outcome["refused"] == {"status": 413, "code": "file_too_large"}
    assert not is_there(http, too_small)
