"""A real nginx in a process of its own, in front of a server, with lines of the test's own."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

_START_SECONDS = 20.0


class Nginx:
    """nginx on a free port of 127.0.0.1: all goes to the server at ``upstream``, and ``locations`` are what else it knows."""

    def __init__(self, folder: Path, upstream: int, locations: str = "") -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._upstream = upstream
        self._locations = locations
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.url = ""

    def __enter__(self) -> Nginx:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        (self._folder / "nginx.conf").write_text(self._configuration())
        program = shutil.which("nginx")
        assert program is not None
        command = [program, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf"), "-e", "stderr"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def log_text(self) -> str:
        """Return what it has complained of."""
        return (self._folder / "log").read_text(errors="replace")

    def _wait_until_it_listens(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"nginx did not start.\n{self.log_text()}")

    def _configuration(self) -> str:
        # Started by root, nginx would hand its workers to an account that may not read the store.
        user = f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "\n".join(f"    {kind}_temp_path {self._folder}/{kind};" for kind in kinds)
        return f"""
{user}
daemon off;
worker_processes 1;
pid {self._folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
    access_log off;
{folders}
    server {{
        listen 127.0.0.1:{self.port};
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_http_version 1.1;
        location / {{
            proxy_pass http://127.0.0.1:{self._upstream};
            proxy_set_header Host $http_host;
        }}
{self._locations}
    }}
}}
"""
