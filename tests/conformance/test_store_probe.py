"""The probe of a store tells the classes of S3 stores apart, sees what would lose files, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fileferry.blobs.direct import Report
from fileferry.blobs.s3 import Client, Credentials, S3Store, parse
from fileferry.blobs.s3.probe import Probe
from support.live_server import LiveServer
from support.object_stores import ObjectStore, SeaweedFS

# What each does not hold to, of what is tried: by this they are told apart.
CLASSES = {
    "seaweedfs": {"if_range"},
    "rclone": {"checksums", "create_only", "range", "cors_upload", "resend", "pinned"},
}
SENT_THERE = {"seaweedfs": (True, True), "rclone": (False, False)}
STORES = [pytest.param(name, marks=pytest.mark.service(name)) for name in CLASSES]
LIFECYCLE = """<LifecycleConfiguration><Rule><ID>eats</ID><Status>Enabled</Status><Filter><Prefix>%s</Prefix></Filter>
<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"""


def on(store: ObjectStore, use: Callable[[S3Store], Awaitable[Any]], *, is_public: bool = True) -> Any:
    async def run() -> Any:
        location = parse(store.location(is_public=is_public))
        opened = S3Store(Client(location, Credentials(store.key_id, store.secret)), location.prefix)
        try:
            return await use(opened)
        finally:
            await opened.close()

    return asyncio.run(run())


def failed(report: Report) -> set[str]:
    return {seen.name for seen in report.observations if not seen.is_fine}


@pytest.mark.parametrize("name", STORES)
def test_the_classes_are_told_apart(request: pytest.FixtureRequest, name: str) -> None:
    async def use(store: S3Store) -> Report:
        report = await store.probe()
        assert (store.direct_uploads is not None, store.direct_downloads is not None) == SENT_THERE[name]
        assert [found.key async for found in store._objects.list("")] == []
        assert [found async for found in store._objects.list_unfinished("")] == []
        return report

    report: Report = on(request.getfixturevalue(name), use)
    assert failed(report) == CLASSES[name]
    assert report.is_sound
    assert all(seen.follows for seen in report.observations if not seen.is_fine)
    assert bool(report.reasons) == (name != "seaweedfs")


@pytest.mark.service("seaweedfs")
def test_nobody_is_sent_to_an_address_that_nobody_said_is_theirs(seaweedfs: SeaweedFS) -> None:
    async def use(store: S3Store) -> Report:
        report = await store.probe()
        assert store.direct_uploads is None
        assert store.direct_downloads is None
        return report

    assert "public=" in on(seaweedfs, use, is_public=False).reasons[0]


@pytest.mark.service("seaweedfs")
@pytest.mark.parametrize(("prefix", "eats"), [("", True), ("%s", True), ("another/", False)])
def test_a_rule_that_would_eat_files_is_a_fault(seaweedfs: SeaweedFS, prefix: str, eats: bool) -> None:
    async def use(store: S3Store) -> Report:
        prefix_of_rule = prefix.replace("%s", store._client.location.prefix)
        rules = {"status": 200, "headers": {}, "body": (LIFECYCLE % prefix_of_rule).encode()}
        client = store._client
        once = client.once

        async def answer(method: str, key: str | None, query: Any = (), **options: Any) -> Any:
            found = await once(method, key, query, **options)
            return type(found)(**rules) if list(query) == [("lifecycle", "")] else found

        client.once = answer  # type: ignore[method-assign]
        return await Probe(client, store._objects).run()

    report: Report = on(seaweedfs, use)
    assert ("lifecycle" in failed(report), report.is_sound) == (eats, not eats)


@pytest.mark.service("seaweedfs")
def test_the_doctor_prints_the_report(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    server = LiveServer(tmp_path, seaweedfs.settings(is_public=True))
    told = server.run("doctor", "--store")
    assert told.returncode == 0, told.stderr
    assert b"ok  sealed         send the part after completion: 404 NoSuchUpload" in told.stdout
    assert b"Uploads: clients can be sent to the store itself." in told.stdout
    assert json.loads(server.run("doctor", "--store", "--json").stdout)["downloads"] is True
    away = LiveServer(tmp_path, {**seaweedfs.settings(), "s3_secret_access_key": "of-another-key"})
    told = away.run("doctor", "--store")
    assert (told.returncode, b"no  reachable" in told.stdout) == (1, True)
    assert b"of-another-key" not in told.stdout + told.stderr
