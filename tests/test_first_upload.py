"""`make run`, as a newcomer sees it: a server, a first file behind a URL, and a curl line that works when pasted."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "first_upload.py"


class FirstRun:
    """A run of the script, read up to its last instruction."""

    def __init__(self, data: Path, port: int) -> None:
        command = [sys.executable, str(SCRIPT), "--port", str(port), "--data", str(data)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C stops it." in line:
                return
        raise AssertionError(f"The script ended before it said what to do:\n{self.output}")

    def said(self, label: str) -> str:
        match = re.search(rf"^ *{label} +(\S.*)$", self.output, re.MULTILINE)
        assert match, self.output
        return match[1]

    def stopped_by(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=90)
        return self.process.returncode


@pytest.fixture
def first_run(tmp_path: Path) -> Iterator[Callable[[], FirstRun]]:
    with socket.socket() as reservation:
        # Bound but not listening, so that nobody else is given the port.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        runs: list[FirstRun] = []

        def run() -> FirstRun:
            runs.append(FirstRun(tmp_path / "data", reservation.getsockname()[1]))
            return runs[-1]

        yield run
        for started in runs:
            if started.process.poll() is None:
                started.stopped_by(signal.SIGTERM)


@pytest.mark.service("curl")
def test_the_printed_url_and_curl_line_serve_the_sample_to_anyone(
    first_run: Callable[[], FirstRun], tmp_path: Path
) -> None:
    run = first_run()
    sample = (tmp_path / "data" / "hello.txt").read_bytes()
    answer = httpx.get(run.said("file"), trust_env=False)
    assert (answer.status_code, answer.content) == (200, sample)
    line = "curl " + run.said("curl") + " --noproxy '*' -sS"
    pasted = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=90)
    assert pasted.returncode == 0, pasted.stderr
    assert httpx.get(pasted.stdout.strip(), trust_env=False).content == sample


def test_a_signal_ends_it_and_the_key_stays_the_same_and_private(
    first_run: Callable[[], FirstRun], tmp_path: Path
) -> None:
    first = first_run()
    assert first.stopped_by(signal.SIGTERM) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(first.said("file"), trust_env=False)
    again = first_run()
    assert again.said("key") == first.said("key")
    assert (tmp_path / "data" / "root-key").stat().st_mode & 0o777 == 0o600
    assert again.stopped_by(signal.SIGINT) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(again.said("file"), trust_env=False)


@pytest.mark.parametrize("port", ["0", "80000", "-1", "abc", ""])
def test_what_is_no_port_is_said_in_one_line(tmp_path: Path, port: str) -> None:
    command = [sys.executable, str(SCRIPT), "--port", port, "--data", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert (result.returncode, result.stderr.splitlines()) == (
        1,
        [f"{port!r} is no port: choose one from 1 to 65535, as in make run PORT=8081"],
    )


def test_a_used_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        command = [sys.executable, str(SCRIPT), "--port", port, "--data", str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert "PORT=" in result.stderr
