"""The sweeper and the doctor: bytes are freed, what a crash left is found and mended, and what is in use is left alone."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from fileferry.app import opened
from fileferry.model import new_id
from unit.service import Service

LARGE = bytes(400_000)


def test_the_bytes_of_ended_files_are_freed(service: Service) -> None:
    kept = service.upload(LARGE, path="kept")
    deleted = service.upload(LARGE, path="deleted")
    service.upload(LARGE + b"2", path="deleted")
    service.upload(LARGE, path="expired", expires_in="1h")
    service.request("DELETE", f"/api/files/{deleted['id']}?permanent=true")
    service.pass_time(hours=1)
    assert len(service.blobs()) == 4
    service.sweep()
    assert len(service.blobs()) == 1
    assert service.fetch(kept["url"]).content == LARGE
    assert service.scan(fix=False).is_clean


@pytest.mark.sqlite  # looks into the folder
def test_small_files_are_freed_too(service: Service) -> None:
    database = service.data / "fileferry.db"

    def is_stored() -> bool:
        return any(marker in path.read_bytes() for path in service.data.glob(database.name + "*"))

    marker = b"telltale-of-a-small-file" * 40
    file = service.upload(marker)
    assert is_stored() or any(marker in path.read_bytes() for path in service.blobs())
    service.request("DELETE", f"/api/files/{file['id']}?permanent=true")
    service.sweep()
    assert service.blobs() == []
    assert service.scan(fix=False).is_clean
    assert service.fetch(file["url"]).status_code == 410


def test_bytes_without_a_row_are_found_and_removed(service: Service) -> None:
    async def crash(store: Any) -> str:
        key = new_id(service.now)
        writer = store.open_write(key)
        await writer.append([LARGE])
        await writer.commit()
        await writer.close()
        return key

    kept = service.upload(LARGE)
    key = service.with_store(crash)
    leftover = service.data / "incoming" / new_id(service.now)
    leftover.write_bytes(b"cut off by a crash")
    assert sorted(service.scan(fix=False).bytes_without_row) == sorted([key, leftover.name])
    assert len(service.blobs()) == 3
    service.scan(fix=True)
    assert service.scan(fix=False).is_clean
    assert len(service.blobs()) == 1
    assert service.fetch(kept["url"]).content == LARGE


@pytest.mark.parametrize("loss", ["all", "part"])
def test_a_row_without_its_bytes_is_found_and_told_as_lost(service: Service, loss: str) -> None:
    kept, lost = service.upload(LARGE, path="kept"), service.upload(LARGE + b"x", path="lost")
    (blob,) = [path for path in service.blobs() if path.stat().st_size == len(LARGE) + 1]
    if loss == "part":
        blob.write_bytes(b"short")
    else:
        blob.unlink()
        assert service.fetch(lost["url"]).status_code == 500
    assert len(service.scan(fix=False).rows_without_bytes) == 1
    service.scan(fix=True)
    assert service.scan(fix=False).is_clean
    seen = service.request("GET", f"/api/files/{lost['id']}").json()
    assert (seen["status"], seen["reason"]) == ("rejected", "bytes_missing")
    assert service.fetch(lost["url"]).status_code == 410
    assert service.fetch(kept["url"]).content == LARGE


def test_an_upload_in_progress_is_not_swept(service: Service) -> None:
    async def write(store: Any) -> None:
        writer = store.open_write(new_id(service.now))
        await writer.append([LARGE])
        # What another process finds and mends meanwhile:
        async with opened(service.settings, service.clock) as engine:
            findings = await engine.sweeper.scan(fix=True)
        assert findings.bytes_without_row == []
        await writer.commit()
        await writer.close()

    service.with_store(write)
    assert len(service.blobs()) == 1


def test_a_file_deleted_while_it_is_looked_for_is_no_loss(service: Service) -> None:
    file = service.upload(LARGE)
    service.request("DELETE", f"/api/files/{file['id']}?permanent=true")
    shutil.rmtree(service.data / "blobs")
    findings = service.scan(fix=True)
    assert findings.rows_without_bytes == []
    assert service.scan(fix=False).is_clean


def test_old_empty_folders_are_cleaned_away(service: Service) -> None:
    outer = service.data / "blobs" / "01000"
    (outer / "abc").mkdir(parents=True)
    service.scan(fix=True)
    assert not outer.exists()
    assert service.upload(LARGE)["status"] == "ready"


def test_names_that_are_no_blobs_do_not_stop_the_doctor(service: Service) -> None:
    (service.data / "incoming" / "lost+found").mkdir()
    (service.data / "blobs" / "notes.txt").write_text("of the operator")
    service.scan(fix=True)
    assert (service.data / "blobs" / "notes.txt").exists()


def test_thousands_of_ended_files_are_swept(service: Service) -> None:
    for number in range(450):
        service.upload(b"", path=str(number), expires_in="1h")
    service.pass_time(hours=2)
    findings = service.scan(fix=True)
    assert findings.overdue == 450
    assert service.scan(fix=False).is_clean
