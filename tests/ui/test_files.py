"""The pages of files: found, changed many at once, and brought back; and that what a client names is text there and no more."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from fileferry.engine.files.browsing import ORDERS
from fileferry.web.requests import encode_cursor
from ui.person import ORIGIN, Person, signed_in
from unit.service import Service

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
MARKUP = "<img src=x onerror=alert(1)>\"'&{{7*7}}"


def link_of(page: str, words: str) -> str:
    """Return where a link of a page leads, below the root."""
    found = re.search(rf'href="/ui([^"]*)"[^>]*>{words}', page)
    assert found is not None, words
    return html.unescape(found[1])


def test_files_are_found_by_folder_name_state_and_order(service: Service, person: Person) -> None:
    for path, size in (("find/b.txt", 20), ("find/a.txt", 10), ("find/deeper/c.txt", 30)):
        service.pass_time(seconds=1)
        service.upload(b"x" * size, path)
    handed = service.request("POST", "/v1/files", files={"file": ("handed.txt", b"by link")})
    assert handed.status_code == 201, handed.text
    assert person.names("/files?folder=find") == ["a.txt", "b.txt"]
    assert person.names("/files?folder=find&sort=oldest") == ["b.txt", "a.txt"]
    assert person.names("/files?folder=find&sort=name") == ["a.txt", "b.txt"]
    assert person.names("/files?folder=find&sort=largest") == ["b.txt", "a.txt"]
    assert person.names("/files?folder=find&q=.TXT&sort=smallest") == ["a.txt", "b.txt", "c.txt"]
    assert person.names("/files?q=c.t") == ["c.txt"]
    assert "deeper" in person.get("/files?folder=find").text
    assert person.names("/files?view=handoffs") == ["handed.txt"]
    assert "handed.txt" in person.names("/files?state=ready")
    assert person.names("/files?state=rejected") == []
    assert person.get("/files?folder=fin").status_code == 404
    assert person.get("/files?sort=nothing").status_code == 400


def test_an_order_can_be_chosen_where_no_head_of_a_column_is_seen(person: Person) -> None:
    form = re.search(r"<search>(.*?)</search>", person.get("/files?sort=largest").text, re.DOTALL)[1]  # type: ignore[index]
    assert re.findall(r'<option value="(\w+)" selected', form) == ["largest"]
    offered = re.findall(r'<option value="(\w+)"', form.partition('name="sort"')[2])
    assert set(offered) == set(ORDERS)
    assert form.count('name="sort"') == 1, "said twice, the first would count"


def test_what_was_just_told_to_end_in_7_days_is_not_said_to_end_in_6(service: Service, person: Person) -> None:
    file = service.upload(b"x", "ending.txt", expires_in="7d")
    service.pass_time(seconds=5)
    assert re.search(r">in 7 days</time>", person.get(f"/files/{file['id']}").text)


@pytest.mark.parametrize("order", ["newest", "oldest", "name", "largest", "smallest", "expiry"])
def test_pages_in_any_order_show_each_file_once(service: Service, person: Person, order: str) -> None:
    if not person.get(f"/files?folder=paged-{order}").is_success:
        for number in range(7):
            expiry = {"expires_in": "1d"} if number % 2 else {}
            service.upload(b"x" * (number // 3), f"paged-{order}/{number % 3}-{number}.txt", **expiry)
    path, found = f"/files?folder=paged-{order}&sort={order}&limit=2", []
    for _page in range(4):
        found += person.names(path)
        text = person.get(path).text
        path = link_of(text, "Next page") if "Next page" in text else ""
    assert (path, len(found), len(set(found))) == ("", 7, 7)


def test_many_files_are_deleted_moved_and_given_an_expiry_and_it_is_undone(service: Service, person: Person) -> None:
    ids = [service.upload(b"x", f"bulk/{number}.txt")["id"] for number in range(10)]

    def act(**fields: str) -> str:
        """Do something with all of them; return what the next page offers to undo it by."""
        assert person.post("/files/act", {"id": ids, "back": "/files?folder=bulk", **fields}).status_code == 303
        offered = re.search(r'name="undo" value="([^"]*)"', person.get("/files").text)
        return html.unescape(offered[1]) if offered else ""

    def expiry() -> Any:
        return service.request("GET", f"/api/files/{ids[0]}").json()["expires_at"]

    deleted = act(action="delete")
    assert person.names("/files?folder=bulk") == []
    assert len(person.names("/files?view=deleted&limit=200")) >= 10
    assert person.post("/undo", {"undo": deleted}).status_code == 303
    assert len(person.names("/files?folder=bulk")) == 10
    moved = act(action="move", to="elsewhere")
    assert len(person.names("/files?folder=elsewhere")) == 10
    person.post("/undo", {"undo": moved})
    assert len(person.names("/files?folder=bulk")) == 10
    ending = act(action="expire", expires="7d")
    assert expiry() is not None
    person.post("/undo", {"undo": ending})
    assert expiry() is None
    act(action="delete")
    act(action="restore")
    assert len(person.names("/files?folder=bulk")) == 10


def test_what_cannot_be_done_to_some_is_said_and_done_to_the_others(service: Service, person: Person) -> None:
    one = service.upload(b"x", "some/one.txt")["id"]
    person.post("/files/act", {"action": "delete", "id": [one, "01b8dac5-b400-7ab3-a255-a4f737bf4699"]})
    assert person.notice().startswith("Deleted 1 file. 1 file could not be changed")
    person.post("/files/act", {"action": "delete"})
    assert person.notice().startswith("Choose files first")


def test_a_form_leads_back_to_a_page_of_ours_only(service: Service, person: Person) -> None:
    for back in ("//evil.example", "https://evil.example", "/\\evil.example"):
        assert person.post("/files/act", {"action": "delete", "back": back}).headers["location"] == "/ui/files"


def test_a_file_is_renamed_moved_expired_deleted_and_restored_on_its_page(service: Service, person: Person) -> None:
    id = service.upload(b"x", "own/first.txt")["id"]
    person.post(f"/files/{id}/move", {"path": "own/second.txt"})
    assert person.names("/files?folder=own") == ["second.txt"]
    person.post(f"/files/{id}/expiry", {"at": "2031-05-06T07:08", "expires": "7d"})
    assert service.request("GET", f"/api/files/{id}").json()["expires_at"].startswith("2031-05-06T07:08:00")
    person.post(f"/files/{id}/expiry", {"expires": "never"})
    assert service.request("GET", f"/api/files/{id}").json()["expires_at"] is None
    person.post(f"/files/{id}/delete")
    assert "It can be restored" in person.get(f"/files/{id}").text
    person.post(f"/files/{id}/restore")
    assert person.names("/files?folder=own") == ["second.txt"]
    person.post(f"/files/{id}/delete")
    person.post(f"/files/{id}/delete", {"permanent": "yes"})
    assert person.get(f"/files/{id}").status_code == 404


def test_an_older_version_becomes_the_current_one_again(service: Service, person: Person) -> None:
    service.upload(b"the first", "versions/a.txt")
    file = service.upload(b"the second", "versions/a.txt")
    shown = service.request("GET", f"/api/files/{file['id']}/versions").json()["versions"]
    page = person.get(f"/files/{file['id']}").text
    assert [one["version_id"] in page for one in shown] == [True, True]
    person.post(f"/files/{file['id']}/versions/{shown[1]['version_id']}/restore")
    assert service.request("GET", f"/api/files/{file['id']}/content").content == b"the first"
    assert len(service.request("GET", f"/api/files/{file['id']}/versions").json()["versions"]) == 3
    person.post(f"/files/{file['id']}/versions/{shown[0]['version_id']}/delete")
    assert len(service.request("GET", f"/api/files/{file['id']}/versions").json()["versions"]) == 2
    current = service.request("GET", f"/api/files/{file['id']}").json()["version_id"]
    assert person.post(f"/files/{file['id']}/versions/{current}/restore").status_code == 409


def test_a_page_tells_how_often_a_file_was_fetched_completely(service: Service, person: Person) -> None:
    file = service.upload(PNG, "fetches/a.png")
    assert "fetched never" in person.get(f"/files/{file['id']}").text
    service.fetch(file["url"])
    service.request("GET", file["url"], key=None, headers={"Range": "bytes=0-2"})
    service.write_fetches()

    def told() -> str:
        found = re.search(r"fetched completely (\d+×)", person.get(f"/files/{file['id']}").text)
        assert found is not None
        return found[1]

    before = told()
    assert before in person.get("/files?folder=fetches").text
    person.get(f"/files/{file['id']}/preview")
    service.write_fetches()
    assert told() == before


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("a.png", PNG, "image"),
        ("a.txt", b"a text with <b>markup</b> in it", "text"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', None),
        ("a.html", b"<!doctype html><script>alert(1)</script>", None),
        ("a.pdf", b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj", None),
        ("a.epub", b"PK\x03\x04\n\0\0\0\0\0" + b"\0" * 20 + b"mimetypeapplication/epub+zip", None),
        ("b.png", b"<!doctype html><script>alert(1)</script>", None),
    ],
)
def test_only_what_can_run_nothing_is_shown(
    service: Service, person: Person, name: str, content: bytes, shown: str | None
) -> None:
    id = service.upload(content, f"kinds/{name}")["id"]
    page, preview = person.get(f"/files/{id}").text, person.get(f"/files/{id}/preview")
    assert "<script>alert" not in page
    assert ('<img class="preview"' in page) == (shown == "image")
    assert ("a text with &lt;b&gt;markup&lt;/b&gt; in it</pre>" in page) == (shown == "text")
    assert preview.status_code == (200 if shown == "image" else 404)
    if shown == "image":
        assert preview.content == content
        assert preview.headers["content-type"] == "image/png"
        assert preview.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert preview.headers["x-content-type-options"] == "nosniff"


def test_a_file_that_ends_with_its_fetches_is_not_shown_and_loses_none(service: Service, person: Person) -> None:
    file = service.upload(PNG, "kinds/once.png", expires_after_fetches="1")
    assert '<img class="preview"' not in person.get(f"/files/{file['id']}").text
    assert person.get(f"/files/{file['id']}/preview").status_code == 404
    assert service.fetch(file["url"]).content == PNG


def test_names_metadata_folders_and_browsers_are_text(service: Service, person: Person) -> None:
    metadata = json.dumps({MARKUP: MARKUP})
    file = service.request(
        "PUT", "/api/upload/" + "x/%3Cscript%3Ealert(1)%3C%2Fscript%3E.txt", content=b"x", params={"metadata": metadata}
    ).json()
    attacker = Person(service)
    attacker._headers["User-Agent"] = MARKUP
    attacker.sign_in()
    key = service.request("POST", "/api/keys", json={"name": MARKUP, "scopes": ["read"]}).json()
    hook = service.request("POST", "/api/webhooks", json={"url": "http://a.example/'><script>alert(1)</script>"})
    paths = [
        "/files", "/files?q=" + MARKUP.replace("&", "%26"), "/files?folder=x", f"/files/{file['id']}", "/events", "/sessions",
        "/keys", f"/keys/{key['id']}", "/webhooks", "/upload?folder=%3Cscript%3Ealert(1)%3C/script%3E",
        "/sign-in?next=/%22%3E%3Cscript%3E",
    ]  # fmt: skip
    for path in paths:
        page = person.get(path).text
        assert "<script>" not in page, path
        assert "<img src=x" not in page, path
        assert "49" not in re.findall(r"&#39;&amp;(\d+)", page), path
    assert hook.status_code in (201, 400)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "file:///etc/passwd"]
)
def test_a_webhook_leads_to_http_alone(person: Person, url: str) -> None:
    assert person.post("/webhooks", {"url": url}).status_code == 400
    assert url not in person.get("/webhooks").text


def test_of_another_tenant_nothing_is_there(service: Service) -> None:
    assert service.request("POST", "/api/organizations", json={"slug": "tenant", "name": "T"}).status_code == 201
    made = service.request(
        "POST", "/api/keys", params={"organization": "tenant"}, json={"name": "k", "scopes": ["admin"]}
    ).json()
    stranger, own = signed_in(service, made["key"]), service.upload(PNG, "private/a.png")
    key = service.request("POST", "/api/keys", json={"name": "k", "scopes": ["read"]}).json()["id"]
    assert "a.png" not in stranger.get("/files?q=a").text
    for path in (f"/files/{own['id']}", f"/files/{own['id']}/preview", f"/files/{own['id']}/state", f"/keys/{key}"):
        assert stranger.get(path).status_code == 404, path
    for path in (f"/files/{own['id']}/delete", f"/files/{own['id']}/move", f"/keys/{key}/revoke"):
        assert stranger.post(path, {"path": "x"}).status_code == 404, path
    stranger.post("/files/act", {"action": "delete", "id": [own["id"]]})
    assert service.fetch(own["url"]).status_code == 200


def test_a_key_that_only_reads_changes_nothing(service: Service) -> None:
    secret = service.request("POST", "/api/keys", json={"name": "r", "scopes": ["read"]}).json()["key"]
    reader, own = signed_in(service, secret), service.upload(b"x", "readable/a.txt")
    assert "Delete" not in reader.get("/files?folder=readable").text.partition("With the chosen files")[2]
    assert reader.post(f"/files/{own['id']}/delete").status_code == 403
    reader.post("/files/act", {"action": "delete", "id": [own["id"]]})
    assert "lacks the scope" in reader.notice()
    assert service.fetch(own["url"]).status_code == 200


def test_a_key_of_a_folder_sees_that_folder(service: Service) -> None:
    asked = {"name": "f", "scopes": ["read", "upload"], "path_prefix": "scoped/in"}
    secret = service.request("POST", "/api/keys", json=asked).json()["key"]
    service.upload(b"x", "scoped/in/mine.txt")
    service.upload(b"x", "scoped/out.txt")
    scoped = signed_in(service, secret)
    assert scoped.names("/files") == ["mine.txt"]
    assert scoped.get("/files?folder=scoped").status_code == 404
    assert scoped.names("/files?folder=scoped/in") == ["mine.txt"]
    assert scoped.get("/usage").status_code == 403
    assert "out.txt" not in scoped.get("/events").text


def test_an_upload_by_the_plain_form_is_a_file(service: Service, person: Person) -> None:
    def send(token: str, **fields: str) -> Any:
        return person._ask(
            "POST",
            f"/upload?form_token={token}",
            files={"file": ("plain.txt", b"by a form", "text/plain")},
            data=fields,
            headers={"Origin": ORIGIN},
        )

    assert send("forged", folder="plain").status_code == 403
    answer = send(person.form_token(), folder="plain", place="folder", expires="7d")
    assert answer.status_code == 303, answer.text
    shown = service.request("GET", "/api/files/path/plain/plain.txt").json()
    assert answer.headers["location"] == f"/ui/files/{shown['id']}"
    assert shown["expires_at"] is not None
    send(person.form_token(), place="handoff", folder="", workspace="")
    assert "plain.txt" in person.names("/files?view=handoffs")


def test_an_upload_by_a_page_goes_on_where_it_stopped(service: Service, person: Person) -> None:
    ticket = person.send("/tickets", {"path": "dropped/a.bin", "size": 10, "folder": "resumed"}).json()
    tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    half = service.request("PATCH", ticket["url"], key=None, content=b"01234", headers={**tus, "Upload-Offset": "0"})
    assert half.status_code == 204
    assert "5 B" in person.get("/uploads").text
    again = person.send(f"/tickets/{ticket['id']}", {}).json()
    rest = service.request("PATCH", again["url"], key=None, content=b"56789", headers={**tus, "Upload-Offset": "5"})
    assert rest.status_code == 204
    assert person.get(f"/files/{ticket['file']}/state").json()["state"] == "Ready"
    assert service.request("GET", "/api/files/path/resumed/dropped/a.bin").json()["size"] == 10
    other = person.send("/tickets", {"path": "b.bin", "size": 10}).json()
    assert person.send(f"/tickets/{other['id']}/cancel", {}).status_code == 200
    assert person.send(f"/tickets/{other['id']}", {}).json()["url"] is None


@pytest.mark.parametrize("path", ["../../etc/passwd", "a/../../b", "", "/"])
def test_a_dropped_folder_cannot_climb(person: Person, path: str) -> None:
    assert person.send("/tickets", {"path": path, "size": 1, "folder": "below"}).status_code == 400


def test_limits_are_said_before_an_upload(service: Service) -> None:
    asked = {
        "name": "l",
        "scopes": ["upload"],
        "limits": {"max_size": "10KiB", "types": ["text/plain"], "max_files": 3},
    }
    limited = signed_in(service, service.request("POST", "/api/keys", json=asked).json()["key"])
    page = limited.get("/upload").text
    assert "up to 10.0 KiB" in page
    assert "3 more files" in page
    assert "Allowed types: text/plain" in page
    refused = limited.send("/tickets", {"path": "a.txt", "size": 10241}, token=limited_token(page))
    assert (refused.status_code, refused.json()["code"]) == (413, "file_too_large")


def limited_token(page: str) -> str:
    """Return what a page of uploads gives its script."""
    found = re.search(r'data-token="([^"]*)"', page)
    assert found is not None
    return found[1]


def test_a_place_beyond_every_number_is_refused(person: Person) -> None:
    assert person.get(f"/files?cursor={encode_cursor(str(2**63), '0')}").status_code == 400


def test_a_file_is_checked_for_a_service_by_a_form(service: Service, person: Person) -> None:
    file = service.upload(b"abc", "preflight/a.txt")
    answer = person.post(f"/files/{file['id']}/preflight", {"for": "slack", "job": "1h"})
    assert answer.status_code == 200
    assert "Its media type is none of those that are taken." in answer.text
    assert "docs.slack.dev" in answer.text
    assert person.post(f"/files/{file['id']}/preflight", {"for": "nobody"}).status_code == 400
    assert person.post(f"/files/{file['id']}/preflight", {"for": "slack"}, token="forged").status_code == 403
