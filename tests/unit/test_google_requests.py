"""Requests to Google's storage: what settings open, by which token they are sent, and what becomes of them when the store fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from google.auth._helpers import utcnow
from google.auth.compute_engine import _metadata

from fileferry.blobs.google import Client, Credentials, parse, resolve
from fileferry.blobs.google.objects import Objects
from fileferry.blobs.google.probe import Probe
from fileferry.blobs.objects.requests import Pause
from fileferry.errors import Unavailable
from fileferry.settings import SettingsError, load
from support.google import service_account
from unit.scripted_store import CUT, Script, answer

NOT_FOUND = b'{"error": {"code": 404, "message": "No such object", "errors": [{"reason": "notFound"}]}}'
NO_BUCKET = (
    b'{"error": {"code": 404, "message": "The specified bucket does not exist.", "errors": [{"reason": "notFound"}]}}'
)
REFUSED = answer(401, b'{"error": {"code": 401, "errors": [{"reason": "authError"}]}}')
WRITTEN = answer(200, b'{"size": "3", "crc32c": "Nks/tw=="}')  # of b"abc"


class Tokens:
    """A token endpoint that gives ``token-1``, ``token-2`` and so on, or says no."""

    def __init__(self) -> None:
        self.given = 0
        self.refuses = False
        self.lifetime = 3600
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                told: dict[str, Any] = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
                if not tokens.refuses:
                    tokens.given += 1
                    told = {"access_token": f"token-{tokens.given}", "expires_in": tokens.lifetime}
                self._tell(400 if tokens.refuses else 200, told)

            def do_GET(self) -> None:
                """Answer as the metadata server of a machine of Google's."""
                told: dict[str, Any] = {"email": "machine@project", "scopes": [], "aliases": ["default"]}
                if "/token" in self.path:
                    tokens.given += 1
                    told = {"access_token": f"machine-{tokens.given}", "expires_in": 3600, "token_type": "Bearer"}
                self._tell(200, told)

            def _tell(self, status: int, told: Any) -> None:
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("metadata-flavor", "Google")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    made = Tokens()
    yield made
    made.close()


@pytest.fixture
def key_file(tokens: Tokens, tmp_path: Path) -> Path:
    return service_account(tmp_path / "key.json", tokens.url)


def opening(credentials: Credentials | None = None) -> Callable[[str, Pause], tuple[Client, Objects]]:
    def opened(endpoint: str, pause: Pause) -> tuple[Client, Objects]:
        location = parse(f"gs://bucket/prefix?endpoint={endpoint}")
        client = Client(location, credentials or Credentials(), pause=pause)
        return client, Objects(client, location.prefix)

    return opened


def keyed(file: Path) -> Credentials:
    return resolve(parse("gs://bucket"), str(file))


def bearers(script: Script) -> list[str]:
    return [head.partition("authorization: ")[2].partition("\r\n")[0] for head in script.requests]


def test_a_token_is_fetched_once_and_renewed_before_it_ends(tokens: Tokens, key_file: Path) -> None:
    credentials = keyed(key_file)
    script = Script(*[answer(200, b"{}")] * 3)

    async def use(objects: Objects) -> None:
        await objects.size("a")
        await objects.size("a")
        assert credentials._found is not None
        credentials._found.expiry = utcnow() + timedelta(minutes=1)
        await objects.size("a")

    script.run(use, opening(credentials))
    assert bearers(script) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_a_token_that_is_about_to_end_is_used_while_no_other_can_be_fetched(tokens: Tokens, key_file: Path) -> None:
    credentials = keyed(key_file)
    script = Script(answer(200, b"{}"), answer(200, b"{}"))

    async def use(objects: Objects) -> None:
        await objects.size("a")
        assert credentials._found is not None
        credentials._found.expiry = utcnow() + timedelta(minutes=1)
        credentials._found._token_uri = "http://127.0.0.1:9/token"  # type: ignore[attr-defined]
        await objects.size("a")

    script.run(use, opening(credentials))
    assert bearers(script) == ["Bearer token-1", "Bearer token-1"]


def test_a_token_that_ends_before_its_time_is_renewed_once(tokens: Tokens, key_file: Path) -> None:
    script = Script(REFUSED, WRITTEN, REFUSED, REFUSED)

    async def use(objects: Objects) -> None:
        assert await objects.put("a", b"abc")
        with pytest.raises(Unavailable, match="credentials are not good"):
            await objects.put("a", b"abc")

    script.run(use, opening(keyed(key_file)))
    assert bearers(script) == ["Bearer token-1", "Bearer token-2", "Bearer token-2", "Bearer token-3"]


def test_who_gets_no_token_is_told_why(tokens: Tokens, key_file: Path) -> None:
    tokens.refuses = True
    script = Script()

    async def use(objects: Objects) -> None:
        with pytest.raises(Unavailable, match=r"credentials are not good.*invalid_grant"):
            await objects.get("a")

    script.run(use, opening(keyed(key_file)))
    assert script.pauses == []


def test_a_machine_without_an_identity_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (("CLOUDSDK_CONFIG", str(tmp_path)), ("PATH", ""), ("NO_GCE_CHECK", "True")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)

    async def use(objects: Objects) -> None:
        with pytest.raises(Unavailable, match=r"there are none: name a key's file in GOOGLE_APPLICATION_CREDENTIALS"):
            await objects.get("a")

    Script().run(use, opening(resolve(parse("gs://bucket"), None)))


def test_a_machine_of_google_has_an_identity_which_signs_nothing(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = tokens.url.partition("//")[2].removesuffix("/token")
    monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", host)  # read when it is loaded
    for name, value in (("GCE_METADATA_IP", host), ("CLOUDSDK_CONFIG", str(tmp_path)), ("PATH", "")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    credentials = resolve(parse("gs://bucket"), None)
    script = Script(answer(200, b"{}"), answer(200, b"{}"))

    async def use(objects: Objects) -> None:
        await objects.size("a")
        await objects.size("a")

    script.run(use, opening(credentials))
    assert bearers(script) == ["Bearer machine-1"] * 2
    assert credentials.account is None


def test_where_tokens_come_from_may_be_away_for_a_while(tmp_path: Path) -> None:
    script = Script()
    file = service_account(tmp_path / "key.json", "http://127.0.0.1:9/token")

    async def use(objects: Objects) -> None:
        with pytest.raises(Unavailable, match="no token can be fetched"):
            await objects.get("a")

    script.run(use, opening(keyed(file)))
    assert len(script.pauses) == 5


def test_an_emulator_is_asked_as_nobody() -> None:
    script = Script(answer(200, b"x"))
    assert script.run(lambda objects: objects.get("blobs/a/whole"), opening()) == b"x"
    (head,) = script.requests
    assert head.startswith("GET /storage/v1/b/bucket/o/prefix%2Fblobs%2Fa%2Fwhole?alt=media ")
    assert "authorization" not in head
    assert "accept-encoding: gzip" in head  # bytes as they are stored, whatever is said of their coding


def test_what_is_told_in_json_is_not_asked_for_in_a_coding() -> None:
    script = Script(answer(200, b"{}"), WRITTEN)

    async def use(objects: Objects) -> None:
        await objects.size("a")
        await objects.put("a", b"abc")

    script.run(use, opening())
    assert not any("accept-encoding" in head for head in script.requests)


def test_what_others_have_put_beside_parts_is_let_be() -> None:
    named = ["prefix/parts/of-nobody", "prefix/parts/a/b", "prefix/parts/blobs/k/whole/id/000001"]
    items = [{"name": name, "timeCreated": "2026-11-30T08:09:10Z"} for name in named]
    script = Script(answer(200, json.dumps({"items": items}).encode()))

    async def use(objects: Objects) -> Any:
        return [found[:2] async for found in objects.list_unfinished("")]

    assert script.run(use, opening()) == [("blobs/k/whole", "id")]


@pytest.mark.parametrize("failure", [answer(408), answer(429), answer(500), answer(503), CUT])
def test_what_failed_in_passing_is_asked_again(failure: bytes) -> None:
    script = Script(failure, WRITTEN)
    assert script.run(lambda objects: objects.put("a", b"abc"), opening())
    assert len(script.requests) == 2


def test_a_bucket_that_is_not_there_is_no_missing_object() -> None:
    async def use(objects: Objects) -> None:
        assert await objects.get("a") is None
        for ask in (objects.get, objects.size):
            with pytest.raises(Unavailable, match="no such bucket"):
                await ask("a")

    Script(answer(404, NOT_FOUND), answer(404, NO_BUCKET), answer(404, NO_BUCKET)).run(use, opening())


def test_a_listing_is_read_page_by_page() -> None:
    made = {"name": "prefix/blobs/a/whole", "size": "5", "timeCreated": "2026-11-30T08:09:10.123Z"}
    pages = [{"items": [made], "nextPageToken": "a+b/c="}, {"items": [{**made, "name": "prefix/blobs/b/whole"}]}]
    told = [answer(200, json.dumps(page).encode(), Date="Mon, 30 Nov 2026 08:10:10 GMT") for page in pages]
    script = Script(*told)

    async def use(objects: Objects) -> Any:
        return [found async for found in objects.list("blobs/")]

    found = script.run(use, opening())
    assert [(one.key, one.size, round(one.age.total_seconds())) for one in found] == [
        ("blobs/a/whole", 5, 60),
        ("blobs/b/whole", 5, 60),
    ]
    assert "pageToken=a%2Bb%2Fc%3D" in script.requests[1]


def test_a_composition_whose_answer_was_lost_is_judged_by_looking() -> None:
    there = answer(200, b'{"size": "6"}')
    script = Script(CUT, answer(412), there, answer(200, b"{}"))

    async def use(objects: Objects) -> None:
        await objects.join("blobs/a/whole", "id", ["parts/1", "parts/2"], 6, must_be_new=True)

    script.run(use, opening())
    assert all("ifGenerationMatch=0" in head for head in script.requests[:2])


def test_a_composition_of_another_size_is_removed() -> None:
    script = Script(answer(200, b'{"size": "5"}'), answer(204))

    async def use(objects: Objects) -> None:
        with pytest.raises(Unavailable, match="together"):
            await objects.complete_parts("blobs/a/whole", "id", ["parts/1", "parts/2"], 6)

    script.run(use, opening())
    assert script.requests[1].startswith("DELETE /storage/v1/b/bucket/o/prefix%2Fblobs%2Fa%2Fwhole ")


def test_what_says_where_an_upload_ends_is_known_to_nobody_beforehand() -> None:
    script = Script(WRITTEN, WRITTEN)

    async def use(objects: Objects) -> None:
        for _ in range(2):
            await objects.put("a", b"abc")

    script.run(use, opening())
    first, second = (head.partition("boundary=")[2].partition("\r\n")[0] for head in script.requests)
    assert first != second


def rule(condition: dict[str, Any], action: str = "Delete") -> dict[str, Any]:
    return {"lifecycle": {"rule": [{"action": {"type": action}, "condition": condition}]}}


@pytest.mark.parametrize(
    ("settings", "unfit"),
    [
        (rule({"age": 1}), {"lifecycle"}),
        (rule({"matchesPrefix": ["another/", "prefix/blobs/"]}), {"lifecycle"}),
        (rule({"matchesPrefix": ["another/"]}), set()),
        (rule({"numNewerVersions": 1}), set()),
        (rule({"isLive": False}), set()),
        (rule({"age": 1}, "AbortIncompleteMultipartUpload"), set()),
        ({"softDeletePolicy": {"retentionDurationSeconds": "604800"}}, {"soft_delete"}),
        ({"versioning": {"enabled": True}}, {"versioning"}),
    ],
)
def test_what_a_bucket_is_set_to_is_told_where_it_harms_files(settings: dict[str, Any], unfit: set[str]) -> None:
    script = Script(answer(200, json.dumps(settings).encode()), answer(403))

    async def use(objects: Objects) -> None:
        probe = Probe(objects._client, objects)
        assert {seen.name async for seen in probe._settings() if not seen.is_fine} == unfit
        # Who may write objects may not always ask.
        assert [seen.is_fine async for seen in probe._settings()] == [True]

    script.run(use, opening())
    assert script.requests[0].startswith("GET /storage/v1/b/bucket?fields=")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("gs://Bucket", "no name of a bucket"),
        ("gs://bucket/a b", "a prefix is of letters"),
        ("gs://bucket?region=eu", "region is not known"),
        ("gs://bucket?endpoint=ftp://h", "endpoint is http"),
        ("gs://key@bucket", "keys do not belong"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_in_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(url)


def test_clients_reach_google_itself_and_others_by_what_is_said() -> None:
    assert parse("gs://bucket/a/b").public == "https://storage.googleapis.com"
    assert parse("gs://bucket?endpoint=http://127.0.0.1:1").public is None
    assert parse("gs://bucket?endpoint=http://127.0.0.1:1&public=https://h").public == "https://h"


def test_a_file_that_is_no_key_is_told_by_its_name_alone(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    for content in ('{"type": "service_account", "private_key": "secret"}', "secret", '{"type": "secret"}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"the credentials in key\.json cannot be used"):
            keyed(file)
    with pytest.raises(ValueError, match=r"gone\.json cannot be used"):
        keyed(tmp_path / "gone.json")


def test_what_is_to_be_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(ValueError, match=r"pip install 'fileferry\[gcs\]'"):
        resolve(parse("gs://bucket"), None)
    assert resolve(parse("gs://bucket?endpoint=http://127.0.0.1:1"), None).account is None, "an emulator needs none"


def test_the_file_is_one_that_many_programs_read() -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": "/theirs", "FILEFERRY_STORE": "gs://bucket"}
    assert load(environ).gcs_credentials == "/theirs"
    assert load({**environ, "FILEFERRY_GCS_CREDENTIALS": "/ours"}).gcs_credentials == "/ours"
    before = load({**environ, "FILEFERRY_STORE_BEFORE": "gs://other", "FILEFERRY_GCS_BEFORE_CREDENTIALS": "/before"})
    alone = before.of_store_before()
    assert alone is not None
    assert (before.gcs_credentials, alone.gcs_credentials) == ("/theirs", "/before")
    with pytest.raises(SettingsError):
        load({"FILEFERRY_GCS_KEY": "a"})


def test_no_key_is_shown(key_file: Path) -> None:
    assert repr(keyed(key_file)) == "Credentials('tests@project.iam.gserviceaccount.com')"
