"""Processes of `fileferry` forked from one that has loaded it already: importing it costs a second of computing, each time.

A forked one does what `python -m fileferry` does from there on, in a session, a folder and an environment of its own; the workers
of a server are forked too, which uvicorn would spawn. That all this starts from nothing is shown by the tests that start it
so: ``test_start`` and ``test_first_upload``.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn
from unittest import mock

import uvicorn._subprocess
from litestar.datastructures import State

from support.routes import routed
from support.tls import share_one_context

PRELOADED = (
    "anyio._backends._asyncio",
    "encodings.utf_8_sig",
    "fileferry.running",
    "fileferry.cli.files",
    "fileferry.cli.server",
    "fileferry.client",
    "fileferry.engine.events.connections",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
_MOST_BYTES = 128 * 1024  # of a command and its environment
_COMMAND = """#!{python} -IS
import json, os, socket, sys
mine, theirs = socket.socketpair()
message = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
with socket.socket(fileno={control}) as control:
    socket.send_fds(control, [message], [0, 1, 2, theirs.fileno()])
theirs.close()
mine.recv(32)
sys.exit(int(mine.recv(32) or 1))
"""


class Forked:
    """A process of ``fileferry``, with what tests use of ``subprocess.Popen``."""

    def __init__(self, pid: int, ended: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it runs."""
        with contextlib.suppress(TimeoutError, BlockingIOError):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status once it has ended; raise TimeoutError before that after ``timeout`` seconds."""
        if self.returncode is None:
            self._ended.settimeout(timeout)
            told = self._ended.recv(32)
            self.returncode = int(told) if told else -signal.SIGKILL  # the fork server has ended, and it with that
            self._ended.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkServer:
    """The process that others are forked from; it ends with this one, and they with it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            )

    @property
    def pid(self) -> int:
        """The id of the process that others are forked from."""
        return self._process.pid

    def start(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Forked:
        """Start ``fileferry ARGUMENTS``; None of a stream is /dev/null."""
        message = json.dumps([list(arguments), dict(environment), str(folder or Path.cwd())]).encode()
        mine, theirs = socket.socketpair()
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            with theirs:
                streams = [nothing if stream is None else stream for stream in (stdin, stdout, stderr)]
                socket.send_fds(self._control, [message], [*streams, theirs.fileno()])
        finally:
            os.close(nothing)
        pid = int(mine.recv(32))
        return Forked(pid, mine)

    def run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
        stdin: bytes = b"",
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``fileferry ARGUMENTS`` to its end and return what it printed, as ``subprocess.run`` does."""
        ends = [os.pipe() for _ in range(3)]
        (read_in, write_in), (read_out, write_out), (read_err, write_err) = ends
        streams = {"stdin": read_in, "stdout": write_out, "stderr": write_err}
        process = self.start(arguments, environment=environment, folder=folder, **streams)
        for descriptor in streams.values():
            os.close(descriptor)
        told: dict[int, bytes] = {}
        threads = [threading.Thread(target=_write, args=(write_in, stdin))]
        threads += [threading.Thread(target=_read, args=(end, told)) for end in (read_out, read_err)]
        for thread in threads:
            thread.start()
        try:
            status = process.wait(timeout)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        finally:
            for thread in threads:
                thread.join()
        return subprocess.CompletedProcess(list(arguments), status, told[read_out], told[read_err])

    def on_path(self, folder: Path) -> None:
        """Write a command ``fileferry`` into ``folder`` for shells that inherit ``control``: it runs forked from here."""
        command = folder / "fileferry"
        command.write_text(_COMMAND.format(python=sys.executable, control=self.control))
        command.chmod(0o755)

    @property
    def control(self) -> int:
        """The descriptor by which processes are asked for."""
        return self._control.fileno()

    def close(self) -> None:
        """End it, and every process that it has started and that still runs."""
        self._control.close()
        self._process.wait()


def _write(descriptor: int, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(content)


def _read(descriptor: int, told: dict[int, bytes]) -> None:
    with open(descriptor, "rb") as pipe:
        told[descriptor] = pipe.read()


@functools.cache
def shared() -> ForkServer:
    """Return the fork server of this process, started when it is first asked for."""
    server = ForkServer()
    atexit.register(server.close)
    return server


# What follows runs in the fork server itself.


class _Begin(Exception):
    """Raised in a forked process, out of the loop that it came from, so that nothing of that is left on its stack."""


def _serve(control: socket.socket) -> None:
    """Fork a process for each message, and tell each one's exit status on its own socket; raise _Begin in the forked one."""
    running: dict[int, socket.socket] = {}
    wake_read, wake_write = socket.socketpair()
    for end in (wake_read, wake_write):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake_write.fileno())
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            for key, _events in selector.select():
                if key.fileobj is wake_read:
                    wake_read.recv(4096)
                    _reap(running)
                    continue
                message, descriptors, _flags, _address = socket.recv_fds(control, _MOST_BYTES, 4)
                if not message:
                    for pid in running:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(pid, signal.SIGKILL)
                    return
                *streams, reply_descriptor = descriptors
                reply = socket.socket(fileno=reply_descriptor)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for opened in (control, wake_read, wake_write, reply, *running.values()):
                        opened.close()
                    _become(streams, *json.loads(message))
                for stream in streams:
                    os.close(stream)
                reply.send(str(pid).encode())
                running[pid] = reply


def _reap(running: dict[int, socket.socket]) -> None:
    while running:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        with running.pop(pid) as reply, contextlib.suppress(BrokenPipeError):
            reply.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(streams: Sequence[int], arguments: list[str], environment: dict[str, str], folder: str) -> NoReturn:
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Those of the fork server remember what they were opened on.
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        old = getattr(sys, name)
        buffering = 1 if name == "stderr" else -1
        new = open(number, mode, buffering, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    uvicorn._subprocess.spawn = multiprocessing.get_context("fork")  # type: ignore[assignment]
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["fileferry", *arguments]
    raise _Begin


def main(descriptor: int) -> None:
    """Load what a server and a command need, and fork for whoever holds the other end, until that is closed."""
    for name in PRELOADED:
        importlib.import_module(name)
    share_one_context()
    _register_routes()
    gc.collect()
    gc.freeze()
    try:
        _serve(socket.socket(fileno=descriptor))
    except _Begin:
        pass
    else:
        return
    time.tzset()
    runpy.run_module("fileferry", run_name="__main__", alter_sys=True)


def _register_routes() -> None:
    """Do once what each server does at its start, which costs as much as all the rest of that."""
    app = importlib.import_module("fileferry.app")
    settings = importlib.import_module("fileferry.settings").Settings()
    app.Framework = lambda **options: routed(State(), **options)  # type: ignore[attr-defined]
    with mock.patch.object(app, "configure_logging"):  # each process does that as its own settings say
        app.create_app(settings)


if __name__ == "__main__":
    main(int(sys.argv[1]))
