"""A gibibyte, or SOAK_BYTES, by a host of agents, up to three servers and down again, each request to another one; URLs are harmed.

The servers have one PostgreSQL behind pgbouncer, and their blobs in a bucket; two workers verify.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.hosts import BLOCK, MOST_TRAFFIC, cut, move_up_and_down, try_harmed_urls
from faults.replicas import Fleet, fleet
from support.object_stores import SeaweedFS

_SIZE = int(os.environ.get("SOAK_BYTES", str(1024**3))) // BLOCK * BLOCK

pytestmark = [
    pytest.mark.soak,
    pytest.mark.service("postgresql"),
    pytest.mark.service("pgbouncer"),
    pytest.mark.service("seaweedfs"),
]


@pytest.fixture(scope="module")
def on_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with SeaweedFS(tmp_path_factory.mktemp("objects")) as store, fleet(tmp_path_factory.mktemp("fleet"), store) as made:
        yield made


@pytest.mark.parametrize("era", ["2026-07-28", "legacy"])
def test_a_host_moves_a_gibibyte_through_three_servers(
    on_bucket: Fleet, era: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dict(on_bucket.proxy.passed)
    traffic = move_up_and_down(on_bucket, era, _SIZE, tmp_path, cut)
    passed = [count - before[port] for port, count in on_bucket.proxy.passed.items()]
    with capsys.disabled():
        print(f"\n{era}: {_SIZE} bytes up and down; {traffic} bytes at /mcp; requests by server {passed}")
    assert traffic < MOST_TRAFFIC
    assert all(passed), "every server has had requests"


def test_harmed_urls_work_or_say_so_on_every_server(on_bucket: Fleet, tmp_path: Path) -> None:
    try_harmed_urls(on_bucket, tmp_path)
