"""What the client makes of faults: refusals, lost answers, cut and altered bytes. The server here is a stand-in for faults."""

from __future__ import annotations

import email.utils
import io
import json
import logging
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from faces import Awaiting, Blocking
from faulty_server import FaultyServer, Handler, accepted, content, file_object, lost, plain, refused, refused_early
from shell import Shell

import fileferry
from fileferry import RetryPolicy
from fileferry.client.transfers.downloads import partial_file
from fileferry.errors import CATALOGUE, Retry

BODY = bytes(range(256)) * 40


def test_an_upload_is_repeated_after_a_lost_answer_under_the_same_idempotency_key(connect: Any) -> None:
    with FaultyServer([lost, accepted()]) as server:
        file = connect(server.url).upload(b"abc", name="a.txt")
    assert file.file_id == "f1"
    assert [seen.body for seen in server.seen] == [b"abc", b"abc"]
    assert len({seen.headers["Idempotency-Key"] for seen in server.seen}) == 1


def test_two_uploads_have_two_idempotency_keys(connect: Any) -> None:
    with FaultyServer([accepted()]) as server:
        connect(server.url).upload(b"abc", name="a.txt")
        connect(server.url).upload(b"abc", name="a.txt")
    assert len({seen.headers["Idempotency-Key"] for seen in server.seen}) == 2


def test_a_seekable_file_is_sent_again_from_where_it_stood(connect: Any) -> None:
    source = io.BytesIO(b"skipped" + BODY)
    source.seek(7)
    with FaultyServer([lost, accepted()]) as server:
        connect(server.url).upload(source, name="a.bin")
    assert [seen.body for seen in server.seen] == [BODY, BODY]


def test_an_iterator_that_ends_soon_is_sent_again(connect: Any) -> None:
    with FaultyServer([lost, accepted()]) as server:
        connect(server.url).upload(iter([b"a", b"b"]), name="a.bin")
    assert [seen.body for seen in server.seen] == [b"ab", b"ab"]


def test_an_asynchronous_iterator_that_ends_soon_goes_in_one_request() -> None:
    async def chunks() -> Any:
        yield b"ab"
        yield b"c"

    with FaultyServer([accepted()]) as server:
        assert Awaiting(server.url).upload(chunks(), name="a.bin").size == 3
    assert [(seen.method, seen.body) for seen in server.seen] == [("POST", b"abc")]


def test_unavailable_is_repeated_and_not_found_is_not(connect: Any) -> None:
    script = [refused(503, "unavailable"), plain(502), refused(404, "not_found")]
    with FaultyServer(script) as server, pytest.raises(fileferry.NotFound):
        connect(server.url).get("f1")
    assert len(server.seen) == 3


def test_attempts_are_bounded(connect: Any) -> None:
    with FaultyServer([refused(503, "unavailable")]) as server, pytest.raises(fileferry.Unavailable):
        connect(server.url, retries=RetryPolicy(attempts=3, first_delay=0.001)).get("f1")
    assert len(server.seen) == 3


@pytest.mark.parametrize("written", ["seconds", "date"])
def test_retry_after_is_waited_for(connect: Any, written: str) -> None:
    value = "1" if written == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
    with FaultyServer([refused(429, "rate_limited", {"Retry-After": value}), accepted()]) as server:
        began = time.monotonic()
        connect(server.url).upload(b"abc", name="a.txt")
    assert 0.9 <= time.monotonic() - began < 30


def test_a_wait_is_told_before_it_begins(connect: Any) -> None:
    told: list[tuple[str, float]] = []
    policy = RetryPolicy(first_delay=0.001, on_wait=lambda error, seconds: told.append((error.code, seconds)))
    script = [refused(429, "rate_limited", {"Retry-After": "1"}), refused(404, "not_found")]
    with FaultyServer(script) as server, pytest.raises(fileferry.NotFound):
        connect(server.url, retries=policy).get("f1")
    assert told == [("rate_limited", 1.0)]


def test_the_command_line_tells_what_it_waits_for(tmp_path: Path) -> None:
    script = [refused(429, "rate_limited", {"Retry-After": "3"}), refused(404, "not_found")]
    with FaultyServer(script) as server:
        status, said = Shell(tmp_path, server.url, "ff_test").refused("versions", "f1")
    assert (status, said.splitlines()[0]) == (1, "rate limited: waiting 3 s")


def test_the_command_line_tells_what_the_scanner_found(tmp_path: Path) -> None:
    scan = dict.fromkeys(("engine", "signatures", "signatures_at", "started_at", "ended_at"))
    found = {"outcome": "infected", "detail": "Eicar-Test-Signature", **scan}
    with FaultyServer([accepted(status="rejected", reason="infected", scan=found)]) as server:
        result = Shell(tmp_path, server.url, "ff_test").run("put", "-", "--name", "a.txt", "--wait", "9s", stdin=b"abc")
    assert (result.returncode, result.stderr) == (
        1,
        b"fileferry: a.txt is rejected: infected (Eicar-Test-Signature)\n",
    )


def test_a_retry_after_beyond_patience_is_the_callers_to_wait_for(connect: Any) -> None:
    script = [refused(429, "rate_limited", {"Retry-After": "3600"})]
    with FaultyServer(script) as server, pytest.raises(fileferry.RateLimited) as caught:
        connect(server.url).get("f1")
    assert caught.value.retry_after == 3600
    assert len(server.seen) == 1


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_error_of_the_catalogue_comes_back_as_its_class(code: str) -> None:
    kind = CATALOGUE[code]
    with FaultyServer([refused(kind.status, code, limit=10)]) as server, pytest.raises(kind) as caught:
        Blocking(server.url, retries=RetryPolicy(attempts=1)).get("f1")
    error = caught.value
    assert type(error) is kind
    assert (error.detail, error.request_id, error.fields) == ("So it is.", "r-1", {"limit": 10})


def test_an_error_envelope_is_read_too(connect: Any) -> None:
    envelope = b'{"error": {"code": "gone", "message": "Away.", "request_id": "r-2", "retry": "never"}}'
    with FaultyServer([plain(410, envelope)]) as server, pytest.raises(fileferry.Gone, match="Away") as caught:
        connect(server.url).get("f1")
    assert caught.value.request_id == "r-2"


def test_an_error_that_this_release_does_not_know_keeps_its_code_and_retry_class(connect: Any) -> None:
    with (
        FaultyServer([refused(418, "teapot", retry="never")]) as server,
        pytest.raises(fileferry.UnexpectedAnswer) as caught,
    ):
        connect(server.url).get("f1")
    assert (caught.value.code, caught.value.status, caught.value.retry) == ("teapot", 418, Retry.NEVER)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id": 1}', b"\xff"])
def test_an_answer_that_is_no_file_is_a_typed_error(connect: Any, body: bytes) -> None:
    with FaultyServer([plain(200, body)]) as server, pytest.raises(fileferry.UnexpectedAnswer):
        connect(server.url).get("f1")


@pytest.mark.parametrize("size", [None, 64 * 1024 * 1024])
def test_an_early_refusal_of_a_large_upload_is_its_own_error(connect: Any, size: int | None) -> None:
    source = (bytes(1024 * 1024) for _ in range(64)) if size is None else bytes(size)
    with FaultyServer([refused_early(413, "file_too_large")]) as server, pytest.raises(fileferry.FileTooLarge):
        connect(server.url).upload(source, name="large.bin")


def test_a_wrong_digest_in_the_answer_deletes_the_file(connect: Any) -> None:
    with FaultyServer([accepted(sha256="0" * 64), plain(204)]) as server, pytest.raises(fileferry.DigestMismatch):
        connect(server.url).upload(b"abc", name="a.txt")
    assert [(seen.method, seen.path) for seen in server.seen][1:] == [("DELETE", "/api/files/f1?permanent=true")]


def test_a_wrong_digest_of_a_new_version_leaves_the_older_ones(connect: Any) -> None:
    def replaced(handler: Handler, body: bytes) -> None:
        handler.answer(200, json.dumps(file_object(body) | {"sha256": "0" * 64}).encode())

    with FaultyServer([replaced]) as server, pytest.raises(fileferry.DigestMismatch):
        connect(server.url).upload(b"abc", path="a.txt")
    assert [seen.method for seen in server.seen] == ["PUT"]


def test_a_file_that_shrinks_while_it_is_sent_is_no_upload(connect: Any, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(4_000_000))

    def shrink(done: int, total: int | None) -> None:
        os.truncate(path, 3_000_000)

    with FaultyServer([accepted()]) as server, pytest.raises(fileferry.SourceChanged):
        connect(server.url).upload(path, progress=shrink)


def test_a_delete_whose_answer_was_lost_succeeds(connect: Any) -> None:
    with FaultyServer([lost, refused(404, "not_found")]) as server:
        connect(server.url).delete("f1")
    assert len(server.seen) == 2


def test_a_key_is_not_made_twice_after_a_lost_answer(connect: Any) -> None:
    with FaultyServer([lost]) as server, pytest.raises(fileferry.ConnectionFailed):
        connect(server.url).create_key("k", scopes=["upload"])
    assert len(server.seen) == 1


def test_a_download_goes_on_where_the_connection_broke(connect: Any, tmp_path: Path) -> None:
    with FaultyServer([content(BODY, upto=4000), content(BODY)]) as server:
        connect(server.url).download("f1", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.seen[1].headers["Range"] == "bytes=4000-"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_later_call_resumes_the_part_that_an_earlier_one_left(connect: Any, tmp_path: Path) -> None:
    with FaultyServer([content(BODY, upto=4000), refused(404, "not_found"), content(BODY)]) as server:
        client = connect(server.url)
        with pytest.raises(fileferry.NotFound):
            client.download("f1", tmp_path / "a.bin")
        assert not (tmp_path / "a.bin").exists()
        client.download("f1", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.seen[2].headers["Range"] == "bytes=3999-"


def test_a_part_of_other_content_is_started_over(connect: Any, tmp_path: Path) -> None:
    with FaultyServer([content(b"x" * 9000, upto=4000), content(BODY, etag='"v2"')]) as server:
        connect(server.url).download("f1", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_part_of_another_file_is_started_over(connect: Any, tmp_path: Path) -> None:
    with FaultyServer([content(b"x" * 9000, upto=4000), refused(404, "not_found"), content(BODY)]) as server:
        client = connect(server.url)
        with pytest.raises(fileferry.NotFound):
            client.download("f1", tmp_path / "a.bin")
        client.download("f2", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert "Range" not in server.seen[2].headers


def test_wrong_bytes_never_reach_the_destination(connect: Any, tmp_path: Path) -> None:
    with FaultyServer([content(BODY, digest_of=b"other")]) as server, pytest.raises(fileferry.DigestMismatch):
        connect(server.url).download("f1", tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []


def test_bytes_in_memory_survive_a_broken_connection_too(connect: Any) -> None:
    with FaultyServer([content(BODY, upto=4000), content(BODY)]) as server:
        assert connect(server.url).download("f1") == BODY


def test_one_destination_takes_one_download_at_a_time(connect: Any, tmp_path: Path) -> None:
    destination = tmp_path / "a.bin"
    with (
        FaultyServer([content(BODY)]) as server,
        partial_file(destination, "elsewhere"),
        pytest.raises(fileferry.Conflict),
    ):
        connect(server.url).download("f1", destination)


def test_the_key_is_not_sent_to_a_url(connect: Any) -> None:
    with FaultyServer([content(BODY)]) as server:
        connect("https://files.example.com").download(f"{server.url}/f/secret/a.bin")
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.parametrize("name", ["../keys", "a/../../keys", "."])
def test_a_name_cannot_leave_the_upload_address(connect: Any, name: str) -> None:
    with FaultyServer([accepted()]) as server, pytest.raises(fileferry.InvalidName):
        connect(server.url).upload(b"abc", name=name)
    assert server.seen == []


def test_a_list_asks_for_its_pages_one_by_one(connect: Any) -> None:
    first = json.dumps({"files": [file_object(b"a")], "next_cursor": "c 1"}).encode()
    last = json.dumps({"files": [file_object(b"b")], "next_cursor": None}).encode()
    with FaultyServer([plain(200, first), plain(200, last)]) as server:
        assert [file.size for file in connect(server.url).list("in/", page_size=1)] == [1, 1]
    assert [seen.path for seen in server.seen] == [
        "/api/files?prefix=in%2F&limit=1",
        "/api/files?prefix=in%2F&cursor=c+1&limit=1",
    ]


def test_no_error_text_log_or_repr_shows_the_key(caplog: pytest.LogCaptureFixture) -> None:
    secret = "ff_verysecretindeed"
    caplog.set_level(logging.DEBUG)
    texts = [
        repr(fileferry.Client("http://127.0.0.1:9", secret)),
        repr(fileferry.AsyncClient("http://127.0.0.1:9", secret)),
    ]
    with FaultyServer([lost, refused(401, "unauthorized"), plain(500)]) as server:
        for url, key in [
            (server.url, secret),
            (server.url, secret),
            ("http://127.0.0.1:9", secret),
            (server.url, secret + "\né"),
        ]:
            with pytest.raises(fileferry.FerryError) as caught:
                Blocking(url, key, retries=RetryPolicy(attempts=1)).get("f1")
            texts += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
    assert not [text for text in [*texts, caplog.text] if "verysecret" in text]


@pytest.mark.parametrize("said", [b'{"code": ["x"]}', b'{"error": {"code": {}}}', b'{"error": "no"}', b"[1]"])
def test_a_refusal_in_any_shape_is_a_typed_error(connect: Any, said: bytes) -> None:
    with FaultyServer([plain(400, said)]) as server, pytest.raises(fileferry.UnexpectedAnswer) as caught:
        connect(server.url).get("f1")
    assert caught.value.status == 400


def test_importing_the_package_loads_no_http_client_until_one_is_asked_for() -> None:
    program = (
        "import sys, fileferry; assert 'httpx' not in sys.modules; fileferry.Client; assert 'httpx' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_public_name_is_there() -> None:
    assert all(getattr(fileferry, name) for name in fileferry.__all__)
    assert {kind.__name__ for kind in CATALOGUE.values()} <= set(fileferry.__all__)


def test_a_client_without_a_server_says_what_to_set(connect: Any) -> None:
    with pytest.raises(fileferry.NotConfigured, match="FILEFERRY_URL"):
        connect(None).get("f1")


def test_a_server_that_is_away_may_be_tried_again(connect: Any) -> None:
    with FaultyServer([lost]) as server:
        pass
    with pytest.raises(fileferry.ConnectionFailed) as caught:
        connect(server.url).get("f1")
    assert caught.value.retry is Retry.NOW
    assert not caught.value.sent


def test_progress_ends_at_the_size(connect: Any) -> None:
    steps: list[tuple[int, int | None]] = []
    with FaultyServer([accepted()]) as server:
        connect(server.url).upload(bytes(3_000_000), name="a", progress=lambda done, total: steps.append((done, total)))
    assert steps[0] == (0, 3_000_000)
    assert steps[-1] == (3_000_000, 3_000_000)
    assert steps == sorted(steps)
