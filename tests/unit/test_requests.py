"""Requests for files: who makes and sees them, how files come without a key, what of them is refused, and who is told."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from unit.linked import PAGE, PASSPHRASE, basic, cookie_of, make_key, make_request, told, visit
from unit.service import Service

CONTENT = bytes(range(256)) * 1000


def sent(service: Service, url: str, *files: tuple[str, bytes], **headers: str) -> httpx.Response:
    """Send files as the page's form does without a script."""
    return visit(service, url, "POST", files=[("file", file) for file in files], headers={**PAGE, **headers})


def created(service: Service, url: str, name: str, size: int, **headers: str) -> httpx.Response:
    """Create an upload by tus, as the page's script does."""
    said = {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}", "Upload-Length": str(size)}
    return visit(service, f"{url}/tus", "POST", headers={"Tus-Resumable": "1.0.0", **said, **headers})


def appended(service: Service, url: str, offset: int, content: bytes) -> httpx.Response:
    """Send bytes by tus."""
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
    }
    return visit(service, url, "PATCH", headers=headers, content=content)


def paths(service: Service, prefix: str = "") -> list[str]:
    """Return the paths of all files."""
    found = service.request("GET", "/api/files", params={"prefix": prefix}).json()["files"]
    return [file["path"] for file in found]


def test_a_form_without_a_script_brings_files_into_the_folder(service: Service) -> None:
    request = make_request(service, folder="inbox/photos")
    page = visit(service, request["url"], headers=PAGE)
    assert 'enctype="multipart/form-data"' in page.text
    visitor = cookie_of(page)
    answer = sent(service, request["url"], ("one.jpg", b"1"), ("two.jpg", CONTENT), **visitor)
    assert (answer.status_code, answer.headers["location"]) == (303, "/r/" + request["url"][-22:] + "#arrived")
    assert paths(service) == ["inbox/photos/one.jpg", "inbox/photos/two.jpg"]
    shown = visit(service, request["url"], headers={**PAGE, **visitor}).text
    assert "one.jpg" in shown
    assert "two.jpg" in shown
    found = service.request("GET", f"/api/requests/{request['id']}").json()
    assert (found["received"], found["received_bytes"]) == (2, 1 + len(CONTENT))


def test_tus_brings_a_file_that_goes_on_after_a_cut(service: Service) -> None:
    request = make_request(service)
    made = created(service, request["url"], "film.mp4", len(CONTENT))
    assert made.status_code == 201, made.text
    url = made.headers["location"]
    assert "Content-Location" not in made.headers
    assert appended(service, url, 0, CONTENT[:1000]).status_code == 204
    head = visit(service, url, "HEAD", headers={"Tus-Resumable": "1.0.0"})
    assert head.headers["upload-offset"] == "1000"
    last = appended(service, url, 1000, CONTENT[1000:])
    assert last.status_code == 204
    assert "content-location" not in last.headers  # whoever sends need not be able to read
    (file,) = service.request("GET", "/api/files", params={"prefix": "Photos/"}).json()["files"]
    assert (file["path"], file["size"]) == ("Photos/film.mp4", len(CONTENT))
    assert service.fetch(file["url"]).content == CONTENT


def test_curl_brings_a_file_by_put(service: Service) -> None:
    request = make_request(service)
    answer = visit(service, f"{request['url']}/report.pdf", "PUT", content=b"abc")
    assert (answer.status_code, answer.json()["name"], answer.json()["size"]) == (201, "report.pdf", 3)
    assert paths(service) == ["Photos/report.pdf"]


def test_a_file_never_takes_the_place_of_another(service: Service) -> None:
    kept = service.upload(b"kept", "Photos/a.txt")
    request = make_request(service)
    for _ in range(2):
        assert visit(service, f"{request['url']}/a.txt", "PUT", content=b"new").json()["name"] == "a.txt"
    assert paths(service) == ["Photos/a (2).txt", "Photos/a (3).txt", "Photos/a.txt"]
    assert service.fetch(kept["url"]).content == b"kept"
    under_way = [created(service, request["url"], "b.txt", 1).headers["location"] for _ in range(2)]
    for url in under_way:
        assert appended(service, url, 0, b"x").status_code == 204
    assert {"Photos/b.txt", "Photos/b (2).txt"} < set(paths(service))


@pytest.mark.parametrize(
    ("name", "kept"), [("../../etc/passwd", "passwd"), (r"C:\fakepath\x.txt", "x.txt"), ("a/b/c.txt", "c.txt")]
)
def test_names_lead_out_of_no_folder(service: Service, name: str, kept: str) -> None:
    request = make_request(service)
    assert created(service, request["url"], name, 0).status_code == 201
    sent(service, request["url"], (name, b"x"))
    assert {path.rpartition("/")[0] for path in paths(service)} == {"Photos"}
    assert f"Photos/{kept}" in paths(service)


def test_names_and_words_are_text_on_the_page(service: Service) -> None:
    request = make_request(service, title="<img src=x>", message="<script>alert(1)</script>", folder="in")
    visitor = cookie_of(visit(service, request["url"], headers=PAGE))
    sent(service, request["url"], ("<svg onload=alert(1)>.svg", b"x"), **visitor)
    page = visit(service, request["url"], headers={**PAGE, **visitor})
    for markup in ("<img src", "<script>alert", "<svg"):
        assert markup not in page.text
    assert "&lt;svg onload=alert(1)&gt;.svg" in page.text
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'nonce-" in policy
    assert "unsafe" not in policy
    assert page.headers["x-frame-options"] == "DENY"


def test_what_somebody_has_sent_is_shown_to_nobody_else(service: Service) -> None:
    request = make_request(service)
    one, two = (cookie_of(visit(service, request["url"], headers=PAGE)) for _ in range(2))
    sent(service, request["url"], ("mine.txt", b"1"), **one)
    sent(service, request["url"], ("nobodys.txt", b"2"))
    assert [file["name"] for file in visit(service, request["url"], headers=one).json()["files"]] == ["mine.txt"]
    for headers in (two, {}, {"Cookie": "visitor="}):
        assert visit(service, request["url"], headers=headers).json()["files"] == []
    found = service.request("GET", f"/api/requests/{request['id']}/files").json()["files"]
    assert [(file["name"], file["status"]) for file in found] == [("mine.txt", "ready"), ("nobodys.txt", "ready")]


def test_size_and_number_of_files_are_held_to(service: Service) -> None:
    request = make_request(service, max_size=10, max_files=2)
    assert visit(service, f"{request['url']}/a", "PUT", content=b"x" * 11).status_code == 413
    assert created(service, request["url"], "a", 11).status_code == 413
    assert sent(service, request["url"], ("a", b"x" * 11)).status_code == 413
    url = created(service, request["url"], "b", 3).headers["location"]
    assert visit(service, f"{request['url']}/c", "PUT", content=b"x" * 10).status_code == 201
    full = visit(service, f"{request['url']}/d", "PUT", content=b"x")
    assert full.status_code == 409  # the other is under way
    assert visit(service, url, "DELETE", headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    assert visit(service, f"{request['url']}/d", "PUT", content=b"x").status_code == 201
    assert visit(service, f"{request['url']}/e", "PUT", content=b"x").status_code == 409
    assert service.request("GET", f"/api/requests/{request['id']}").json()["state"] == "full"
    assert "has all the files" in visit(service, request["url"], headers=PAGE).text
    assert paths(service) == ["Photos/c", "Photos/d"]


def test_types_are_held_to_by_name_and_by_bytes(service: Service) -> None:
    request = make_request(service, types=["image/png"])
    assert visit(service, f"{request['url']}/a.exe", "PUT", content=b"MZ").status_code == 415
    assert created(service, request["url"], "a.pdf", 3).status_code == 415
    visitor = cookie_of(visit(service, request["url"], headers=PAGE))
    assert sent(service, request["url"], ("a.png", b"%PDF-1.4 no picture"), **visitor).status_code == 303
    service.process()
    (file,) = visit(service, request["url"], headers=visitor).json()["files"]
    assert (file["name"], file["status"], file["reason"]) == ("a.png", "rejected", "type_not_allowed")
    assert "Refused" in visit(service, request["url"], headers={**PAGE, **visitor}).text


def test_a_request_ends_at_its_second_and_with_it_what_is_under_way(service: Service) -> None:
    request = make_request(service, expires_in="60s")
    url = created(service, request["url"], "a", 4).headers["location"]
    service.pass_time(seconds=59)
    assert appended(service, url, 0, b"ab").status_code == 204
    service.pass_time(seconds=1)
    assert appended(service, url, 2, b"cd").status_code == 410
    assert visit(service, request["url"]).status_code == 410
    assert visit(service, f"{request['url']}/b", "PUT", content=b"x").status_code == 410
    assert created(service, request["url"], "c", 1).status_code == 410
    assert visit(service, request["url"], headers=PAGE).status_code == 410
    assert paths(service) == []


def test_a_deleted_request_leads_nowhere_and_what_has_come_stays(service: Service) -> None:
    request = make_request(service)
    visit(service, f"{request['url']}/a", "PUT", content=b"x")
    url = created(service, request["url"], "b", 2).headers["location"]
    assert service.request("DELETE", f"/api/requests/{request['id']}").status_code == 204
    assert visit(service, request["url"]).status_code == 404
    assert appended(service, url, 0, b"ab").status_code == 410
    assert paths(service) == ["Photos/a"]
    assert service.request("GET", f"/api/requests/{request['id']}").status_code == 404


def test_an_expired_request_is_forgotten_after_the_time_of_tombstones(make_service: Callable[..., Service]) -> None:
    service = make_service(tombstone_retention="1d")
    request = make_request(service, expires_in="1h")
    visit(service, f"{request['url']}/a", "PUT", content=b"x")
    service.pass_time(hours=26)
    service.sweep()
    assert service.request("GET", "/api/requests").json()["requests"] == []
    assert paths(service) == ["Photos/a"]


def test_a_request_takes_files_by_the_rights_of_its_key(service: Service) -> None:
    made = make_key(service, "upload", "read", limits={"max_size": 5})
    request = make_request(service, made["key"], max_size=100)
    assert visit(service, request["url"]).json()["max_size"] == 5
    assert visit(service, f"{request['url']}/a", "PUT", content=b"123456").status_code == 413
    url = created(service, request["url"], "b", 2).headers["location"]
    service.request("PATCH", f"/api/keys/{made['id']}", json={"scopes": ["read"]})
    assert visit(service, request["url"]).status_code == 410
    assert appended(service, url, 0, b"ab").status_code == 403
    service.request("PATCH", f"/api/keys/{made['id']}", json={"scopes": ["upload"], "path_prefix": "elsewhere"})
    assert visit(service, f"{request['url']}/a", "PUT", content=b"1").status_code == 410
    service.request("DELETE", f"/api/keys/{made['id']}")
    assert visit(service, request["url"]).status_code == 410


def test_a_confined_key_asks_for_files_in_its_folder_alone(service: Service) -> None:
    confined = make_key(service, "upload", "read", path_prefix="in")["key"]
    refused = service.request("POST", "/api/requests", key=confined, json={"title": "x", "folder": "out"})
    assert refused.status_code == 403
    request = make_request(service, confined)
    assert request["folder"] == "in/Photos"
    visit(service, f"{request['url']}/a", "PUT", content=b"x")
    assert paths(service) == ["in/Photos/a"]
    lacking = make_key(service, "read")["key"]
    assert service.request("POST", "/api/requests", key=lacking, json={"title": "x"}).status_code == 403


def test_quotas_hold_for_what_strangers_send(service: Service) -> None:
    made = make_key(service, "upload", "read", limits={"max_bytes": 10})
    request = make_request(service, made["key"])
    assert visit(service, f"{request['url']}/a", "PUT", content=b"x" * 10).status_code == 201
    assert visit(service, f"{request['url']}/b", "PUT", content=b"x").status_code == 403


def test_a_key_sees_its_own_requests_and_an_administrator_all(service: Service) -> None:
    ann, bob = (make_key(service, "upload")["key"] for _ in range(2))
    first, second = make_request(service, ann), make_request(service, bob)

    def seen(key: str) -> list[str]:
        return [found["id"] for found in service.request("GET", "/api/requests", key=key).json()["requests"]]

    assert (seen(ann), seen(bob)) == ([first["id"]], [second["id"]])
    assert seen(make_key(service, "admin")["key"]) == [second["id"], first["id"]]
    for method, rest in (("GET", ""), ("GET", "/files"), ("PATCH", ""), ("DELETE", "")):
        foreign = service.request(method, f"/api/requests/{first['id']}{rest}", key=bob, json={})
        absent = service.request(method, f"/api/requests/{'0' * 8}-0000-7000-8000-{'0' * 12}{rest}", key=bob, json={})
        assert foreign.status_code == absent.status_code == 404
        assert foreign.json()["detail"] == absent.json()["detail"]


def test_the_owner_is_told_of_what_comes_and_that_it_was_all(service: Service) -> None:
    request = make_request(service)
    visitor = cookie_of(visit(service, request["url"], headers=PAGE))
    assert visit(service, f"{request['url']}/done", "POST", headers=visitor).status_code == 303
    sent(service, request["url"], ("a.txt", b"1"), ("b.txt", b"2"), **visitor)
    done = visit(service, f"{request['url']}/done", "POST", headers=visitor)
    assert done.headers["location"].endswith("?done=1")
    assert "Whoever asked was told" in visit(service, done.headers["location"], headers={**PAGE, **visitor}).text
    visit(service, f"{request['url']}/done", "POST", headers=visitor)
    events = told(service, "request.created", "request.received", "request.finished")
    assert [event["request_id"] for event in events] == [request["id"]] * 4
    assert [event.get("path") for event in events[1:3]] == ["Photos/a.txt", "Photos/b.txt"]
    assert events[3]["files"] == 2
    assert request["url"][-22:] not in str(events)


def test_a_passphrase_is_asked_for_before_anything_is_taken(service: Service) -> None:
    request = make_request(service, passphrase=PASSPHRASE)
    token = request["url"]
    assert visit(service, token).status_code == 401
    assert visit(service, f"{token}/a", "PUT", content=b"x").status_code == 401
    assert created(service, token, "a", 1).status_code == 401
    assert sent(service, token, ("a", b"x")).status_code == 401
    assert visit(service, f"{token}/done", "POST").status_code == 401
    opened = cookie_of(visit(service, token, "POST", data={"passphrase": PASSPHRASE}))
    assert created(service, token, "a", 1, **opened).status_code == 201
    assert visit(service, f"{token}/b", "PUT", content=b"x", headers=basic(PASSPHRASE)).status_code == 201


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_forged_form_sends_nothing(service: Service, headers: dict[str, str]) -> None:
    request = make_request(service)
    assert sent(service, request["url"], ("a", b"x"), **headers).status_code == 403
    assert created(service, request["url"], "a", 1, **headers).status_code == 403
    assert visit(service, f"{request['url']}/done", "POST", headers=headers).status_code == 403
    assert paths(service) == []


def test_neither_the_id_of_a_request_nor_another_url_opens_anything(service: Service) -> None:
    request = make_request(service)
    for guess in (request["id"], "x", "A" * 22):
        assert visit(service, f"/r/{guess}").status_code == 404
        assert visit(service, f"/r/{guess}/a", "PUT", content=b"x").status_code == 404
    url = created(service, request["url"], "a", 1).headers["location"]
    assert visit(service, url.replace("sp=cwa", "sp=r"), "PATCH").status_code in (400, 403)


def test_an_empty_form_says_that_nothing_was_chosen(service: Service) -> None:
    request = make_request(service)
    empty = b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--b--\r\n'
    answer = visit(
        service, request["url"], "POST", content=empty, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_file")
    assert paths(service) == []


def test_a_file_that_fails_leaves_those_before_it_and_frees_its_place(service: Service) -> None:
    request = make_request(service, max_size=5, max_files=2)
    assert sent(service, request["url"], ("good", b"1"), ("large", b"123456")).status_code == 413
    assert paths(service) == ["Photos/good"]
    assert visit(service, f"{request['url']}/other", "PUT", content=b"2").status_code == 201


def test_a_request_is_changed(service: Service) -> None:
    request = make_request(service, max_size=1, max_files=1, types=["image/png"], expires_in="1h")
    changes: dict[str, Any] = {
        "title": "Other",
        "max_size": "1KiB",
        "max_files": None,
        "types": None,
        "expires_at": None,
    }
    changed = service.request("PATCH", f"/api/requests/{request['id']}", json=changes).json()
    assert (changed["title"], changed["max_size"], changed["max_files"]) == ("Other", 1024, None)
    assert (changed["types"], changed["expires_at"], changed["url"]) == (None, None, request["url"])


@pytest.mark.parametrize(
    "asked",
    [
        {"title": ""},
        {"title": "a\nb"},
        {"max_size": 0},
        {"max_files": 0},
        {"types": ["no type"]},
        {"folder": "../up"},
        {"passphrase": "short"},
        {"expires_at": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_cannot_be_asked_for_is_refused(service: Service, asked: dict[str, Any]) -> None:
    assert service.request("POST", "/api/requests", json={"title": "x", **asked}).status_code == 400


def test_a_workspace_takes_its_requests_along(service: Service) -> None:
    service.request("POST", "/api/workspaces", json={"name": "other"})
    request = make_request(service, workspace="other")
    assert service.request("DELETE", "/api/workspaces/other").status_code == 204
    assert visit(service, request["url"]).status_code == 404
