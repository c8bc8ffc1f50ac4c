"""URLs of Google's storage are signed as its SDK signs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.cloud.storage._signing import generate_signed_url_v4
from google.oauth2.service_account import Credentials as OfKey

from fileferry.blobs.google import Client, parse, resolve
from fileferry.blobs.google.signing import presigned
from support.google import service_account

NOW = datetime(2026, 11, 30, 8, 9, 10, tzinfo=UTC)
ORIGIN = "https://storage.googleapis.com"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return service_account(tmp_path_factory.mktemp("key") / "key.json")


REQUESTS = [
    ("GET", "/bucket/pre/fix/blobs/a/whole", [], {}),
    ("PUT", "/bucket/parts/blobs/a/whole/0123/000001", [], {"content-length": "12345"}),
    (
        "GET",
        "/bucket/a",
        [
            ("response-content-type", "text/plain; charset=utf-8"),
            ("response-content-disposition", "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%A9~"),
        ],
        {},
    ),
    ("PUT", "/bucket/a", [], {"x-goog-if-generation-match": "0", "content-type": "text/plain;  a=b"}),
    ("DELETE", "/bucket/a", [("generation", "12")], {}),
]


@pytest.mark.parametrize(("method", "path", "query", "headers"), REQUESTS)
@pytest.mark.parametrize("lifetime", [timedelta(minutes=5), timedelta(days=7)])
def test_a_url_is_signed_as_the_sdk_signs_it(
    file: Path, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], lifetime: timedelta
) -> None:
    theirs = generate_signed_url_v4(
        OfKey.from_service_account_file(str(file)),
        resource=path,
        expiration=int(lifetime.total_seconds()),
        api_access_endpoint=ORIGIN,
        method=method,
        headers=dict(headers),
        query_parameters=dict(query),
        _request_timestamp=NOW.strftime("%Y%m%dT%H%M%SZ"),
    )
    signer = resolve(parse("gs://bucket"), str(file))
    told = {**headers, "host": "storage.googleapis.com"}
    assert f"{ORIGIN}{path}?{presigned(signer, method, path, query, told, lifetime, NOW)}" == theirs


def test_a_url_is_of_the_address_that_clients_know_and_of_a_week_at_most(file: Path) -> None:
    location = parse("gs://bucket/prefix?endpoint=http://127.0.0.1:1&public=https://store.example")
    client = Client(location, resolve(location, str(file)), lambda: NOW)
    there = client.presigned("GET", "a", (), {}, timedelta(days=30))
    assert there.startswith("https://store.example/bucket/prefix/a?")
    assert "X-Goog-Expires=604800&" in there
    here = client.presigned("GET", "a", (), {}, timedelta(days=1), from_here=True)
    assert here.startswith("http://127.0.0.1:1/bucket/prefix/a?")
    assert here.rpartition("=")[2] != there.rpartition("=")[2]


def test_without_a_key_nothing_is_signed() -> None:
    location = parse("gs://bucket?endpoint=http://127.0.0.1:1")
    assert not Client(location, resolve(location, None)).can_sign
