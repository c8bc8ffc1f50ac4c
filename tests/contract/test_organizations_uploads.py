"""The organizations flow: URLs for large files, registering what was sent to them, and direct uploads."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contract.edge import exchange, fetch, head_of, nothing_left
from contract.organization import PDF, Answer, Tenant, answered, deliver, refusal
from support.live_server import LiveServer, MakeServer
from wire.asking import SMALL_PART, part_url, send

DAYS = timedelta(days=7)
CHUNK = 256 * 1024


@pytest.fixture
def tenant(http: httpx.Client) -> Tenant:
    """An organization with nothing in it."""
    return Tenant.new(http)


def test_a_file_is_asked_for_sent_and_registered(tenant: Tenant) -> None:
    session = tenant.ask()
    deliver(session, PDF)
    file = answered(tenant.registers(session, file_id=session["file_id"]), 201)
    assert file["id"] == session["file_id"]
    assert file["object"] == "file"
    assert file["filename"] == file["name"] == "a.pdf"
    assert file["organization_id"] == file["organizationId"] == tenant.id
    assert file["file_size"] == file["size"] == len(PDF)
    assert file["mime_type"] == file["mimeType"] == "application/pdf"
    assert file["created_at"] == file["createdAt"]
    assert file["created_by"] == file["createdBy"]
    assert file["purpose"] is None
    assert file["status"] == "completed"
    assert fetch(file["url"]).content == PDF


def test_a_session_says_where_how_long_and_how_much(tenant: Tenant) -> None:
    before = datetime.now(UTC)
    session = tenant.ask()
    assert session.keys() == {
        "upload_url",
        "gcs_path",
        "file_id",
        "expires_at",
        "max_file_size",
        "upload_type",
        "chunk_size_recommended",
    }
    assert session["gcs_path"] == f"files/{tenant.id}/{session['file_id']}/a.pdf"
    assert session["upload_type"] == "resumable"
    assert session["chunk_size_recommended"] == 5 * 1024**2
    assert session["max_file_size"] == 50 * 1024**3
    ends = datetime.fromisoformat(session["expires_at"])
    assert before + DAYS - timedelta(seconds=1) < ends < datetime.now(UTC) + DAYS + timedelta(seconds=1)


def test_the_url_is_good_for_the_seven_days_whatever_other_urls_are(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    server = make_server(upload_url_lifetime="1s")
    with server.client() as http:
        session = Tenant.new(http).ask()
    signed_until = datetime.fromisoformat(httpx.URL(session["upload_url"]).params["se"])
    assert abs(signed_until - datetime.fromisoformat(session["expires_at"])) < timedelta(seconds=2)


@pytest.mark.parametrize("upload_type", ["resumable", "simple"])
def test_the_url_takes_the_file_whole_whichever_type_was_asked_for(tenant: Tenant, upload_type: str) -> None:
    session = tenant.ask(upload_type=upload_type)
    assert session["upload_type"] == "resumable"
    deliver(session, PDF)
    assert tenant.registers(session).status_code == 201


def test_an_organization_goes_by_its_id_too(tenant: Tenant) -> None:
    by_id = Tenant(tenant.http, tenant.id, tenant.id)
    file = by_id.put()
    assert tenant.gets(file["id"]).json() == by_id.gets(file["id"]).json() == file
    assert Tenant(tenant.http, tenant.id, tenant.id.upper()).gets(file["id"]).status_code == 200


def test_a_file_in_parts_is_registered_without_completing_it_first(tenant: Tenant) -> None:
    content = PDF + os.urandom(2 * SMALL_PART)
    session = tenant.ask(content)
    url = {"part_url": f"{session['upload_url']}&uploadId={upload_id(session)}"}
    for number, start in enumerate(range(0, len(content), SMALL_PART), 1):
        assert send(part_url(url, number), content[start : start + SMALL_PART]).status_code == 200
    file = answered(tenant.registers(session, content), 201)
    assert fetch(file["url"]).content == content


def test_registering_again_gives_the_same_file(tenant: Tenant) -> None:
    session = tenant.ask()
    deliver(session, PDF)
    first = answered(tenant.registers(session), 201)
    assert answered(tenant.registers(session), 201) == first
    assert tenant.list()["total"] == 1


def test_nothing_is_listed_or_found_before_it_is_registered(tenant: Tenant) -> None:
    session = tenant.ask()
    deliver(session, PDF)
    assert refusal(tenant.gets(session["file_id"]))[:2] == (404, "NOT_FOUND")
    assert tenant.list()["files"] == []


def test_bytes_that_have_not_come_cannot_be_registered(tenant: Tenant) -> None:
    session = tenant.ask()
    status, code, details = refusal(tenant.registers(session))
    assert (status, code, details) == (409, "NOT_UPLOADED", {"ids": [session["file_id"]]})
    deliver(session, PDF)
    assert tenant.registers(session).status_code == 201


def test_a_file_half_sent_is_registered_once_the_rest_has_come(tenant: Tenant) -> None:
    content = PDF + os.urandom(CHUNK)
    session = tenant.ask(content)
    first = send_chunk(session, content, 0, CHUNK)
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{CHUNK - 1}")
    assert refusal(tenant.registers(session, content))[:2] == (409, "NOT_UPLOADED")
    assert send_chunk(session, content, CHUNK, len(content)).is_success
    file = answered(tenant.registers(session, content), 201)
    assert fetch(file["url"]).content == content


def test_bytes_of_another_number_than_was_said_are_refused(tenant: Tenant) -> None:
    session = tenant.ask()
    assert send(session["upload_url"], PDF + b"more").status_code == 413
    assert send(session["upload_url"], PDF[:-1]).status_code == 400
    assert refusal(tenant.registers(session))[:2] == (409, "NOT_UPLOADED")


def test_bytes_of_another_type_than_was_said_are_refused(tenant: Tenant) -> None:
    session = tenant.ask()
    assert send(session["upload_url"], PDF, headers={"Content-Type": "video/mp4"}).status_code == 415


@pytest.mark.parametrize(
    ("field", "said", "expected"),
    [
        ("filename", "b.pdf", "a.pdf"),
        ("file_size", 1, len(PDF)),
        ("mime_type", "video/mp4", "application/pdf"),
        ("file_id", "another", None),
    ],
)
def test_what_is_registered_must_be_what_was_asked_for(tenant: Tenant, field: str, said: object, expected: Any) -> None:
    session = tenant.ask()
    deliver(session, PDF)
    status, code, details = refusal(tenant.registers(session, **{field: said}))
    assert (status, code) == (400, "INVALID_FIELD_VALUE")
    assert details == {"field": field, "value": said, "expected": expected or session["file_id"]}
    assert tenant.registers(session).status_code == 201


def test_a_type_may_be_spelled_otherwise(tenant: Tenant) -> None:
    session = tenant.ask(mime_type="Application/PDF; version=1.7")
    deliver(session, PDF)
    assert answered(tenant.registers(session), 201)["mime_type"] == "application/pdf; version=1.7"


@pytest.mark.parametrize("change", ["nonsense", "files/{org}/{other}/a.pdf", "files/{org}/{id}/b.pdf", "{path}/", ""])
def test_a_gcs_path_that_was_not_handed_out_is_not_found(tenant: Tenant, change: str) -> None:
    session = tenant.ask()
    deliver(session, PDF)
    words = {"org": tenant.id, "other": uuid.uuid4(), "id": session["file_id"], "path": session["gcs_path"]}
    answer = tenant.registers(session, gcs_path=change.format(**words))
    assert refusal(answer)[:2] == (404, "NOT_FOUND")


def test_a_gcs_path_is_bound_to_its_organization(tenant: Tenant) -> None:
    session = tenant.ask()
    deliver(session, PDF)
    other = Tenant.new(tenant.http)
    assert refusal(other.registers(session))[:2] == (404, "NOT_FOUND")
    assert tenant.registers(session).status_code == 201


def test_a_deleted_file_cannot_be_registered_again(tenant: Tenant) -> None:
    session = tenant.ask()
    deliver(session, PDF)
    file = answered(tenant.registers(session), 201)
    assert tenant.deletes(file["id"]).status_code == 204
    assert refusal(tenant.registers(session))[:2] == (410, "GONE")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("file_size", 0, "File size must be greater than 0"),
        ("file_size", -1, "File size must be greater than 0"),
        ("file_size", "9", "File size must be greater than 0"),
        ("file_size", 0.5, "File size must be greater than 0"),
        ("file_size", True, "File size must be greater than 0"),
        ("file_size", None, "File size must be greater than 0"),
        ("filename", "", "Filename must be 1 to 255 characters"),
        ("filename", 7, "Filename must be 1 to 255 characters"),
        ("filename", "..", None),
        ("filename", "a\0b", None),
        ("mime_type", "", None),
        ("mime_type", "pdf", None),
        ("mime_type", "a/b/c", None),
        ("mime_type", ["application/pdf"], None),
        ("upload_type", "fast", "Upload type must be resumable or simple"),
        ("upload_type", None, "Upload type must be resumable or simple"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_value(
    tenant: Tenant, field: str, value: Any, message: str | None
) -> None:
    answer = tenant.asks(**{field: value})
    shown = None if isinstance(value, list) else value
    assert refusal(answer) == (400, "INVALID_FIELD_VALUE", {"field": field, "value": shown})
    assert message in (None, answer.json()["error"]["message"])


@pytest.mark.parametrize("field", ["filename", "file_size", "mime_type"])
def test_a_field_that_is_missing_is_named(tenant: Tenant, field: str) -> None:
    said = {"filename": "a.pdf", "file_size": 1, "mime_type": "application/pdf"}
    del said[field]
    answer = tenant.http.post(f"{tenant.files}/upload-url", json=said)
    assert refusal(answer) == (400, "INVALID_FIELD_VALUE", {"field": field, "value": None})


@pytest.mark.parametrize("field", ["filename", "gcs_path", "file_size", "mime_type", "file_id"])
def test_a_registration_that_cannot_be_read_names_the_field(tenant: Tenant, field: str) -> None:
    session = tenant.ask()
    assert refusal(tenant.registers(session, **{field: []})) == (
        400,
        "INVALID_FIELD_VALUE",
        {"field": field, "value": None},
    )


def test_names_of_255_characters_are_the_longest(tenant: Tenant) -> None:
    assert tenant.put(filename="x" * 255)["name"] == "x" * 255
    status, code, details = refusal(tenant.asks(filename="x" * 256))
    assert (status, code, details) == (400, "INVALID_FIELD_VALUE", {"field": "filename", "value": "x" * 255})


def test_a_file_over_the_limit_gets_no_url(tenant: Tenant) -> None:
    limit = 50 * 1024**3
    assert tenant.asks(file_size=limit).status_code == 200
    assert refusal(tenant.asks(file_size=limit + 1)) == (413, "FILE_TOO_LARGE", {"limit": limit})
    assert refusal(tenant.asks(file_size=10**30)) == (413, "FILE_TOO_LARGE", {"limit": limit})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(tenant: Tenant, body: bytes) -> None:
    for address in (f"{tenant.files}/upload-url", tenant.files):
        assert refusal(tenant.http.post(address, content=body))[0] == 400


def test_a_direct_upload_is_one_call(tenant: Tenant) -> None:
    file = tenant.upload(name="Bericht ü.pdf", purpose="vector_store")
    assert (file["name"], file["purpose"], file["size"]) == ("Bericht ü.pdf", "vector_store", len(PDF))
    assert (file["mime_type"], file["status"]) == ("application/pdf", "completed")
    assert fetch(file["url"]).content == PDF
    assert tenant.gets(file["id"]).json() == file


def test_purpose_may_stand_before_or_after_the_file_or_be_left_out(tenant: Tenant) -> None:
    form: dict[str, Any] = {"purpose": (None, "assistant"), "file": ("a.pdf", PDF, "application/pdf")}
    for fields in (form, dict(reversed(form.items()))):
        made = answered(tenant.http.post(f"{tenant.files}/upload", files=fields), 201)
        assert made["purpose"] == "assistant"
    assert tenant.upload()["purpose"] is None


def test_purpose_is_the_metadata_of_this_name(tenant: Tenant) -> None:
    file = tenant.upload(purpose="vector_store")
    native = f"/api/files/{file['id']}"
    query = {"organization": tenant.slug}
    assert tenant.http.get(native, params=query).json()["metadata"] == {"purpose": "vector_store"}
    for value in ("assistant", 7):
        tenant.http.patch(native, params=query, json={"metadata": {"purpose": value}}).raise_for_status()
        shown = tenant.gets(file["id"]).json()["purpose"]
        assert shown == (value if isinstance(value, str) else None)


def test_a_direct_upload_repeated_with_its_key_makes_one_file(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    form = {"file": ("a.pdf", PDF, "application/pdf")}
    made = [tenant.http.post(f"{tenant.files}/upload", files=form, headers=headers).json()["id"] for _ in range(2)]
    assert made[0] == made[1]
    assert tenant.list()["total"] == 1


def test_a_direct_upload_has_at_most_a_hundred_mebibytes(server: LiveServer, tenant: Tenant) -> None:
    limit = 100 * 1024**2
    boundary = "Content-Type: multipart/form-data; boundary=b"
    head = head_of(server, "POST", f"{tenant.files}/upload", boundary, f"Content-Length: {limit + 2 * 1024**2}")
    status, _, body = exchange(server, head, finish=False).partition(b"\r\n")
    assert b" 413 " in status
    assert b'"FILE_TOO_LARGE"' in body
    nothing_left(server)


def test_the_limit_holds_for_what_announces_no_length(tenant: Tenant, server: LiveServer) -> None:
    block = bytes(1024**2)

    def form(blocks: int) -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="zero.bin"\r\n\r\n'
        for _ in range(blocks):
            yield block
        yield b"\r\n--b--\r\n"

    def sends(blocks: int) -> httpx.Response:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        return tenant.http.post(f"{tenant.files}/upload", content=form(blocks), headers=headers)

    file = answered(sends(100), 201)
    assert file["size"] == 100 * 1024**2
    assert refusal(sends(101)) == (413, "FILE_TOO_LARGE", {"limit": 100 * 1024**2})
    tenant.deletes(file["id"])
    nothing_left(server)


def test_a_lower_limit_of_the_server_holds_for_direct_uploads(make_server: MakeServer) -> None:
    server = make_server(max_file_size="1KiB")
    with server.client() as http:
        tenant = Tenant.new(http)
        assert tenant.ask()["max_file_size"] == 1024
        assert tenant.uploads(bytes(1024)).status_code == 201
        assert refusal(tenant.uploads(bytes(1025))) == (413, "FILE_TOO_LARGE", {"limit": 1024})


def test_a_direct_upload_without_its_file_is_refused(tenant: Tenant) -> None:
    def sends(**request: Any) -> tuple[int, str]:
        return refusal(tenant.http.post(f"{tenant.files}/upload", **request))[:2]

    assert sends(files={"purpose": (None, "assistant")}) == (400, "MISSING_FILE")
    assert sends(files=[("file", b"a"), ("file", b"b")]) == (400, "TOO_MANY_FILES")
    assert sends(files={"files": b"a"}) == (400, "INVALID_FIELD_VALUE")
    assert sends(json={"file": "a"}) == (415, "UNSUPPORTED_TYPE")
    assert sends(content=b"a", headers={"Content-Type": "multipart/form-data"}) == (400, "BAD_REQUEST")
    assert sends(files={"file": ("..", b"a")}) == (400, "INVALID_FIELD_VALUE")


def upload_id(session: Answer) -> str:
    """Return the id that S3 clients would get: that of the upload, which stands in its URL."""
    return str(httpx.URL(session["upload_url"]).path.split("/")[2])


def send_chunk(session: Answer, content: bytes, begin: int, end: int) -> httpx.Response:
    """Send a piece of the content as resumable sessions take it."""
    headers = {"Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"}
    return send(session["upload_url"], content[begin:end], headers=headers)
