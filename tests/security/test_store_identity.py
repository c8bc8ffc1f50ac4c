"""A database and a store that do not belong together are not brought together: a sweep would destroy what either holds."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from fileferry.app import prepare
from fileferry.settings import Settings, SettingsError
from support.live_server import MakeServer


def start(**places: object) -> None:
    asyncio.run(prepare(Settings(**places)))  # type: ignore[arg-type]


@pytest.mark.sqlite  # looks into the folder
def test_a_store_that_is_missing_or_of_another_database_is_refused_and_nothing_is_lost(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    content = os.urandom(100_000)
    with server.client() as client:
        url = client.put("/api/upload/kept.bin", content=content).json()["url"]
    server.stop()
    unmounted = tmp_path / "unmounted"
    with pytest.raises(SettingsError, match="is its disk mounted"):
        start(data=server.data, store=f"file://{unmounted}")
    with pytest.raises(SettingsError, match="files of another database"):
        start(data=tmp_path / "fresh", store=f"file://{server.data}")
    start(data=tmp_path / "other")
    with pytest.raises(SettingsError, match="belongs to another database"):
        start(data=tmp_path / "other", store=f"file://{server.data}")
    server.start()
    with server.client() as client:
        assert client.get(url).content == content


def test_an_empty_folder_becomes_the_store_of_a_database_that_has_no_blobs(tmp_path: Path) -> None:
    start(data=tmp_path / "data")
    start(data=tmp_path / "data", store=f"file://{tmp_path / 'elsewhere'}")
    start(data=tmp_path / "data", store=f"file://{tmp_path / 'elsewhere'}")
