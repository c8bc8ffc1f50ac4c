"""Short URLs: a path and nothing else, with the rights of a signed URL; one that was harmed says so, and guesses are counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from fileferry.engine.access.short_urls import new_token
from fileferry.telemetry import redact
from unit.service import Service
from unit.tickets import ticket_of

MANGLED = ("[]", ")", ".", ",", '"', "'", ">", "%22", "%3E", "/", "/report.pdf", "*", "**", "`", "\\", "%0A", "a", "é")
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOST = "https://files.example.com"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("short"), base_url=HOST)
    yield service
    service.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Service]:
    """A service whose time moves, or that has counted no guesses yet."""
    service = Service(tmp_path, base_url=HOST)
    yield service
    service.close()


def short_ticket(service: Service, **promise: Any) -> dict[str, Any]:
    return ticket_of(service, url_style="short", auto_complete=True, **promise)


def make_key(service: Service, *scopes: str) -> dict[str, Any]:
    made: dict[str, Any] = service.request("POST", "/api/keys", json={"name": "k", "scopes": [*scopes]}).json()
    return made


def short_link(service: Service, file: dict[str, Any], **options: Any) -> dict[str, Any]:
    asked = {"url_style": "short", **options.pop("asked", {})}
    answer = service.request("POST", f"/api/files/{file['id']}/links", json=asked, **options)
    assert answer.status_code == 201, answer.text
    link: dict[str, Any] = answer.json()
    return link


def assert_told_as_mangled(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (400, "mangled_url"), answer.text
    assert "not whole" in answer.json()["detail"]
    assert "url_style" in answer.json()["detail"]


def test_a_short_url_is_a_path_and_nothing_else(service: Service) -> None:
    ticket = short_ticket(service, name="a very long name indeed, which no URL of this kind must show.pdf")
    url = urlsplit(ticket["url"])
    assert len(ticket["url"]) <= 80
    assert (url.query, url.fragment, f"{url.scheme}://{url.netloc}") == ("", "", HOST)
    assert ticket["url_expires_at"] == "2030-01-08T00:00:00.000Z"


def test_it_takes_a_plain_put_and_makes_the_file(service: Service) -> None:
    ticket = short_ticket(service)
    assert service.request("PUT", ticket["url"], key=None, content=b"abc").status_code == 200
    assert service.request("GET", f"/api/files/{ticket['file_id']}").json()["size"] == 3


def test_it_takes_a_form(service: Service) -> None:
    ticket = short_ticket(service)
    answer = service.request("POST", ticket["url"], key=None, files={"file": ("x.bin", b"abcd")})
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert service.request("GET", f"/api/files/{ticket['file_id']}").json()["size"] == 4


@pytest.mark.parametrize(
    "begin",
    [
        {"x-goog-resumable": "start"},
        {"Tus-Resumable": "1.0.0", "Upload-Length": "3"},
        {"Upload-Draft-Interop-Version": "6", "Upload-Complete": "?0"},
    ],
    ids=["google", "tus", "draft"],
)
def test_it_begins_a_session_of_every_resumable_protocol(service: Service, begin: dict[str, str]) -> None:
    ticket = short_ticket(service)
    answer = service.request("POST", ticket["url"], key=None, headers=begin)
    assert answer.status_code in (200, 201), answer.text
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    method = "PATCH" if "Tus-Resumable" in begin else "PUT"
    sent = {"headers": headers} if method == "PATCH" else {}
    if "Upload-Complete" in begin:
        method, sent = "PATCH", {"headers": {**begin, "Upload-Complete": "?1", "Upload-Offset": "0"}}
        sent["headers"]["Content-Type"] = "application/partial-upload"
    done = service.request(method, answer.headers["location"], key=None, content=b"abc", **sent)
    assert done.is_success, done.text
    assert service.request("GET", f"/api/files/{ticket['file_id']}").json()["size"] == 3


def test_it_takes_parts_and_blocks(service: Service) -> None:
    ticket = short_ticket(service, parts=True, size=3)
    etag = service.request("PUT", f"{ticket['part_url']}&partNumber=1", key=None, content=b"abc").headers["etag"]
    parts = {"parts": [{"part_number": 1, "etag": etag}]}
    assert service.request("POST", f"/api/uploads/{ticket['id']}/complete", json=parts).json()["size"] == 3
    blocks = short_ticket(service)["url"]
    block = service.request("PUT", f"{blocks}?comp=block&blockid=QQ%3D%3D", key=None, content=b"abcd")
    assert block.status_code == 201, block.text


@pytest.mark.parametrize("added", MANGLED)
def test_one_that_was_added_to_is_told_so(service: Service, added: str) -> None:
    ticket, file = short_ticket(service), service.upload()
    assert_told_as_mangled(service.request("PUT", ticket["url"] + added, key=None, content=b"abc"))
    assert_told_as_mangled(service.fetch(short_link(service, file)["url"] + added))


def test_one_that_was_cut_or_put_into_capitals_is_told_so(service: Service) -> None:
    ticket, link = short_ticket(service), short_link(service, service.upload())
    for url in (ticket["url"], link["url"]):
        at = url.index("/", len(HOST)) + 2
        for length in range(at, len(url)):
            assert_told_as_mangled(service.request("GET", url[:length], key=None))
        assert_told_as_mangled(service.request("GET", HOST + url.removeprefix(HOST).upper(), key=None))
        head, token = url.rsplit("/", 1)
        assert_told_as_mangled(service.request("GET", f"{head}/{token.capitalize().swapcase()}", key=None))
        assert_told_as_mangled(service.request("GET", f"{head}/{token[1]}{token[0]}{token[2:-1]}", key=None))


def test_a_url_for_one_use_is_not_for_the_other(service: Service) -> None:
    ticket, link = short_ticket(service), short_link(service, service.upload())
    assert_told_as_mangled(service.fetch(ticket["url"].replace("/t/", "/g/")))
    assert_told_as_mangled(service.request("PUT", link["url"].replace("/g/", "/t/"), key=None, content=b"abc"))


def test_it_gives_the_bytes_and_says_what_they_are(service: Service) -> None:
    file = service.upload(b"abcdef", "a.txt")
    service.process()
    link = short_link(service, file)
    assert len(link["url"]) <= 80
    assert link["expires_at"] == "2030-01-08T00:00:00.000Z"
    answer = service.request("GET", link["url"], key=None, headers={"Range": "bytes=1-2"})
    assert (answer.status_code, answer.content) == (206, b"bc")
    assert "a.txt" in service.fetch(link["url"]).headers["content-disposition"]


def test_it_ends_when_it_says(own: Service) -> None:
    file = own.upload()
    own.process()
    ticket, link = short_ticket(own), short_link(own, file, asked={"expires_in": "2h"})
    own.pass_time(hours=1, minutes=59)
    assert own.fetch(link["url"]).status_code == 200
    own.pass_time(minutes=2)
    assert own.fetch(link["url"]).json()["code"] == "link_refused"
    own.pass_time(days=6, hours=21)
    assert own.request("PUT", ticket["url"], key=None, content=b"abc").status_code == 200
    late = short_ticket(own)
    own.pass_time(days=7, minutes=1)
    assert own.request("PUT", late["url"], key=None, content=b"abc").json()["code"] == "link_refused"


def test_it_can_be_had_anew_by_id(service: Service) -> None:
    ticket = short_ticket(service)
    fresh = service.request("POST", f"/api/uploads/{ticket['id']}/urls", json={"url_style": "short"}).json()
    assert fresh["url"] != ticket["url"]
    assert len(fresh["url"]) == len(ticket["url"])
    assert service.request("PUT", fresh["url"], key=None, content=b"abc").status_code == 200
    signed = service.request("POST", f"/api/uploads/{ticket['id']}/urls").json()
    assert "sig=" in signed["url"]


def test_it_ends_with_the_key_that_asked_for_it(service: Service) -> None:
    file, key = service.upload(), make_key(service, "upload", "read")
    service.process()
    of_root = short_ticket(service)
    renewed = service.request("POST", f"/api/uploads/{of_root['id']}/urls", key=key["key"], json={"url_style": "short"})
    urls = {
        "asked for with it": short_ticket(service, name="b")["url"],
        "got anew with it": renewed.json()["url"],
    }
    own = service.request("POST", "/api/uploads", key=key["key"], json={"name": "c", "url_style": "short"}).json()
    urls["asked for with it"] = own["url"]
    link = short_link(service, file, key=key["key"])["url"]
    assert service.fetch(link).status_code == 200
    assert service.request("DELETE", f"/api/keys/{key['id']}").status_code == 204
    for url in urls.values():
        assert service.request("PUT", url, key=None, content=b"abc").json()["code"] == "link_refused"
    assert service.fetch(link).json()["code"] == "link_refused"
    assert service.request("PUT", of_root["url"], key=None, content=b"abc").status_code == 200


def test_it_ends_with_the_secret_that_asked_for_it(own: Service) -> None:
    key = make_key(own, "upload")
    url = own.request("POST", "/api/uploads", key=key["key"], json={"name": "c", "url_style": "short"}).json()["url"]
    rotated = own.request("POST", f"/api/keys/{key['id']}/rotate", json={"grace": "1s"})
    assert rotated.is_success, rotated.text
    own.pass_time(seconds=2)
    assert own.request("PUT", url, key=None, content=b"abc").json()["code"] == "link_refused"


def test_guesses_are_counted_by_address_and_harmed_urls_are_not(own: Service) -> None:
    ticket = short_ticket(own)
    for _ in range(150):
        assert_told_as_mangled(own.request("GET", f"{ticket['url']}.", key=None))
    guesses = [own.request("GET", f"/t/{new_token()}", key=None) for _ in range(101)]
    assert {answer.status_code for answer in guesses[:100]} == {403}
    assert (guesses[-1].status_code, guesses[-1].json()["retry"]) == (429, "after")
    assert own.request("PUT", ticket["url"], key=None, content=b"abc").status_code == 429


def test_the_sweeper_forgets_those_that_have_ended(own: Service) -> None:
    ticket = short_ticket(own)
    own.pass_time(days=6)
    own.sweep()
    assert own.request("GET", ticket["url"], key=None).status_code == 200
    own.pass_time(days=2)
    own.sweep()
    answers = [own.request("GET", ticket["url"], key=None).status_code for _ in range(101)]
    assert answers[-1] == 429  # it counts as one that never was


def test_a_browser_gets_a_page_with_a_form_that_needs_no_script(service: Service) -> None:
    ticket = short_ticket(service, name='<b>"q"&.pdf')
    page = service.request("GET", ticket["url"], key=None, headers=BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert '<form method="post" enctype="multipart/form-data">' in page.text
    assert "<script" not in page.text
    assert "<b>" not in page.text
    thanks = service.request("POST", ticket["url"], key=None, headers=BROWSER, files={"file": ("x", b"abc")})
    assert (thanks.status_code, "The file is here" in thanks.text) == (200, True)
    again = service.request("GET", ticket["url"], key=None, headers=BROWSER)
    assert "<form" not in again.text


def test_a_person_reads_in_the_browser_why_it_did_not_work(service: Service) -> None:
    ticket = short_ticket(service, max_size=2)
    answer = service.request("POST", ticket["url"], key=None, headers=BROWSER, files={"file": ("x", b"abc")})
    assert answer.status_code == 413
    assert "<h1>This did not work</h1>" in answer.text
    mangled = service.request("GET", ticket["url"] + ")", key=None, headers=BROWSER)
    assert (mangled.status_code, "not whole" in mangled.text) == (400, True)


def test_no_log_has_one(service: Service) -> None:
    for url in (short_ticket(service)["url"], short_link(service, service.upload())["url"]):
        for path in (urlsplit(url).path, urlsplit(url).path.upper(), urlsplit(url).path[:-5]):
            assert path.rpartition("/")[2] not in redact(f"GET {path} 200")


def test_others_are_told_how_the_bytes_are_sent(service: Service) -> None:
    ticket = short_ticket(service)
    answer = service.request("GET", ticket["url"], key=None)
    assert "curl -T FILE" in answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_pages_of_any_origin_may_send_to_it_and_read_from_it(service: Service) -> None:
    ticket, link = short_ticket(service), short_link(service, service.upload())
    for url in (ticket["url"], link["url"]):
        answer = service.request("OPTIONS", url, key=None, headers={"Access-Control-Request-Headers": "x-y"})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
