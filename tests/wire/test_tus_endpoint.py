"""/tus with a key: what is created there is a file once its bytes are there, called and kept as its metadata say."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from contract.edge import exchange, fetch, head_of
from support.live_server import LiveServer
from wire.tus import BYTES, VERSION, call, metadata, patch


@pytest.fixture(params=["/tus", "/tus/"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def post(http: httpx.Client, content: Any = None, endpoint: str = "/tus", **headers: str) -> httpx.Response:
    """Ask for an upload with the client's key; what comes back says that it is of tus, and any page may read it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = BYTES if content is not None else {}
    answer = http.post(endpoint, content=content, headers={**VERSION, **kind, **named})
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer


def file_of(http: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """Return the file that the creation's answer has led to."""
    upload = http.get(f"/api/uploads/{answer.headers['location'].split('/')[4]}").json()
    file: dict[str, Any] = http.get(f"/api/files/{upload['file_id']}").json()
    return file


def test_what_is_created_with_a_key_goes_on_without_one(http: httpx.Client, endpoint: str) -> None:
    said = metadata(filename="a report.txt", filetype="text/plain", empty="", expires_in="24h", order="17")
    created = post(http, endpoint=endpoint, Upload_Length="5", Upload_Metadata=said)
    assert (created.status_code, created.content) == (201, b"")
    location, address = created.headers["location"], created.headers["content-location"]
    assert location.startswith(f"{str(http.base_url).rstrip('/')}/u/")
    assert fetch(address).status_code == 404
    assert patch(location, 0, b"hel").status_code == 204
    done = patch(location, 3, b"lo")
    assert done.headers["content-location"] == call("HEAD", location).headers["content-location"] == address
    assert fetch(address).content == b"hello"
    file = file_of(http, created)
    assert (file["name"], file["content_type"], file["size"]) == ("a report.txt", "text/plain", 5)
    assert (file["metadata"], file["url"]) == ({"order": "17"}, address)
    assert file["expires_at"]


def test_all_may_come_in_one_request(http: httpx.Client) -> None:
    created = post(http, b"hello", Upload_Length="5")
    assert (created.status_code, created.headers["upload-offset"]) == (201, "5")
    assert fetch(created.headers["content-location"]).content == b"hello"
    assert file_of(http, created)["name"] == "file"


def test_an_empty_file_needs_one_request(http: httpx.Client) -> None:
    created = post(http, Upload_Length="0")
    assert fetch(created.headers["content-location"]).content == b""


def test_a_path_gets_a_new_version(http: httpx.Client) -> None:
    path = f"{uuid.uuid4()}/a.txt"
    first, second = (
        file_of(http, post(http, content, Upload_Length="3", Upload_Metadata=metadata(path=path, filename="x")))
        for content in (b"one", b"two")
    )
    assert (first["path"], first["id"]) == (path, second["id"])
    assert first["version_id"] != second["version_id"]
    assert http.get(f"/api/files/{first['id']}/content").content == b"two"


def test_the_length_may_be_told_later(http: httpx.Client) -> None:
    created = post(http, b"abc", Upload_Defer_Length="1")
    assert patch(created.headers["location"], 3, b"", Upload_Length="3").status_code == 204
    assert fetch(created.headers["content-location"]).content == b"abc"


def test_partial_uploads_make_one_file_for_the_key_that_made_them(http: httpx.Client, server: LiveServer) -> None:
    partials = [
        post(http, piece, Upload_Length=str(len(piece)), Upload_Concat="partial").headers for piece in (b"ab", b"c")
    ]
    assert "content-location" not in partials[0]
    urls = [headers["location"] for headers in partials]
    said = {"Upload_Concat": f"final;{' '.join(urls)}", "Upload_Metadata": metadata(filename="joined.bin")}
    created = post(http, **said)
    assert fetch(created.headers["content-location"]).content == b"abc"
    assert file_of(http, created)["name"] == "joined.bin"

    other = http.post("/api/keys", json={"name": "other", "scopes": ["upload"]}).json()["key"]
    with server.client(other) as colleague:
        assert post(colleague, **said).status_code == 403
    slug = f"o{uuid.uuid4().hex[:12]}"
    http.post("/api/organizations", json={"slug": slug})
    key = http.post("/api/keys", params={"organization": slug}, json={"name": "k", "scopes": ["upload"]}).json()["key"]
    with server.client(key) as stranger:
        assert post(stranger, **said).status_code == 404
    whole = post(http, b"abc", Upload_Length="3").headers["location"]
    assert post(http, Upload_Concat=f"final;{whole}").status_code == 403
    for nothing in ("x", "http://[::1", f"/u/{uuid.uuid4()}/a", "/u/../a"):
        assert post(http, Upload_Concat=f"final;{nothing}").status_code == 404


@pytest.mark.parametrize("form", ["Authorization: Bearer {}", "Authorization: {}", "X-API-Key: {}", "api-key: {}"])
def test_a_key_comes_in_any_form(server: LiveServer, endpoint: str, form: str) -> None:
    name, _, value = form.format(server.root_key).partition(": ")
    answer = call("POST", server.url + endpoint, Upload_Length="1", **{name: value})
    assert answer.status_code == 201


def test_without_a_key_that_may_upload_nothing_is_created(http: httpx.Client, server: LiveServer) -> None:
    nobody = call("POST", server.url + "/tus", Upload_Length="1")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthorized")
    assert call("POST", server.url + "/tus", Upload_Length="1", X_API_Key="ff_no").status_code == 401
    reader = http.post("/api/keys", json={"name": "r", "scopes": ["read"]}).json()["key"]
    with server.client(reader) as client:
        assert post(client, Upload_Length="1").status_code == 403


def test_who_may_not_upload_is_told_before_a_byte_is_sent(server: LiveServer) -> None:
    lines = ["Tus-Resumable: 1.0.0", "Upload-Length: 9999999", f"Content-Type: {BYTES['Content-Type']}"]
    head = head_of(server, "POST", "/tus", *lines, "Content-Length: 9999999", "Expect: 100-continue", key="ff_no")
    assert exchange(server, head, finish=False).startswith(b"HTTP/1.1 401")


def test_discovery_needs_no_key(http: httpx.Client, server: LiveServer, endpoint: str) -> None:
    asked = "api-key,authorization,tus-resumable,upload-concat,x-api-key"
    answer = call("OPTIONS", server.url + endpoint, Access_Control_Request_Headers=asked)
    assert (answer.status_code, answer.headers["tus-version"]) == (200, "1.0.0")
    assert answer.headers["access-control-allow-headers"] == asked


@pytest.mark.parametrize("version", [{}, {"Tus-Resumable": "0.2.2"}])
def test_a_version_must_be_named(http: httpx.Client, version: dict[str, str]) -> None:
    answer = http.post("/tus", headers={"Upload-Length": "1", **version})
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"filename": ".."}, 400, "invalid_name"),
        ({"path": "../../etc/passwd"}, 400, "invalid_name"),
        ({"filename": "a\nb"}, 400, "invalid_name"),
        ({"expires_in": "soon"}, 400, "invalid_expiry"),
        ({"note": "x" * 20_000}, 400, "invalid_metadata"),
    ],
    ids=str,
)
def test_metadata_that_cannot_be_used_are_refused(
    http: httpx.Client, said: dict[str, str], status: int, code: str
) -> None:
    answer = post(http, Upload_Length="1", Upload_Metadata=metadata(**said))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_name_that_is_not_utf_8_is_refused(http: httpx.Client) -> None:
    assert post(http, Upload_Length="1", Upload_Metadata="filename /w==").status_code == 400


def test_what_is_too_large_is_refused(http: httpx.Client) -> None:
    assert post(http, Upload_Length="9" * 18).status_code == 413
    assert post(http, Upload_Length="-1").status_code == 400


def test_only_creation_is_done_here(http: httpx.Client) -> None:
    assert post(http, b"", X_HTTP_Method_Override="PATCH").status_code == 405
    assert http.get("/tus").status_code == 405


def test_whatever_is_answered_below_tus_says_what_is_spoken(http: httpx.Client) -> None:
    for method, path in (("HEAD", "/tus/none"), ("PATCH", "/tus/no/ne"), ("GET", "/tus"), ("DELETE", "/tus/none?a=b")):
        answer = call(method, f"{str(http.base_url).rstrip('/')}{path}")
        assert answer.status_code == (405 if path == "/tus" else 404)
        assert answer.headers["access-control-allow-origin"] == "*"
