"""Preflights: what is said of a file for a service, by what was seen of its URL, and that nothing but our own URL is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import structs

from fileferry.engine.events.egress import Page
from fileferry.engine.preflight import visits
from fileferry.engine.preflight.checks import Check, Outcome, Subject, examine
from fileferry.engine.preflight.rules import Consumer, consumers
from fileferry.engine.preflight.visits import Visit
from unit.service import ROOT_KEY, Service

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PDF = b"%PDF-1.4\n%%EOF\n"
GOOD = Visit(
    addresses=("93.184.215.14",),
    head=Page(200, {"content-length": "9", "content-type": "application/pdf"}),
    ranged=Page(206, {"content-range": "bytes 0-0/9", "content-type": "application/pdf"}),
)
FILE = Subject(
    url="https://files.example.com/f/t/a.pdf",
    name="a.pdf",
    media_type="application/pdf",
    size=9,
    ends_at=None,
    fetches_left=None,
)
STRICT = Consumer(
    title="strict",
    needs_https=True,
    needs_public_address=True,
    needs_head=True,
    needs_range=True,
    follows_redirects=False,
    job=60,
)
LAX = Consumer(
    title="lax",
    needs_https=False,
    needs_public_address=False,
    needs_head=False,
    needs_range=False,
    follows_redirects=True,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("preflight"), base_url="https://files.example.com")
    service._engine.preflights._visit = _seeing(GOOD)
    yield service
    service.close()


def _seeing(seen: Visit) -> Callable[[str], Awaitable[Visit]]:
    async def visit(_url: str) -> Visit:
        return seen

    return visit


def of(checks: Sequence[Check], name: str) -> Outcome:
    (check,) = [check for check in checks if check.check == name]
    assert check.said.endswith(".")
    assert check.outcome is not Outcome.FAILED or check.advice
    return check.outcome


def test_every_consumer_says_where_its_rules_are_from() -> None:
    assert {"generic", "openai-file", "slack", "mux"} < set(consumers())
    for name, consumer in consumers().items():
        assert consumer.sources or name == "generic", name
        assert all(source.url.startswith("https://") for source in consumer.sources), name
        extensions = [each for sort in consumer.accepted for each in sort.extensions]
        assert all(each == each.lower() and "." not in each for each in extensions), name


def _changed(head: Page | None = GOOD.head, ranged: Page | None = GOOD.ranged) -> Visit:
    return structs.replace(GOOD, head=head, ranged=ranged)


_REDIRECT = Page(307, {"location": "https://bucket.example.com/"})


@pytest.mark.parametrize(
    ("check", "visit"),
    [
        ("range", _changed(ranged=Page(200, {"content-type": "application/pdf"}))),
        ("range", _changed(ranged=Page(206, {"content-range": "bytes 0-8/9"}))),
        ("head", _changed(head=Page(405, {}))),
        ("head", _changed(head=Page(200, {}))),
        ("redirects", _changed(_REDIRECT, _REDIRECT)),
        ("address", structs.replace(GOOD, addresses=("93.184.215.14", "10.0.0.5"))),
        ("address", structs.replace(GOOD, addresses=("::ffff:192.168.0.1",))),
    ],
)
def test_what_is_not_there_fails_who_needs_it_and_nobody_else(check: str, visit: Visit) -> None:
    for consumer, outcome in (
        (STRICT, Outcome.FAILED),
        (LAX, Outcome.PASSED),
        (Consumer(title="silent"), Outcome.UNKNOWN),
    ):
        assert of(examine(FILE, consumer, visit, NOW, None), check) is outcome
    assert of(examine(FILE, STRICT, GOOD, NOW, None), check) is Outcome.PASSED


@pytest.mark.parametrize(
    ("visit", "check"),
    [
        (Visit(addresses=("93.184.215.14",), error="No answer within 10 seconds."), "reachable"),
        (Visit(addresses=()), "address"),
        (Visit(addresses=("93.184.215.14",), error="no", is_certificate_refused=True), "certificate"),
        (_changed(ranged=Page(404, {})), "reachable"),
        (_changed(ranged=Page(401, {})), "reachable"),
    ],
)
def test_a_url_that_does_not_work_fails_for_everybody(visit: Visit, check: str) -> None:
    for consumer in (STRICT, LAX, Consumer(title="silent")):
        assert of(examine(FILE, consumer, visit, NOW, None), check) is Outcome.FAILED


def test_nothing_that_was_not_seen_is_passed() -> None:
    checks = examine(FILE, STRICT, None, NOW, None)
    unseen = ("reachable", "range", "head", "redirects", "certificate", "address")
    assert {of(checks, name) for name in unseen} == {Outcome.UNKNOWN}
    behind = examine(FILE, Consumer(title="silent"), _changed(_REDIRECT, _REDIRECT), NOW, None)
    assert {of(behind, name) for name in ("reachable", "range", "head")} == {Outcome.UNKNOWN}
    silent = examine(structs.replace(FILE, ends_at=NOW, fetches_left=1), Consumer(title="silent"), GOOD, NOW, None)
    assert {of(silent, name) for name in ("media_type", "extension", "size", "life", "fetches")} == {Outcome.UNKNOWN}


@pytest.mark.parametrize(
    ("name", "changes", "failed"),
    [
        ("slack", {"name": "a.png", "media_type": "image/png"}, set()),
        ("slack", {"name": "a.webp", "media_type": "image/webp"}, {"media_type", "extension"}),
        ("slack", {"name": "picture", "media_type": "image/png"}, {"extension"}),
        ("openai-file", {"size": 50_000_001}, {"size"}),
        ("openai-file", {"name": "a.zip", "media_type": "application/zip"}, {"media_type"}),
        ("whatsapp", {"media_type": "image/jpeg", "size": 6_000_000}, {"size"}),
        ("whatsapp", {"media_type": "video/mp4", "size": 6_000_000}, set()),
        ("telegram", {"media_type": "application/zip", "size": 20_000_000}, set()),
        ("telegram", {"media_type": "text/plain"}, {"media_type"}),
        ("mux", {"media_type": "video/quicktime"}, set()),
        ("telnyx-transcription", {"name": "a.mp3", "ends_at": NOW + timedelta(seconds=14)}, {"life"}),
        ("generic", {"name": "a.png"}, {"extension"}),
        ("generic", {"url": "http://10.0.0.1/f/t/a.pdf"}, {"certificate"}),
    ],
)
def test_rules_of_services_are_held(name: str, changes: dict[str, Any], failed: set[str]) -> None:
    subject = structs.replace(FILE, **changes)
    served = Page(206, {"content-range": f"bytes 0-0/{subject.size}", "content-type": f"{subject.media_type}; a=b"})
    checks = examine(subject, consumers()[name], _changed(ranged=served), NOW, None)
    assert {check.check for check in checks if check.outcome is Outcome.FAILED} == failed


def test_the_type_is_the_one_that_is_served() -> None:
    served = _changed(ranged=Page(206, {"content-range": "bytes 0-0/9", "content-type": "application/octet-stream"}))
    assert of(examine(FILE, consumers()["openai-file"], served, NOW, None), "media_type") is Outcome.FAILED


def test_the_job_of_the_caller_counts_before_that_of_the_service() -> None:
    subject = structs.replace(FILE, ends_at=NOW + timedelta(minutes=5))
    for job, outcome in ((None, Outcome.PASSED), (timedelta(minutes=6), Outcome.FAILED)):
        assert of(examine(subject, STRICT, GOOD, NOW, job), "life") is outcome


def ask(service: Service, file: dict[str, Any], key: str = ROOT_KEY, **asked: Any) -> Any:
    return service.request("POST", f"/api/files/{file['id']}/preflight", key=key, json=asked)


def test_the_api_answers_with_checks_and_sources(service: Service) -> None:
    file = service.upload(PDF, "in/a.pdf", expires_in="1h")
    found = ask(service, file, **{"for": "openai-file", "job": "2h"}).json()
    assert (found["for"], found["url"], found["outcome"]) == ("openai-file", file["url"], "failed")
    assert found["sources"][0]["date"] == "2026-11-30"
    assert [check["check"] for check in found["checks"] if check["outcome"] == "failed"] == ["life"]
    assert service.request("GET", f"/api/files/{file['id']}").json()["fetches_left"] is None
    unknown = ask(service, file, **{"for": "sla"})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "invalid_parameter")
    assert "slack" in unknown.json()["detail"]


def test_who_may_not_read_a_file_hears_nothing_of_it(service: Service) -> None:
    file = service.upload(PDF, "outside/a.pdf")
    keys = [
        service.request("POST", "/api/keys", json={"name": "k", **asked}).json()["key"]
        for asked in ({"scopes": ["upload"]}, {"scopes": ["read"], "path_prefix": "inside"})
    ]
    assert [ask(service, file, key).status_code for key in keys] == [403, 404]


def test_a_host_that_a_request_names_is_never_asked(tmp_path: Path) -> None:
    service = Service(tmp_path)
    asked: list[str] = []

    async def visit(url: str) -> Visit:
        asked.append(url)
        return GOOD

    service._engine.preflights._visit = visit
    file = service.upload(PDF, "a.pdf")
    found = service.request(
        "POST", f"/api/files/{file['id']}/preflight", json={"for": "slack"}, headers={"Host": "169.254.169.254"}
    ).json()
    outcomes = {check["check"]: check["outcome"] for check in found["checks"]}
    assert (asked, outcomes["reachable"], outcomes["address"]) == ([], "unknown", "failed")
    service.close()


def test_only_so_many_are_under_way_at_once(service: Service) -> None:
    file = service.upload(PDF, "in/b.pdf")
    preflights = service._engine.preflights
    preflights._under_way = 8
    assert ask(service, file).json()["code"] == "unavailable"
    preflights._under_way = 0
    assert ask(service, file).status_code == 200
    assert preflights._under_way == 0


def test_a_visit_asks_for_one_byte_and_uses_up_no_fetch(http: httpx.Client) -> None:
    parameters = {"delete_after_first_complete_fetch": "true"}
    file = http.put("/api/upload/preflight/a.pdf", content=PDF, params=parameters).json()
    seen = asyncio.run(visits.visit(file["url"]))
    assert (seen.error, seen.addresses) == (None, ("127.0.0.1",))
    assert seen.head is not None
    assert seen.ranged is not None
    assert (seen.head.status, seen.ranged.status) == (200, 206)
    assert seen.ranged.headers["content-range"] == f"bytes 0-0/{len(PDF)}"
    assert http.get(file["url"]).content == PDF


def test_a_visit_follows_no_redirect() -> None:
    reached: list[str] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            reached.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/else")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()

        def log_message(self, *_said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        seen = asyncio.run(visits.visit(f"http://127.0.0.1:{server.server_port}/f"))
    finally:
        server.shutdown()
        server.server_close()
    assert seen.ranged is not None
    assert (seen.ranged.status, reached) == (302, ["/f", "/f"])
