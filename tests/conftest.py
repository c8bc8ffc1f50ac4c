"""Fixtures that every test may use: a shared server, servers with settings of their own, and HTTP clients for them."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import hypothesis
import pytest

from support.live_server import LiveServer, MakeServer
from support.tls import share_one_context

pytest_plugins = [
    "pytester",
    "support.clamd",
    "support.databases",
    "support.object_stores",
    "support.rgw",
    "support.skips",
]


_MEMORY = "/dev/shm"
_ROOM = 6 * 1024**3  # bytes; a run holds up to 4 GiB at once


def pytest_configure(config: pytest.Config) -> None:
    """Share what costs each client of a test the same, and heed SIGINT where a shell started pytest in its background.

    Children would ignore it too, as such a shell has pytest do. Long trials keep their files on a disk. How long an example of
    Hypothesis takes is a matter of the machine and what else it does.
    """
    hypothesis.settings.register_profile(
        "any-pace", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("any-pace")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    share_one_context()
    if config.option.markexpr != "soak" and _has_room(_MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _MEMORY)


def _has_room(folder: str) -> bool:
    """Whether the files of a run may be in memory: thousands of databases would wait for a disk at each commit."""
    if not os.path.isdir(folder):
        return False
    words = Path("/proc/meminfo").read_text().split()
    available = int(words[words.index("MemAvailable:") + 1]) * 1024
    return min(available // 2, shutil.disk_usage(folder).free) > _ROOM


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of binary bytes by its argument: an archive holds the time it was made, and xdist's processes must agree."""
    if isinstance(val, bytes) and not val.decode("latin-1").isprintable():
        return argname
    return None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The server with default settings that all tests of a process share: never stop it, never assume it is empty."""
    live = LiveServer(tmp_path_factory.mktemp("server"))
    try:
        live.start()
        yield live
    finally:
        live.close()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server where nothing happens but what the tests of one module do."""
    live = LiveServer(tmp_path_factory.mktemp("quiet"))
    try:
        live.start()
        yield live
    finally:
        live.close()


@pytest.fixture(autouse=True)
def _lent(request: pytest.FixtureRequest) -> None:
    """Note with the shared server since when this test has it: what others left there is not this one's."""
    if "server" in request.fixturenames:
        request.getfixturevalue("server").lent_at = time.time()


@pytest.fixture
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeServer]:
    """A factory of servers that a test may configure, stop and kill."""
    made: list[LiveServer] = []

    def make(*, workers: int = 1, **settings: str) -> LiveServer:
        live = LiveServer(tmp_path_factory.mktemp("server"), settings, workers=workers)
        made.append(live)
        live.start()
        return live

    yield make
    for live in made:
        live.close()


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    """A client of the shared server that carries the root key."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session", autouse=True)
def _one_trust_store() -> Iterator[None]:
    """Read the certificates that HTTPS trusts once: every httpx client would read them anew, in 20 ms of computing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context))
        yield
