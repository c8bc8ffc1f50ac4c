"""A pytest plugin: tests skip where a service is missing, and the summary says so; `--no-skips` lets no skip pass."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

_NODE_PACKAGES = Path(__file__).parents[1] / "node" / "node_modules"
_PROXIES = Path(__file__).parents[2] / ".services" / "proxies" / "bin"
_STORES = Path(__file__).parents[2] / ".services" / "stores" / "bin"
_LOOP_DEVICES = Path("/dev/loop-control")
_NEW_NODE = "node 22"

SERVICES: dict[str, tuple[str | Path, ...]] = {
    "azurite": ("node", _NODE_PACKAGES / "azurite"),
    "bindfs": ("bindfs", Path("/dev/fuse")),
    "btrfs": ("mkfs.btrfs", _LOOP_DEVICES),
    "caddy": (_PROXIES / "caddy",),
    "chromium": ("chromium",),
    "clamd": ("clamd",),
    "curl": ("curl",),
    "gcs": (_STORES / "fake-gcs-server",),
    "google": (_STORES / "fake-gcs-server",),
    "haproxy": ("haproxy",),
    "mcp-conformance": (_NEW_NODE, _NODE_PACKAGES / "@modelcontextprotocol" / "conformance"),
    "nginx": ("nginx",),
    "node": ("node", _NODE_PACKAGES / ".package-lock.json"),
    "pgbouncer": ("pgbouncer",),
    "postgresql": ("pg_ctlcluster",),
    "rclone": (_STORES / "rclone", "openssl"),  # that of distributions has no `serve s3`
    "redis": ("redis-server",),
    "rgw": ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"),
    "seaweedfs": ("weed",),
    "systemd": ("systemd-analyze",),
    "traefik": (_PROXIES / "traefik",),
    "xfs": ("mkfs.xfs", "mkfs.ext4", "xfs_io", _LOOP_DEVICES),
}
"""What `@pytest.mark.service(name)` may name, and the programs and paths it takes; scripts/services.sh installs them.

"node" is Node.js with the clients that tests/node/package.json lists.
"""

MISSING = "missing service"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--no-skips`, which `make test STRICT=1` passes."""
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails the run")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose service is not installed."""
    for mark in item.iter_markers("service"):
        (name,) = mark.args
        if not all(map(_is_there, SERVICES[name])):
            item.user_properties.append((MISSING, name))
            pytest.skip(f"{name} is not installed: run `make services`")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test under `--no-skips`; an expected failure is no skip."""
    report = yield
    if item.config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips itself whole under `--no-skips`."""
    report = yield
    if collector.config.getoption("--no-skips") and report.skipped:
        _fail(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the services that tests missed, and the command that installs them."""
    reports = [report for outcome in ("skipped", "failed", "error") for report in terminalreporter.getreports(outcome)]
    properties = [pair for report in reports for pair in getattr(report, "user_properties", [])]
    missing = sorted({str(value) for name, value in properties if name == MISSING})
    if missing:
        terminalreporter.section("services that are not installed")
        terminalreporter.write_line(f"{', '.join(missing)}: run `make services`")


def _is_there(part: str | Path) -> bool:
    if part == _NEW_NODE:
        return _node_version() >= 22
    return part.exists() if isinstance(part, Path) else shutil.which(part) is not None


@functools.cache
def _node_version() -> int:
    if shutil.which("node") is None:
        return 0
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    return int(said.removeprefix("v").partition(".")[0] or 0)


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"--no-skips: {reason}"
