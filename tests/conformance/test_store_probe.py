"""The probe of a store tells the classes of stores apart, sees what would lose files, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fileferry.blobs.direct import Report
from fileferry.blobs.s3.probe import Probe
from fileferry.model import new_id, utc_now
from support.google import service_account
from support.live_server import LiveServer
from support.object_stores import Place, SeaweedFS

if TYPE_CHECKING:
    from support.google import FakeGoogle
    from support.google_front import Google
    from support.node import Azurite

# What each does not hold to, of what is tried: by this they are told apart.
CLASSES = {
    "seaweedfs": {"if_range"},
    "rclone": {"checksums", "create_only", "range", "cors_upload", "resend", "pinned"},
    "azurite": set(),
    "google": set(),
}
SENT_THERE = {
    "seaweedfs": (True, True),
    "rclone": (False, False),
    "azurite": (True, True),
    "google": (True, True),
}
STORES = [pytest.param(name, marks=pytest.mark.service(name)) for name in CLASSES]
LIFECYCLE = """<LifecycleConfiguration><Rule><ID>eats</ID><Status>Enabled</Status><Filter><Prefix>%s</Prefix></Filter>
<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"""


def on(place: Place, use: Callable[[Any], Awaitable[Any]], *, is_public: bool = True, **opened_by: str) -> Any:
    async def run() -> Any:
        opened, _ = place.open(place.location(is_public=is_public), **opened_by)
        try:
            return await use(opened)
        finally:
            await opened.close()

    return asyncio.run(run())


def failed(report: Report) -> set[str]:
    return {seen.name for seen in report.observations if not seen.is_fine}


@pytest.mark.parametrize("name", STORES)
def test_the_classes_are_told_apart(request: pytest.FixtureRequest, name: str) -> None:
    async def use(store: Any) -> Report:
        report = await store.probe()
        assert (store.direct_uploads is not None, store.direct_downloads is not None) == SENT_THERE[name]
        assert [found.key async for found in store._objects.list("")] == []
        assert [found async for found in store._objects.list_unfinished("")] == []
        return report

    report: Report = on(request.getfixturevalue(name), use)
    assert failed(report) == CLASSES[name]
    assert report.is_sound
    assert all(seen.follows for seen in report.observations if not seen.is_fine)
    assert bool(report.reasons) == (SENT_THERE[name] != (True, True))


@pytest.mark.service("seaweedfs")
def test_nobody_is_sent_to_an_address_that_nobody_said_is_theirs(seaweedfs: SeaweedFS) -> None:
    async def use(store: Any) -> Report:
        report = await store.probe()
        assert store.direct_uploads is None
        assert store.direct_downloads is None
        return report

    assert "public=" in on(seaweedfs, use, is_public=False).reasons[0]


@pytest.mark.service("azurite")
def test_a_token_in_place_of_a_key_keeps_files_and_sends_nobody_there(azurite: Azurite) -> None:
    async def use(store: Any) -> Report:
        writer = store.open_write(key := new_id(utc_now()))
        await writer.append([b"by a token"])
        await writer.commit()
        await writer.close()
        assert b"".join([block async for block in store.read(key, 3, 7)]) == b"a token"
        report: Report = await store.probe()
        assert (store.direct_uploads, store.direct_downloads) == (None, None)
        return report

    report = on(azurite, use, token=azurite.token())
    assert (report.is_sound, "signs" in failed(report)) == (True, True)
    assert "account key" in report.reasons[0]


@pytest.mark.service("google")
def test_an_emulator_that_verifies_nothing_keeps_files_and_is_sent_nobody(gcs: FakeGoogle, google: Google) -> None:
    report: Report = on(gcs, lambda store: store.probe(), secret=str(google.key_file))
    assert failed(report) == {"overrides", "size", "copy", "cors_upload", "sealed", "etag", "session"}
    assert report.is_sound
    assert "signed length" in report.reasons[0]
    report = on(gcs, lambda store: store.probe())
    assert (failed(report), report.is_sound) == ({"signs"}, True)
    assert report.reasons[0] == "Direct uploads are not used: URLs can be signed with a service account's key only."


@pytest.mark.service("seaweedfs")
@pytest.mark.parametrize(("prefix", "eats"), [("", True), ("%s", True), ("another/", False)])
def test_a_rule_that_would_eat_files_is_a_fault(seaweedfs: SeaweedFS, prefix: str, eats: bool) -> None:
    async def use(store: Any) -> Report:
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


@pytest.mark.service("azurite")
def test_the_doctor_prints_the_report_of_a_container(azurite: Azurite, tmp_path: Path) -> None:
    server = LiveServer(tmp_path, azurite.settings(is_public=True))
    told = server.run("doctor", "--store")
    assert told.returncode == 0, told.stderr
    assert b"ok  sealed         copy it, and send other bytes by the same URL: 403 AuthorizationFailure" in told.stdout
    assert b"Uploads: clients can be sent to the store itself." in told.stdout
    away = LiveServer(tmp_path, {**azurite.settings(), "azure_key": "b2YgYW5vdGhlciBhY2NvdW50"})
    told = away.run("doctor", "--store")
    assert (told.returncode, b"no  reachable" in told.stdout) == (1, True)
    assert b"b2YgYW5vdGhlciBhY2NvdW50" not in told.stdout + told.stderr


@pytest.mark.service("google")
def test_the_doctor_prints_the_report_of_a_bucket_of_google(google: Google, tmp_path: Path) -> None:
    server = LiveServer(tmp_path, google.settings(is_public=True))
    told = server.run("doctor", "--store")
    assert told.returncode == 0, told.stderr
    assert (
        b"ok  sealed         compose it, and send other bytes by the same URL: 403 SignatureDoesNotMatch" in told.stdout
    )
    assert b"Uploads: clients can be sent to the store itself." in told.stdout
    key = tmp_path / "another.json"
    away = LiveServer(tmp_path, {**google.settings(), "gcs_credentials": str(service_account(key))})
    told = away.run("doctor", "--store")
    assert (told.returncode, b"no  reachable" in told.stdout) == (1, True)
    assert b"PRIVATE KEY" not in told.stdout + told.stderr
