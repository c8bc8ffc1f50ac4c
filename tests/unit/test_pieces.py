"""A piece of a file, or a file in its envelope, is never stored as the file, at whatever address and by whatever protocol."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract.edge import MULTIPART, file_part, form
from unit.service import Service
from unit.tickets import nothing_came, ticket_of
from wire.draft import PARTIAL

RANGE = {"Content-Range": "bytes 60000-99999/100000"}
FORM = form(file_part(b"one"))
JSON = {"filename": "x", "base64": "eA=="}
WIRE = {"url": "{url}", "block": "{url}&comp=block&blockid=YQ%3D%3D", "part": "{part_url}&partNumber=1"}
AZURE = {"x-ms-blob-type": "BlockBlob"}
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Length": "99"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all of these: every test has a ticket or a path of its own."""
    service = Service(tmp_path_factory.mktemp("pieces"))
    service.upload(path="first")
    yield service
    service.close()


def code_of(answer: httpx.Response) -> str:
    """Return our code of a refusal, in whatever envelope it comes."""
    if answer.headers.get("content-type", "").startswith("application/xml"):
        return answer.headers.get("x-ms-error-code", "xml")
    told = answer.json()
    error = told.get("error")
    found = error if isinstance(error, dict) else told
    return str(
        (found.get("details") or [found])[0]["code"] if isinstance(found.get("details"), list) else found["code"]
    )


def paths(service: Service) -> list[str]:
    """Return the paths of all files."""
    return [file["path"] for file in service.request("GET", "/api/files?limit=1000").json()["files"]]


@pytest.mark.parametrize(
    ("method", "url", "options"),
    [
        ("PUT", "/api/upload/a", {"content": b"tail"}),
        ("POST", "/api/upload/a", {"content": b"tail"}),
        ("POST", "/v1/files", {"json": JSON}),
        ("POST", "/v1/files", {"files": {"file": b"tail"}}),
        ("POST", "/v1/organizations/{organization_id}/files/upload", {"files": {"file": b"tail"}}),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        RANGE,
        {"Upload-Complete": "?0"},
        {"Upload-Incomplete": "?1"},
        {"Upload-Offset": "60000"},
        {"Tus-Resumable": "1.0.0", "Upload-Length": "100000"},
        {"x-goog-resumable": "start"},
        {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
        {"x-amz-decoded-content-length": "4"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_an_address_that_takes_files_at_once_refuses_pieces(
    service: Service, method: str, url: str, options: dict[str, Any], headers: dict[str, str]
) -> None:
    before = paths(service)
    if "{" in url:
        url = url.format_map(service.upload(path="first"))
    answer = service.request(method, url, headers=headers, **options)
    assert answer.status_code == (415 if "x-amz" in next(iter(headers)) else 400)
    if "x-amz" not in next(iter(headers)):
        assert "tus" in answer.text
    assert paths(service) == before


def test_a_file_is_not_replaced_by_its_tail(service: Service) -> None:
    stored = service.upload(b"x" * 100, path="big.bin")
    answer = service.request("PUT", "/api/upload/big.bin", content=b"y" * 40, headers=RANGE)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "Content-Range")
    assert service.request("GET", f"/api/files/{stored['id']}").json() == stored


@pytest.mark.parametrize(
    ("at", "headers"),
    [
        ("url", AZURE),
        ("block", {}),
        ("part", {}),
        ("url", {"Upload-Draft-Interop-Version": "6"}),
        ("url", {"Upload-Draft-Interop-Version": "6", "Upload-Complete": "?1"}),
        ("url", {}),
    ],
    ids=["azure", "block", "s3 part", "draft named", "draft", "google"],
)
def test_a_tail_is_no_whole_in_any_protocol(service: Service, at: str, headers: dict[str, str]) -> None:
    ticket = ticket_of(service)
    url = WIRE[at].format_map(ticket)
    answer = service.request("PUT", url, key=None, content=b"y" * 40_000, headers={**RANGE, **headers})
    assert answer.status_code == 400
    assert nothing_came(service, ticket)


def test_a_part_with_a_range_is_no_google_chunk(service: Service) -> None:
    ticket = ticket_of(service)
    headers = {"Content-Range": "bytes 0-3/8"}
    answer = service.request("PUT", WIRE["part"].format_map(ticket), key=None, content=b"part", headers=headers)
    assert (answer.status_code, b"<Error>" in answer.content) == (400, True)
    assert service.request("GET", f"/api/uploads/{ticket['id']}").json()["offset"] == 0


@pytest.mark.parametrize(
    "kind", [MULTIPART, "multipart/form-data", "application/pdf", "application/octet-stream", None]
)
@pytest.mark.parametrize("lead", [b"", b"\r\n"])
def test_a_form_is_not_stored_with_its_envelope_by_the_native_api(
    service: Service, kind: str | None, lead: bytes
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    for method in ("PUT", "POST"):
        answer = service.request(method, "/api/upload/x.pdf", content=lead + FORM, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_type")
        assert "/v1/files" in answer.json()["detail"]
    assert "x.pdf" not in paths(service)


@pytest.mark.parametrize(
    ("method", "at", "headers"),
    [
        ("PUT", "url", {"Content-Type": "multipart/form-data"}),
        ("PUT", "url", {"Content-Type": "multipart/form-data; boundary=other"}),
        ("PUT", "url", {"Content-Type": "application/pdf"}),
        ("PUT", "url", {**AZURE, "Content-Type": "application/pdf"}),
        ("PUT", "block", {"Content-Type": MULTIPART}),
        ("PUT", "part", {"Content-Type": MULTIPART}),
        ("PUT", "part", {}),
        ("PUT", "url", {"Content-Range": f"bytes 0-{len(FORM) - 1}/{len(FORM)}"}),
        ("POST", "url", {**TUS, "Upload-Length": str(len(FORM))}),
        ("POST", "url", {"Upload-Complete": "?1", "Content-Type": MULTIPART}),
        ("POST", "url", {"Upload-Complete": "?0"}),
    ],
    ids=[
        "no boundary",
        "other boundary",
        "other type",
        "azure",
        "azure block",
        "s3 part",
        "s3 part without type",
        "google",
        "tus",
        "draft",
        "draft, a piece",
    ],
)
def test_a_form_that_is_not_said_to_be_one_is_refused_in_every_protocol(
    service: Service, method: str, at: str, headers: dict[str, str]
) -> None:
    ticket = ticket_of(service)
    for body in (FORM, bytewise(FORM)):
        answer = service.request(method, WIRE[at].format_map(ticket), key=None, content=body, headers=headers)
        assert (answer.status_code, b"is a form" in answer.content) == (415, True), answer.text
    assert nothing_came(service, ticket)


def test_later_pieces_are_looked_at_too(service: Service) -> None:
    url = ticket_of(service)["url"]
    service.request("POST", url, key=None, headers={**TUS, "Content-Type": "text/plain"})
    for headers in (
        {**TUS, "Upload-Offset": "0"},
        {"Upload-Offset": "0", "Upload-Complete": "?0", "Content-Type": PARTIAL},
    ):
        assert service.request("PATCH", url, key=None, content=FORM, headers=headers).status_code == 415
    answer = service.request("PATCH", url, key=None, content=b"x" * 9, headers={**TUS, "Upload-Offset": "0"})
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "9")


def bytewise(body: bytes) -> Any:
    """Return a body of pieces of a few bytes each."""

    async def pieces() -> Any:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    return pieces()


@pytest.mark.parametrize(
    "content",
    [
        b"-",
        b"--",
        b"-- a comment\nSELECT 1;\n" * 1000,
        b"-----BEGIN X-----\n" + b"a" * 9000,
        b"\r\n\r\n--\r\n",
        b"--a\r\n\r\nb",
    ],
)
def test_what_begins_like_a_form_and_is_none_is_stored(service: Service, content: bytes) -> None:
    for body in (content, bytewise(content)):
        file = service.request("PUT", "/api/upload/a", content=body).json()
        assert service.fetch(file["url"]).content == content


def test_a_form_that_was_promised_may_come_in_any_protocol(service: Service) -> None:
    whole = {"Content-Range": f"bytes 0-{len(FORM) - 1}/{len(FORM)}"}
    sent = ((WIRE["part"], {}), (WIRE["url"], whole), (WIRE["url"], {**whole, "Content-Type": MULTIPART}))
    for url, headers in sent:
        ticket = ticket_of(service, content_type=MULTIPART)
        assert service.request("PUT", url.format_map(ticket), key=None, content=FORM, headers=headers).is_success
        assert service.request("POST", f"/api/uploads/{ticket['id']}/complete").json()["size"] == len(FORM)


def test_whoever_means_the_form_itself_can_say_so(service: Service) -> None:
    for headers in (
        {"Content-MD5": base64.b64encode(hashlib.md5(FORM).digest()).decode()},
        {"Want-Repr-Digest": "sha-256=1"},
    ):
        file = service.request("PUT", "/api/upload/form", content=FORM, headers=headers).json()
        assert service.fetch(file["url"]).content == FORM
    ticket = ticket_of(service, size=len(FORM))
    assert service.request("PUT", ticket["url"], key=None, content=FORM).json()["size"] == len(FORM)


def test_a_form_in_which_nothing_was_chosen_has_no_file(service: Service) -> None:
    empty = form(file_part(b"", filename=""))
    organization = service.upload(path="first")["organization_id"]
    headers = {"Content-Type": MULTIPART}
    for url in ("/v1/files", f"/v1/organizations/{organization}/files/upload", ticket_of(service)["url"]):
        answer = service.request("POST", url, content=empty, headers=headers)
        assert (answer.status_code, code_of(answer).lower()) == (400, "missing_file")
    assert service.request("POST", "/v1/files", content=form(file_part(b"")), headers=headers).status_code == 201


@pytest.mark.parametrize("status", [None, "200", "201", "204", "999"])
def test_a_form_is_taken_by_post_on_every_signed_url(service: Service, status: str | None) -> None:
    organization = service.upload(path="first")["organization_id"]
    promised = {"filename": "a.bin", "file_size": 3, "mime_type": "application/octet-stream"}
    asked = service.request("POST", f"/v1/organizations/{organization}/files/upload-url", json=promised)
    fields = {} if status is None else {"success_action_status": status}
    for url in (
        ticket_of(service, size=3)["url"],
        ticket_of(service, parts=True, size=3)["url"],
        asked.json()["upload_url"],
    ):
        answer = service.request("POST", url, key=None, data=fields, files={"any": ("a", b"one")})
        assert answer.status_code == (int(status) if status in ("201", "204") else 200), answer.text
        if status != "204":
            assert (answer.json()["success"], answer.json()["size"]) == (True, 3)


def test_what_is_no_form_is_told_so(service: Service) -> None:
    url = ticket_of(service)["url"]
    answer = service.request("POST", url, key=None, content=b"raw", headers={"Content-Type": MULTIPART})
    assert (answer.status_code, answer.json()["success"], answer.json()["code"]) == (400, False, "bad_request")
    assert service.request("POST", url, key=None, content=b"raw").status_code == 405
    for more in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        refused = service.request("POST", url, key=None, content=b"a=b", headers=more)
        assert (refused.status_code, "form" in refused.json()["detail"]) == (405, True)


def test_a_signed_url_needs_no_escapes(service: Service) -> None:
    ticket = ticket_of(service)
    for url in (ticket["url"], ticket["part_url"]):
        assert "%" not in url
        old = url.replace("00:00", "00%3A00")
        assert old != url
        assert service.request("HEAD", old, key=None).status_code == 204


@pytest.mark.parametrize("address", ["/tus", "/u/x/y", "/f/x/y", "/d/x/y"])
def test_a_page_may_send_any_header(service: Service, address: str) -> None:
    asked = "cache-control,traceparent, x-ms-meta-a, authorization"
    answer = service.request("OPTIONS", address, key=None, headers={"Access-Control-Request-Headers": asked})
    assert answer.headers["access-control-allow-headers"] == asked
    assert "access-control-request-headers" in answer.headers["vary"].lower()
    assert "access-control-allow-credentials" not in answer.headers
    for odd in ("", "a\tb<script>", "x" * 9000):
        answer = service.request("OPTIONS", address, key=None, headers={"Access-Control-Request-Headers": odd})
        assert answer.headers["access-control-allow-headers"] == "*, Authorization"
