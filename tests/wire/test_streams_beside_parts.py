"""A stream and parts of one upload: whichever way their requests cross, none takes away what another was promised."""

from __future__ import annotations

import os
from typing import Any

import httpx

from wire.asking import finish, open_ticket, part_url, send
from wire.slow import SlowRequest

MIB = 1024 * 1024
TUS = {"Tus-Resumable": "1.0.0"}


def patch(url: str, offset: int, content: bytes) -> httpx.Response:
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return send(url, content, "PATCH", headers=headers)


def adopt(http: httpx.Client, ticket: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(f"/api/uploads/{ticket['id']}/stream")
    assert answer.status_code == 200, answer.text
    adopted: dict[str, Any] = answer.json()
    return adopted


def served(http: httpx.Client, completed: httpx.Response) -> bytes:
    assert completed.status_code == 200, completed.text
    return http.get(f"/api/files/{completed.json()['id']}/content").content


def test_a_part_that_comes_again_after_its_bytes_were_adopted_takes_none_away(http: httpx.Client) -> None:
    first, second = os.urandom(MIB), os.urandom(MIB)
    ticket = open_ticket(http, size=2 * MIB, parts=True, part_size=MIB)
    assert send(part_url(ticket, 1), first).status_code == 200
    stream = adopt(http, ticket)
    assert stream["offset"] == MIB
    assert send(part_url(ticket, 1), os.urandom(MIB)).status_code == 200
    assert patch(stream["url"], MIB, second).status_code == 204
    assert served(http, finish(http, ticket)) == first + second


def test_parts_whose_stream_was_begun_anew_are_not_completed_as_holes(http: httpx.Client) -> None:
    content = os.urandom(2 * MIB)
    ticket = open_ticket(http, size=2 * MIB, parts=True, part_size=MIB)
    etags = [send(part_url(ticket, n + 1), content[n * MIB :][:MIB]).headers["etag"] for n in range(2)]
    adopt(http, ticket)
    assert send(ticket["url"], None, "POST", headers={"x-goog-resumable": "start"}).status_code == 201
    listed = [{"part_number": number, "etag": etag} for number, etag in enumerate(etags, 1)]
    refused = http.post(f"/api/uploads/{ticket['id']}/complete", json={"parts": listed})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_part")
    assert patch(ticket["url"], 0, content).status_code == 204
    assert served(http, finish(http, ticket)) == content


def test_a_length_told_by_a_stream_gives_parts_no_place_in_it(http: httpx.Client) -> None:
    content = os.urandom(10 * MIB)
    ticket = open_ticket(http, parts=True, max_size=64 * MIB)
    assert send(ticket["url"], None, "POST", headers={**TUS, "Upload-Length": str(10 * MIB)}).status_code == 201
    assert patch(ticket["url"], 0, content[: 9 * MIB]).status_code == 204
    assert send(part_url(ticket, 1), b"x" * 8 * MIB).status_code == 200
    assert patch(ticket["url"], 9 * MIB, content[9 * MIB :]).status_code == 204
    assert served(http, finish(http, ticket)) == content


def test_a_partial_upload_makes_no_partial_uploads(http: httpx.Client) -> None:
    ticket = open_ticket(http, size=MIB)
    headers = {**TUS, "Upload-Concat": "partial", "Upload-Length": str(MIB)}
    partial = send(ticket["url"], None, "POST", headers=headers)
    assert partial.status_code == 201
    assert send(partial.headers["location"], None, "POST", headers=headers).status_code == 403


def test_partial_uploads_have_no_more_bytes_together_than_twice_what_may_come(http: httpx.Client) -> None:
    ticket = open_ticket(http, size=MIB)
    headers = {**TUS, "Upload-Concat": "partial", "Upload-Length": str(MIB)}
    statuses = [send(ticket["url"], None, "POST", headers=headers).status_code for _ in range(3)]
    assert statuses == [201, 201, 413]


def test_a_partial_upload_is_never_a_file_by_itself(http: httpx.Client) -> None:
    ticket = open_ticket(http, size=MIB)
    headers = {**TUS, "Upload-Concat": "partial", "Upload-Length": "3"}
    location = send(ticket["url"], None, "POST", headers=headers).headers["location"]
    partial_id = location.split("/u/")[1].split("/")[0]
    part = send(f"{location}&uploadId={partial_id}&partNumber=1", b"own")
    assert part.status_code == 200
    named = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
    listed = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"
    assert send(f"{location}&uploadId={partial_id}", listed.encode(), "POST").status_code == 403
    assert http.post(f"/api/uploads/{partial_id}/complete").status_code == 403


def test_a_stream_that_brought_nothing_does_not_win_over_parts(http: httpx.Client) -> None:
    content = os.urandom(MIB)
    ticket = open_ticket(http, parts=True, max_size=8 * MIB)
    assert send(part_url(ticket, 1), content).status_code == 200
    assert patch(ticket["url"], 0, b"").status_code == 204
    assert served(http, finish(http, ticket)) == content


def test_a_part_that_outlives_a_new_beginning_is_not_taken_for_one_of_it(http: httpx.Client) -> None:
    content = os.urandom(3 * MIB)
    ticket = open_ticket(http, max_size=8 * MIB)
    with SlowRequest(part_url(ticket, 1), MIB, "PUT", {}) as late:
        late.send(b"x" * 1000)
        assert send(ticket["url"], b"whole").status_code == 200
        assert send(ticket["url"], None, "POST", headers={**TUS, "Upload-Length": str(3 * MIB)}).status_code == 201
        assert patch(ticket["url"], 0, content[:MIB]).status_code == 204
        late.send(b"x" * (MIB - 1000))
        assert late.answer()[0] in (400, 409)
    assert patch(ticket["url"], MIB, content[MIB:]).status_code == 204
    assert served(http, finish(http, ticket)) == content
