"""Real stores of objects in processes of their own: of S3 a strict one, SeaweedFS, and a lax one, rclone; Azurite; and Google's."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import httpx
import pytest

from fileferry.blobs.objects.requests import Pause
from fileferry.blobs.objects.store import ObjectStore as BlobsOfObjects
from fileferry.blobs.objects.verbs import Objects as ObjectVerbs
from fileferry.blobs.s3 import Client, Credentials, S3Store, parse
from fileferry.blobs.s3.objects import Objects
from support.live_server import LiveServer

if TYPE_CHECKING:
    from support.google import FakeGoogle
    from support.google_front import Google
    from support.node import Azurite

START_SECONDS = 120.0
KEY, SECRET = "a-key-for-tests", "a-secret-for-tests"


class Place(Protocol):
    """A running store of objects, whatever it speaks."""

    name: str
    endpoint: str

    def location(self, prefix: str | None = None, *, is_public: bool = False) -> str:
        """Return the value of FILEFERRY_STORE for a prefix, by default one that nothing else uses."""
        ...

    def settings(self, prefix: str | None = None, *, is_public: bool = False) -> dict[str, str]:
        """Return the settings of a server that keeps its blobs there."""
        ...

    def open(
        self, location: str, *, secret: str | None = None, pause: Pause = asyncio.sleep, **limits: Any
    ) -> tuple[BlobsOfObjects, ObjectVerbs]:
        """Return the store at a location, and the objects that it is made of."""
        ...


class ObjectStore:
    """One store at ``endpoint``, an address that stays its own through every restart: ``with SeaweedFS(folder) as store``."""

    name: str

    def __init__(self, folder: Path, ports: int) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        # Bound but never listening: Linux lets the store listen on the same ports, and gives them to nobody else.
        self._reservations = [_reserved() for _ in range(ports)]
        self._ports = [reservation.getsockname()[1] for reservation in self._reservations]
        self.endpoint = f"http://127.0.0.1:{self._ports[0]}"
        self.key_id, self.secret = KEY, SECRET

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and give its ports back."""
        if self._process is not None:
            self.kill()
        for reservation in self._reservations:
            reservation.close()

    @property
    def command(self) -> list[str]:
        """The command that runs it."""
        raise NotImplementedError

    def location(self, prefix: str | None = None, *, is_public: bool = False) -> str:
        """Return the value of FILEFERRY_STORE for a prefix, by default one that nothing else uses.

        Where it ``is_public`` clients may be sent there.
        """
        public = f"&public={self.endpoint}" if is_public else ""
        return f"s3://tests/{prefix or uuid.uuid4()}?endpoint={self.endpoint}{public}"

    def settings(self, prefix: str | None = None, *, is_public: bool = False) -> dict[str, str]:
        """Return the settings of a server that keeps its blobs there."""
        given = {"s3_access_key_id": self.key_id, "s3_secret_access_key": self.secret}
        return {"store": self.location(prefix, is_public=is_public), **given}

    def open(
        self, location: str, *, secret: str | None = None, pause: Pause = asyncio.sleep, **limits: Any
    ) -> tuple[S3Store, Objects]:
        """Return the store at a location, and the objects that it is made of."""
        where = parse(location)
        client = Client(where, Credentials(self.key_id, secret or self.secret), pause=pause)
        return S3Store(client, where.prefix, **limits), Objects(client, where.prefix)

    def start(self) -> None:
        """Start it and return once it answers; raise RuntimeError with its log when that fails."""
        environment = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self._folder, env=os.environ | environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"The store did not start.\n{(self._folder / 'log').read_text(errors='replace')[-4000:]}")

    def make_bucket(self) -> None:
        """Make the bucket of all tests, if it is not there."""

        async def run() -> None:
            client = Client(parse(self.location("")), Credentials(self.key_id, self.secret))
            try:
                await client.ask("PUT", None, headers={"content-length": "0"}, accept=(409,))
            finally:
                await client.close()

        asyncio.run(run())

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(self.endpoint, trust_env=False, timeout=5, verify=False).status_code < 500
        except httpx.TransportError:
            return False


class SeaweedFS(ObjectStore):
    """A store that holds to what S3 says."""

    name = "seaweedfs"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 9)

    @property
    def command(self) -> list[str]:
        """The command that runs it, every service on a port of its own."""
        names = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "admin")
        at = [f"-{_port_option(name)}={port}" for name, port in zip(names, self._ports, strict=True)]
        off = ["-admin.ui=false", "-webdav=false", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        local = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=.", "-s3.localSocket=./s3.sock"]
        return [_program("weed"), "mini", *local, *at, *off]

    def start(self) -> None:
        """Start it, with its bucket."""
        super().start()
        self.make_bucket()


class Rclone(ObjectStore):
    """A store that keeps objects as files, and of what S3 promises only some; with a ``certificate`` by TLS alone."""

    name = "rclone"

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        super().__init__(folder, 1)
        self._certificate = certificate
        if certificate is not None:
            self.endpoint = self.endpoint.replace("http:", "https:")
        (folder / "served" / "tests").mkdir(parents=True)

    @property
    def command(self) -> list[str]:
        """The command that runs it."""
        own = ["--config", "", "--auth-key", f"{KEY},{SECRET}"]
        if self._certificate is not None:
            own += ["--cert", str(self._certificate[0]), "--key", str(self._certificate[1])]
        return [_program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{self._ports[0]}", *own, "served"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--store seaweedfs`, by which every server in a process of its own keeps its blobs in a bucket."""
    places = ["seaweedfs", "rclone", "rgw", "azurite", "gcs"]
    parser.addoption("--store", choices=places, help="keep the blobs of all live servers there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what looks at a folder of blobs where `--store` keeps them elsewhere; said in the summary, but no skip."""
    if config.getoption("--store") is None:
        return
    left_out = [item for item in items if item.get_closest_marker("folder")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def _everywhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give every server a prefix of its own in the store that `--store` names."""
    name = request.config.getoption("--store")
    if name is None:
        yield
        return
    store: ObjectStore = request.getfixturevalue(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveServer, "everywhere", staticmethod(store.settings))
        yield


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """The strict store; each test has a prefix of its own in it."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """The lax store; each test has a prefix of its own in it."""
    with Rclone(tmp_path_factory.mktemp("rclone")) as store:
        yield store


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azure's emulator; each test has a prefix of its own in it."""
    from support.node import Azurite  # the SDK takes a second to load

    with Azurite() as store:
        yield store


@pytest.fixture(scope="session")
def gcs() -> Iterator[FakeGoogle]:
    """An emulator of Google's; each test has a prefix of its own in it."""
    from support.google import FakeGoogle

    with FakeGoogle() as store:
        yield store


@pytest.fixture(scope="session")
def google() -> Iterator[Google]:
    """The same behind what verifies as Google does; each test has a prefix of its own in it."""
    from support.google_front import Google

    with Google() as store:
        yield store


def _reserved() -> socket.socket:
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation


def _port_option(name: str) -> str:
    service, _, kind = name.partition(".")
    return f"{service}.port{'.' + kind if kind else ''}"


def _program(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed"
    return path
