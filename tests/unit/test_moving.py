"""While blobs move from store to store everything goes on, deletions reach both, and the way back is the same way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec.structs import replace

from fileferry.blobs.local import LocalStore
from fileferry.blobs.opening import open_store, sides
from fileferry.engine.files import moving
from fileferry.engine.files.moving import Mover, Moving
from fileferry.settings import Settings, SettingsError
from support.object_stores import SeaweedFS
from unit.service import Service

if TYPE_CHECKING:
    from support.google_front import Google
    from support.node import Azurite

CONTENT = os.urandom(300_000)
PART = 65536
Make = Callable[..., Service]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Start the service anew, on the same data and with other stores."""
    running: list[Service] = []

    def started(**settings: str) -> Service:
        while running:
            running.pop().close()
        made = Service(tmp_path / "data", **settings)
        running.append(made)
        return made

    yield started
    while running:
        running.pop().close()


def move(service: Service, to: str) -> Moving:
    """Copy as the command does."""

    async def run() -> Moving:
        done = Moving()
        source_settings, target_settings = sides(service.settings, to)
        source, target = open_store(source_settings), open_store(target_settings)
        try:
            mover = Mover(service._engine.database, source, target)
            await mover.claim()
            async for _step in mover.run(done):
                pass
        finally:
            await source.close()
            await target.close()
        return done

    done: Moving = service._run(run())
    return done


def claim(service: Service, place: dict[str, str]) -> None:
    """Make a place a store of the service's database, and copy nothing to it."""

    async def run() -> None:
        store = open_store(replace(service.settings, store=place["store"], store_before=None))
        await Mover(service._engine.database, service._engine.store, store).claim()
        await store.close()

    service._run(run())


def files_in(folder: Path) -> set[str]:
    return {path.name for path in (folder / "blobs").rglob("*") if path.is_file()}


def ticket_for(service: Service, name: str, size: int) -> dict[str, Any]:
    ticket: dict[str, Any] = service.request(
        "POST", "/api/uploads", json={"path": name, "size": size, "part_size": PART}
    ).json()
    return ticket


def send(service: Service, ticket: dict[str, Any], *numbers: int) -> None:
    for number in numbers:
        url = f"{ticket['part_url']}&partNumber={number}".replace("http://service", "")
        assert service.request("PUT", url, content=CONTENT[(number - 1) * PART : number * PART]).is_success


def complete(service: Service, ticket: dict[str, Any]) -> str:
    assert service.request("POST", f"/api/uploads/{ticket['id']}/complete", json={}).is_success
    service.process()
    return str(service.request("GET", f"/api/files/{ticket['file_id']}").json()["url"])


def fetch(service: Service, url: str) -> bytes:
    return service.request("GET", httpx.URL(url).raw_path.decode(), key=None).content


def verified(service: Service) -> list[str | None]:
    async def run() -> list[str | None]:
        return [found.fault async for found in service._engine.verifier.run()]

    found: list[str | None] = service._run(run())
    return found


def test_it_goes_there_and_back(make: Make, tmp_path: Path) -> None:
    old, new = f"file://{tmp_path / 'data'}", f"file://{tmp_path / 'new'}"
    service = make()
    urls = [service.upload(CONTENT[:size], f"{size}")["url"] for size in (100_000, 300_000)]
    first = move(service, new)
    assert (first.blobs, first.bytes, first.faults) == (2, 400_000, {})
    service = make(store=new, store_before=old)
    urls.append(service.upload(CONTENT, "new")["url"])
    assert len(files_in(tmp_path / "new")) == 3
    assert move(service, new).blobs == 0
    # Back, by the same steps: what came meanwhile is copied, and then nothing needs the new one.
    assert (move(service, old).blobs, len(files_in(tmp_path / "data"))) == (1, 3)
    service = make(store=old, store_before=new)
    assert move(service, old).blobs == 0
    service = make()
    for url, size in zip(urls, (100_000, 300_000, 300_000), strict=True):
        assert fetch(service, url) == CONTENT[:size]


def test_a_deletion_reaches_both_and_a_sweep_takes_nothing_else(make: Make, tmp_path: Path) -> None:
    old, new = f"file://{tmp_path / 'data'}", f"file://{tmp_path / 'new'}"
    service = make()
    kept, deleted = (service.upload(CONTENT[:size], f"{size}") for size in (100_000, 200_000))
    move(service, new)
    late = service.upload(CONTENT, "late")
    service = make(store=new, store_before=old)
    service.request("DELETE", f"/api/files/{deleted['id']}")
    service.pass_time(days=31)
    service.sweep()
    assert (len(files_in(tmp_path / "data")), len(files_in(tmp_path / "new"))) == (2, 1)
    assert service.scan(fix=True).is_sound
    assert (len(files_in(tmp_path / "data")), len(files_in(tmp_path / "new"))) == (2, 1)
    for file, size in ((kept, 100_000), (late, 300_000)):
        assert fetch(service, file["url"]) == CONTENT[:size]


def test_parts_go_on_where_they_were_begun(make: Make, tmp_path: Path) -> None:
    old, new = f"file://{tmp_path / 'data'}", f"file://{tmp_path / 'new'}"
    service = make()
    begun = ticket_for(service, "begun", 2 * PART)
    send(service, begun, 2)
    assert len(move(service, new).under_way) == 1
    service = make(store=new, store_before=old)
    later = ticket_for(service, "later", 2 * PART)
    for ticket, numbers in ((begun, (1,)), (later, (1, 2))):
        send(service, ticket, *numbers)
    assert len(move(service, new).under_way) == 1
    urls = [complete(service, ticket) for ticket in (begun, later)]
    assert (len(files_in(tmp_path / "data")), len(files_in(tmp_path / "new"))) == (1, 1)
    assert [fetch(service, url) for url in urls] == [CONTENT[: 2 * PART]] * 2
    done = move(service, new)
    assert (done.blobs, done.under_way) == (1, [])
    service = make(store=new)
    assert [fetch(service, url) for url in urls] == [CONTENT[: 2 * PART]] * 2


def test_what_is_changed_or_missing_is_told(make: Make, tmp_path: Path) -> None:
    service = make()
    for name, size in (("changed", 100_001), ("missing", 100_002), ("whole", 100_003)):
        service.upload(CONTENT[:size], name)
    by_size = {path.stat().st_size: path for path in service.blobs()}
    by_size[100_001].write_bytes(bytes(100_001))
    by_size[100_002].unlink()
    done = move(service, f"file://{tmp_path / 'new'}")
    assert (done.blobs, len(files_in(tmp_path / "new"))) == (2, 2)
    changed, missing = (done.faults[by_size[size].name] for size in (100_001, 100_002))
    assert "changed" in changed
    assert "missing" in missing


def test_what_was_being_copied_when_it_was_killed_is_copied_anew(make: Make, tmp_path: Path) -> None:
    service = make()
    url = service.upload(CONTENT, "a")["url"]
    ((key,),) = [[path.name] for path in service.blobs()]
    new = LocalStore(tmp_path / "new")

    async def killed() -> None:
        await Mover(service._engine.database, service._engine.store, new).claim()
        writer = new.open_write(key)
        await writer.append([CONTENT])  # and never another word

    async def go_on() -> None:
        moving = Moving(at=[key])
        async for _step in Mover(service._engine.database, service._engine.store, new).run(moving):
            pass
        assert (moving.blobs, moving.at) == (1, [])
        await new.close()

    service._run(killed())
    service._run(go_on())
    service = make(store=f"file://{tmp_path / 'new'}")
    assert fetch(service, url) == CONTENT


def test_a_copy_that_does_not_come_back_as_it_was_sent_is_removed(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make()
    service.upload(CONTENT, "a")
    append = moving.Mover._copy_run

    async def other(self: Any, key: str, run: Any, sent: Any, *, is_alone: bool) -> None:
        await append(self, key, run, sent, is_alone=is_alone)
        sent.update([b"more"])

    monkeypatch.setattr(Mover, "_copy_run", other)
    with pytest.raises(Exception, match="did not come back"):
        move(service, f"file://{tmp_path / 'new'}")
    assert files_in(tmp_path / "new") == set()


def test_two_names_of_one_place_are_one_store(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    settings = Settings(store=f"file://{tmp_path}/a", store_before=f"file://{tmp_path}/b")
    for to, other in (("link/a", "b"), ("link/b", "a")):
        source, target = sides(settings, f"file://{tmp_path}/{to}")
        assert source.store == f"file://{tmp_path}/{other}"
        assert (target.store or "")[-1] == to[-1]
    with pytest.raises(SettingsError, match="drop the second"):
        sides(settings, f"file://{tmp_path}/c")


def test_a_store_of_another_database_is_no_target_and_one_that_is_not_claimed_no_store(
    make: Make, tmp_path: Path
) -> None:
    service = make()
    service.upload(CONTENT, "a")
    new = f"file://{tmp_path / 'new'}"
    with pytest.raises(SettingsError, match="run 'fileferry migrate-store' first"):
        make(store=new, store_before=f"file://{tmp_path / 'data'}")
    service = make()
    with pytest.raises(SettingsError, match="FILEFERRY_STORE itself"):
        move(service, f"file://{tmp_path / 'data'}")
    shutil.copytree(tmp_path / "data" / "blobs", tmp_path / "new" / "blobs", dirs_exist_ok=True)
    with pytest.raises(SettingsError, match="files of another database"):
        move(service, new)
    (tmp_path / "new" / "store-id").write_text("another")
    with pytest.raises(SettingsError, match="belongs to another database"):
        move(service, new)


@pytest.mark.service("seaweedfs")
def test_a_folder_becomes_a_bucket_and_a_bucket_another(make: Make, tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    one, another = seaweedfs.settings(is_public=True), seaweedfs.settings()
    folder = f"file://{tmp_path / 'data'}"
    service = make(**{name: value for name, value in one.items() if name != "store"})
    service.upload(CONTENT, "whole")
    assert move(service, one["store"]).blobs == 1
    service = make(**one, store_before=folder)
    pieces = ticket_for(service, "pieces", 4 * PART)
    send(service, pieces, 3, 1, 2, 4)
    complete(service, pieces)
    begun = service.request("POST", "/api/uploads", json={"path": "begun", "size": len(CONTENT), "direct": True}).json()
    (direct,) = begun["direct"]
    assert move(service, folder).blobs == 1
    claim(service, another)
    service = make(**another, store_before=one["store"])
    done = move(service, another["store"])
    assert (done.blobs, len(done.under_way), done.faults) == (2, 1, {})
    # Clients are not sent to the new one; what they were sent to goes on.
    (renewed,) = service.request("POST", f"/api/uploads/{begun['id']}/urls").json()["direct"]
    assert urlsplit(renewed["url"])._replace(query="") == urlsplit(direct["url"])._replace(query="")
    with httpx.Client(trust_env=False) as web:
        web.put(renewed["url"], content=CONTENT).raise_for_status()
    complete(service, begun)
    later = service.request("POST", "/api/uploads", json={"path": "later", "size": len(CONTENT), "direct": True}).json()
    assert not later.get("direct")
    assert move(service, another["store"]).blobs == 1
    service = make(**another)
    assert verified(service) == [None, None, None]


@pytest.mark.service("seaweedfs")
@pytest.mark.service("azurite")
def test_a_bucket_becomes_a_container_and_a_container_a_folder(
    make: Make, tmp_path: Path, seaweedfs: SeaweedFS, azurite: Azurite
) -> None:
    bucket, container = seaweedfs.settings(), azurite.settings(is_public=True)
    keys = {name: value for name, value in {**bucket, **container}.items() if name != "store"}
    folder = f"file://{tmp_path / 'other'}"
    service = make(**keys, store=bucket["store"])
    service.upload(CONTENT, "whole")
    pieces = ticket_for(service, "pieces", 4 * PART)
    send(service, pieces, 3, 1, 2, 4)
    complete(service, pieces)
    begun = ticket_for(service, "begun", 4 * PART)
    send(service, begun, 2)
    assert move(service, container["store"]).blobs == 2
    service = make(**keys, store=container["store"], store_before=bucket["store"])
    send(service, begun, 1, 3, 4)
    complete(service, begun)
    asked = {"path": "direct", "size": len(CONTENT), "direct": True}
    ticket = service.request("POST", "/api/uploads", json=asked).json()
    assert ticket["direct"][0]["url"].startswith(azurite.endpoint)
    assert move(service, container["store"]).blobs == 1
    claim(service, {"store": folder})
    service = make(**keys, store=folder, store_before=container["store"])
    with httpx.Client(trust_env=False) as web:
        (renewed,) = service.request("POST", f"/api/uploads/{ticket['id']}/urls").json()["direct"]
        web.put(renewed["url"], content=CONTENT).raise_for_status()
    complete(service, ticket)
    done = move(service, folder)
    assert (done.blobs, done.under_way, done.faults) == (4, [], {})
    service = make(store=folder)
    assert verified(service) == [None] * 4


@pytest.mark.service("google")
def test_a_folder_becomes_a_bucket_of_google_and_that_a_folder(make: Make, tmp_path: Path, google: Google) -> None:
    bucket, folder = google.settings(is_public=True), f"file://{tmp_path / 'data'}"
    keys = {name: value for name, value in bucket.items() if name != "store"}
    service = make(**keys)
    service.upload(CONTENT, "whole")
    begun = ticket_for(service, "begun", 4 * PART)
    send(service, begun, 2)
    assert move(service, bucket["store"]).blobs == 1
    service = make(**bucket, store_before=folder)
    send(service, begun, 1, 3, 4)
    complete(service, begun)
    pieces = ticket_for(service, "pieces", 4 * PART)
    send(service, pieces, 3, 1, 2, 4)
    complete(service, pieces)
    asked = {"path": "direct", "size": len(CONTENT), "direct": True}
    ticket = service.request("POST", "/api/uploads", json=asked).json()
    assert ticket["direct"][0]["url"].startswith(google.endpoint)
    assert move(service, bucket["store"]).blobs == 1
    service = make(**keys, store=folder, store_before=bucket["store"])
    with httpx.Client(trust_env=False) as web:
        (renewed,) = service.request("POST", f"/api/uploads/{ticket['id']}/urls").json()["direct"]
        web.put(renewed["url"], content=CONTENT).raise_for_status()
    complete(service, ticket)
    done = move(service, folder)
    assert (len(done.under_way), done.faults) == (0, {})
    service = make(store=folder)
    assert verified(service) == [None] * 4
