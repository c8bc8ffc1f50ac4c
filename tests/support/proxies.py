"""Real proxies in processes of their own, by the files of deploy/proxies: only addresses are ours, and TLS is left out."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "proxies"
INSTALLED = ROOT / ".services" / "proxies" / "bin"
"""Where scripts/services.sh puts what distributions do not have."""
_START_SECONDS = 60.0


def program(name: str) -> str:
    """Return the path of a proxy's program; raises FileNotFoundError."""
    found = shutil.which(name) or shutil.which(name, path=str(INSTALLED))
    if found is None:
        raise FileNotFoundError(name)
    return found


class Proxy:
    """A proxy on a free port of 127.0.0.1 in front of the server at ``upstream``; ``kind`` is a name of KINDS."""

    def __init__(self, kind: str, folder: Path, upstream: int) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = KINDS[kind](folder, self.port, upstream)

    def __enter__(self) -> Proxy:
        environment = os.environ | {"HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder)}
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, env=environment
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        self._end()
        raise RuntimeError(f"The proxy did not start.\n{self.log_text()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def log_text(self) -> str:
        """Return what it has complained of."""
        return (self._folder / "log").read_text(errors="replace")

    def _end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _changed(name: str, *changes: tuple[str, str]) -> str:
    """Return a documented file with lines changed; each must be there."""
    text = (FILES / name).read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, lambda _found, new=replacement: new, text)  # type: ignore[misc]
        assert count, f"{name} has no {pattern!r}"
    return text


def _nginx(folder: Path, port: int, upstream: int) -> list[str]:
    server = _changed(
        "nginx.conf",
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        (r" *ssl_certificate.*\n", ""),
        (r"127\.0\.0\.1:8080", f"127.0.0.1:{upstream}"),
    )
    # Started by root, nginx would hand its workers to an account that may not read this folder.
    user = f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    around = f"{user}\ndaemon off;\nworker_processes 1;\npid {folder}/pid;\nevents {{ worker_connections 64; }}\n"
    (folder / "nginx.conf").write_text(f"{around}http {{\naccess_log off;\n{folders}\n{server}}}\n")
    return [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def _caddy(folder: Path, port: int, upstream: int, name: str = "Caddyfile") -> list[str]:
    text = _changed(
        name,
        (r"(?m)^(files|www)\.example\.com \{", f"http://127.0.0.1:{port} {{\n\tbind 127.0.0.1"),
        (r"127\.0\.0\.1:8080", f"127.0.0.1:{upstream}"),
        (r"\A((?:#.*\n)*)\{\n", "{\n\tadmin off\n\tpersist_config off\n"),
    )
    (folder / "Caddyfile").write_text(text)
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _caddy_below(folder: Path, port: int, upstream: int) -> list[str]:
    return _caddy(folder, port, upstream, "Caddyfile.sub-path")


def _haproxy(folder: Path, port: int, upstream: int) -> list[str]:
    text = _changed(
        "haproxy.cfg",
        (r"bind :443 ssl crt \S+", f"bind 127.0.0.1:{port}"),
        (r"127\.0\.0\.1:8080", f"127.0.0.1:{upstream}"),
    )
    (folder / "haproxy.cfg").write_text(text)
    return [program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


def _traefik(folder: Path, port: int, upstream: int) -> list[str]:
    (folder / "traefik.yml").write_text(
        _changed("traefik.yml", (r'":443"', f'"127.0.0.1:{port}"'), (r"/etc/traefik", str(folder)))
    )
    (folder / "traefik-routes.yml").write_text(
        _changed(
            "traefik-routes.yml",
            (r"files\.example\.com`", "127.0.0.1`"),
            (r" *tls: \{\}\n", ""),
            (r"(?s)\ntls:.*", "\n"),
            (r"127\.0\.0\.1:8080", f"127.0.0.1:{upstream}"),
        )
    )
    return [program("traefik"), f"--configFile={folder / 'traefik.yml'}"]


KINDS: dict[str, Callable[[Path, int, int], list[str]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "caddy below a path": _caddy_below,
    "haproxy": _haproxy,
    "traefik": _traefik,
}
"""How each is started; the service of a test is the first word."""
