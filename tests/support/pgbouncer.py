"""A real pgbouncer in transaction mode, in a process and a folder of its own, before a PostgreSQL of tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

START_SECONDS = 90.0


class LivePgbouncer:
    """One pgbouncer before the database at ``url``; its own address is ``self.url``: ``with LivePgbouncer(url) as pooler``."""

    def __init__(self, url: str, connections: int = 4) -> None:
        server, _, name = url.removeprefix("postgresql://fileferry@").partition("/")
        host, _, port = server.partition(":")
        self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"postgresql://fileferry@127.0.0.1:{self._port}/{name}"
        (self._folder / "users").write_text('"fileferry" ""\n')
        (self._folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={host} port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self._port}\n"
            f"unix_socket_dir =\nauth_type = trust\nauth_file = {self._folder}/users\npool_mode = transaction\n"
            f"default_pool_size = {connections}\nmax_client_conn = 200\nignore_startup_parameters = extra_float_digits\n"
            f"server_login_retry = 1\n"  # seconds; 15 by default, in which it refuses everybody after one failure
        )
        if os.geteuid() == 0:  # it does not run as root
            self._folder.chmod(0o755)

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start it, and return once it takes connections; raise RuntimeError with its log when that fails."""
        command = ["pgbouncer", str(self._folder / "pgbouncer.ini")]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--", *command]
        log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"pgbouncer did not start.\n{(self._folder / 'log').read_text()}")

    def kill(self) -> None:
        """End it at once, with all its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
