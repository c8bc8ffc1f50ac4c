"""Serving bytes: ranges, conditions in the order of RFC 9110, digests, disposition, and headers that keep a file harmless."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from contract.edge import fetch, sha256_field
from support.live_server import LiveServer

if TYPE_CHECKING:  # at run time each folder has a module of this name
    from support.live_server import MakeServer

CONTENT = os.urandom(1_500_000)
SIZE = len(CONTENT)
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    + bytes(64)
)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"
HTML = b"<!DOCTYPE html><html><head><script>alert(1)</script></head><body></body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture(scope="module")
def file(server: LiveServer) -> dict[str, Any]:
    with server.client() as http:
        made: dict[str, Any] = http.post("/api/upload/served.bin", content=CONTENT).json()
        return made


@pytest.fixture(params=["public", "key"])
def get(request: pytest.FixtureRequest, server: LiveServer, file: dict[str, Any]) -> Iterator[Any]:
    """Ask for the file's bytes, by its public URL or by its id with a key."""
    with server.client() as with_key, httpx.Client(trust_env=False, timeout=30) as stranger:

        def ask(method: str = "GET", **headers: str) -> httpx.Response:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            if request.param == "public":
                return stranger.request(method, file["url"], headers=fields)
            return with_key.request(method, f"/api/files/{file['id']}/content", headers=fields)

        yield ask


def test_the_whole_file_comes_with_all_that_names_it(get: Any, file: dict[str, Any]) -> None:
    answer = get()
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == file["etag"]
    assert answer.headers["etag"].startswith('"')
    assert sha256_field(CONTENT) in answer.headers["repr-digest"]
    modified = parsedate_to_datetime(answer.headers["last-modified"])
    assert abs(modified - datetime.fromisoformat(file["created_at"])) < timedelta(seconds=1)
    assert answer.headers["last-modified"].endswith("GMT")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        (f"bytes=0-{SIZE - 1}", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        ("bytes=1000000-", 1_000_000, SIZE - 1),
        (f"bytes=10-{10**18}", 10, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-700000", SIZE - 700_000, SIZE - 1),
        (f"bytes=-{10**18}", 0, SIZE - 1),
        ("Bytes=5-9", 5, 9),
    ],
)
def test_one_range_is_served(get: Any, asked: str, first: int, last: int) -> None:
    answer = get(Range=asked)
    assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["content-length"] == str(last - first + 1)
    # The digest is of the whole representation, whatever part of it is sent (RFC 9530 section 3.1).
    assert sha256_field(CONTENT) in answer.headers["repr-digest"]
    assert "content-digest" not in answer.headers


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-0,5-9",
        "bytes=9-5",
        "bytes=-",
        "bytes=",
        "bytes",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=--5",
        "bytes=0x1-5",
        "bytes=+1-5",
        "items=0-5",
        "bytes=" + "9" * 60 + "-",
        "bytes=\xb2-\xb3",
    ],
)
def test_what_is_not_one_range_is_ignored(get: Any, asked: str) -> None:
    answer = get(Range=asked.encode("latin-1"))
    assert (answer.status_code, len(answer.content)) == (200, SIZE)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0", f"bytes={10**17}-"])
def test_a_range_outside_the_file_is_told_its_size(get: Any, asked: str) -> None:
    answer = get(Range=asked)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert answer.json()["code"] == "range_not_satisfiable"


def test_an_empty_file_has_no_range(http: httpx.Client) -> None:
    url = http.post("/api/upload/empty", content=b"").json()["url"]
    assert fetch(url, headers={"Range": "bytes=0-"}).status_code == 416
    assert fetch(url).headers["content-length"] == "0"


def test_head_is_get_without_the_bytes(get: Any) -> None:
    whole, head, part = get(), get("HEAD"), get("HEAD", Range="bytes=0-5")
    assert (head.status_code, head.content) == (200, b"")
    for answer in (head, part):  # RFC 9110 section 14.2: Range is for GET only
        assert answer.status_code == 200
        for name in ("content-length", "etag", "last-modified", "repr-digest", "content-type", "content-disposition"):
            assert answer.headers[name] == whole.headers[name]


BEFORE, SAME, AFTER = "before", "same", "after"


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        # If-Match first, and If-Unmodified-Since only in its absence
        ({"If-Match": "TAG"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"other", TAG'}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": "W/TAG"}, 412),
        ({"If-Match": "TAG", "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Match": '"other"', "If-Unmodified-Since": AFTER}, 412),
        ({"If-Unmodified-Since": SAME}, 200),
        ({"If-Unmodified-Since": AFTER}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-Unmodified-Since": "nonsense"}, 200),
        # then If-None-Match, and If-Modified-Since only in its absence
        ({"If-None-Match": "TAG"}, 304),
        ({"If-None-Match": "W/TAG"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other", TAG'}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": AFTER}, 200),
        ({"If-None-Match": "TAG", "If-Modified-Since": BEFORE}, 304),
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Modified-Since": AFTER}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "nonsense"}, 200),
        ({"If-Modified-Since": "Mon, 99 Foo 2026 00:00:00 GMT"}, 200),
        # a failed If-Match wins over a matching If-None-Match
        ({"If-Match": '"other"', "If-None-Match": "TAG"}, 412),
        ({"If-Match": "TAG", "If-None-Match": "TAG"}, 304),
        # and only then the range
        ({"If-None-Match": "TAG", "Range": "bytes=0-5"}, 304),
        ({"If-Match": '"other"', "Range": f"bytes={SIZE}-"}, 412),
        ({"If-Match": "TAG", "Range": "bytes=0-5"}, 206),
        ({"Range": "bytes=0-5", "If-Range": "TAG"}, 206),
        ({"Range": "bytes=0-5", "If-Range": "W/TAG"}, 200),
        ({"Range": "bytes=0-5", "If-Range": '"other"'}, 200),
        ({"Range": "bytes=0-5", "If-Range": SAME}, 206),
        ({"Range": "bytes=0-5", "If-Range": BEFORE}, 200),
        ({"Range": "bytes=0-5", "If-Range": AFTER}, 200),
        ({"Range": "bytes=0-5", "If-Range": "nonsense"}, 200),
        ({"Range": f"bytes={SIZE}-", "If-Range": '"other"'}, 200),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_are_judged_in_the_order_of_rfc_9110(
    get: Any, file: dict[str, Any], method: str, conditions: dict[str, str], status: int
) -> None:
    modified = parsedate_to_datetime(get("HEAD").headers["last-modified"])
    moments = {BEFORE: modified - timedelta(seconds=1), SAME: modified, AFTER: modified + timedelta(seconds=1)}
    headers = {
        name: format_datetime(moments[value], usegmt=True) if value in moments else value.replace("TAG", file["etag"])
        for name, value in conditions.items()
    }
    if method == "HEAD" and status == 206:
        status = 200
    answer = get(method, **headers)
    assert answer.status_code == status
    if status == 304:
        assert answer.content == b""
        assert answer.headers["etag"] == file["etag"]
        assert "cache-control" in answer.headers
        assert "last-modified" in answer.headers


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since", "If-Range"])
@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 -2300", "Mon, 01 Jan 99999999999 00:00:00 GMT"])
def test_a_date_beyond_the_calendar_is_ignored(get: Any, name: str, date: str) -> None:
    assert get(**{name: date, "Range": "bytes=0-0"}).status_code in (200, 206)


def test_names_are_told_in_both_forms_and_cannot_break_the_header(http: httpx.Client) -> None:
    names = {
        "plain.pdf": 'filename="plain.pdf"',
        "Zoë 報.txt": "filename=\"Zo_ _.txt\"; filename*=UTF-8''Zo%C3%AB%20%E5%A0%B1.txt",
        'a"b.txt': "filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt",
        "a%41.txt": "filename=\"a_41.txt\"; filename*=UTF-8''a%2541.txt",
        'x"; filename="evil.exe': "filename=\"x_; filename=_evil.exe\"; filename*=UTF-8''x%22%3B%20filename%3D%22evil.exe",
        "\u202efdp.exe": "filename=\"_fdp.exe\"; filename*=UTF-8''%E2%80%AEfdp.exe",
        "\U0001f600'": "filename=\"_'\"; filename*=UTF-8''%F0%9F%98%80%27",
    }
    for name, expected in names.items():
        made = http.post("/v1/files", json={"filename": name, "base64": "AAEC"})
        assert made.json()["filename"] == name
        assert fetch(made.json()["url"]).headers["content-disposition"] == f"attachment; {expected}"


@pytest.mark.parametrize(
    ("name", "declared", "content", "served", "kind"),
    [
        ("a.png", "image/png", PNG, "image/png", "inline"),
        ("a.pdf", "application/pdf", PDF, "application/pdf", "inline"),
        ("a.txt", "text/plain", b"hello", "text/plain; charset=utf-8", "inline"),
        ("a.png", "image/png", HTML, "application/octet-stream", "attachment"),
        ("a.png", "image/png", SVG, "application/octet-stream", "attachment"),
        ("a.txt", "text/plain", HTML, "application/octet-stream", "attachment"),
        ("a.pdf", "application/pdf", PNG, "application/octet-stream", "attachment"),
        ("a.html", "text/html", HTML, "text/html", "attachment"),
        ("a.svg", "image/svg+xml", SVG, "image/svg+xml", "attachment"),
        ("a.js", "text/javascript", b"alert(1)", "text/javascript", "attachment"),
        ("a.png", "image/png", b"", "application/octet-stream", "attachment"),
        ("a.zip", "application/zip", b"PK\x03\x04" + bytes(60), "application/zip", "attachment"),
    ],
)
def test_only_bytes_that_are_what_they_say_are_shown(
    http: httpx.Client, name: str, declared: str, content: bytes, served: str, kind: str
) -> None:
    answer = http.post(f"/api/upload/{name}", content=content, headers={"Content-Type": declared})
    for url, expected in [(answer.json()["url"], kind), (answer.json()["url"] + "?download=1", "attachment")]:
        got = fetch(url)
        assert got.content == content
        assert got.headers["content-type"] == served
        assert got.headers["content-disposition"].split(";")[0] == expected
        assert got.headers["content-security-policy"] == "sandbox; default-src 'none'; media-src 'self'"
        assert got.headers["x-content-type-options"] == "nosniff"


def test_a_browser_is_told_that_it_may(file: dict[str, Any]) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    asked["Access-Control-Request-Headers"] = "range"
    preflight = httpx.options(file["url"], headers=asked, trust_env=False)
    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "GET" in preflight.headers["access-control-allow-methods"]
    assert "range" in preflight.headers["access-control-allow-headers"].lower()


def test_pages_of_any_origin_may_read_a_public_url(file: dict[str, Any]) -> None:
    for answer in (
        fetch(file["url"], headers={"Origin": "https://a.example"}),
        fetch(file["url"], headers={"Origin": "https://a.example", "Range": f"bytes={SIZE}-"}),
        fetch(file["url"][:-20] + "x/y", headers={"Origin": "https://a.example"}),
    ):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        exposed = answer.headers.get("access-control-expose-headers", "").lower()
        assert "etag" in exposed
        assert "repr-digest" in exposed


@pytest.mark.parametrize(
    "change", ["shorter", "longer", "flipped", "of another", "none", "rubbish", "unicode", "secret"]
)
def test_a_token_that_was_not_minted_is_not_found(http: httpx.Client, file: dict[str, Any], change: str) -> None:
    base, _, rest = file["url"].partition("/f/")
    token, _, name = rest.partition("/")
    other = http.post("/api/upload/other", content=b"").json()["url"].partition("/f/")[2].partition("/")[0]
    forged = {
        "shorter": token[:-1],
        "longer": token + "A",
        "flipped": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "of another": token[:24] + other[24:],
        "none": "x",
        "rubbish": "!" * 44,
        "unicode": "%C3%A9" * 44,
        "secret": "_" + token[1:],
    }[change]
    answer = fetch(f"{base}/f/{forged}/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert token not in answer.text


def test_the_name_in_the_url_is_for_people(file: dict[str, Any]) -> None:
    base = file["url"].rpartition("/")[0]
    assert fetch(f"{base}/anything/else.bin", headers={"Range": "bytes=0-0"}).status_code == 206


def test_caches_keep_a_file_no_longer_than_it_lives(make_server: MakeServer) -> None:
    with make_server(public_cache="1h").client() as http:

        def max_age(**parameters: str) -> int:
            url = http.post("/api/upload/a", content=b"a", params=parameters).json()["url"]
            (directive,) = [part for part in fetch(url).headers["cache-control"].split(", ") if "max-age" in part]
            return int(directive.removeprefix("max-age="))

        assert max_age() == 3600
        assert max_age(expires_in="2h") == 3600
        assert 90 <= max_age(expires_in="100") <= 100


def test_an_expired_file_is_gone_though_nothing_swept_it(make_server: MakeServer) -> None:
    with make_server(sweep_interval="1h").client() as http:
        file = http.post("/api/upload/a?expires_in=1", content=b"abc").json()
        while (answer := fetch(file["url"])).status_code == 200:
            assert answer.content == b"abc"
        assert (answer.status_code, answer.json()["code"]) == (410, "gone")
        assert answer.headers["cache-control"] == "no-store"
        for path in (f"/api/files/{file['id']}", f"/api/files/{file['id']}/content", f"/v1/files/{file['id']}"):
            assert http.get(path).status_code == 410
        assert http.get("/api/files").json()["files"] == []
        assert http.get("/v1/files").json()["files"] == []
