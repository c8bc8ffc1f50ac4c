"""The clients of each protocol work through nginx, Caddy, HAProxy and Traefik, each by its file of deploy/proxies."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from azure.storage.blob import BlobClient
from google.resumable_media.requests import ResumableUpload
from tusclient.client import TusClient

from clients.test_boto import names_of, s3_client
from contract.edge import eventually
from contract.workspace import Place
from fileferry import Client
from support.live_server import LiveServer, MakeServer
from support.proxies import Proxy
from wire.asking import SMALL_PART, etag_of, initiate
from wire.tus import VERSION, call, offset_of, stored, ticket

CONTENT = os.urandom(3_000_001)
LONG = "x" * 12_000


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.service(name)) for name in ("nginx", "caddy", "haproxy", "traefik")],
)
def proxy(
    request: pytest.FixtureRequest, server: LiveServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(request.param, tmp_path_factory.mktemp(request.param), server.port) as running:
        # Traefik listens before it knows where to.
        eventually(lambda: httpx.get(f"{running.url}/readyz", trust_env=False, timeout=60).status_code == 200)
        yield running


@pytest.fixture
def behind(proxy: Proxy, server: LiveServer) -> Iterator[httpx.Client]:
    """A client with the root key that sees the server through the proxy."""
    with httpx.Client(
        base_url=proxy.url, headers={"Authorization": f"Bearer {server.root_key}"}, timeout=60, trust_env=False
    ) as client:
        yield client


@pytest.mark.service("curl")
@pytest.mark.parametrize("framing", ["a length", "chunks"])
def test_curl(behind: httpx.Client, server: LiveServer, tmp_path: Path, framing: str) -> None:
    (tmp_path / "a.bin").write_bytes(CONTENT)
    source = "-" if framing == "chunks" else str(tmp_path / "a.bin")
    key = ["-H", f"Authorization: Bearer {server.root_key}", "-H", "Accept: text/plain"]
    command = ["curl", "-sS", "--fail", "--noproxy", "*", *key, "-T", source, f"{behind.base_url}/api/upload/a.bin"]
    sent = subprocess.run(command, input=CONTENT, capture_output=True, check=True, timeout=120)
    url = sent.stdout.decode().strip()
    assert url.startswith(f"{behind.base_url}/f/"), url
    assert httpx.get(url, trust_env=False).content == CONTENT


@pytest.mark.parametrize("chunk", [700_000, len(CONTENT)], ids=["pieces", "one request"])
def test_tus(behind: httpx.Client, chunk: int) -> None:
    asked = ticket(behind, size=len(CONTENT))
    TusClient("").uploader(file_stream=io.BytesIO(CONTENT), url=asked["url"], chunk_size=chunk).upload()
    assert stored(behind, asked) == CONTENT


def test_what_was_sent_before_a_cut_is_kept(behind: httpx.Client) -> None:
    asked = ticket(behind, size=len(CONTENT))

    def cut() -> Iterator[bytes]:
        yield CONTENT[:2_000_000]
        raise ConnectionAbortedError

    headers = {**VERSION, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    with pytest.raises(ConnectionAbortedError):
        call("PATCH", asked["url"], cut(), **{**headers, "Content-Length": str(len(CONTENT))})
    eventually(lambda: offset_of(asked["url"]) > 0)
    assert offset_of(asked["url"]) <= 2_000_000
    TusClient("").uploader(file_stream=io.BytesIO(CONTENT), url=asked["url"], chunk_size=len(CONTENT)).upload()
    assert stored(behind, asked) == CONTENT


def test_s3(behind: httpx.Client, server: LiveServer) -> None:
    upload = initiate(behind, 2 * SMALL_PART + 5)
    content = CONTENT[: upload.size]
    s3 = s3_client(server, upload.whole(), str(behind.base_url).rstrip("/"))
    sent = [
        {"PartNumber": number, "ETag": s3.upload_part(**names_of(upload), PartNumber=number, Body=piece)["ETag"]}
        for number in (1, 2, 3)
        for piece in [upload.piece(content, number)]
    ]
    digests = b"".join(hashlib.md5(upload.piece(content, number)).digest() for number in (1, 2, 3))
    done = s3.complete_multipart_upload(**names_of(upload), MultipartUpload={"Parts": sent})
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert [part["ETag"] for part in sent] == [etag_of(upload.piece(content, number)) for number in (1, 2, 3)]
    assert upload.complete({part["PartNumber"]: part["ETag"] for part in sent}).status_code == 200
    assert upload.fetch().content == content


@pytest.mark.parametrize("single", [64 * 1024, 2**25], ids=["blocks", "whole"])
def test_azure(behind: httpx.Client, single: int) -> None:
    place = Place.new(behind)
    given: dict[str, Any] = {"max_single_put_size": single, "max_block_size": 1_100_000, "retry_total": 0}
    given |= {"max_single_get_size": 1_000_000, "max_chunk_get_size": 1_000_000}
    BlobClient.from_blob_url(place.ask("a.bin")["upload"], **given).upload_blob(CONTENT, metadata={"a_b": "c"})
    assert BlobClient.from_blob_url(place.get("a.bin")["download"], **given).download_blob().readall() == CONTENT


def test_google(behind: httpx.Client) -> None:
    asked, session = ticket(behind), requests.Session()
    session.trust_env = False
    upload = ResumableUpload(asked["url"], 1024 * 1024, checksum="crc32c", headers={"x-goog-resumable": "start"})
    upload.initiate(session, io.BytesIO(CONTENT), {}, "application/pdf")
    while not upload.finished:
        upload.transmit_next_chunk(session)
    assert stored(behind, asked) == CONTENT


def test_our_own_client(proxy: Proxy, server: LiveServer, tmp_path: Path) -> None:
    with Client(proxy.url, server.root_key) as client:
        file = client.upload(CONTENT, name="a b%2F\N{GREEK SMALL LETTER ALPHA}.bin", multipart_threshold=1_000_000)
        client.download(file, tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == CONTENT


def test_names_long_metadata_and_waits_pass(behind: httpx.Client) -> None:
    named = behind.put("/api/upload/a%20b/c%23%3Fd.txt", content=b"words")
    assert named.json()["path"] == "a b/c#?d.txt"
    assert behind.get("/api/files", headers={"X-Long": LONG}).status_code == 200
    waited = behind.get(f"/api/files/{named.json()['id']}", headers={"Prefer": "wait=60"})
    assert waited.headers["preference-applied"] == "wait=12"


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/metrics?a=b"])
def test_metrics_are_for_nobody_outside(behind: httpx.Client, path: str) -> None:
    answer = behind.get(path)
    assert (answer.status_code in (403, 404), b"fileferry_requests_total" in answer.content) == (True, False)


@pytest.mark.service("caddy")
def test_below_a_path_every_url_leads_through_the_proxy(make_server: MakeServer, tmp_path: Path) -> None:
    reserved = make_server()
    with Proxy("caddy below a path", tmp_path, reserved.port) as proxy:
        reserved.stop()
        reserved._settings["base_url"] = f"{proxy.url}/files"
        reserved.start()
        with Client(f"{proxy.url}/files", reserved.root_key) as client:
            file = client.upload(CONTENT, path="deep/a b%.bin", multipart_threshold=1_000_000)
            assert file.url.startswith(f"{proxy.url}/files/f/")
            client.download(file, tmp_path / "back.bin")
        assert (tmp_path / "back.bin").read_bytes() == CONTENT
        with httpx.Client(trust_env=False) as http:
            assert http.get(f"{proxy.url}/files/metrics").status_code == 403
            assert http.get(f"{proxy.url}/").content == b""
