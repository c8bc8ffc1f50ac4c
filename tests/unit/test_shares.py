"""Shares: who makes and sees them, what visitors get, and when that ends: to the second, and with the rights of the key."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from fileferry.ui import archives
from unit.linked import (
    PAGE,
    PASSPHRASE,
    archive_of,
    basic,
    cookie_of,
    make_key,
    make_share,
    told,
    visit,
)
from unit.service import Service

LONG = bytes(range(256)) * 4096  # in the store, and several blocks of it


def test_a_visitor_sees_and_downloads_the_files_of_a_share(service: Service) -> None:
    one, two = service.upload(b"abc", "in/a.txt"), service.upload(LONG, "in/b.bin")
    share = make_share(service, file_ids=[two["id"], one["id"]], name="Plans", message="Two of them")
    shown = visit(service, share["url"]).json()
    assert (shown["name"], shown["message"], shown["next_cursor"]) == ("Plans", "Two of them", None)
    assert [(file["name"], file["size"], file["sha256"]) for file in shown["files"]] == [
        ("b.bin", len(LONG), two["sha256"]),
        ("a.txt", 3, one["sha256"]),
    ]
    assert visit(service, shown["files"][0]["url"]).content == LONG
    archive = archive_of(visit(service, shown["archive_url"]))
    assert {name: archive.read(name) for name in archive.namelist()} == {"b.bin": LONG, "a.txt": b"abc"}


def test_a_page_for_people_names_files_as_text_and_lets_nothing_run_or_frame_it(service: Service) -> None:
    service.upload(b"<script>alert(1)</script>", "x/<img src=x onerror=alert(1)>.html")
    share = make_share(service, folder="x", name="<b>bold</b>", message="<script>alert(2)</script>")
    page = visit(service, share["url"], headers=PAGE)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<img src" not in page.text
    assert "<script>alert" not in page.text
    assert "<b>bold" not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;.html" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (page.headers["x-frame-options"], page.headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert (page.headers["cache-control"], page.headers["x-robots-tag"]) == ("private, no-store", "noindex")
    (file,) = visit(service, share["url"]).json()["files"]
    served = visit(service, file["url"])
    assert served.headers["content-disposition"].startswith("attachment")
    assert served.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert served.headers["x-content-type-options"] == "nosniff"


def test_a_folder_is_shared_as_it_is_when_somebody_looks(service: Service) -> None:
    service.upload(b"1", "reports/a/deep.txt")
    service.upload(b"2", "reports/top.txt")
    service.upload(b"3", "reports2/other.txt")
    handed_off = service.request("POST", "/v1/files", files={"file": ("reports/not-in-the-tree", b"4")})
    assert handed_off.status_code == 201, handed_off.text
    share = make_share(service, folder="reports")
    assert share["folder"] == "reports"
    assert [file["name"] for file in visit(service, share["url"]).json()["files"]] == ["a/deep.txt", "top.txt"]
    late = service.upload(b"5", "reports/late.txt")
    assert "late.txt" in [file["name"] for file in visit(service, share["url"]).json()["files"]]
    service.request("DELETE", f"/api/files/{late['id']}")
    assert visit(service, f"{share['url']}/files/{late['id']}").status_code == 410
    assert archive_of(visit(service, f"{share['url']}/archive")).namelist() == ["a/deep.txt", "top.txt"]


def test_a_folder_is_shown_page_by_page_and_archived_whole(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fileferry.engine.files.shared.PAGE", 2)
    names = ["a", "b", "c"]
    for name in names:
        service.upload(b"x", f"many/{name}")
    share = make_share(service, folder="many")
    first = visit(service, share["url"]).json()
    second = visit(service, share["url"], params={"cursor": first["next_cursor"]}).json()
    assert [file["name"] for file in first["files"] + second["files"]] == names
    assert second["next_cursor"] is None
    page = visit(service, share["url"], headers=PAGE)
    (more,) = re.findall(r'href="([^"]*cursor=[^"]*)"', page.text)
    assert ">c</a>" in visit(service, more, headers=PAGE).text
    assert archive_of(visit(service, first["archive_url"])).namelist() == names


def test_an_archive_of_too_many_files_is_refused_before_it_begins(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        service.upload(b"x", f"many/{name}")
    share = make_share(service, folder="many")
    monkeypatch.setattr("fileferry.engine.files.shared.MOST_ARCHIVED", 2)
    assert visit(service, f"{share['url']}/archive").status_code == 409
    monkeypatch.setattr("fileferry.engine.files.shared.MOST_ARCHIVED", 3)
    assert len(archive_of(visit(service, f"{share['url']}/archive")).namelist()) == 3


def test_a_share_ends_at_its_second(service: Service) -> None:
    file = service.upload()
    share = make_share(service, file_ids=[file["id"]], expires_in="60s")
    service.pass_time(seconds=59)
    assert visit(service, share["url"]).status_code == 200
    service.pass_time(seconds=1)
    for url in (share["url"], f"{share['url']}/archive", f"{share['url']}/files/{file['id']}"):
        assert visit(service, url).status_code == 410
    assert service.request("GET", f"/api/shares/{share['id']}").json()["state"] == "expired"
    service.request("PATCH", f"/api/shares/{share['id']}", json={"expires_at": None})
    assert visit(service, share["url"]).status_code == 200


def test_an_expired_share_is_forgotten_after_the_time_of_tombstones(make_service: Callable[..., Service]) -> None:
    service = make_service(tombstone_retention="1d")
    share = make_share(service, file_ids=[service.upload()["id"]], expires_in="1h")
    lasting = make_share(service, file_ids=[service.upload()["id"]])
    service.pass_time(hours=24)
    service.sweep()
    assert service.request("GET", f"/api/shares/{share['id']}").status_code == 200
    service.pass_time(hours=2)
    service.sweep()
    listed = service.request("GET", "/api/shares").json()["shares"]
    assert [found["id"] for found in listed] == [lasting["id"]]


def test_a_deleted_share_leads_nowhere_and_its_files_stay(service: Service) -> None:
    file = service.upload()
    share = make_share(service, file_ids=[file["id"]])
    assert service.request("DELETE", f"/api/shares/{share['id']}").status_code == 204
    assert visit(service, share["url"]).status_code == 404
    assert service.request("DELETE", f"/api/shares/{share['id']}").status_code == 404
    assert service.fetch(file["url"]).content == b"abc"


def test_downloads_are_counted_whole_and_end_the_share(service: Service) -> None:
    small, long = service.upload(), service.upload(LONG, "b")
    share = make_share(service, file_ids=[small["id"], long["id"]], max_downloads=3)
    of_long = f"{share['url']}/files/{long['id']}"
    part = visit(service, of_long, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["accept-ranges"], part.content) == (200, "none", LONG)  # the first
    assert visit(service, of_long, "HEAD").status_code == 200
    assert visit(service, f"{share['url']}/archive", "HEAD").status_code == 200
    assert visit(service, share["url"]).json()["downloads_left"] == 2
    archive_of(visit(service, f"{share['url']}/archive"))
    assert visit(service, f"{share['url']}/files/{small['id']}").content == b"abc"
    assert visit(service, of_long).status_code == 410
    assert visit(service, share["url"], headers=PAGE).status_code == 410
    found = service.request("GET", f"/api/shares/{share['id']}").json()
    assert (found["downloads"], found["state"]) == (3, "used_up")
    assert [event.get("file_id") for event in told(service, "share.downloaded")] == [long["id"], None, small["id"]]
    service.request("PATCH", f"/api/shares/{share['id']}", json={"max_downloads": 4})
    assert visit(service, of_long).status_code == 200


def test_a_share_without_a_bound_gives_parts_and_counts_wholes(service: Service) -> None:
    file = service.upload(LONG)
    share = make_share(service, file_ids=[file["id"]])
    url = f"{share['url']}/files/{file['id']}"
    part = visit(service, url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, LONG[10:20])
    assert visit(service, url).content == LONG
    assert service.request("GET", f"/api/shares/{share['id']}").json()["downloads"] == 1


def test_an_archive_counts_as_a_fetch_of_each_file_and_ends_those_that_may_be_fetched_once(service: Service) -> None:
    once = service.request("POST", "/v1/files", files={"file": ("once", LONG)}, data={"expires_after_fetches": "1"})
    often = service.upload()
    share = make_share(service, file_ids=[once.json()["file_id"], often["id"]])
    assert archive_of(visit(service, f"{share['url']}/archive")).namelist() == ["once", "a"]
    assert archive_of(visit(service, f"{share['url']}/archive")).namelist() == ["a"]
    service.write_fetches()
    assert [event["name"] for event in told(service, "file.fetched")] == ["once", "a", "a"]


def test_what_is_not_ready_is_shown_but_neither_served_nor_archived(make_service: Callable[..., Service]) -> None:
    service = make_service(refuse_empty="true")
    ready, checked = service.upload(b"1", "d/ready"), service.upload(b"2", "d/later")
    share = make_share(service, folder="d")
    assert visit(service, f"{share['url']}/archive").status_code == 409
    service.process()
    pending = service.upload(b"3", "d/pending")
    files = visit(service, share["url"]).json()["files"]
    assert {file["name"]: file["status"] for file in files} == {
        "later": "ready",
        "pending": "processing",
        "ready": "ready",
    }
    assert visit(service, f"{share['url']}/files/{pending['id']}").status_code == 409
    assert "Being checked" in visit(service, share["url"], headers=PAGE).text
    assert archive_of(visit(service, f"{share['url']}/archive")).namelist() == ["later", "ready"]
    assert {ready["id"], checked["id"]} < {file["id"] for file in files}


def test_a_share_gives_what_its_key_may_read_and_ends_with_the_key(service: Service) -> None:
    made = make_key(service, "read", "upload")
    inside, outside = service.upload(b"1", "in/a"), service.upload(b"2", "out/b")
    share = make_share(service, made["key"], file_ids=[inside["id"], outside["id"]])
    assert len(visit(service, share["url"]).json()["files"]) == 2
    service.request("PATCH", f"/api/keys/{made['id']}", json={"path_prefix": "in"})
    assert [file["name"] for file in visit(service, share["url"]).json()["files"]] == ["a"]
    assert visit(service, f"{share['url']}/files/{outside['id']}").status_code == 404
    assert archive_of(visit(service, f"{share['url']}/archive")).namelist() == ["a"]
    service.request("DELETE", f"/api/keys/{made['id']}")
    assert visit(service, share["url"]).status_code == 410


def test_a_confined_key_shares_only_what_it_sees(service: Service) -> None:
    inside, outside = service.upload(b"1", "in/a"), service.upload(b"2", "out/b")
    confined = make_key(service, "read", path_prefix="in")["key"]
    refused = service.request("POST", "/api/shares", key=confined, json={"file_ids": [inside["id"], outside["id"]]})
    assert (refused.status_code, refused.json()["ids"]) == (404, [outside["id"]])
    for folder in ("out", "nowhere", "i"):
        answer = service.request("POST", "/api/shares", key=confined, json={"folder": folder})
        assert answer.status_code == 404
    assert make_share(service, confined, folder="in")["folder"] == "in"
    lacking = service.request("POST", "/api/shares", key=make_key(service, "upload")["key"], json={"folder": "in"})
    assert lacking.status_code == 403


def test_a_share_for_an_end_user_has_the_users_files_alone(service: Service) -> None:
    key = make_key(service, "read", "upload", on_behalf_of=["ada", "bob"])["key"]
    for user in ("ada", "bob"):
        answer = service.request("PUT", f"/api/upload/d/{user}", key=key, content=b"x", headers={"user-id": user})
        assert answer.is_success, answer.text
    service.process()
    made = service.request("POST", "/api/shares", key=key, json={"folder": "d"}, headers={"user-id": "ada"})
    assert made.status_code == 201, made.text
    assert [file["name"] for file in visit(service, made.json()["url"]).json()["files"]] == ["ada"]
    listed = service.request("GET", "/api/shares", key=key, headers={"user-id": "bob"}).json()["shares"]
    assert listed == []


def test_a_key_sees_its_own_shares_and_an_administrator_all(service: Service) -> None:
    file = service.upload()
    ann, bob = (make_key(service, "read")["key"] for _ in range(2))
    first = make_share(service, ann, file_ids=[file["id"]])
    second = make_share(service, bob, file_ids=[file["id"]])

    def seen(key: str) -> list[str]:
        return [share["id"] for share in service.request("GET", "/api/shares", key=key).json()["shares"]]

    assert (seen(ann), seen(bob)) == ([first["id"]], [second["id"]])
    admin = make_key(service, "admin")["key"]
    assert seen(admin) == [second["id"], first["id"]]
    for method, asked in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        foreign = service.request(method, f"/api/shares/{first['id']}", key=bob, json=asked)
        absent = service.request(method, f"/api/shares/{file['id']}", key=bob, json=asked)
        assert foreign.status_code == absent.status_code == 404
        assert foreign.json()["detail"] == absent.json()["detail"]
    assert service.request("DELETE", f"/api/shares/{first['id']}", key=admin).status_code == 204


def test_a_share_of_another_organization_is_as_absent(service: Service) -> None:
    service.request("POST", "/api/organizations", json={"slug": "theirs"})
    theirs = service.request(
        "POST", "/api/keys", params={"organization": "theirs"}, json={"name": "k", "scopes": ["admin"]}
    ).json()["key"]
    file = service.upload()
    share = make_share(service, file_ids=[file["id"]])
    assert service.request("GET", f"/api/shares/{share['id']}", key=theirs).status_code == 404
    answer = service.request("POST", "/api/shares", key=theirs, json={"file_ids": [file["id"]]})
    assert answer.status_code == 404
    assert service.request("GET", "/api/shares", key=theirs).json()["shares"] == []


def test_neither_the_id_of_a_share_nor_that_of_a_file_opens_anything(service: Service) -> None:
    listed, other = service.upload(b"1", "a"), service.upload(b"2", "b")
    share = make_share(service, file_ids=[listed["id"]])
    token = share["url"].rpartition("/")[2]
    assert len(token) == 22
    for guess in (share["id"], listed["id"], "x", "A" * 22, token[:-1] + ("A" if token[-1] != "A" else "B")):
        assert visit(service, f"/s/{guess}").status_code == 404
        assert visit(service, f"/s/{guess}/archive").status_code == 404
    assert visit(service, f"{share['url']}/files/{other['id']}").status_code == 404
    assert visit(service, f"{share['url']}/files/nothing").status_code == 404
    assert token not in str(told(service, "share.created", "share.downloaded"))


def test_events_tell_of_a_share(service: Service) -> None:
    share = make_share(service, file_ids=[service.upload()["id"]])
    service.request("PATCH", f"/api/shares/{share['id']}", json={"name": "renamed"})
    service.request("DELETE", f"/api/shares/{share['id']}")
    events = told(service, "share.created", "share.changed", "share.deleted")
    assert [(event["share_id"], event["name"]) for event in events] == [
        (share["id"], "a"),
        (share["id"], "renamed"),
        (share["id"], "renamed"),
    ]


def test_a_passphrase_is_asked_for_at_every_address_and_never_shown(service: Service) -> None:
    file = service.upload()
    share = make_share(service, file_ids=[file["id"]], passphrase=PASSPHRASE)
    assert share["has_passphrase"]
    assert "passphrase" not in share
    addresses = (share["url"], f"{share['url']}/archive", f"{share['url']}/files/{file['id']}")
    for url in addresses:
        refused = visit(service, url)
        assert (refused.status_code, refused.json()["code"]) == (401, "passphrase_required")
        assert refused.headers["www-authenticate"].startswith("Basic ")
        page = visit(service, url, headers=PAGE)
        assert (page.status_code, page.headers["www-authenticate"]) == (401, "Form")
        assert file["name"] not in re.findall(r"<h1>.*?</h1>|<li>.*?</li>", page.text)
        assert visit(service, url, headers=basic("another one")).status_code == 401
    for url in addresses:
        assert visit(service, url, headers=basic(PASSPHRASE)).status_code == 200


def test_the_form_with_the_passphrase_opens_a_share_for_a_while(service: Service) -> None:
    share = make_share(service, file_ids=[service.upload()["id"]], passphrase=PASSPHRASE)
    wrong = visit(service, share["url"], "POST", data={"passphrase": "something else"}, headers=PAGE)
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    assert "This is not the passphrase" in wrong.text
    opened = visit(service, share["url"], "POST", data={"passphrase": PASSPHRASE}, headers=PAGE)
    assert (opened.status_code, opened.headers["location"]) == (303, "/s/" + share["url"].rpartition("/")[2])
    cookie = opened.headers["set-cookie"]
    assert f"Path={opened.headers['location']};" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    shown = cookie_of(opened)
    assert visit(service, share["url"], headers=shown).status_code == 200
    other = make_share(service, file_ids=[service.upload()["id"]], passphrase=PASSPHRASE)
    assert visit(service, other["url"], headers=shown).status_code == 401
    changed = {"Cookie": shown["Cookie"].replace("2030", "2031")}
    assert visit(service, share["url"], headers=changed).status_code == 401
    service.pass_time(hours=12, seconds=-1)
    assert visit(service, share["url"], headers=shown).status_code == 200
    service.pass_time(seconds=1)
    assert visit(service, share["url"], headers=shown).status_code == 401


def test_a_new_passphrase_locks_everybody_out_and_none_lets_all_in(service: Service) -> None:
    share = make_share(service, file_ids=[service.upload()["id"]], passphrase=PASSPHRASE)
    opened = cookie_of(visit(service, share["url"], "POST", data={"passphrase": PASSPHRASE}))
    service.request("PATCH", f"/api/shares/{share['id']}", json={"passphrase": "another one"})
    assert visit(service, share["url"], headers=opened).status_code == 401
    assert visit(service, share["url"], headers=basic(PASSPHRASE)).status_code == 401
    service.request("PATCH", f"/api/shares/{share['id']}", json={"passphrase": None})
    assert visit(service, share["url"]).status_code == 200


def test_guesses_of_a_passphrase_are_counted_by_address_and_by_link(make_service: Callable[..., Service]) -> None:
    service = make_service(passphrase_guesses="2/hour", link_guesses="4/day", trusted_proxies="127.0.0.1")
    file = service.upload()
    share = make_share(service, file_ids=[file["id"]], passphrase=PASSPHRASE)
    other = make_share(service, file_ids=[file["id"]], passphrase=PASSPHRASE)

    def tried(passphrase: str, address: str = "192.0.2.1", url: str = share["url"]) -> int:
        headers = {**basic(passphrase), "X-Forwarded-For": address}
        return visit(service, url, headers=headers).status_code

    assert [tried(PASSPHRASE) for _ in range(3)] == [200, 200, 200]  # right ones are not counted
    assert [tried("wrong one") for _ in range(3)] == [401, 401, 429]
    assert tried(PASSPHRASE) == 429
    assert tried(PASSPHRASE, url=other["url"]) == 200
    assert tried(PASSPHRASE, "2001:db8::1") == 200
    assert [tried("wrong one", f"2001:db8::{end}") for end in (1, 2, 3)] == [401, 401, 429]  # of one network
    assert tried(PASSPHRASE, "192.0.2.9") == 429  # all together have had four
    service.pass_time(days=1)
    assert tried(PASSPHRASE) == 200


def test_a_forged_form_opens_nothing(service: Service) -> None:
    share = make_share(service, file_ids=[service.upload()["id"]], passphrase=PASSPHRASE)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = visit(service, share["url"], "POST", data={"passphrase": PASSPHRASE}, headers=headers)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    same = {"Origin": "http://service", "Sec-Fetch-Site": "same-origin"}
    assert visit(service, share["url"], "POST", data={"passphrase": PASSPHRASE}, headers=same).status_code == 303


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"file_ids": []},
        {"folder": "d", "file_ids": ["x"]},
        {"folder": "d", "passphrase": "short"},
        {"folder": "d", "max_downloads": 0},
        {"folder": "d", "expires_in": "0s"},
        {"folder": "d", "name": "two\nlines"},
        {"folder": "d", "unknown": 1},
    ],
)
def test_what_cannot_be_shared_is_refused(service: Service, asked: dict[str, Any]) -> None:
    service.upload(b"x", "d/f")
    assert service.request("POST", "/api/shares", json=asked).status_code == 400


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b.txt", "a/b.txt"),
        (r"..\..\evil.exe", ".._.._evil.exe"),
        ("C:evil", "C_evil"),
        ("a/con", "a/_con"),
        ("NUL.txt", "_NUL.txt"),
        ("dots...", "dots___"),
        ("blank ", "blank_"),
        ("ü/日本.txt", "ü/日本.txt"),
    ],
)
def test_names_in_an_archive_are_harmless_on_every_system(name: str, safe: str) -> None:
    assert archives.safe_name(name) == safe


def test_files_of_the_same_name_are_all_in_the_archive(service: Service) -> None:
    ids = [service.upload(bytes([number]), path)["id"] for number, path in enumerate(("a/x.txt", "b/x.txt", "c/X.TXT"))]
    share = make_share(service, file_ids=ids)
    archive = archive_of(visit(service, f"{share['url']}/archive"))
    assert [(name, archive.read(name)) for name in archive.namelist()] == [
        ("x.txt", b"\0"),
        ("x (2).txt", b"\1"),
        ("X (3).TXT", b"\2"),
    ]
