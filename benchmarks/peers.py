"""The servers that are compared: how each is started, as in production, and how to send it a file. Measures nothing."""

from __future__ import annotations

import grp
import importlib.metadata
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fileferry.engine.access.keys import new_secret

ROOT = Path(__file__).parents[1]
SERVICES = ROOT / ".services"
INSTALL = "benchmarks/setup/install.sh"
BOUNDARY = "fileferry-benchmark-boundary"


def _plain(content: bytes) -> bytes:
    return content


def _form(content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="report.bin"\r\n'
    return (
        f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    )


@dataclass(frozen=True)
class Route:
    """One way to send a file: ``{n}`` in the target becomes a fresh name, ``{size}`` in a header its bytes."""

    label: str
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[bytes], bytes] = _plain
    """Wraps the content into what is sent."""

    def target_for(self, name: str) -> str:
        """Return the request target for a file of this name."""
        return self.target.replace("{n}", name)

    def headers_for(self, size: int) -> dict[str, str]:
        """Return the request headers for ``size`` bytes of content, without Host and Content-Length."""
        return {name: value.replace("{size}", str(size)) for name, value in self.headers.items()}


class Peer(ABC):
    """A server under measurement. ``setup`` tells a reader how it is run; ``folder`` takes all it writes."""

    name: str
    setup: str
    ready = "/"
    small: tuple[Route, ...]
    large: Route
    takes_large = True
    """Whether it is measured with large files too."""
    cwd: Path | None = None

    @abstractmethod
    def version(self) -> str | None:
        """Return the installed version, None when the server is not installed."""

    @abstractmethod
    def command(self, folder: Path, port: int) -> list[str]:
        """Return the command that serves ``folder`` on 127.0.0.1, after writing what configuration it needs."""

    def environment(self) -> dict[str, str]:
        """Return the environment of the server."""
        return dict(os.environ)

    def located(self, target: str, headers: Mapping[str, str], body: bytes) -> str:
        """Return the target that a GET fetches the file from, given what was asked and answered on its upload."""
        return target


class Fileferry(Peer):
    """This working tree, SQLite and local disk, as `fileferry serve` runs without any setting."""

    name = "fileferry"
    workers = 1
    setup = "one process, SQLite, local disk; CRC32C and SHA-256; answers after fsync of file, folder and database"
    ready = "/readyz"

    def __init__(self) -> None:
        self._key = new_secret()
        self.authorization: Mapping[str, str] = {"Authorization": f"Bearer {self._key}"}
        key = dict(self.authorization)
        binary = key | {"Content-Type": "application/octet-stream"}
        form = key | {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        self.small = (
            Route("POST /api/upload", "POST", "/api/upload/{n}.bin", binary),
            Route("multipart POST /v1/files", "POST", "/v1/files", form, _form),
        )
        self.large = Route("PUT /api/upload", "PUT", "/api/upload/{n}.bin", binary)

    def version(self) -> str:
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
        return " ".join([importlib.metadata.version("fileferry"), commit.stdout.strip()]).strip()

    @property
    def program(self) -> Path:
        """The command of this build."""
        return Path(sys.executable).with_name("fileferry")

    def command(self, folder: Path, port: int) -> list[str]:
        serve = [str(self.program), "serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(folder)]
        return [*serve, "--workers", str(self.workers)]

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FILEFERRY_")}
        return inherited | {"FILEFERRY_ROOT_KEY": self._key, "FILEFERRY_LOG_LEVEL": "warning"}

    def located(self, target: str, headers: Mapping[str, str], body: bytes) -> str:
        return urlsplit(str(json.loads(body)["url"])).path


class TwoWorkers(Fileferry):
    """This working tree with two processes, for many small requests: one connection is one process's."""

    name = "fileferry, 2 workers"
    workers = 2
    setup = "the same with `--workers 2`; not measured with large files"
    takes_large = False


class Nginx(Peer):
    """nginx with its DAV module: the fastest plain HTTP file server at hand."""

    name = "nginx"
    # Where Debian has it, which is not in everyone's PATH.
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    processes: str = "auto"
    setup = "DAV module, one worker per core, sendfile; temporary file, then a rename; no fsync, no digest"
    small = (Route("PUT", "PUT", "/{n}.bin"),)
    large = Route("PUT", "PUT", "/{n}.bin")

    def version(self) -> str | None:
        build = _output([self.program, "-V"])
        if build is None or "http_dav_module" not in build:
            return None
        return _first_match(r"nginx/([\w.]+)", build)

    def command(self, folder: Path, port: int) -> list[str]:
        configuration = folder / "nginx.conf"
        configuration.write_text(_nginx_configuration(folder, port, self.processes))
        (folder / "files").mkdir()
        return [self.program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]


class OneNginx(Nginx):
    """nginx on one core."""

    processes = "1"
    setup = Nginx.setup.replace("one worker per core", "one worker")


class Tus(Peer):
    """The reference server of the tus protocol for Node.js."""

    name = "@tus/server"
    setup = "FileStore, one process; creation-with-upload, so one request a file; keeps metadata; no fsync, no digest"
    small = (
        Route(
            "tus POST",
            "POST",
            "/files",
            {"Tus-Resumable": "1.0.0", "Upload-Length": "{size}", "Content-Type": "application/offset+octet-stream"},
        ),
    )
    large = small[0]
    cwd = SERVICES / "tus"

    def version(self) -> str | None:
        package = self.cwd / "node_modules/@tus/server/package.json"
        node = _output(["node", "--version"])
        if node is None or not package.exists():
            return None
        return f"{json.loads(package.read_text())['version']} on Node.js {node.strip()}"

    def command(self, folder: Path, port: int) -> list[str]:
        # Given as text, the script imports what is installed in the working folder, not beside itself.
        script = (ROOT / "benchmarks/setup/tus.mjs").read_text()
        return ["node", "--input-type=module", "--eval", script, "--", str(port), str(folder)]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"NODE_ENV": "production"}

    def located(self, target: str, headers: Mapping[str, str], body: bytes) -> str:
        return urlsplit(headers["location"]).path


class Copyparty(Peer):
    """A popular file server in Python."""

    name = "copyparty"
    setup = "defaults, quiet: no index, no deduplication; one process; SHA-512 of what it receives, no fsync"
    small = (Route("PUT", "PUT", "/{n}.bin"),)
    large = Route("PUT", "PUT", "/{n}.bin")
    program = SERVICES / "copyparty/bin/copyparty"

    def version(self) -> str | None:
        return _first_match(r"copyparty v([\w.]+)", _output([str(self.program), "--version"]) or "")

    def command(self, folder: Path, port: int) -> list[str]:
        return [str(self.program), "-q", "-i", "127.0.0.1", "-p", str(port), "-v", f"{folder}::A"]


class Rclone(Peer):
    """`rclone serve webdav` on a local folder."""

    name = "rclone"
    setup = "`rclone serve webdav`, defaults; no fsync"
    small = (Route("PUT", "PUT", "/{n}.bin"),)
    large = Route("PUT", "PUT", "/{n}.bin")

    def version(self) -> str | None:
        return _first_match(r"rclone v([\w.]+)", _output(["rclone", "version"]) or "")

    def command(self, folder: Path, port: int) -> list[str]:
        # A configuration of its own: none of the caller's remotes or settings take part.
        configuration = folder.with_suffix(".rclone")
        configuration.touch()
        return ["rclone", "serve", "webdav", str(folder), "--addr", f"127.0.0.1:{port}", "--config", str(configuration)]


class OneRclone(Rclone):
    """rclone on one core."""

    setup = f"{Rclone.setup}; GOMAXPROCS=1"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"GOMAXPROCS": "1"}


def all_peers() -> list[Peer]:
    """Return fileferry, which every ratio refers to, and the servers it is compared with."""
    return [Fileferry(), TwoWorkers(), Nginx(), Tus(), Copyparty(), Rclone()]


def single_peers() -> list[Peer]:
    """Return the same, each in one process on one core."""
    return [Fileferry(), OneNginx(), Tus(), Copyparty(), OneRclone()]


def _output(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stdout + result.stderr


def _first_match(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found.group(1) if found else None


def _nginx_configuration(folder: Path, port: int, processes: str) -> str:
    # Started by root, nginx would hand its workers to an account that may not write here.
    user = f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"    {kind}_temp_path {folder}/temporary-{kind};\n" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
{user}
daemon off;
worker_processes {processes};
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_max_body_size 0;
    client_body_temp_path {folder}/temporary;
{temporary}    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location / {{
            dav_methods PUT DELETE;
            create_full_put_path on;
        }}
    }}
}}
"""
