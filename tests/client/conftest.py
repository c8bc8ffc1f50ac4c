"""Fixtures of the client's tests: each of the two clients, a shell, and an environment of the test's own, without a proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faces import Awaiting, Blocking
from shell import Shell

from support.live_server import LiveServer


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.delenv("FILEFERRY_URL", raising=False)
    monkeypatch.delenv("FILEFERRY_KEY", raising=False)
    monkeypatch.delenv("FILEFERRY_END_USER", raising=False)


@pytest.fixture(params=[Blocking, Awaiting], ids=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def shell(server: LiveServer, tmp_path: Path) -> Shell:
    return Shell(tmp_path, server.url, server.root_key)
