"""Resumable Uploads for HTTP on a signed URL, in every interop version: what it answers, and that the bytes are those sent."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import httpx
import pytest

from contract.edge import sha256_field
from support.live_server import MakeServer
from wire.asking import finish, open_ticket, send
from wire.draft import PARTIAL, PROBLEM, Draft

VERSIONS = [3, 4, 5, 6, 7, 8, 9, None]
SIZE = 300_007


@pytest.fixture(params=VERSIONS, ids=lambda version: f"version {version}")
def draft(request: pytest.FixtureRequest) -> Draft:
    return Draft(request.param)


@pytest.fixture
def newest() -> Draft:
    return Draft(9)


@pytest.fixture
def url(http: httpx.Client) -> str:
    return ticket(http)["url"]


@pytest.fixture
def content() -> bytes:
    return os.urandom(SIZE)


def ticket(http: httpx.Client, **promise: Any) -> dict[str, Any]:
    """Return the ticket of an upload that completes itself."""
    return open_ticket(http, auto_complete=True, **promise)


def stored(http: httpx.Client, answer: httpx.Response) -> bytes:
    """Return the bytes of the file that a final answer tells of."""
    assert answer.status_code == 200, answer.text
    return http.get(f"/api/files/{answer.json()['id']}/content").content


def is_final(draft: Draft, answer: httpx.Response, content: bytes) -> bool:
    """Fail unless this is the answer that a plain PUT of these bytes would have got."""
    assert answer.status_code == 200, answer.text
    assert draft.says(answer) is True
    assert answer.headers["upload-offset"] == str(len(content))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["etag"] == f'"{hashlib.md5(content).hexdigest()}"'
    told = answer.json()
    assert (told["size"], told["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    return True


def refused(draft: Draft, answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Fail unless it is a problem of this kind that does not speak for the target; return its members."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.json()
    assert kind in (problem["code"], problem["type"].removeprefix(PROBLEM)), problem
    assert problem["status"] == status
    assert draft.says(answer) is False
    assert answer.headers["cache-control"] == "no-store"
    return problem


def echoes(draft: Draft, answer: httpx.Response) -> bool:
    return answer.headers.get("upload-draft-interop-version") == (str(draft.version) if draft.version else None)


def test_the_whole_in_one_request_gets_the_answer_of_a_plain_put(
    http: httpx.Client, draft: Draft, content: bytes
) -> None:
    plain = send(ticket(http)["url"], content)
    answer = draft.create(ticket(http)["url"], content, complete=True)
    assert is_final(draft, answer, content)
    assert echoes(draft, answer)
    assert stored(http, answer) == content
    assert answer.json().keys() == plain.json().keys()
    assert {**answer.json(), "id": ""} == {**plain.json(), "id": ""}


def test_put_creates_as_post_does(http: httpx.Client, url: str, draft: Draft, content: bytes) -> None:
    answer = send(url, content, headers=draft.headers(complete=True, length=SIZE))
    assert is_final(draft, answer, content)
    assert stored(http, answer) == content


def test_careful_creation_then_appends_and_an_empty_one_that_completes(
    http: httpx.Client, url: str, draft: Draft, content: bytes
) -> None:
    created = draft.create(url, length=SIZE)
    assert (created.status_code, created.headers["upload-offset"], draft.says(created)) == (201, "0", False)
    assert echoes(draft, created)
    location = created.headers["location"]
    assert location.partition("?")[0] == url.partition("?")[0]
    for start in range(0, SIZE, 100_000):
        piece = content[start : start + 100_000]
        appended = draft.append(location, start, piece)
        assert appended.status_code == (201 if draft.version and draft.version < 7 else 204)
        assert (appended.headers["upload-offset"], draft.says(appended)) == (str(start + len(piece)), False)
        assert (draft.offset(location), draft.offset(url)) == (start + len(piece), start + len(piece))
    # All bytes are there, and only the client can say that they are all.
    answer = draft.append(location, SIZE, complete=True)
    assert is_final(draft, answer, content)
    assert stored(http, answer) == content


def test_the_offset_is_told_with_what_is_known_of_the_upload(url: str, draft: Draft) -> None:
    draft.create(url, b"some")
    answer = draft.ask(url)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (answer.headers["upload-offset"], draft.says(answer)) == ("4", False)
    assert "upload-length" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert echoes(draft, answer)
    last = draft.append(url, 4, b" more", complete=True)
    assert is_final(draft, last, b"some more")
    answer = draft.ask(url)
    assert (answer.status_code, answer.headers["upload-offset"], draft.says(answer)) == (204, "9", True)
    assert answer.headers["upload-length"] == "9"
    if draft.version is not None:
        assert draft.ask(url, "GET").headers["upload-offset"] == "9"


def test_the_length_is_told_once_it_is_known(http: httpx.Client, url: str, draft: Draft) -> None:
    draft.create(url, length=9)
    assert draft.ask(url).headers["upload-length"] == "9"
    promised = ticket(http, size=5)["url"]
    draft.create(promised)
    assert draft.ask(promised).headers["upload-length"] == "5"


@pytest.mark.parametrize(
    ("version", "limit"),
    [(3, None), (5, None), (6, "max-size=70, expires="), (7, "max-size=70, max-age="), (9, "max-size=70, max-age=")],
)
def test_limits_are_announced_in_the_words_of_the_version(http: httpx.Client, version: int, limit: str | None) -> None:
    draft, url = Draft(version), ticket(http, max_size=70)["url"]
    for answer in (draft.create(url), draft.ask(url), draft.append(url, 0, b"x")):
        told = answer.headers.get("upload-limit")
        assert told is None if limit is None else told.startswith(limit) and int(told.removeprefix(limit)) > 3600


def test_options_tells_the_largest_size_and_needs_no_signature(make_server: MakeServer) -> None:
    own = make_server(max_file_size="1MiB")
    with own.client() as http:
        url = ticket(http)["url"]
    answer = send(url.partition("?")[0], None, "OPTIONS", headers=Draft(9).headers())
    assert (answer.status_code, answer.headers["upload-limit"]) == (200, "max-size=1048576")


def test_a_wrong_offset_is_refused_with_the_right_one(url: str, draft: Draft) -> None:
    draft.create(url, b"0123456789")
    for wrong in (0, 9, 11, 999_999_999_999_999):
        answer = draft.append(url, wrong, b"xxx")
        problem = refused(draft, answer, 409, "mismatching-upload-offset")
        assert answer.headers["upload-offset"] == "10"
        assert (problem["expected-offset"], problem["provided-offset"]) == (10, wrong)
        assert echoes(draft, answer)
    assert draft.offset(url) == 10


@pytest.mark.parametrize("wrong", ["-1", "1.0", '"1"', "x", "", "1;a", "1234567890123456", "0, 0"])
def test_an_offset_that_is_no_number_neither_appends_nor_creates_anew(url: str, draft: Draft, wrong: str) -> None:
    draft.create(url, b"0")
    refused(draft, draft.append(url, 1, b"xxx", Upload_Offset=wrong), 400, "bad_request")
    said = {**draft.headers(complete=False, offset=1), "Upload-Offset": wrong}
    refused(draft, send(url, b"xxx", "POST", headers=said), 400, "bad_request")
    assert draft.offset(url) == 1


@pytest.mark.parametrize("wrong", ["1", "true", "?2", "? 1", "?1, ?1", ""])
def test_a_completeness_that_is_no_boolean_was_not_said(
    http: httpx.Client, url: str, newest: Draft, wrong: str
) -> None:
    newest.create(url, b"0")
    answer = newest.append(url, 1, b"1", complete=None, Upload_Complete=wrong)
    refused(newest, answer, 400, "bad_request")
    # Where nothing of the draft was said, a plain PUT is what it is.
    answer = send(url, b"plain", headers={**newest.headers(), "Upload-Complete": wrong})
    assert (answer.status_code, newest.says(answer)) == (200, None)
    assert stored(http, answer) == b"plain"


def test_a_length_that_is_no_number_was_not_said(url: str, newest: Draft) -> None:
    newest.create(url, b"0", Upload_Length="a")
    assert "upload-length" not in newest.ask(url).headers


def test_a_creation_again_may_tell_another_length(http: httpx.Client, url: str, draft: Draft) -> None:
    draft.create(url, b"1", length=3)
    assert is_final(draft, draft.create(url, b"12345", complete=True), b"12345")


def test_early_versions_complete_by_an_append_that_does_not_say_otherwise(url: str, draft: Draft) -> None:
    draft.create(url, b"0")
    answer = draft.append(url, 1, b"1", complete=None)
    if draft.version is not None and draft.version < 7:
        assert is_final(draft, answer, b"01")
    else:
        refused(draft, answer, 400, "bad_request")


def test_the_media_type_is_asked_for_since_version_6(url: str, draft: Draft) -> None:
    draft.create(url, b"0")
    for media_type in ("application/octet-stream", "application/offset+octet-stream"):
        said = {**draft.headers(complete=False, offset=draft.offset(url)), "Content-Type": media_type}
        answer = send(url, b"1", "PATCH", headers=said)
        if draft.version is not None and draft.version < 6:
            assert answer.status_code == 201
        else:
            refused(draft, answer, 415, "unsupported_type")
            assert answer.headers["accept-patch"] == PARTIAL


def test_questions_of_early_versions_are_bare(url: str, draft: Draft) -> None:
    draft.create(url, b"0")
    for method in ("HEAD", "DELETE"):
        answer = draft.ask(url, method, Upload_Offset="0")
        assert answer.status_code == (400 if draft.version and draft.version < 7 else 204)


def test_lengths_that_contradict_each_other_are_refused(http: httpx.Client, draft: Draft) -> None:
    def fails(answer: httpx.Response) -> None:
        refused(draft, answer, 400, "inconsistent-upload-length")

    url = ticket(http)["url"]
    fails(draft.create(url, b"12345", complete=True, length=6))
    fails(draft.create(url, b"12345", complete=True, length=4))
    fails(draft.create(url, b"12345", length=4))
    draft.create(url, b"12345", length=10)
    fails(draft.append(url, 5, b"67890", length=11))
    fails(draft.append(url, 5, b"6789", complete=True))
    fails(draft.append(url, 5, b"67890x", complete=True))
    fails(draft.append(url, 5, b"67890x"))
    fails(draft.append(url, 5, complete=True))
    assert draft.offset(url) == 5
    assert is_final(draft, draft.append(url, 5, b"67890", complete=True, length=10), b"1234567890")
    promised = ticket(http, size=3)["url"]
    fails(draft.create(promised, length=4))
    fails(draft.create(promised, b"1234", complete=True))
    assert is_final(draft, draft.create(promised, b"123", complete=True), b"123")


def test_a_length_too_large_is_refused_with_the_limit(http: httpx.Client, draft: Draft) -> None:
    url = ticket(http, max_size=10)["url"]
    for answer in (
        draft.create(url, length=11),
        draft.create(url, b"x" * 11, complete=True),
        draft.create(url, b"x" * 11),
    ):
        refused(draft, answer, 413, "file_too_large")
        if draft.version is None or draft.version >= 6:
            assert answer.headers["upload-limit"].startswith("max-size=10, ")
    draft.create(url, b"x" * 9)
    refused(draft, draft.append(url, 9, b"xx"), 413, "file_too_large")
    assert is_final(draft, draft.append(url, 9, b"x", complete=True), b"x" * 10)


def test_cancelling_ends_the_upload_and_says_so_afterwards(http: httpx.Client, draft: Draft) -> None:
    made = ticket(http)
    draft.create(made["url"], b"0")
    answer = draft.ask(made["url"], "DELETE")
    assert (answer.status_code, answer.content) == (204, b"")
    assert draft.ask(made["url"]).status_code == 410
    refused(draft, draft.append(made["url"], 1, b"1"), 410, "gone")
    refused(draft, draft.create(made["url"], b"1", complete=True), 410, "gone")
    assert finish(http, made).status_code == 410


def test_a_complete_upload_is_not_cancelled(http: httpx.Client, url: str, draft: Draft) -> None:
    made = draft.create(url, b"kept", complete=True)
    answer = draft.ask(url, "DELETE")
    assert answer.status_code == (400 if draft.version in (6, 7, 8) else 409)
    assert stored(http, made) == b"kept"


def test_what_is_sent_to_a_complete_upload_is_refused(http: httpx.Client, url: str, draft: Draft) -> None:
    first = draft.create(url, b"kept", complete=True)
    for answer in (
        draft.append(url, 4, b"more"),
        draft.append(url, 4, b"more", complete=True),
        draft.append(url, 0, b"kep", complete=True),
        draft.append(url, 5, complete=True),
    ):
        is_named = draft.version in (6, 7, 8)
        refused(draft, answer, 400 if is_named else 409, "completed-upload" if is_named else "already_uploaded")
        assert answer.headers["upload-offset"] == "4"
    assert draft.create(url, b"other", complete=True).status_code in (400, 409)
    assert draft.create(url).status_code in (400, 409)
    assert stored(http, first) == b"kept"


def test_the_last_request_again_gets_the_answer_again(http: httpx.Client, draft: Draft, content: bytes) -> None:
    url = ticket(http)["url"]
    draft.create(url, content[:1000])
    answers = [draft.append(url, 1000, content[1000:], complete=True) for _ in range(3)]
    answers += [draft.append(url, SIZE, complete=True), draft.create(url, content, complete=True)]
    for answer in answers:
        assert is_final(draft, answer, content)
        assert answer.json() == answers[0].json()
    assert http.get(f"/api/files/{answers[0].json()['id']}/content").content == content


def test_an_upload_that_waits_to_be_confirmed_repeats_its_answer_too(http: httpx.Client, draft: Draft) -> None:
    made = open_ticket(http)
    draft.create(made["url"], b"con")
    answers = [draft.append(made["url"], 3, b"tent", complete=True) for _ in range(2)]
    assert all(is_final(draft, answer, b"content") for answer in answers)
    assert draft.says(draft.ask(made["url"])) is True
    assert finish(http, made).status_code == 200
    assert is_final(draft, draft.append(made["url"], 3, b"tent", complete=True), b"content")


@pytest.mark.parametrize("said", [{"Upload-Draft-Interop-Version": version} for version in ("2", "10", "x", "?1")])
def test_a_version_that_is_not_known_still_is_served(http: httpx.Client, url: str, said: dict[str, str]) -> None:
    answer = send(url, b"plain", headers=said)
    assert (answer.status_code, stored(http, answer)) == (200, b"plain")
    assert "upload-draft-interop-version" not in answer.headers
    answer = send(ticket(http)["url"], b"whole", headers={**said, "Upload-Complete": "?1"})
    assert is_final(Draft(None), answer, b"whole")
    assert "upload-draft-interop-version" not in answer.headers


def test_a_partial_upload_that_says_nothing_is_not_taken_for_a_whole_one(url: str, newest: Draft) -> None:
    refused(newest, send(url, b"part", headers={"Content-Type": PARTIAL}), 400, "bad_request")
    refused(newest, send(url, b"part", "PATCH", headers=newest.headers(complete=True)), 415, "unsupported_type")


def test_an_append_may_come_as_a_post(http: httpx.Client, url: str, draft: Draft) -> None:
    draft.create(url, b"0")
    said = {**draft.headers(complete=True, offset=1), "X-HTTP-Method-Override": "PATCH"}
    assert is_final(draft, send(url, b"1", "POST", headers=said), b"01")


def test_the_type_of_the_file_is_that_of_the_creation(http: httpx.Client, url: str, draft: Draft) -> None:
    draft.create(url, b"%PDF-1.7 ", Content_Type="application/pdf")
    answer = draft.append(url, 9, b"x", complete=True)
    assert http.get(f"/api/files/{answer.json()['id']}").json()["content_type"] == "application/pdf"
    other = ticket(http, content_type="image/png")["url"]
    refused(draft, draft.create(other, Content_Type="application/pdf"), 415, "unsupported_type")


def test_a_content_coding_is_refused(url: str, newest: Draft) -> None:
    refused(newest, newest.create(url, b"x", Content_Encoding="gzip"), 415, "unsupported_type")


def test_a_request_whose_digest_is_wrong_leaves_nothing_and_the_right_one_goes_on(url: str, draft: Draft) -> None:
    wrong = draft.create(url, b"firsd", Content_Digest=sha256_field(b"first"))
    refused(draft, wrong, 400, "digest_mismatch")
    assert draft.offset(url) == 0
    assert draft.create(url, b"first", Content_Digest=sha256_field(b"first")).status_code == 201
    refused(draft, draft.append(url, 5, b"secont", Content_Digest=sha256_field(b"second")), 400, "digest_mismatch")
    last = {"complete": True, "Content_MD5": base64.b64encode(hashlib.md5(b"second").digest()).decode()}
    refused(draft, draft.append(url, 5, b"secont", **last), 400, "digest_mismatch")
    assert draft.offset(url) == 5
    assert is_final(draft, draft.append(url, 5, b"second", **last), b"firstsecond")


@pytest.mark.parametrize("told", ["at creation", "at the end"])
def test_the_digest_of_the_whole_is_held_against_the_whole(http: httpx.Client, draft: Draft, told: str) -> None:
    digest = {"Repr_Digest": sha256_field(b"firstsecond")}
    first = digest if told == "at creation" else {}
    url = ticket(http)["url"]
    draft.create(url, b"first", **first)
    answer = draft.append(url, 5, b"secont", complete=True, **({} if first else digest))
    assert answer.status_code == 400
    assert answer.json()["code"] == "digest_mismatch"
    # It speaks for the target: all had arrived, and to resume is of no use. To begin anew is.
    assert draft.says(answer) is True
    assert draft.offset(url) == 0
    draft.create(url, b"first", **first)
    answer = draft.append(url, 5, b"second", complete=True, **({} if first else digest))
    assert is_final(draft, answer, b"firstsecond")


def test_a_whole_body_with_a_wrong_digest_then_the_right_one(url: str, draft: Draft) -> None:
    for name in ("Content_Digest", "Repr_Digest"):
        answer = draft.create(url, b"wrong", complete=True, **{name: sha256_field(b"right")})
        assert (answer.status_code, draft.says(answer)) == (400, True)
    assert is_final(draft, draft.create(url, b"right", complete=True, Content_Digest=sha256_field(b"right")), b"right")


def test_digests_that_were_wanted_at_creation_come_with_the_final_answer(url: str, draft: Draft) -> None:
    created = draft.create(url, b"first", Want_Repr_Digest="sha-256=3, md5=1, sha-512=0")
    assert "repr-digest" not in created.headers
    answer = draft.append(url, 5, b"second", complete=True)
    md5 = base64.b64encode(hashlib.md5(b"firstsecond").digest()).decode()
    assert answer.headers["repr-digest"] == f"{sha256_field(b'firstsecond')}, md5=:{md5}:"


def test_a_method_of_no_protocol_is_refused_in_the_words_of_the_draft(url: str, newest: Draft) -> None:
    refused(newest, send(url, b"x", "POST", headers=newest.headers()), 405, "method_not_allowed")


def test_errors_before_the_upload_is_known_are_problems_too(url: str, draft: Draft) -> None:
    refused(draft, draft.append(url.replace("sig=", "sig=x"), 0, b"x"), 403, "link_refused")
