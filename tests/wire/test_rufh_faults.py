"""What goes wrong with resumable uploads of the IETF draft: cuts, repeats, overlaps, gaps, two writers, no length, kills."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest

from contract.edge import eventually, nothing_left, sha256_field
from support.live_server import MakeServer
from wire.asking import open_ticket, send
from wire.draft import Draft

SIZE = 700_001
VERSIONS = [3, 6, 9]


@pytest.fixture(params=VERSIONS, ids=lambda version: f"version {version}")
def draft(request: pytest.FixtureRequest) -> Draft:
    return Draft(request.param)


@pytest.fixture
def url(http: httpx.Client) -> str:
    return str(open_ticket(http, auto_complete=True)["url"])


@pytest.fixture
def content() -> bytes:
    return os.urandom(SIZE)


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 70_000):
        yield content[start : start + 70_000]


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body, framing included."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def arrived(http: httpx.Client, answer: httpx.Response) -> bytes:
    """Return the bytes of the file that a final answer tells of."""
    assert answer.status_code == 200, answer.text
    return http.get(f"/api/files/{answer.json()['id']}/content").content


@pytest.mark.parametrize("framed", [True, False], ids=["with a length", "in chunks"])
def test_a_creation_that_is_cut_goes_on_where_it_was_cut(
    http: httpx.Client, url: str, draft: Draft, content: bytes, framed: bool
) -> None:
    cut = 400_000
    with draft.begin(url, "POST", SIZE if framed else None, complete=True) as request:
        request.send(content[:cut] if framed else chunk(content[:cut]))
    assert 0 < draft.offset(url) <= cut
    start = draft.offset(url)
    assert draft.ask(url).headers.get("upload-length") == (str(SIZE) if framed else None)
    assert arrived(http, draft.append(url, start, content[start:], complete=True)) == content


def test_appends_that_are_cut_again_and_again_lose_nothing(
    http: httpx.Client, url: str, draft: Draft, content: bytes
) -> None:
    draft.create(url, length=SIZE)
    offset = 0
    for brought in (100_000, 1, 250_000, 0, 33_333):
        draft.cut(url, "PATCH", content[offset : offset + brought], SIZE - offset, complete=True, offset=offset)
        told = draft.offset(url)
        assert offset <= told <= offset + brought
        assert told == draft.offset(url)
        offset = told
    assert arrived(http, draft.append(url, offset, content[offset:], complete=True)) == content


def test_a_cut_request_with_a_digest_of_its_body_leaves_nothing_of_it(
    http: httpx.Client, url: str, draft: Draft, content: bytes
) -> None:
    draft.create(url, content[:1000])
    headers = {**draft.headers(complete=False, offset=1000), "Content-Digest": sha256_field(content[1000:])}
    with pytest.raises(httpx.TransportError):
        send(url, broken(content[1000:400_000]), "PATCH", headers=headers)
    assert draft.offset(url) == 1000
    answer = draft.append(url, 1000, content[1000:], complete=True, Content_Digest=sha256_field(content[1000:]))
    assert arrived(http, answer) == content


def broken(content: bytes) -> Iterator[bytes]:
    yield content
    raise httpx.WriteError("the line went dead")


def test_an_overlap_and_a_gap_are_refused_and_harm_nothing(
    http: httpx.Client, url: str, draft: Draft, content: bytes
) -> None:
    draft.create(url, content[:300_000])
    for wrong in (200_000, 0, 300_001, SIZE):
        answer = draft.append(url, wrong, content[wrong:], complete=True)
        assert (answer.status_code, answer.headers["upload-offset"]) == (409, "300000")
    assert arrived(http, draft.append(url, 300_000, content[300_000:], complete=True)) == content


def test_an_append_whose_answer_was_lost_is_told_where_to_go_on(
    http: httpx.Client, url: str, draft: Draft, content: bytes
) -> None:
    draft.create(url, content[:300_000])
    draft.append(url, 300_000, content[300_000:500_000])
    again = draft.append(url, 300_000, content[300_000:500_000])
    assert (again.status_code, again.headers["upload-offset"]) == (409, "500000")
    assert arrived(http, draft.append(url, 500_000, content[500_000:], complete=True)) == content


def test_a_creation_again_begins_anew(http: httpx.Client, url: str, draft: Draft, content: bytes) -> None:
    draft.create(url, b"something else", length=SIZE)
    draft.create(url, content[:10])
    assert draft.offset(url) == 10
    assert arrived(http, draft.append(url, 10, content[10:], complete=True)) == content


def test_the_last_of_two_writers_goes_on_and_the_first_is_told(
    http: httpx.Client, url: str, draft: Draft, content: bytes
) -> None:
    draft.create(url, content[:1000])
    with draft.begin(url, "PATCH", SIZE - 1000, complete=True, offset=1000) as stale:
        stale.send(content[1000:300_000])
        offset = draft.offset(url)
        assert 1000 <= offset <= 300_000
        last = draft.append(url, offset, content[offset:], complete=True)
        status, told = stale.answer()
        assert (status, '"superseded"' in told) == (409, True)
    assert arrived(http, last) == content


def test_writers_in_several_processes_do_not_mix_their_bytes(make_server: MakeServer, content: bytes) -> None:
    own, draft = make_server(workers=2), Draft(6)
    with own.client() as http:
        url = open_ticket(http, auto_complete=True)["url"]
        draft.create(url)
        stale = []
        for end in range(100_000, 600_001, 100_000):
            offset = draft.offset(url)
            request = draft.begin(url, "PATCH", SIZE - offset, complete=True, offset=offset)
            stale.append(request)
            request.send(content[offset:end])
        offset = draft.offset(url)
        answer = draft.append(url, offset, content[offset:], complete=True)
        assert arrived(http, answer) == content
        for request in stale:
            with request:
                assert request.answer()[0] == 409


def test_cancelling_ends_the_request_that_writes(url: str, draft: Draft, content: bytes) -> None:
    with draft.begin(url, "POST", SIZE, complete=True) as request:
        request.send(content[:300_000])
        assert draft.ask(url, "DELETE").status_code == 204
        assert request.answer()[0] in (409, 410)
    assert draft.ask(url).status_code == 410


@pytest.mark.parametrize("said", [{"complete": True}, {"length": 0}, {"complete": True, "length": 0}], ids=str)
def test_an_empty_file_is_complete_when_it_is_created(
    http: httpx.Client, url: str, draft: Draft, said: dict[str, int]
) -> None:
    """Also where the client only says that there are no bytes: some say nothing more of an empty file."""
    answer = draft.create(url, **said)
    assert draft.says(answer) is True
    assert answer.headers["location"].partition("?")[0] == url.partition("?")[0]
    assert arrived(http, answer) == b""
    again = draft.append(url, 0, complete=True)
    assert again.json() == answer.json()


def test_an_empty_file_of_unknown_length_is_complete_when_the_client_says_so(
    http: httpx.Client, url: str, draft: Draft
) -> None:
    draft.create(url)
    assert draft.offset(url) == 0
    assert arrived(http, draft.append(url, 0, complete=True)) == b""


def test_bodies_in_chunks_need_no_length(http: httpx.Client, url: str, draft: Draft, content: bytes) -> None:
    created = draft.create(url, pieces(content[:300_000]))
    assert created.headers["upload-offset"] == "300000"
    answer = draft.append(url, 300_000, pieces(content[300_000:]), complete=True)
    assert arrived(http, answer) == content
    again = draft.append(url, 300_000, pieces(content[300_000:]), complete=True)
    assert again.json() == answer.json()
    other = draft.append(url, 300_000, pieces(content[300_001:]), complete=True)
    assert other.status_code in (400, 409)


def test_the_whole_in_chunks_needs_no_length(http: httpx.Client, url: str, draft: Draft, content: bytes) -> None:
    assert arrived(http, draft.create(url, pieces(content), complete=True)) == content


@pytest.mark.parametrize("known", [{"length": 100_000}, {}], ids=["its length is known", "its limit is"])
def test_more_bytes_than_may_come_end_an_upload_that_did_not_announce_them(
    http: httpx.Client, draft: Draft, content: bytes, known: dict[str, int]
) -> None:
    """It would look complete, and would not be what was sent."""
    url = open_ticket(http, auto_complete=True, max_size=100_000 + (50_000 if known else 0))["url"]
    draft.create(url, content[:90_000], **known)
    answer = draft.append(url, 90_000, pieces(content[90_000:]), complete=True)
    assert answer.status_code == (400 if known else 413)
    assert draft.says(answer) is False
    assert draft.ask(url).status_code == 410


def test_fewer_bytes_than_the_length_do_not_complete(
    http: httpx.Client, url: str, draft: Draft, content: bytes
) -> None:
    draft.create(url, content[:300_000], length=SIZE)
    short = draft.append(url, 300_000, pieces(content[300_000:-1]), complete=True)
    assert (short.status_code, draft.says(short)) == (400, False)
    assert draft.offset(url) == SIZE - 1
    assert arrived(http, draft.append(url, SIZE - 1, content[-1:], complete=True)) == content


def test_a_url_that_has_expired_takes_nothing_and_that_of_a_session_that_goes_on_lives_on(
    make_server: MakeServer,
) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    own, draft = make_server(upload_url_lifetime="4s"), Draft(6)
    with own.client() as http:
        url = open_ticket(http, auto_complete=True)["url"]
        location = draft.create(url, b"0").headers["location"]
        sent = [b"0"]

        def is_refused_while_the_session_goes_on() -> bool:
            assert draft.append(location, len(sent), b"1").is_success
            sent.append(b"1")
            return bool(draft.ask(url).status_code == 403)

        eventually(is_refused_while_the_session_goes_on)
        assert draft.append(url, len(sent), b"1").status_code == 403
        assert draft.create(url, b"01", complete=True).status_code == 403
        assert arrived(http, draft.append(location, len(sent), b"2", complete=True)) == b"".join([*sent, b"2"])


def test_a_server_that_is_killed_knows_what_it_acknowledged(make_server: MakeServer, content: bytes) -> None:
    own, draft = make_server(), Draft(6)
    with own.client() as http:
        url = open_ticket(http, auto_complete=True)["url"]
        draft.create(url, content[:200_000], length=SIZE, Repr_Digest=sha256_field(content))
        with draft.begin(url, "PATCH", SIZE - 200_000, complete=True, offset=200_000) as request:
            request.send(content[200_000:500_000])
            own.kill()
        own.start()
        offset = draft.offset(url)
        assert 200_000 <= offset <= 500_000
        assert arrived(http, draft.append(url, offset, content[offset:], complete=True)) == content


def test_what_was_given_up_leaves_nothing(make_server: MakeServer, content: bytes) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    own, draft = make_server(sweep_interval="1s"), Draft(6)
    with own.client() as http:
        url = open_ticket(http, auto_complete=True)["url"]
        draft.create(url, content)
        draft.create(url, content[:1000])
        assert draft.ask(url, "DELETE").status_code == 204
        nothing_left(own)
