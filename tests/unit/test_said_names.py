"""What requests carry is read the same everywhere: names not known, forms in other codings, times, ids, tags and digests."""

from __future__ import annotations

import base64
import gzip
import hashlib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from unit.service import ROOT_KEY, Service

BOUNDARY = "b0undary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "3"}
CONTENT = b"caf\xc3\xa9 = gone\r\n" * 9


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(Path(tmp_path_factory.mktemp("said")) / "data")
    yield made
    made.close()


def form(part: bytes, *headers: bytes, name: bytes = b"file", disposition: bytes = b'; filename="a.txt"') -> bytes:
    lines = [b"--" + BOUNDARY.encode(), b'Content-Disposition: form-data; name="' + name + b'"' + disposition, *headers]
    return b"\r\n".join([*lines, b"", part, b"--" + BOUNDARY.encode() + b"--", b""])


def ticket(service: Service, **asked: Any) -> dict[str, Any]:
    body: dict[str, Any] = service.request("POST", "/api/uploads", json={"name": "t", **asked}).json()
    return body


def problem(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    return body.get("error", body)


# --- forms


def send_one_call(service: Service, body: bytes) -> httpx.Response:
    return service.request("POST", "/v1/files", content=body, headers=FORM)


def send_directly(service: Service, body: bytes) -> httpx.Response:
    return service.request("POST", "/v1/organizations/default/files/upload", content=body, headers=FORM)


def send_to_url(service: Service, body: bytes) -> httpx.Response:
    asked = ticket(service)
    sent = service.request("PUT", asked["url"], key=None, content=body, headers=FORM)
    return service.request("POST", f"/api/uploads/{asked['id']}/complete") if sent.is_success else sent


@pytest.mark.parametrize("send", [send_one_call, send_directly, send_to_url])
@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        (b"base64", base64.encodebytes(CONTENT).replace(b"\n", b"\r\n")),
        (b"Base64 ", base64.b64encode(CONTENT)),
        (b"quoted-printable", CONTENT.replace(b"=", b"=3D").replace(b"\xc3\xa9", b"=C3=\r\n=A9")),
        (b"binary", CONTENT),
        (b"8bit", CONTENT),
    ],
)
def test_a_form_part_is_stored_decoded(service: Service, send: Any, coding: bytes, coded: bytes) -> None:
    answer = send(service, form(coded, b"Content-Transfer-Encoding: " + coding))
    assert answer.is_success, answer.text
    assert service.fetch(answer.json()["url"]).content == CONTENT


@pytest.mark.parametrize("send", [send_one_call, send_directly, send_to_url])
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Content-Transfer-Encoding: x-uuencode", 415),
        (b"Content-Encoding: gzip", 415),
        (b"Content-Transfer-Encoding: base64", 400),
    ],
)
def test_a_form_part_that_cannot_be_decoded_is_refused(service: Service, send: Any, header: bytes, status: int) -> None:
    for part in (b"!", b"QQ", b"QUJD=QUI") if status == 400 else (gzip.compress(b"x"),):
        assert send(service, form(part, header)).status_code == status


def test_base64_that_comes_in_any_pieces_is_decoded(service: Service) -> None:
    whole = form(base64.b64encode(bytes(range(256)) * 9), b"Content-Transfer-Encoding: base64")

    async def pieces() -> Any:
        for at in range(0, len(whole), 7):
            yield whole[at : at + 7]

    answer = service.request("POST", "/v1/files", content=pieces(), headers=FORM)
    assert answer.json()["sha256"] == hashlib.sha256(bytes(range(256)) * 9).hexdigest()


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "naïve €.txt"),
        (b"; filename*=\"UTF-8''na%C3%AFve.txt\"", "naïve.txt"),
        (b"; filename=\"naive.txt\"; filename*=utf-8'en'na%C3%AFve.txt", "naïve.txt"),
        (b"; filename*=ISO-8859-1''na%EFve.txt", "naïve.txt"),
        ('; filename="naïve.txt"'.encode(), "naïve.txt"),
        ('; filename="naïve.txt"'.encode("latin-1"), "naïve.txt"),
        (b'; filename="=?UTF-8?B?bmHDr3ZlLnR4dA==?="', "naïve.txt"),
        (b'; filename="=?iso-8859-1?Q?na=EFve.txt?="', "naïve.txt"),
        (b"; filename*0*=UTF-8''na%C3%AF; filename*1=\"ve.txt\"", "naïve.txt"),
        (b"; filename*=UTF-16''x; filename=\"kept.txt\"", "kept.txt"),
        (b"; filename*=UTF-8''%FF; filename=\"kept.txt\"", "kept.txt"),
        (b'; filename="=?x-none?B?QQ==?="', "=?x-none?B?QQ==?="),
    ],
)
def test_a_name_is_read_in_every_notation(service: Service, disposition: bytes, name: str) -> None:
    answer = send_one_call(service, form(b"x", disposition=disposition))
    assert answer.is_success, answer.text
    assert answer.json()["filename"] == unicodedata.normalize("NFC", name)


# --- content codings


def test_a_content_coding_is_refused_in_every_protocols_words(service: Service) -> None:
    url = ticket(service)["url"]
    azure = {"x-ms-version": "2026-10-06", "x-ms-blob-type": "BlockBlob", "x-ms-blob-content-encoding": "gzip"}
    block = base64.b64encode(b"1").decode()
    listed = f"<BlockList><Latest>{block}</Latest></BlockList>".encode()
    started = {"x-goog-resumable": "start", "Content-Type": "application/json"}
    for method, address, body, headers in (
        ("PUT", url, b"x", {"Content-Encoding": "gzip"}),
        ("PUT", url, b"x", azure),
        ("PUT", f"{url}&comp=blocklist", listed, azure),
        ("POST", url, b'{"contentEncoding": "gzip"}', started),
        ("POST", f"{url}&contentEncoding=gzip", b"", started),
        ("POST", f"{url}&uploads", b"", {"Content-Encoding": "gzip"}),
        ("PUT", "/api/upload/a", b"x", {"Content-Encoding": "gzip"}),
    ):
        answer = service.request(
            method, address, key=ROOT_KEY if address.startswith("/") else None, content=body, headers=headers
        )
        assert answer.status_code == 415, (method, address, headers, answer.text)


# --- names of parameters, fields and members


@pytest.mark.parametrize(
    ("method", "url", "options", "name", "nearest"),
    [
        ("POST", "/v1/files?expires_in=1h", {"files": {"file": b"x"}}, "expires_in", None),
        ("POST", "/v1/files", {"files": {"file": b"x"}, "data": {"expiresIn": "1h"}}, "expiresIn", "expires_in"),
        ("POST", "/v1/files", {"files": {"file": b"x"}, "data": {"expires_in": ""}}, "expires_in", None),
        ("POST", "/v1/files", {"json": {"filename": "a", "base64": "", "expiresIn": "1h"}}, "expiresIn", "expires_in"),
        ("POST", "/api/uploads", {"json": {"name": "a", "expiresIn": "1h"}}, "expiresIn", "expires_in"),
        ("POST", "/api/uploads", {"json": {"name": "a", "maxsize": 1}}, "maxsize", "max_size"),
        ("POST", "/api/uploads?expires_in=1h", {"json": {"name": "a"}}, "expires_in", None),
        (
            "POST",
            "/api/uploads",
            {"content": b'{"name": "a", "expires_in": "9h", "expires_in": "1h"}'},
            "expires_in",
            None,
        ),
        ("PUT", "/api/upload/a?expiresin=1h", {"content": b"x"}, "expiresin", "expires_in"),
        ("PUT", "/api/upload/a?expires_in=", {"content": b"x"}, "expires_in", None),
        ("PUT", "/api/upload/a?expires_in=1h&expires_in=2h", {"content": b"x"}, "expires_in", None),
        ("DELETE", "/api/files/{id}?permanant=true", {}, "permanant", "permanent"),
        ("DELETE", "/api/files/{id}?permanent=", {}, "permanent", None),
        ("GET", "/api/files?prefx=a", {}, "prefx", "prefix"),
        ("GET", "/api/files?limit=1&limit=2", {}, "limit", None),
        ("GET", "/v1/files?page=2", {}, "page", None),
        ("GET", "/v1/files?cursor=x", {"headers": {"user-id": "u"}}, "cursor", None),
        ("GET", "/v1/files/{id}?limit=2", {}, "limit", None),
        ("GET", "/v1/files/signed-url?filename=a&persists=false", {"headers": {"user-id": "u"}}, "persists", "persist"),
        ("GET", "/v1/organizations/default/files?offset=2", {}, "offset", None),
        ("GET", "/file/v2/orgs/default/workspaces/default/files?file-name=a", {}, "file-name", "file_name"),
        ("GET", "/workspace/orgs/default/workspaces?order=name", {}, "order", "order_by"),
        ("POST", "/v1/folders", {"json": {"name": "f", "nam": "g"}}, "nam", "name"),
        ("POST", "/api/keys", {"json": {"name": "k", "scopes": [], "limits": {"maxsize": 1}}}, "maxsize", "max_size"),
        ("GET", "/api/events?type=file.ready", {"headers": {"Accept": "application/json"}}, "type", "types"),
    ],
)
def test_a_name_that_is_not_known_is_refused(
    service: Service, method: str, url: str, options: dict[str, Any], name: str, nearest: str | None
) -> None:
    file = service.upload(b"x", "kept")
    answer = service.request(method, url.replace("{id}", file["id"]), **options)
    assert answer.status_code in (400, 422), answer.text
    assert name in answer.text
    if nearest is not None:
        assert f"did you mean '{nearest}'" in answer.text.replace("\\u0027", "'")
    assert service.fetch(file["url"]).content == b"x"


def test_a_name_that_comes_twice_beside_a_large_file_is_refused(service: Service) -> None:
    large = base64.b64encode(bytes(90_000)).decode()
    for more, status in ((', "expires_in": "1h", "expires_in": "2h"', 400), (', "expires_in": "1h"', 201)):
        body = f'{{"filename": "a", "base64": "{large}"{more}}}'
        headers = {"Content-Type": "application/json"}
        assert service.request("POST", "/v1/files", content=body.encode(), headers=headers).status_code == status


def test_a_misspelt_word_of_tus_is_refused_and_other_metadata_kept(service: Service) -> None:
    def create(**words: str) -> httpx.Response:
        said = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in words.items())
        return service.request("POST", "/tus/", headers={**TUS, "Upload-Metadata": said})

    assert create(filename="a", order="17", expires_in="1h").status_code == 201
    assert create(filename="a", expires_at="2030-01-02T00:00:00Z").status_code == 201
    for words in ({"expiresIn": "1h"}, {"expires-in": "1h"}, {"expires_in": ""}, {"fileName": "a"}):
        assert create(**words).status_code == 400, words


def test_what_a_published_client_asks_of_workspaces_is_known(service: Service) -> None:
    listing = "/workspace/orgs/default/workspaces"
    (workspace, *_) = service.request("GET", f"{listing}?deleted=False").json()["results"]
    assert service.request("GET", f"{listing}?deleted=true").json()["results"] == []
    assert service.request("GET", f"{listing}/{workspace['id']}?deleted=False").json()["id"] == workspace["id"]
    assert service.request("GET", f"{listing}?created_by={workspace['id']}").status_code == 400


def test_what_gets_round_caches_is_no_parameter(service: Service) -> None:
    url = service.upload(b"x")["url"]
    assert service.fetch(f"{url}?_=1764000000&utm=x").content == b"x"


def test_clients_of_protocols_may_add_parameters(service: Service) -> None:
    url = ticket(service)["url"]
    assert service.request("PUT", f"{url}&timeout=30&x-id=PutObject", key=None, content=b"x").status_code == 200


# --- one reading


DATES = ["Tue, 01 Jan 2030 00:00:00 GMT", "Tuesday, 01-Jan-30 00:00:00 GMT", "Tue Jan  1 00:00:00 2030"]


@pytest.mark.parametrize("date", DATES)
def test_every_format_of_an_http_date_is_read(service: Service, date: str) -> None:
    url = service.upload(b"abc", f"d{DATES.index(date)}")["url"]
    assert service.request("GET", url, key=None, headers={"If-Modified-Since": date}).status_code == 304
    assert service.request("GET", url, key=None, headers={"If-Range": date, "Range": "bytes=0-0"}).status_code == 206
    earlier = date.replace("2030", "2029").replace("-30", "-29")
    assert service.request("GET", url, key=None, headers={"If-Unmodified-Since": earlier}).status_code == 412


def test_a_tag_without_quotes_is_that_tag(service: Service) -> None:
    file = service.upload(b"abc", "tagged")
    bare = file["etag"].strip('"')
    for name, value, status in (
        ("If-None-Match", bare, 304),
        ("If-None-Match", f'"x", {bare}', 304),
        ("If-None-Match", f"W/{bare}", 304),
        ("If-Match", bare, 200),
        ("If-Match", "other", 412),
        ("If-Match", 'a"b', 400),
    ):
        assert service.request("GET", file["url"], key=None, headers={name: value}).status_code == status, (name, value)
    headers = {"If-Range": bare, "Range": "bytes=0-0"}
    assert service.request("GET", file["url"], key=None, headers=headers).status_code == 206
    put = service.request("PUT", "/api/upload/tagged", content=b"d", headers={"If-Match": bare})
    assert put.status_code == 200, put.text


def test_a_digest_may_have_parameters(service: Service) -> None:
    digest = base64.b64encode(hashlib.sha256(b"abc").digest()).decode()
    for more, status in ((";v=1", 201), ('; a="b"; c', 201), (";=", 400)):
        headers = {"Repr-Digest": f"sha-256=:{digest}:{more}"}
        assert service.request("POST", "/api/upload/x", content=b"abc", headers=headers).status_code == status, more


def test_json_may_begin_with_a_byte_order_mark(service: Service) -> None:
    body = b'\xef\xbb\xbf{"name": "a"}'
    assert service.request("POST", "/api/uploads", content=body).status_code == 201
    answer = service.request("PUT", "/api/upload/bom", params={"metadata": '\ufeff{"a": 1}'}, content=b"x")
    assert answer.json()["metadata"] == {"a": 1}


def test_a_plus_sign_in_a_time_may_have_become_a_space(service: Service) -> None:
    answer = service.request("PUT", "/api/upload/t?expires_at=2030-01-01T02:00:01+02:00", content=b"x")
    assert answer.json()["expires_at"] == "2030-01-01T00:00:01.000Z"


def test_an_id_is_the_same_in_every_spelling(service: Service) -> None:
    file = service.upload(b"x", "spelt")
    spellings = [file["id"].upper(), file["id"].replace("-", ""), f"{{{file['id']}}}"]
    workspace = file["workspace_id"].upper()
    organization = file["organization_id"].upper()
    flow = f"/file/v2/orgs/{organization}/workspaces/{workspace}/files"
    for id in spellings:
        for address in (f"/api/files/{id}", f"/api/files/{id}/versions", f"/v1/files/{id}", f"{flow}/{id}"):
            assert service.request("GET", address).status_code == 200, address
        assert service.request("POST", "/api/uploads", json={"file": id}).status_code == 201
    for address in (
        f"/api/files?workspace={workspace}&organization={organization}",
        f"/api/organizations/{organization}",
        f"/api/uploads/{ticket(service)['id'].upper()}",
    ):
        assert service.request("GET", address).status_code == 200, address
    folder = service.request("POST", "/api/folders", json={"path": "spellings"}).json()["id"].upper()
    assert service.request("POST", "/api/uploads", json={"name": "a", "folder": folder}).status_code == 201
    asked = {"filesMetadata": [{"name": "p", "size": 1}]}
    (told,) = service.request("POST", f"/v1/files/{folder}", json=asked).json()["urls"]
    service.request("PUT", told["url"], key=None, content=b"x")
    assert service.request("POST", "/v1/files/confirm-upload", json={"ids": [told["id"].upper()]}).status_code == 200


def test_letters_are_the_same_however_they_are_composed(service: Service) -> None:
    service.upload(b"x", quote("année/é"))
    for written in ("année/é", unicodedata.normalize("NFD", "année/é")):
        found = service.request("GET", "/api/files", params={"prefix": written}).json()["files"]
        assert [file["path"] for file in found] == ["année/é"]
    made = service.request("POST", "/api/workspaces", json={"name": unicodedata.normalize("NFD", "Zürich")})
    assert made.json()["name"] == "Zürich"
    for written in ("Zürich", unicodedata.normalize("NFD", "Zürich")):
        assert service.request("GET", f"/api/workspaces/{quote(written)}").status_code == 200
        assert service.request("GET", "/api/files", params={"workspace": written}).status_code == 200
    assert service.request("GET", "/api/files", params={"prefix": "e\u0301" * 9000}).status_code == 400


# --- what caches are told, HEAD, addresses

GETS = [
    "/api/files",
    "/api/files/{id}",
    "/api/uploads/{upload}",
    "/api/keys",
    "/api/webhooks",
    "/api/workspaces",
    "/api/organizations",
    "/api/folders",
    "/v1/files",
    "/v1/folders",
    "/v1/organizations/default/files",
    "/workspace/orgs/default/workspaces",
    "/evo/identity/v2/discovery",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/docs/openapi.json",
]


@pytest.mark.parametrize("address", GETS)
def test_every_get_has_a_head_and_nothing_is_kept_by_caches(service: Service, address: str) -> None:
    url = address.format(id=service.upload(b"x", "headed")["id"], upload=ticket(service)["id"])
    got, head = service.request("GET", url), service.request("HEAD", url)
    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    for answer in (
        got,
        head,
        service.request("GET", url, key="ff_nobody"),
        service.request("GET", f"{url}/nothing/here"),
    ):
        assert answer.headers["cache-control"] == "private, no-store", answer.status_code
        assert answer.headers["vary"] == "Authorization, X-API-Key, Api-Key, User-Id"


def test_a_head_of_events_ends(service: Service) -> None:
    assert service.request("HEAD", "/api/events").status_code == 200


def test_a_head_without_a_get_is_refused(service: Service) -> None:
    assert service.request("HEAD", "/api/upload/a").status_code == 405
    assert service.request("HEAD", "/nothing").status_code == 404


def test_public_answers_say_what_they_differ_by(service: Service) -> None:
    url = service.upload(b"abc", "varied")["url"]
    by = "x-ms-version, x-ms-blob-type, x-ms-range"
    plain = service.request("GET", url, key=None)
    assert (plain.headers["cache-control"][:6], plain.headers["vary"]) == ("public", by)
    part = service.request("GET", url, key=None, headers={"x-ms-range": "bytes=0-0"})
    assert (part.status_code, part.headers["vary"].split(", A")[0]) == (206, by)
    assert part.headers["cache-control"] == "no-store"
    gone = service.request("GET", url.replace("/f/", "/f/x"), key=None)
    assert by in gone.headers["vary"]
    same = service.request("GET", url, key=None, headers={"If-None-Match": plain.headers["etag"]})
    assert (same.status_code, same.headers["vary"]) == (304, by)


def test_too_long_an_address_is_not_kept_either(service: Service) -> None:
    answer = service.ask_raw("GET", b"/api/files?prefix=" + b"a" * 70_000)
    assert (answer.status, dict(answer.headers)[b"cache-control"]) == (414, b"private, no-store")


def test_every_address_told_is_below_the_one_of_the_service(tmp_path: Path) -> None:
    service = Service(tmp_path / "data", base_url="https://files.example.org/hand/off/")
    base = "https://files.example.org/hand/off"
    told: list[str] = []

    def ask(method: str, address: str, **options: Any) -> httpx.Response:
        """Ask as a client below the sub-path does, whose front strips it."""
        told.append(address)
        assert address.startswith(f"{base}/"), address
        answer = service.request(method, address.removeprefix(base), **options)
        assert answer.is_success or answer.status_code in (303, 308), (address, answer.text)
        return answer

    try:
        put = ask("PUT", f"{base}/api/upload/a", content=b"abc")
        assert ask("GET", put.headers["location"]).json()["id"] == put.json()["id"]
        assert ask("GET", put.json()["url"], key=None).content == b"abc"
        for address, body in (
            ("/api/uploads", {"name": "b"}),
            ("/api/folders", {"path": "f"}),
            ("/api/keys", {"name": "k", "scopes": ["read"]}),
            ("/api/workspaces", {"name": "w"}),
            ("/api/organizations", {"slug": "o"}),
            ("/api/webhooks", {"url": "https://hooks.example.org/x"}),
        ):
            made = ask("POST", base + address, json=body)
            assert made.status_code == 201
            assert ask("GET", made.headers["location"]).json()["id"] == made.json()["id"]
        sent = ask("POST", f"{base}/v1/files", files={"file": b"xyz"})
        assert ask("GET", sent.headers["location"]).json()["url"] == sent.json()["url"]
        upload = ask("POST", f"{base}/api/uploads", json={"name": "b", "auto_complete": True}).json()
        headers = {"x-goog-resumable": "start"}
        session = ask("POST", upload["url"], key=None, headers=headers).headers["location"]
        done = ask("PUT", session, key=None, content=b"abc", headers={"Content-Range": "bytes 0-2/3"}).json()
        assert ask("GET", done["mediaLink"]).content == b"abc"
        created = ask("POST", f"{base}/tus/", headers=TUS)
        patch = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        ask("PATCH", created.headers["location"], key=None, content=b"abc", headers=patch)
        assert ask("GET", created.headers["content-location"], key=None).content == b"abc"
        listing = ask("GET", f"{base}/file/v2/orgs/default/workspaces/default/files?limit=1").json()
        for link in (listing["links"]["self"], listing["files"][0]["links"]["self"]):
            shown = ask("GET", link).json()
        assert ask("GET", shown["download"], key=None).content
        ask("GET", ask("GET", f"{base}/workspace/orgs/default/workspaces").json()["results"][0]["self_link"])
        assert ask("GET", f"{base}/docs/openapi.json").json()["servers"] == [{"url": base}]
        assert f'href="{base}/docs/openapi.json"' in ask("GET", f"{base}/docs").text
    finally:
        service.close()
    assert len(told) > 25
