"""`make run`: starts a server on this machine, hands it a first file, and says how to do the same with curl."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from fileferry.engine.access.keys import new_secret

HOST = "127.0.0.1"
LAST_PORT = 65535
START_SECONDS = 30.0
GREETING = "Hello! fileferry handed this file over.\n"


def main() -> None:
    """Run the server in the foreground until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="8080")
    parser.add_argument("--data", type=Path, default=Path("data"))
    options = parser.parse_args()

    port = port_of(options.port)
    refuse_a_used_port(port)
    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = os.environ.get("FILEFERRY_ROOT_KEY") or kept_key(options.data / "root-key")
    sample = options.data / "hello.txt"
    sample.write_text(GREETING)

    signal.signal(signal.SIGTERM, interrupt)
    server = start_server(port, options.data, key)
    try:
        wait_until_ready(server, port)
        url = hand_over(sample, port, key)
        print(instructions(sample, port, key, url), flush=True)
        sys.exit(ended(server))
    except KeyboardInterrupt:
        sys.exit(stopped(server))
    finally:
        server.kill()


def port_of(text: str) -> int:
    """Return the port that ``text`` says; exit with a message where it is none."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= LAST_PORT):
        sys.exit(f"{text!r} is no port: choose one from 1 to {LAST_PORT}, as in make run PORT=8081")
    return int(text)


def refuse_a_used_port(port: int) -> None:
    """Exit with a message when ``port`` cannot be listened on."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
            trial.listen()
        except OSError as error:
            sys.exit(f"Cannot listen on {HOST}:{port}: {error}. Choose another port: make run PORT=8081")


def kept_key(path: Path) -> str:
    """Return the root key kept in ``path``, which only its owner can read; make it the first time."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with open(descriptor, "w") as file:
        key = new_secret()
        file.write(key + "\n")
    return key


def start_server(port: int, data: Path, key: str) -> subprocess.Popen[bytes]:
    """Start `fileferry serve`; its log goes to this terminal."""
    command = [sys.executable, "-m", "fileferry", "serve", "--host", HOST, "--port", str(port), "--data", str(data)]
    environment = {"FILEFERRY_LOG_FORMAT": "console", **os.environ, "FILEFERRY_ROOT_KEY": key}
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Return once /readyz answers 200; exit with a message when the server ends first or takes over 30 seconds."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"The server ended before it was ready (exit status {server.returncode}).")
        try:
            if exchange(port, "GET", "/readyz")[0] == http.client.OK:
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"The server was not ready within {START_SECONDS:.0f} seconds.")


def hand_over(sample: Path, port: int, key: str) -> str:
    """Upload ``sample`` and return its URL; exit with the server's answer when it refuses."""
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/plain"}
    status, answer = exchange(port, "PUT", f"/api/upload/{sample.name}", sample.read_bytes(), headers)
    if status not in (http.client.OK, http.client.CREATED):
        sys.exit(f"The first upload was refused with {status}: {answer}")
    return answer.strip()


def exchange(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Send one request to the server; return the status and the body of its answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def instructions(sample: Path, port: int, key: str, url: str) -> str:
    """Return what a newcomer wants to know now that the server runs."""
    curl = ["curl", "-X", "POST", "-H", f"Authorization: Bearer {key}", "-H", "Accept: text/plain", "-T", str(sample)]
    curl.append(f"http://{HOST}:{port}/api/upload/")
    return f"""
fileferry runs on http://{HOST}:{port} and has its first file:

  file  {url}
  key   {key}

The same from another terminal, in this folder:

  {shlex.join(curl)}

In a browser, signed in with the key: http://{HOST}:{port}/ui/

Ctrl-C stops it.
"""


def stopped(server: subprocess.Popen[bytes]) -> int:
    """Ask the server to end, let its transfers finish, and return its exit status; a second Ctrl-C does not wait."""
    server.terminate()
    try:
        return max(ended(server), 0)
    except KeyboardInterrupt:
        return 1


def ended(server: subprocess.Popen[bytes]) -> int:
    """Wait for the server's end, and return its exit status."""
    while True:
        # Never for long: a signal that comes just before the wait begins is heeded once that is over.
        with contextlib.suppress(subprocess.TimeoutExpired):
            return server.wait(timeout=1)


def interrupt(signum: int, frame: FrameType | None) -> None:
    """Treat SIGTERM as Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
