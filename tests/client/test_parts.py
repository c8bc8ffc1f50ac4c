"""Uploads in parts, over a relay to a real server: what is sent, what is sent again, and what a later call continues."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from relay import Relay, altered, answer_lost, lost, refused

import fileferry
from fileferry.client.transfers.journal import state_folder
from support.live_server import LiveServer

PART = 64 * 1024
COUNT = 6
SIZE = COUNT * PART - 1000
IN_PARTS: dict[str, Any] = {"multipart_threshold": PART, "part_size": PART}


class Interrupted(Exception):
    pass


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def through(server: LiveServer, connect: Any) -> Callable[[Relay], Any]:
    return lambda relay: connect(relay.url, server.root_key)


def interrupting(after: int) -> Callable[[int, int | None], None]:
    def progress(done: int, total: int | None) -> None:
        if done >= after * PART:
            raise Interrupted

    return progress


def content_of(server: LiveServer, file: fileferry.File) -> bytes:
    # Its URL leads over a relay that is gone.
    with server.client() as http:
        return http.get(f"/api/files/{file.file_id}/content").content


def is_same(server: LiveServer, file: fileferry.File, path: Path) -> bool:
    return file.size == SIZE and content_of(server, file) == path.read_bytes()


def state_of(server: LiveServer, upload_id: str) -> str:
    with server.client() as http:
        return str(http.get(f"/api/uploads/{upload_id}").json()["state"])


def uploads_of(relay: Relay) -> list[str]:
    """Return the ids of the uploads that parts were sent to, in order."""
    return [address.split("/")[2] for address in relay.addresses]


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "memory"])
def test_a_large_source_goes_in_parts_each_sent_once(server: LiveServer, through: Any, large: Path, kind: str) -> None:
    with large.open("rb") as opened, Relay(server.url) as relay:
        sources = {"path": large, "bytes": large.read_bytes(), "file": opened, "memory": io.BytesIO(large.read_bytes())}
        file = through(relay).upload(sources[kind], name="large.bin", **IN_PARTS)
    assert relay.sent == Counter(range(1, COUNT + 1))
    assert is_same(server, file, large)


def test_a_seekable_file_is_sent_from_where_it_stands(server: LiveServer, through: Any, large: Path) -> None:
    with large.open("rb") as opened, Relay(server.url) as relay:
        opened.seek(1000)
        file = through(relay).upload(opened, name="a", **IN_PARTS)
    assert content_of(server, file) == large.read_bytes()[1000:]


def test_parts_are_sent_at_once_but_no_more_than_asked_for(server: LiveServer, through: Any, large: Path) -> None:
    three = threading.Barrier(3)
    with Relay(server.url, before=lambda number: number <= 3 and three.wait(30)) as relay:
        file = through(relay).upload(large, parallel=3, **IN_PARTS)
    assert relay.most_at_once == 3
    assert is_same(server, file, large)


def test_what_is_below_the_threshold_or_cannot_be_read_anywhere_goes_in_one_request(
    server: LiveServer, through: Any, large: Path
) -> None:
    with Relay(server.url) as relay:
        through(relay).upload(large, multipart_threshold=SIZE + 1)
        assert relay.calls == [("POST", "/api/upload/large.bin")]
    assert not relay.sent


@pytest.mark.parametrize(
    "fault",
    [lost, answer_lost, altered, refused(503, "SlowDown"), refused(500, "InternalError"), refused(400, "BadDigest")],
    ids=["lost", "answer-lost", "altered", "503", "500", "BadDigest"],
)
def test_a_part_that_fails_is_sent_again_alone(server: LiveServer, through: Any, large: Path, fault: Any) -> None:
    with Relay(server.url, {3: fault}) as relay:
        file = through(relay).upload(large, **IN_PARTS)
    assert relay.sent == Counter(range(1, COUNT + 1)) + Counter([3])
    assert is_same(server, file, large)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (413, "EntityTooLarge", fileferry.FileTooLarge),
        (400, "InvalidPart", fileferry.InvalidPart),
        (409, "InvalidRequest", fileferry.AlreadyUploaded),
        (400, "Strange", fileferry.UnexpectedAnswer),
    ],
)
def test_a_part_that_is_refused_for_good_is_its_error_and_ends_the_upload(
    server: LiveServer, through: Any, large: Path, status: int, code: str, kind: type[Exception]
) -> None:
    with Relay(server.url, {2: refused(status, code)}) as relay, pytest.raises(kind, match="It <is> so"):
        through(relay).upload(large, **IN_PARTS)
    assert [state_of(server, upload_id) for upload_id in uploads_of(relay)] == ["aborted"]


def test_a_part_that_stays_unsendable_is_given_up(server: LiveServer, connect: Any, large: Path) -> None:
    def fail(number: int) -> None:
        if number == 2:
            relay.faults[2] = refused(503, "SlowDown")

    with Relay(server.url, {2: lost}, before=fail) as relay, pytest.raises(fileferry.RateLimited):
        connect(relay.url, server.root_key).upload(large, parallel=1, **IN_PARTS)
    assert relay.sent == {1: 1, 2: 4}


def test_an_expired_address_is_renewed_once_for_all_parts(make_server: Any, connect: Any, large: Path) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(upload_url_lifetime="2s")
    asked: list[float] = []

    def until_expired(number: int) -> None:
        asked.append(time.time())
        # An address ends with a whole second.
        while relay.sent.total() <= 3 and time.time() < asked[0] + 3:
            threading.Event().wait(0.05)

    with Relay(server.url, before=until_expired) as relay:
        file = connect(relay.url, server.root_key).upload(large, parallel=3, **IN_PARTS)
    renewals = [path for method, path in relay.calls if path.endswith("/urls")]
    assert len(renewals) == 1
    assert is_same(server, file, large)


@pytest.mark.parametrize("resume", [True, False])
def test_an_upload_that_the_server_gave_up_is_begun_again(
    server: LiveServer, through: Any, large: Path, resume: bool
) -> None:
    def abort(number: int) -> None:
        if number == 4 and relay.sent[4] == 1:
            with server.client() as http:
                http.delete(f"/api/uploads/{uploads_of(relay)[0]}").raise_for_status()

    with Relay(server.url, before=abort) as relay:
        file = through(relay).upload(large, parallel=1, resume=resume, **IN_PARTS)
    assert [state_of(server, upload_id) for upload_id in uploads_of(relay)] == ["aborted", "completed"]
    assert is_same(server, file, large)


def test_progress_counts_what_was_acknowledged_and_ends_at_the_size(
    server: LiveServer, through: Any, large: Path
) -> None:
    steps: list[tuple[int, int | None]] = []
    with Relay(server.url, {2: lost}) as relay:
        through(relay).upload(large, progress=lambda done, total: steps.append((done, total)), **IN_PARTS)
    assert steps == sorted(steps)
    assert (steps[0], steps[-1], len(steps)) == ((0, SIZE), (SIZE, SIZE), COUNT + 1)


def test_an_interrupted_upload_is_continued_with_what_is_missing(server: LiveServer, through: Any, large: Path) -> None:
    with Relay(server.url) as relay:
        client = through(relay)
        with pytest.raises(Interrupted):
            client.upload(large, resume=True, parallel=1, progress=interrupting(after=3), **IN_PARTS)
        (state,) = state_folder().iterdir()
        assert state.stat().st_mode & 0o777 == 0o600
        assert server.root_key not in state.read_text()
        begun: list[int] = []
        file = client.upload(large, resume=True, parallel=1, progress=lambda done, _: begun.append(done), **IN_PARTS)
    assert begun[0] >= 3 * PART
    assert begun[-1] == SIZE
    assert max(relay.sent[number] for number in (1, 2, 3)) == 1
    assert set(relay.sent) == set(range(1, COUNT + 1))
    assert len(relay.addresses) == 1
    assert is_same(server, file, large)
    assert list(state_folder().iterdir()) == []


def test_an_upload_without_resume_that_fails_leaves_nothing(server: LiveServer, through: Any, large: Path) -> None:
    with Relay(server.url) as relay, pytest.raises(Interrupted):
        through(relay).upload(large, progress=interrupting(after=3), **IN_PARTS)
    assert state_of(server, uploads_of(relay)[0]) == "aborted"
    assert not state_folder().exists()


def test_a_completion_whose_answer_never_arrived_is_continued_to_the_same_file(
    server: LiveServer, through: Any, connect: Any, large: Path
) -> None:
    with Relay(server.url) as relay:
        with pytest.raises(Interrupted):
            through(relay).upload(large, resume=True, progress=interrupting(after=COUNT - 1), parallel=1, **IN_PARTS)
        (upload_id,) = uploads_of(relay)
        with server.client() as http, large.open("rb") as opened:
            ticket = http.get(f"/api/uploads/{upload_id}").json()
            held = {part["part_number"] for part in ticket["parts"]}
            for number in set(range(1, COUNT + 1)) - held:
                opened.seek((number - 1) * PART)
                httpx.put(f"{ticket['part_url']}&partNumber={number}", content=opened.read(PART), trust_env=False)
            completed = http.post(f"/api/uploads/{upload_id}/complete").json()
        steps: list[int] = []
        file = through(relay).upload(large, resume=True, progress=lambda done, _: steps.append(done), **IN_PARTS)
    assert (file.file_id, steps) == (completed["id"], [SIZE])
    assert is_same(server, file, large)


def test_a_file_that_changed_since_is_uploaded_from_the_start(server: LiveServer, through: Any, large: Path) -> None:
    with Relay(server.url) as relay:
        client = through(relay)
        with pytest.raises(Interrupted):
            client.upload(large, resume=True, progress=interrupting(after=3), **IN_PARTS)
        times = large.stat()
        large.write_bytes(os.urandom(SIZE))
        os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))
        file = client.upload(large, resume=True, **IN_PARTS)
    assert [state_of(server, upload_id) for upload_id in uploads_of(relay)] == ["aborted", "completed"]
    assert is_same(server, file, large)


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "torn"])
def test_a_state_file_of_no_use_is_no_obstacle(server: LiveServer, through: Any, large: Path, ended: bool) -> None:
    with Relay(server.url) as relay:
        client = through(relay)
        with pytest.raises(Interrupted):
            client.upload(large, resume=True, progress=interrupting(after=3), **IN_PARTS)
        if ended:
            with server.client() as http:
                http.delete(f"/api/uploads/{uploads_of(relay)[0]}").raise_for_status()
        else:
            (state,) = state_folder().iterdir()
            state.write_text(state.read_text()[:20])
        assert is_same(server, client.upload(large, resume=True, **IN_PARTS), large)
    assert list(state_folder().iterdir()) == []


def test_an_upload_for_another_place_is_another_upload(server: LiveServer, through: Any, large: Path) -> None:
    with Relay(server.url) as relay:
        client = through(relay)
        with pytest.raises(Interrupted):
            client.upload(large, resume=True, progress=interrupting(after=3), **IN_PARTS)
        file = client.upload(large, path=f"{large.parent.name}/elsewhere", resume=True, **IN_PARTS)
    assert file.path.endswith("elsewhere")
    assert len(list(state_folder().iterdir())) == 1


def test_one_upload_is_made_by_one_process_at_a_time(server: LiveServer, through: Any, large: Path) -> None:
    refusals: list[BaseException] = []

    def again(number: int) -> None:
        if number == 2:
            with pytest.raises(fileferry.Conflict, match="Another process") as caught:
                through(relay).upload(large, resume=True, **IN_PARTS)
            refusals.append(caught.value)

    with Relay(server.url, before=again) as relay:
        through(relay).upload(large, resume=True, **IN_PARTS)
    assert len(refusals) == 1


def test_only_a_path_can_be_continued(connect: Any, server: LiveServer) -> None:
    with pytest.raises(fileferry.InvalidParameter, match="path"):
        connect(server.url, server.root_key).upload(b"abc", name="a", resume=True)


@pytest.mark.parametrize("change", ["grows", "shrinks", "is rewritten"])
@pytest.mark.parametrize("resume", [True, False])
def test_a_file_that_changes_while_it_is_sent_is_no_upload(
    server: LiveServer, through: Any, large: Path, change: str, resume: bool
) -> None:
    def alter(number: int) -> None:
        if change == "grows":
            with large.open("ab") as file:
                file.write(b"more")
        elif change == "shrinks":
            os.truncate(large, 2 * PART)
        else:
            large.write_bytes(os.urandom(SIZE))

    with Relay(server.url, before=alter) as relay, pytest.raises(fileferry.SourceChanged):
        through(relay).upload(large, resume=resume, parallel=1, **IN_PARTS)
    assert state_of(server, uploads_of(relay)[0]) == "aborted"
    assert not resume or list(state_folder().iterdir()) == []


def test_the_digest_that_a_caller_knows_is_verified(server: LiveServer, through: Any, large: Path) -> None:
    digest = hashlib.sha256(large.read_bytes()).hexdigest()
    with Relay(server.url) as relay:
        client = through(relay)
        assert is_same(server, client.upload(large, sha256=digest, **IN_PARTS), large)
        with pytest.raises(fileferry.DigestMismatch):
            client.upload(large, sha256="0" * 64, resume=True, **IN_PARTS)
        with pytest.raises(fileferry.SourceChanged):
            client.upload(b"abc", name="a", sha256="0" * 64)
    assert relay.sent == Counter(list(range(1, COUNT + 1)) * 2)
    assert list(state_folder().iterdir()) == []


@pytest.mark.parametrize("kind", ["path", "bytes", "iterator", "empty", "in parts"])
def test_an_upload_into_a_folder_is_in_it(
    server: LiveServer, connect: Any, large: Path, tmp_path: Path, kind: str
) -> None:
    client = connect(server.url, server.root_key)
    folder = client.create_folder(f"{tmp_path.name}/reports")
    body = large.read_bytes()
    source: Any = {"path": large, "bytes": body, "iterator": iter([body[:10], body[10:]]), "empty": b""}.get(
        kind, large
    )
    options = IN_PARTS if kind == "in parts" else {}
    file = client.upload(source, name="a.txt", folder=folder, metadata={"a": 1}, expires_in="1h", **options)
    assert (file.path, file.metadata) == (f"{folder.path}/a.txt", {"a": 1})
    assert file.content_type.startswith("text/plain")
    assert file.expires_at is not None
    assert httpx.get(file.url, trust_env=False).content == (b"" if kind == "empty" else body)


def test_folders_are_found_again_and_deleted_when_empty(server: LiveServer, connect: Any, tmp_path: Path) -> None:
    client = connect(server.url, server.root_key)
    folder = client.create_folder(f"{tmp_path.name}/a")
    assert client.create_folder(folder.path) == folder == client.get_folder(folder.folder_id)
    assert folder in client.list_folders()
    file = client.upload(b"abc", name="a", folder=folder.folder_id)
    with pytest.raises(fileferry.Conflict):
        client.delete_folder(folder)
    client.delete(file)
    client.delete_folder(folder)
    with pytest.raises(fileferry.NotFound):
        client.get_folder(folder.folder_id)
    with pytest.raises(fileferry.NotFound):
        client.upload(b"abc", name="a", folder=folder)
