"""The pages of keys, webhooks, organizations, use and problems."""

from __future__ import annotations

import html
import re

import pytest

from ui.person import Person, signed_in
from unit.service import Service


def secret_of(page: str) -> str:
    """Return the secret that a page shows this once."""
    found = re.search(r'<code id="secret">(.*?)</code>', page)
    assert found is not None, page
    return html.unescape(found[1])


def test_a_key_is_made_shown_once_changed_rotated_and_revoked(service: Service, person: Person) -> None:
    fields = {"name": "for a test", "scope": ["upload", "read"], "path_prefix": "in", "limit_max_size": "10MiB"}
    secret = secret_of(person.post("/keys", fields).text)
    told = service.request("GET", "/api/whoami", key=secret).json()["key"]
    assert (told["scopes"], told["path_prefix"], told["limits"]["max_size"]) == (["read", "upload"], "in", 10 * 1024**2)
    assert secret not in person.get("/keys").text + person.get(f"/keys/{told['id']}").text
    person.post(f"/keys/{told['id']}", {"name": "changed", "scope": ["read"]})
    told = service.request("GET", "/api/whoami", key=secret).json()["key"]
    assert (told["name"], told["scopes"], told["path_prefix"], told["limits"]["max_size"]) == (
        "changed",
        ["read"],
        None,
        None,
    )
    fresh = secret_of(person.post(f"/keys/{told['id']}/rotate", {"grace": "0"}).text)
    assert service.request("GET", "/api/whoami", key=secret).status_code == 401
    assert service.request("GET", "/api/whoami", key=fresh).status_code == 200
    person.post(f"/keys/{told['id']}/revoke")
    assert service.request("GET", "/api/whoami", key=fresh).status_code == 401
    assert "revoked" in person.get("/keys").text


def test_a_key_is_used_by_whoever_is_signed_in_with_it_too(service: Service, person: Person) -> None:
    made = service.request("POST", "/api/keys", json={"name": "used", "scopes": ["read"]}).json()

    def told() -> list[str]:
        pages = [
            person.get("/keys").text.split("used</a>")[1].split("</tr>")[0],
            person.get(f"/keys/{made['id']}").text,
        ]
        return [re.split(r"Last used\W+(?:dt|dd|td)?\W*(?:dd)?\W*", page)[1] for page in pages]

    assert [text[:5] for text in told()] == ["never", "never"]
    reader = signed_in(service, made["key"])
    service.pass_time(minutes=5)
    assert ["5 minutes ago" in text for text in told()] == [True, True]
    reader.get("/files")
    assert ["just now" in text for text in told()] == [True, True]


def test_revoking_the_key_that_one_is_signed_in_with_signs_out(service: Service) -> None:
    made = service.request("POST", "/api/keys", json={"name": "own", "scopes": ["admin"]}).json()
    person = signed_in(service, made["key"])
    assert person.post(f"/keys/{made['id']}/revoke").status_code == 303
    assert person.get("/keys").status_code == 303


@pytest.mark.parametrize("field", ["limit_max_size", "limit_max_files", "limit_requests", "limit_max_retention"])
def test_a_limit_that_is_none_is_told(person: Person, field: str) -> None:
    assert person.post("/keys", {"name": "k", "scope": "read", field: "nonsense"}).status_code == 400


def test_a_webhook_is_made_tested_sent_again_rotated_and_deleted(service: Service, person: Person) -> None:
    secret = secret_of(person.post("/webhooks", {"url": "http://127.0.0.1:9/hook", "type": "file.ready"}).text)
    assert secret.startswith("whsec_")
    found = re.search(r"/webhooks/([0-9a-f-]{36})", person.get("/webhooks").text)
    assert found is not None
    place = f"/webhooks/{found[1]}"
    person.post(f"{place}/test")
    assert ">pending<" in person.get(place).text
    service.deliver()
    log = service.request("GET", f"/api{place}/deliveries").json()["deliveries"]
    assert person.post(f"{place}/deliveries/{log[0]['id']}").status_code == 303
    assert person.notice().endswith("on its way again.")
    assert secret_of(person.post(f"{place}/rotate").text) != secret
    person.post(place, {"action": "disable"})
    assert "Disabled by request." in person.get(place).text
    assert "Disabled" in person.get("/problems").text or ">failed<" in person.get(f"{place}?state=failed").text
    person.post(place, {"action": "enable"})
    person.post(place, {"url": "http://127.0.0.1:9/other"})
    assert "/other" in person.get(place).text
    person.post(f"{place}/delete")
    assert person.get(place).status_code == 404


def test_organizations_and_workspaces_are_made_and_limited(service: Service, person: Person) -> None:
    place = person.post("/organizations", {"slug": "acme", "name": "Acme"}).headers["location"].removeprefix("/ui")
    person.post(place, {"whose": "all", "limit_max_bytes": "1GiB"})
    person.post(place, {"whose": "end_users", "limit_max_files": "5"})
    told = service.request("GET", f"/api{place}").json()
    assert (told["limits"]["max_bytes"], told["end_user_limits"]["max_files"]) == (1024**3, 5)
    person.post(place, {"whose": "all"})
    assert service.request("GET", f"/api{place}").json()["limits"]["max_bytes"] is None
    person.post("/workspaces", {"name": "second", "keep_versions": "3", "keep_versions_for": "30d"})
    made = service.request("GET", "/api/workspaces/second").json()
    assert (made["keep_versions"], made["keep_versions_for"]) == (3, 30 * 86400)
    person.post(f"/workspaces/{made['id']}/delete")
    assert service.request("GET", "/api/workspaces/second").status_code == 404


def test_use_by_day_counts_files_bytes_and_fetches(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = Service(tmp_path_factory.mktemp("usage"))
    try:
        person = signed_in(service)
        file = service.upload(b"x" * 1000, "a.bin")
        service.fetch(file["url"])
        service.write_fetches()
        service.pass_time(days=2)
        service.upload(b"x" * 24, "b.bin")
        page = signed_in(service).get("/usage").text
        assert "keeps 1.0 KiB in 2 files" in page
        assert "2 in 30 days; most on one day: 1." in page
        assert "1 in 30 days; most on one day: 1." in page
        assert re.search(r"<title>01 Jan: 1000 B</title>", page)
        assert person is not None
    finally:
        service.close()


def test_problems_name_rejected_files_and_why(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = Service(tmp_path_factory.mktemp("problems"), allowed_types="text/plain")
    try:
        person = signed_in(service)
        assert "No problem is known." in person.get("/problems").text
        answer = service.request("PUT", "/api/upload/wrong.txt", content=b"%PDF-1.7\nnot a text")
        service.process()
        page = person.get("/problems").text
        assert answer.is_success or answer.status_code == 415
        if answer.is_success:
            assert "wrong.txt" in page
            assert "its type is not allowed" in page
            assert "Rejected: its type is not allowed" in person.get(f"/files/{answer.json()['id']}").text
    finally:
        service.close()


def test_the_lines_for_programs_have_the_address_of_the_server(person: Person) -> None:
    page = person.get("/connect").text
    assert "http://service/api/upload/" in page
    assert page.count("<pre") == 7
    assert "rclone cat" in page
    (skill,) = set(re.findall(r"http://service(/SKILL\.md)", page))
    assert person.service.request("GET", skill, key=None).text.startswith("---")


def test_the_page_of_events_tells_of_files_whatever_else_was_done(service: Service, person: Person) -> None:
    service.request("POST", "/api/keys", json={"name": "k", "scopes": ["read"]})
    file = service.upload(path="told.txt")
    service.request("POST", "/api/shares", json={"file_ids": [file["id"]], "name": "Plans"})
    service.request("PATCH", f"/api/files/{file['id']}", json={"name": "renamed.txt"})
    page = person.get("/events")
    assert page.status_code == 200, page.text
    for words in ("told.txt", "Plans", "Share made"):
        assert words in page.text
    assert "key.created" not in page.text
    for link in re.findall(r'href="/ui(/files/[^"]+)"', page.text):
        assert person.get(link).status_code == 200
    assert "Changed" in person.get(f"/files/{file['id']}").text


def test_who_fetches_an_organizations_files_is_sent_on_or_not(service: Service, person: Person) -> None:
    made = service.request("POST", "/api/organizations", json={"slug": "followers"}).json()["id"]
    for chosen, told in (("never", "never"), ("", None)):
        person.post(f"/organizations/{made}", {"whose": "redirect", "redirect": chosen})
        assert service.request("GET", f"/api/organizations/{made}").json()["redirect"] == told
    assert person.post(f"/organizations/{made}", {"whose": "redirect", "redirect": "perhaps"}).status_code == 400


def test_a_share_and_a_request_are_changed_and_keep_their_links(service: Service, person: Person) -> None:
    file = service.upload(b"x", "shared/of-a-share.txt")
    made = {
        "shares": service.request(
            "POST", "/api/shares", json={"file_ids": [file["id"]], "passphrase": "blue ferry"}
        ).json(),
        "requests": service.request("POST", "/api/requests", json={"title": "Photos", "max_files": 5}).json(),
    }
    limits = {"shares": {"max_downloads": "3"}, "requests": {"max_files": "", "max_size": "1MiB", "types": "image/png"}}
    for noun, before in made.items():
        page = person.get(f"/{noun}/{before['id']}").text
        assert before["url"] in page
        assert "QR code" in page
        fields = {"name": f"Other {noun}", "message": "Hello", "expires": "7d", **limits[noun]}
        assert person.post(f"/{noun}/{before['id']}", {**fields, "passphrase": ""}).status_code == 303
        after = service.request("GET", f"/api/{noun}/{before['id']}").json()
        assert (after["url"], after["message"]) == (before["url"], "Hello")
        assert after["expires_at"] is not None
        assert after["has_passphrase"] == before["has_passphrase"], "empty leaves it"
        person.post(f"/{noun}/{before['id']}", {**fields, "expires": "never", "open": "yes"})
        after = service.request("GET", f"/api/{noun}/{before['id']}").json()
        assert (after["expires_at"], after["has_passphrase"]) == (None, False)
        assert Person(service).get(f"/{noun}/{before['id']}").status_code == 303, "for who is signed in"
    assert service.request("GET", f"/api/shares/{made['shares']['id']}").json()["max_downloads"] == 3
    asked = service.request("GET", f"/api/requests/{made['requests']['id']}").json()
    assert (asked["max_files"], asked["max_size"], asked["types"]) == (None, 1024**2, ["image/png"])
