"""The official conformance suite of the Model Context Protocol at ``/mcp``: all that a revision requires, but known exceptions."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.keyed import Keyed
from support.live_server import LiveServer
from support.node import FOLDER, PACKAGES

pytestmark = pytest.mark.service("mcp-conformance")

SUITE = PACKAGES / ".bin" / "conformance"
EXCEPTIONS = FOLDER / "mcp_conformance.yml"
SECONDS = 300


@pytest.fixture(scope="module")
def keyed(server: LiveServer) -> Iterator[Keyed]:
    """The tools without a key: the suite has none to show."""
    with Keyed(server.port, server.root_key) as standing_before:
        yield standing_before


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_what_a_revision_requires_is_so(keyed: Keyed, tmp_path: Path, revision: str) -> None:
    asked = ["server", "--url", f"{keyed.url}/mcp", "--requirements", revision]
    options = ["--expected-failures", str(EXCEPTIONS), "--output-dir", str(tmp_path)]
    ran = subprocess.run(
        ["node", str(SUITE), *asked, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "tools-list: " in ran.stdout
