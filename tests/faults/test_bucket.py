"""A server whose blobs are objects of a store: every protocol brings the same file, and what is deleted leaves nothing."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from faults.resuming import PIECE, SENDERS
from faults.test_resumed_after_kill import go_on_after_kills, whole
from faults.waiting import eventually
from fileferry.blobs.s3 import Client, Credentials, parse
from fileferry.blobs.s3.objects import Objects
from support.live_server import LiveServer, MakeServer
from support.object_stores import SeaweedFS

if TYPE_CHECKING:
    from support.google import FakeGoogle
    from support.node import Azurite

pytestmark = pytest.mark.service("seaweedfs")
CONTENT = random.Random(16).randbytes(2 * PIECE + 4321)


@pytest.fixture(scope="module")
def settings(seaweedfs: SeaweedFS) -> dict[str, str]:
    return seaweedfs.settings()


@pytest.fixture(scope="module")
def on_bucket(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(
        tmp_path_factory.mktemp("bucket"),
        {"sweep_interval": "1s", "restore_window": "1s", "log_level": "debug", **settings},
    )
    try:
        live.start()
        yield live
    finally:
        live.close()


@pytest.fixture
def http(on_bucket: LiveServer) -> Iterator[httpx.Client]:
    with on_bucket.client() as client:
        yield client


def objects(settings: dict[str, str]) -> list[str]:
    """Return the names of all objects of blobs that the bucket has."""

    async def run() -> list[str]:
        location = parse(settings["store"])
        client = Client(location, Credentials(settings["s3_access_key_id"], settings["s3_secret_access_key"]))
        try:
            return [found.key async for found in Objects(client, location.prefix).list("blobs/")]
        finally:
            await client.close()

    return asyncio.run(run())


def assert_served(http: httpx.Client, url: str) -> None:
    """Fetch it whole, in parts and not at all."""
    assert http.get(url).content == CONTENT
    middle = http.get(url, headers={"Range": f"bytes={PIECE - 3}-{PIECE + 2}"})
    assert (middle.status_code, middle.content) == (206, CONTENT[PIECE - 3 : PIECE + 3])
    assert http.get(url, headers={"Range": "bytes=-5"}).content == CONTENT[-5:]
    assert http.head(url).headers["content-length"] == str(len(CONTENT))
    assert http.get(url, headers={"Range": f"bytes={len(CONTENT)}-"}).status_code == 416


@pytest.mark.parametrize("name", SENDERS)
def test_every_protocol_brings_the_same_file(http: httpx.Client, name: str) -> None:
    made = http.post("/api/uploads", json={"path": f"{name}.bin", "auto_complete": True})
    sender = SENDERS[name](made.json())
    sender.begin(len(CONTENT))
    while pieces := sender.next_pieces(CONTENT):
        sender.send(CONTENT, pieces[0], whole)
    sender.complete(CONTENT)
    assert_served(http, http.get(f"/api/files/path/{name}.bin").json()["url"])


def test_every_call_that_brings_a_file_brings_it_there(http: httpx.Client) -> None:
    assert_served(http, http.put("/api/upload/put.bin", content=CONTENT).json()["url"])
    assert_served(http, http.post("/v1/files", files={"file": ("form.bin", CONTENT)}).json()["url"])


def test_what_is_deleted_leaves_no_object_and_the_doctor_finds_nothing(
    on_bucket: LiveServer, http: httpx.Client, settings: dict[str, str]
) -> None:
    for name in ("tus", "azure"):
        sender = SENDERS[name](http.post("/api/uploads", json={"path": name, "auto_complete": True}).json())
        sender.begin(len(CONTENT))
        while pieces := sender.next_pieces(CONTENT):
            sender.send(CONTENT, pieces[0], whole)
        sender.complete(CONTENT)
    http.put("/api/upload/whole.bin", content=CONTENT)
    assert objects(settings)
    examined = on_bucket.run("doctor", "--json")
    assert examined.returncode == 0, examined.stdout + examined.stderr
    for file in http.get("/api/files").json()["files"]:
        http.delete(f"/api/files/{file['id']}")
    # In real time: files at a path can be restored for a second.
    eventually(lambda: objects(settings) == [], "the bucket is empty")
    assert json.loads(on_bucket.run("doctor", "--json").stdout)["rows_without_bytes"] == []
    log = on_bucket.log_text()
    assert settings["s3_secret_access_key"] not in log
    assert "Signature=" not in log


@pytest.mark.parametrize("name", ["tus", "s3"])
def test_a_transfer_goes_on_after_kill_9(
    make_server: Any, settings: dict[str, str], seaweedfs: SeaweedFS, name: str
) -> None:
    go_on_after_kills(make_server(log_level="warning", **seaweedfs.settings()), name, kills=1)


@pytest.mark.service("azurite")
def test_a_transfer_to_a_container_goes_on_after_kill_9(make_server: MakeServer, azurite: Azurite) -> None:
    go_on_after_kills(make_server(log_level="warning", **azurite.settings()), "azure", kills=1)


@pytest.mark.service("gcs")
def test_a_transfer_to_a_bucket_of_google_goes_on_after_kill_9(make_server: MakeServer, gcs: FakeGoogle) -> None:
    go_on_after_kills(make_server(log_level="warning", **gcs.settings()), "google", kills=1)


def test_a_bucket_of_another_database_and_a_wrong_secret_are_refused_in_one_sentence(
    on_bucket: LiveServer, settings: dict[str, str], tmp_path: Any
) -> None:
    assert_refused(tmp_path, settings, "belongs to another database")
    assert_refused(tmp_path, {**settings, "s3_secret_access_key": "of-another-key"}, "secret does not belong")


@pytest.mark.service("azurite")
def test_a_container_that_is_not_there_and_a_wrong_key_are_refused_in_one_sentence(
    azurite: Azurite, tmp_path: Any
) -> None:
    settings = azurite.settings()
    assert_refused(tmp_path, {**settings, "azure_key": "b2YgYW5vdGhlciBrZXk="}, "key or SAS token is not good")
    elsewhere = settings["store"].replace(f"az://{azurite.CONTAINER}/", "az://elsewhere/")
    assert_refused(tmp_path, {**settings, "store": elsewhere}, "no such container")


def assert_refused(folder: Any, settings: dict[str, str], sentence: str) -> None:
    """Start a server, which says why it does not, and no secret."""
    server = LiveServer(folder, settings)
    with pytest.raises(RuntimeError, match=sentence):
        server.start()
    assert all(settings[name] not in server.log_text() for name in settings if "key" in name and "id" not in name)
    assert "Traceback" not in server.log_text()
    server.close()


def test_a_store_that_is_away_is_unavailable_and_nothing_is_lost(make_server: Any, tmp_path: Any) -> None:
    store = SeaweedFS(tmp_path)
    with store:
        server = make_server(**store.settings())
        with server.client() as http:
            kept = http.put("/api/upload/kept.bin", content=CONTENT).json()
            store.kill()
            refused = http.put("/api/upload/refused.bin", content=CONTENT)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert http.get("/readyz").json()["status"] == "degraded"
            store.start()
            eventually(lambda: http.get(kept["url"]).content == CONTENT, "the store is there again")
            assert http.get("/api/files/path/refused.bin").status_code == 404
            assert http.put("/api/upload/refused.bin", content=CONTENT).is_success
