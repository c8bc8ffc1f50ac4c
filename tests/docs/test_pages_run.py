"""Every block that README and docs show is run, in order, page by page, against a server that has nothing in it yet."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, Block, blocks, name_of, pages
from shown import check_json, check_text

from support import fork_server
from support.live_server import LiveServer, MakeServer
from unit.service import Service

SHOWN_ADDRESS = "http://127.0.0.1:8080"
RUN = {"bash", "python"}
OUTPUT = {"text", "json"}
# Every word of a page's shell survives from block to block, as it does for who types them.
SHELL = "set -a; if [ -f {state} ]; then . {state}; fi; set -euo pipefail\n{text}\nexport -p > {state}\n"


LISTED = Block(ROOT / "README.md", 0, "bash", "fileferry ls --json", None)


class Reader:
    """Somebody who types what a page shows, in one folder and one session."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._python: dict[str, Any] = {"__name__": "__main__"}

    def does(self, block: Block) -> str:
        """Run the block and return what it printed on stdout, with the address that pages show."""
        text = block.text.replace(SHOWN_ADDRESS, self._server.url)
        output = self._shell(text, block) if block.language == "bash" else self._session(text, block)
        return output.replace(self._server.url, SHOWN_ADDRESS)

    def _shell(self, text: str, block: Block) -> str:
        script = SHELL.format(state=self._folder.parent / "shell", text=text)
        # Python blocks run in this process, commands in processes forked from one that has loaded them: both as installed.
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            timeout=180,
            pass_fds=[fork_server.shared().control],
        )
        assert done.returncode == 0, f"{block.place} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _session(self, text: str, block: Block) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(text, block.place, "exec"), self._python)
        return printed.getvalue()


@pytest.fixture
def reader(make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    server = make_server(webhook_networks="127.0.0.1/32")  # the receiver of the page on webhooks is on this machine
    folder = tmp_path / "fileferry"
    folder.mkdir()
    (folder / "data").symlink_to(server.data)
    (server.data / "root-key").write_text(server.root_key + "\n")
    (folder / "report.pdf").write_bytes(b"%PDF-1.4\n" + b"A report for the test of the docs.\n" * 100)
    (folder / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 1024)
    for name in [name for name in os.environ if name.startswith("FILEFERRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FILEFERRY_URL", server.url)
    monkeypatch.setenv("FILEFERRY_KEY", server.root_key)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    commands = tmp_path / "bin"
    commands.mkdir()
    fork_server.shared().on_path(commands)
    monkeypatch.setenv("PATH", os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.chdir(folder)
    return Reader(server, folder)


def marked(page: Path) -> Any:
    """Return a page as a parameter: backups are of SQLite."""
    return pytest.param(page, marks=pytest.mark.sqlite) if "fileferry backup" in page.read_text() else page


@pytest.mark.service("curl")
@pytest.mark.parametrize("page", [marked(page) for page in pages() if blocks(page)], ids=name_of)
def test_what_a_page_shows_works(page: Path, reader: Reader) -> None:
    output: str | None = None
    for block in blocks(page):
        if block.excuse is not None:
            output = None
        elif block.language in RUN:
            output = reader.does(block)
        else:
            assert block.language in OUTPUT, f"{block.place}: nobody knows how to run {block.language!r}"
            assert output is not None, f"{block.place} shows the output of nothing that was run"
            (check_json if block.language == "json" else check_text)(block.text, output)


@pytest.mark.service("curl")
@pytest.mark.parametrize("page", ["README.md", "docs/quick-start.md"])
def test_two_jobs_that_send_the_same_name_by_the_first_line_of_curl_make_two_files(page: str, reader: Reader) -> None:
    first = next(block for block in blocks(ROOT / page) if block.text.startswith("curl"))
    urls = {reader.does(first) for _ in range(2)}
    versions = [json.loads(line)["file_id"] for line in reader.does(LISTED).splitlines()]
    assert (len(urls), len(versions)) == (2, 2)


@pytest.mark.parametrize(
    "block", [block for page in pages() for block in blocks(page) if block.excuse], ids=lambda block: block.place
)
def test_a_block_that_is_not_run_says_which_test_covers_it_or_why_none_can(block: Block) -> None:
    tests = [word.strip(".,;()") for word in str(block.excuse).split() if word.startswith("tests/")]
    assert all((ROOT / test).exists() for test in tests)
    assert tests or len(str(block.excuse).split()) >= 5


@pytest.mark.sqlite  # looks into the folder
def test_nobody_else_can_read_the_backup_that_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = [block for block in blocks(ROOT / "docs" / "operating.md") if block.text.startswith("fileferry backup ")]
    before = os.umask(0o077)
    try:
        service = Service(tmp_path / "data")
        service.upload(bytes(100_000))
        service.close()
    finally:
        os.umask(before)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    script = f"umask 022\nset -euo pipefail\n{shown.text}"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    copied = [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]
    assert {path.name for path in copied} >= {"backup", "fileferry.db", "store-id", "blobs"}
    assert sum(path.stat().st_size > 99_999 for path in copied if path.parent.name != "backup") == 1
    assert [path for path in copied if path.stat().st_mode & 0o077] == []
