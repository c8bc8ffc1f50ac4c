"""Ceph's RGW, the old class of S3 stores: a cluster of one monitor and one disk in memory behind it, all of it on loopback.

Ceph documentation, "Manual Deployment": a monitor map, a monitor, a disk (OSD), and the gateway, each a daemon in the foreground.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.object_stores import KEY, SECRET, START_SECONDS, ObjectStore

_END_SECONDS = 10.0
_CONFIGURATION = """[global]
fsid = {fsid}
monmap = {folder}/monmap
mon_initial_members = a
public_addr = 127.0.0.1
ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
crash_dir = {folder}
mon_data = {folder}/mon
osd_data = {folder}/osd
rgw_data = {folder}/rgw
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_data_avail_warn = 1
mon_data_avail_crit = 1
rgw_mime_types_file = {folder}/mime.types
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_thread_pool_size = 32
"""


class Rgw(ObjectStore):
    """A gateway and the cluster behind it; ``kill`` ends the gateway alone, as its objects are in the memory of the disk."""

    name = "rgw"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 2)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def command(self) -> list[str]:
        """The command that runs the gateway."""
        return [*self._as("radosgw", "client.rgw.a"), "-f"]

    def start(self) -> None:
        """Start it: the first time with the cluster, a user and the bucket."""
        if self._daemons:
            super().start()
            return
        self._make_cluster()
        super().start()
        names = ["--uid", "tests", "--display-name", "tests", "--access-key", KEY, "--secret", SECRET]
        self._run(*self._as("radosgw-admin", "client.rgw.a"), "user", "create", *names)
        self.make_bucket()

    def close(self) -> None:
        """End the cluster too."""
        super().close()
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _answers(self) -> bool:
        # Without authentication a disk may speak before it knows the cluster, and end with "wrong fsid"; again is the cure.
        if self._daemons["osd"].poll() is not None:
            self._start("osd")
        return super()._answers()

    def _make_cluster(self) -> None:
        fsid, disk = str(uuid.uuid4()), str(uuid.uuid4())
        for name in ("mon", "osd", "rgw"):
            (self._folder / name).mkdir()
        (self._folder / "mime.types").write_text("application/octet-stream bin\n")
        text = _CONFIGURATION.format(fsid=fsid, folder=self._folder, port=self._ports[0])
        (self._folder / "ceph.conf").write_text(text)
        where = f"[v1:127.0.0.1:{self._ports[1]}]"
        self._run("monmaptool", "--create", "--addv", "a", where, "--fsid", fsid, str(self._folder / "monmap"))
        self._run(*self._as("ceph-mon", "mon.a"), "--mkfs")
        self._start("mon")
        self._tell("osd", "create", disk)
        self._run(*self._as("ceph-osd", "osd.0"), "--mkfs", "--osd-uuid", disk)
        self._start("osd")

    def _start(self, kind: str) -> None:
        name = {"mon": "mon.a", "osd": "osd.0"}[kind]
        with (self._folder / "log").open("ab") as log:
            self._daemons[kind] = subprocess.Popen(
                [*self._as(f"ceph-{kind}", name), "-f"], cwd=self._folder, stdout=log, stderr=log
            )

    def _as(self, program: str, name: str) -> list[str]:
        return [program, "-c", str(self._folder / "ceph.conf"), "-n", name]

    def _tell(self, *words: str) -> None:
        """Tell the monitor, which on a busy machine refuses everybody (EPERM) for a moment after its start."""
        command = ("ceph", "-c", str(self._folder / "ceph.conf"), "--connect-timeout", "60", *words)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._run(*command)
                return
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self._folder, capture_output=True, timeout=START_SECONDS)
        assert done.returncode == 0, f"{command[0]}: {done.stderr.decode(errors='replace')[-2000:]}"


@pytest.fixture(scope="session")
def rgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rgw]:
    """The old store; each test has a prefix of its own in it."""
    with Rgw(tmp_path_factory.mktemp("rgw")) as store:
        yield store
