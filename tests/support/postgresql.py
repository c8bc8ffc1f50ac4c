"""A real PostgreSQL in processes and a folder of its own, which asks nobody for a password; and one that a whole run shares.

The shared one syncs nothing: what is durable is tried with one of the test's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psycopg

_SHARED = "TESTS_POSTGRESQL"
_CHOSEN = "TESTS_DATABASE"
_SETTINGS = {
    "autovacuum": "off",
    "jit": "off",
    "recovery_init_sync_method": "syncfs",  # after a crash every file is synced, one by one unless told
    "max_connections": "300",
    "max_wal_size": "256MB",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class LivePostgresql:
    """One PostgreSQL at an address that stays its own through every restart: ``with LivePostgresql() as server``."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._data = self._folder / "data"
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        try:
            _make(self._folder, self.port, {**_SETTINGS, **(settings or {})})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, and return once it takes connections; raise RuntimeError with its log when that fails."""
        _control(self._folder, "start", "-w", "-l", str(self._folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """End it: ``fast`` as an operator does, ``immediate`` as a crash does; what was committed is recovered then."""
        _control(self._folder, "stop", "-w", "-m", mode)

    def restart(self, mode: str = "immediate") -> None:
        """End it, and start it again on the same port and data."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """End it if it runs, and remove everything."""
        with contextlib.suppress(RuntimeError):
            self.stop("immediate")
        self._reservation.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        return _new_database(self.port, "template1")

    @property
    def pid(self) -> int:
        """The id of its first process, whose children the others are."""
        return int((self._data / "postmaster.pid").read_text().split("\n")[0])

    def cut(self) -> int:
        """Cut every connection of clients but this one; return how many."""
        words = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        return int(run(self.port, f"{words} WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"))


def is_chosen() -> bool:
    """Return whether servers and services of tests that do not say it have PostgreSQL, as TESTS_DATABASE tells."""
    return os.environ.get(_CHOSEN, "sqlite") == "postgresql"


def run(port: int, words: str, database: str = "postgres") -> str:
    """Run a statement as the owner of everything; return the first value of its answer, in words."""
    with psycopg.connect(host="127.0.0.1", port=port, user="fileferry", dbname=database, autocommit=True) as connection:
        cursor = connection.execute(words)
        row = cursor.fetchone() if cursor.description else None
        return "" if row is None else str(row[0])


def new_database(prepared: bool = False) -> str:
    """Make a database on the server that all of a run's processes share, started by the first; return its URL.

    A ``prepared`` one has the tables already.
    """
    port = _shared_port()
    return _new_database(port, _template(port) if prepared else "template1")


def drop_database(url: str) -> None:
    """Remove a database, whoever is connected."""
    name = url.rpartition("/")[2]
    run(_shared_port(), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def begin_run() -> None:
    """Name the place where this run's processes share a server. To be called by the process that starts the others."""
    # Never one that was named before: it is removed in the end.
    place = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    os.environ[_SHARED] = f"{place}/postgresql-of-{os.getpid()}-{secrets.token_hex(4)}"


def end_run() -> None:
    """End the server that was shared, if one was started. To be called by the process that ends last."""
    folder = Path(os.environ[_SHARED])
    if folder.exists():
        with contextlib.suppress(RuntimeError):
            _control(folder, "stop", "-w", "-m", "immediate")
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _shared_port() -> int:
    folder = Path(os.environ[_SHARED])
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = folder / "port"
        if not told.exists():
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            _make(folder, port, {**_SETTINGS, **_UNSAFE})
            _control(folder, "start", "-w", "-l", str(folder / "log"))
            told.write_text(str(port))
        return int(told.read_text())


@functools.cache
def _template(port: int) -> str:
    """Return the name of a database that has the tables; making them takes longer than most tests."""
    from fileferry.db.postgresql_schema import migrate_postgresql
    from fileferry.settings import Settings

    name = f"template_{os.getpid()}"
    run(port, f"CREATE DATABASE {name}")
    migrate_postgresql(_url(port, name), Settings())
    return name


def _new_database(port: int, template: str) -> str:
    name = f"test_{secrets.token_hex(8)}"
    run(
        port,
        f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {'FILE_COPY' if template != 'template1' else 'WAL_LOG'}",
    )
    return _url(port, name)


def _url(port: int, name: str) -> str:
    return f"postgresql://fileferry@127.0.0.1:{port}/{name}"


def _make(folder: Path, port: int, settings: Mapping[str, str]) -> None:
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        shutil.chown(data, "postgres")
        (folder / "log").touch()
        shutil.chown(folder / "log", "postgres")
    _run("initdb", "-D", str(data), "-A", "trust", "-U", "fileferry", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8")
    lines = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", **settings}
    with (data / "postgresql.conf").open("a") as config:
        config.writelines(f"{name} = '{value}'\n" for name, value in lines.items())


def _control(folder: Path, *words: str) -> None:
    try:
        _run("pg_ctl", "-s", "-D", str(folder / "data"), *words)
    except RuntimeError as error:
        log = folder / "log"
        raise RuntimeError(f"{error}\n{log.read_text() if log.exists() else ''}") from error


def _run(program: str, *words: str) -> None:
    command = [str(_programs() / program), *words]
    if os.geteuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stdout.decode()}")


@functools.cache
def _programs() -> Path:
    """Return the folder that Debian has the server's programs in, outside of the path; of several releases the newest."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
