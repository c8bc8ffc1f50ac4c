"""The command line, as a shell sees it: what is on stdout, what is on stderr, and the exit status."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from relay import Relay
from shell import Shell

from fileferry.cli import put
from fileferry.client.transfers import manner
from fileferry.client.transfers.journal import state_folder
from fileferry.client.waiting import LONGEST_WAIT
from support.live_server import LiveServer


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a port where nobody listens, for as long as the test runs."""
    with socket.socket() as reservation:
        reservation.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reservation.getsockname()[1]}"


def test_put_says_of_the_client_what_is_so() -> None:
    said = put.PARALLEL, put.MOST_PARALLEL, put.MULTIPART_THRESHOLD, put.LONGEST_WAIT
    assert said == (manner.PARALLEL, manner.MOST_PARALLEL, manner.MULTIPART_THRESHOLD, LONGEST_WAIT)


def test_put_prints_the_url_alone(shell: Shell) -> None:
    (shell.folder / "a.txt").write_bytes(b"hello")
    result = shell.run("put", "a.txt")
    assert (result.returncode, result.stderr) == (0, b"")
    assert httpx.get(result.stdout.decode().strip(), trust_env=False).content == b"hello"


def test_put_prints_one_url_per_file_in_order(shell: Shell) -> None:
    for name in "ab":
        (shell.folder / name).write_text(name)
    urls = shell.out("put", "a", "b").splitlines()
    assert [httpx.get(url, trust_env=False).text for url in urls] == ["a", "b"]


def test_put_reads_standard_input(shell: Shell) -> None:
    file = json.loads(shell.out("put", "-", "--json", stdin=b"piped"))
    assert (file["name"], file["size"]) == ("stdin", 5)


def test_put_takes_name_expiry_type_and_metadata(shell: Shell) -> None:
    options = [
        "--name",
        "b.dat",
        "--expires",
        "24h",
        "--content-type",
        "text/csv",
        "--meta",
        "a=1",
        "--meta",
        '{"b": 2}',
    ]
    file = json.loads(shell.out("put", "-", "--json", *options, stdin=b"x"))
    assert (file["name"], file["content_type"], file["metadata"]) == ("b.dat", "text/csv", {"a": "1", "b": 2})
    assert file["expires_at"].endswith("Z")


def test_put_to_a_path_makes_versions_of_one_file(shell: Shell) -> None:
    path = f"{shell.folder.name}/report.txt"
    files = [json.loads(shell.out("put", "-", "--json", "--path", path, stdin=body)) for body in (b"1", b"2")]
    assert [file["path"] for file in files] == [path, path]
    assert files[0]["file_id"] == files[1]["file_id"]


def test_get_by_id_and_by_url_brings_the_bytes_back(shell: Shell) -> None:
    file = json.loads(shell.out("put", "-", "--name", "c.bin", "--json", stdin=b"\x00\xff"))
    shell.out("get", file["file_id"])
    assert (shell.folder / "c.bin").read_bytes() == b"\x00\xff"
    shell.out("get", file["url"], "-o", "d.bin")
    assert (shell.folder / "d.bin").read_bytes() == b"\x00\xff"
    assert shell.run("get", file["file_id"], "-o", "-").stdout == b"\x00\xff"


def test_get_by_url_needs_neither_server_nor_key(shell: Shell) -> None:
    url = shell.out("put", "-", stdin=b"x").strip()
    del shell.environment["FILEFERRY_URL"], shell.environment["FILEFERRY_KEY"]
    assert shell.out("get", url, "-o", "-") == "x"


def test_get_replaces_nothing_that_was_not_named(shell: Shell) -> None:
    file_id = json.loads(shell.out("put", "-", "--name", "c.bin", "--json", stdin=b"new"))["file_id"]
    (shell.folder / "c.bin").write_bytes(b"old")
    status, said = shell.refused("get", file_id)
    assert (status, (shell.folder / "c.bin").read_bytes()) == (1, b"old")
    assert "-o" in said
    shell.out("get", file_id, "-o", "c.bin")
    assert (shell.folder / "c.bin").read_bytes() == b"new"


@pytest.mark.parametrize("taken", ["c.bin", "c.bin.part", "a link"])
def test_get_into_a_folder_replaces_nothing_under_the_name_of_the_uploader(shell: Shell, taken: str) -> None:
    file_id = json.loads(shell.out("put", "-", "--name", "c.bin", "--json", stdin=b"new"))["file_id"]
    folder = shell.folder / "inbox"
    folder.mkdir()
    mine = shell.folder / "mine" if taken == "a link" else folder / taken
    mine.write_bytes(b"old")
    if taken == "a link":
        (folder / "c.bin").symlink_to(mine)
    status, said = shell.refused("get", file_id, "-o", "inbox")
    assert (status, mine.read_bytes()) == (1, b"old")
    assert "--overwrite" in said
    shell.out("get", file_id, "-o", "inbox", "--overwrite")
    assert (folder / "c.bin").read_bytes() == b"new"
    assert taken != "a link" or mine.read_bytes() == b"old"


def test_get_makes_names_safe(shell: Shell) -> None:
    url = shell.out("put", "-", stdin=b"x").strip().rpartition("/")[0]
    (shell.folder / "inbox").mkdir()
    shell.out("get", f"{url}/..%2F..%2Fa%0A%1B%5B2J.txt", "-o", "inbox")
    assert [path.name for path in (shell.folder / "inbox").iterdir()] == ["a__[2J.txt"]
    assert shell.refused("get", f"{url}/%2E%2E%2F%2E%2E", "-o", "inbox")[0] == 1


def test_ls_finds_what_put_left_and_rm_removes_it(shell: Shell) -> None:
    prefix = f"{shell.folder.name}/"
    file = json.loads(shell.out("put", "-", "--path", prefix + "a", "--json", stdin=b"abc"))
    assert shell.out("ls", prefix) == f"{file['file_id']}\t{prefix}a\n"
    assert json.loads(shell.out("ls", prefix, "--json")) == file
    assert shell.out("ls", prefix, "--long").split("\t")[1:3] == ["3", "ready"]
    assert shell.out("rm", file["file_id"]) == ""
    assert shell.out("ls", prefix) == ""


def test_keys_are_made_renewed_and_revoked(shell: Shell) -> None:
    secret = shell.out("keys", "create", "worker", "--scope", "upload", "--scope", "read").strip()
    assert secret.startswith("ff_")
    listed = [json.loads(line) for line in shell.out("keys", "list", "--json").splitlines()]
    (key_id,) = [key["key_id"] for key in listed if secret.startswith(key["prefix"])]
    renewed = shell.out("keys", "rotate", key_id, "--grace", "1h").strip()
    for usable in (secret, renewed):
        shell.out("put", "-", "--key", usable, stdin=b"x")
    shell.out("keys", "revoke", key_id)
    status, said = shell.refused("ls", "--key", renewed)
    assert status == 1
    assert "unauthorized" in said
    assert renewed not in said


def test_all_is_done_on_behalf_of_the_end_user_of_the_environment(shell: Shell) -> None:
    key = shell.out("keys", "create", "web", "--scope", "upload", "--scope", "read", "--on-behalf-of", "*").strip()
    status, said = shell.refused("ls", "--key", key)
    assert (status, "FILEFERRY_END_USER" in said) == (1, True)
    shell.environment["FILEFERRY_END_USER"] = "ada"
    file = json.loads(shell.out("put", "-", "--json", "--key", key, stdin=b"hers"))
    assert file["end_user"] == "ada"
    shell.environment["FILEFERRY_END_USER"] = "bob"
    assert file["file_id"] not in shell.out("ls", "--key", key)


def test_an_organization_has_the_id_that_was_fixed(shell: Shell) -> None:
    chosen = "0190a000-0000-7000-8000-00000000abcd"
    assert shell.out("orgs", "create", "fixed", "--id", chosen, "--name", "Fixed").strip() == chosen
    assert f"{chosen}\tfixed\tFixed" in shell.out("orgs", "list").splitlines()


def test_a_folder_is_made_once_filled_and_removed_when_empty(shell: Shell) -> None:
    name = f"{shell.folder.name}/reports"
    folder_id = shell.out("folders", "create", name).strip()
    assert shell.out("folders", "create", name).strip() == folder_id
    assert [folder_id, name] in [line.split("\t")[::2] for line in shell.out("folders", "list").splitlines()]
    files = [
        json.loads(shell.out("put", "-", "--name", "a", "--folder", folder, "--json", stdin=b"x"))
        for folder in (folder_id, name)
    ]
    assert [file["path"] for file in files] == [f"{name}/a"] * 2
    assert shell.refused("folders", "rm", folder_id)[0] == 1
    shell.out("rm", *(file["file_id"] for file in files))
    shell.out("folders", "rm", folder_id)
    assert folder_id not in shell.out("folders", "list")


def test_put_makes_the_folder_that_it_is_given(shell: Shell) -> None:
    name = f"{shell.folder.name}-new"
    file = json.loads(shell.out("put", "-", "--name", "a", "--folder", name, "--json", stdin=b"x"))
    assert file["path"] == f"{name}/a"


IN_PARTS = ["--multipart-threshold", "64KiB", "--part-size", "64KiB", "--parallel", "2"]


def test_a_killed_put_is_continued_by_the_next_with_what_is_missing(shell: Shell, server: LiveServer) -> None:
    body = os.urandom(20 * 64 * 1024 - 5)
    (shell.folder / "large.bin").write_bytes(body)
    enough, killed = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if relay.sent.total() > 8 and not killed.is_set():
            enough.set()
            killed.wait(60)
            raise ConnectionAbortedError("Its client is dead.")

    with Relay(server.url, before=hold) as relay:
        shell.environment["FILEFERRY_URL"] = relay.url
        command = [sys.executable, "-m", "fileferry", "put", "large.bin", *IN_PARTS]
        with subprocess.Popen(command, cwd=shell.folder, env=shell.environment, stdout=subprocess.DEVNULL) as process:
            assert enough.wait(60)
            status, said = shell.refused("put", "large.bin", *IN_PARTS)
            assert (status, "Another process" in said) == (1, True)
            process.kill()
        (state,) = state_folder().iterdir()
        assert shell.environment["FILEFERRY_KEY"] not in state.read_text()
        with server.client() as http:
            ticket = http.get(f"/api/uploads/{json.loads(state.read_text())['upload_id']}").json()
        held = {part["part_number"] for part in ticket["parts"]}
        killed.set()
        relay.sent.clear()
        file = json.loads(shell.out("put", "large.bin", "--json", *IN_PARTS))
    assert held
    assert len(relay.addresses) == 1
    assert relay.sent == Counter(set(range(1, 21)) - held)
    assert file["file_id"] == ticket["file_id"]
    assert shell.run("get", file["file_id"], "-o", "-", "--url", server.url).stdout == body
    assert list(state_folder().iterdir()) == []


def test_put_without_resume_keeps_no_state(shell: Shell, server: LiveServer) -> None:
    (shell.folder / "large.bin").write_bytes(bytes(200_000))
    with Relay(server.url, before=lambda number: found.append(state_folder().exists())) as relay:
        found: list[bool] = []
        shell.environment["FILEFERRY_URL"] = relay.url
        shell.out("put", "large.bin", "--no-resume", *IN_PARTS)
    assert found == [False] * 4


def test_put_works_where_no_state_can_be_kept(shell: Shell) -> None:
    (shell.folder / "a.txt").write_bytes(bytes(200_000))
    shell.environment["XDG_STATE_HOME"] = str(shell.folder / "a.txt")
    assert json.loads(shell.out("put", "a.txt", "--json", *IN_PARTS))["size"] == 200_000


@pytest.mark.sqlite  # looks into the folder
def test_doctor_finds_nothing_after_use_and_counts_what_is_under_way(make_server: Any, tmp_path: Path) -> None:
    server = make_server()
    shell = Shell(tmp_path, server.url, server.root_key)
    shell.out("put", "-", stdin=b"x")
    with server.client() as http:
        http.post("/api/uploads", json={"name": "a", "size": 10}).raise_for_status()
    for options in ([], ["--fix"]):
        assert "1 upload under way" in shell.out("doctor", "--data", str(server.data), *options)
    findings = json.loads(shell.out("doctor", "--data", str(server.data), "--json"))
    assert (findings["open_uploads"], findings["bytes_without_row"]) == (1, [])


@pytest.mark.sqlite  # looks into the folder
def test_doctor_finds_lost_bytes_and_mends_what_it_finds(make_server: Any, tmp_path: Path) -> None:
    server = make_server()
    shell = Shell(tmp_path, server.url, server.root_key)
    file = json.loads(shell.out("put", "-", "--json", stdin=bytes(100_000)))
    server.stop()
    blobs = [path for path in server.data.rglob("*") if path.is_file() and path.stat().st_size == 100_000]
    for blob in blobs:
        blob.unlink()
    result = shell.run("doctor", "--data", str(server.data))
    assert result.returncode == 1
    assert b"--fix" in result.stdout
    assert b"1 file whose bytes are missing" in result.stdout
    shell.out("doctor", "--data", str(server.data), "--fix")
    assert "agree" in shell.out("doctor", "--data", str(server.data))
    server.start()
    assert json.loads(shell.out("ls", "--json"))["status"] == "rejected"
    assert file["status"] == "ready"


def test_a_worker_makes_no_folder_where_no_server_was(shell: Shell) -> None:
    status, said = shell.refused("worker", "--data", str(shell.folder / "typo"))
    assert (status, "There is no database" in said) == (1, True)
    assert not (shell.folder / "typo").exists()


def test_a_setting_that_cannot_be_used_is_one_line(shell: Shell) -> None:
    shell.environment["FILEFERRY_MAX_FILE_SIZE"] = "much"
    for command in ("doctor", "serve"):
        status, said = shell.refused(command, "--data", str(shell.folder / "data"))
        assert (status, len(said.splitlines())) == (2, 1)
        assert "FILEFERRY_MAX_FILE_SIZE" in said


def test_a_final_failure_is_one_line_with_code_and_request_id_and_status_1(shell: Shell) -> None:
    status, said = shell.refused("rm", "0190a000-0000-7000-8000-000000000000")
    assert status == 1
    assert len(said.splitlines()) == 1
    assert "not_found" in said
    assert "request " in said


def test_a_failure_that_may_pass_has_status_75(shell: Shell, nobody: str) -> None:
    status, said = shell.refused("ls", "--url", nobody)
    assert (status, len(said.splitlines())) == (75, 1)
    assert "connection_failed" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["put"],
        ["put", "a", "b", "--name", "c"],
        ["put", "a", "b", "--path", "c"],
        ["put", "a", "--meta", "b"],
        ["put", "a", "--folder", "b", "--path", "c"],
        ["put", "a", "--parallel", "0"],
        ["put", "a", "--part-size", "big"],
        ["put", "a", "--patience", "soon"],
        ["bogus"],
    ],
)
def test_wrong_use_has_status_2(shell: Shell, arguments: list[str]) -> None:
    assert shell.refused(*arguments)[0] == 2


def test_a_missing_local_file_is_one_line(shell: Shell) -> None:
    status, said = shell.refused("put", "missing.txt")
    assert (status, len(said.splitlines())) == (1, 1)
    assert "missing.txt" in said


def test_a_reader_that_has_enough_is_no_traceback(shell: Shell) -> None:
    for number in range(2):
        shell.out("put", "-", "--path", f"{shell.folder.name}/{number}", stdin=b"x")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fileferry", "ls"]
    result = subprocess.run(command, env=shell.environment, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


def test_ctrl_c_has_status_130_and_no_traceback(shell: Shell) -> None:
    command = [sys.executable, "-m", "fileferry", "put", "-"]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=shell.environment, **pipes) as process:
        assert process.stdin
        # More than the pipe holds: once it is written, the command has begun to read.
        process.stdin.write(bytes(1_000_000))
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        said = process.stderr.read() if process.stderr else b""
        assert process.wait(30) == 130
    assert b"Traceback" not in said


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    assert shell.out("--version") == f"fileferry {importlib.metadata.version('fileferry')}\n"


def test_the_module_is_the_installed_command(shell: Shell) -> None:
    installed = Path(sys.executable).with_name("fileferry")
    result = subprocess.run([installed, "--help"], capture_output=True, timeout=60)
    assert result.returncode == 0
    assert b"75" in result.stdout
