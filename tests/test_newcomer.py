"""A newcomer's way with nothing but the wheel: install, start, first URL, stop, upgrade, backup, restore elsewhere."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.clean_environment import CleanEnvironment, build
from unit import test_upgrade

FIRST_URL_SECONDS = 60
"""Of computing, which is what a calm machine takes; others may be at work on this one."""
PATIENCE = 240


class Newcomer:
    """Somebody with a folder, the installed commands, and one server at a time."""

    def __init__(self, folder: Path, environment: CleanEnvironment, port: int) -> None:
        self.folder = folder
        self._environment = environment
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FILEFERRY_")}
        path = os.pathsep.join([str(environment.scripts), os.environ["PATH"]])
        self.variables = inherited | {
            "PATH": path,
            "HOME": str(folder),
            "NO_PROXY": "127.0.0.1",
            "FILEFERRY_URL": self.url,
        }
        self._server: subprocess.Popen[str] | None = None
        self.shown = ""
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._computed_before = spent.ru_utime + spent.ru_stime

    def runs(self, *words: str) -> str:
        """Run a command to its end, and return what it printed."""
        done = self._environment.run(*words, cwd=self.folder, env=self.variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def starts(self, data: str) -> None:
        """Start a server on a data folder and wait until it is ready."""
        command = [str(self._environment.scripts / "fileferry"), "serve", "--port", str(self._port), "--data", data]
        log = (self.folder / "log").open("w+")
        with log:
            self._server = subprocess.Popen(
                command, cwd=self.folder, env=self.variables, stdout=log, stderr=log, text=True
            )
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert self._server.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)
        self.shown = (self.folder / "log").read_text()

    def stops(self) -> None:
        """Stop the server as a service manager does: SIGTERM, and then it is over."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            assert self._server.wait(PATIENCE) in (0, -signal.SIGTERM)
            self._server = None

    def fetches(self, url: str) -> bytes:
        """Return what is at a URL of whatever server runs now, for anybody."""
        answer = httpx.get(url if "://" in url else self.url + url, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.content

    def computed(self) -> float:
        """Return the seconds of computing that the server and the commands have taken."""
        assert self._server is not None
        fields = Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # utime and stime: proc(5)
        commands = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ticks / os.sysconf("SC_CLK_TCK") + commands.ru_utime + commands.ru_stime - self._computed_before

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    wheel, _source = build(tmp_path / "dist")
    environment = CleanEnvironment(tmp_path / "venv", wheel, "server")
    (tmp_path / "home").mkdir()
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        somebody = Newcomer(tmp_path / "home", environment, reservation.getsockname()[1])
        yield somebody
        somebody.stops()


def test_from_the_wheel_to_the_first_url_and_on_to_a_restored_server(newcomer: Newcomer) -> None:
    newcomer.starts("data")
    key = newcomer.shown.split("Root key, shown this once: ")[1].split()[0]
    newcomer.variables["FILEFERRY_KEY"] = key
    (newcomer.folder / "hello.txt").write_text("hello")
    url = newcomer.runs("fileferry", "put", "hello.txt").strip()
    assert newcomer.fetches(url) == b"hello"
    assert newcomer.computed() < FIRST_URL_SECONDS
    large = os.urandom(3_000_000)
    (newcomer.folder / "large.bin").write_bytes(large)
    large_url = newcomer.runs("fileferry", "put", "large.bin").strip()
    newcomer.runs("fileferry", "backup", "--data", "data", "backup")
    newcomer.stops()
    shutil.rmtree(newcomer.folder / "data")
    newcomer.runs("fileferry", "restore-backup", "--data", "elsewhere", "backup")
    newcomer.starts("elsewhere")
    assert "Root key" not in newcomer.shown
    assert [newcomer.fetches(url), newcomer.fetches(large_url)] == [b"hello", large]
    assert newcomer.runs("fileferry", "doctor", "--data", "elsewhere").endswith("Store and database agree.\n")


def test_the_data_of_the_release_before_is_upgraded_and_served(newcomer: Newcomer) -> None:
    data = newcomer.folder / "data"
    data.mkdir()
    test_upgrade.fill(data)
    newcomer.starts("data")
    assert '"database_upgraded"' in newcomer.shown
    assert newcomer.fetches(test_upgrade.SECOND_PLAN_URL) == test_upgrade.SECOND_PLAN
    assert newcomer.fetches(test_upgrade.HAND_OFF_URL) == b"handed off"
