"""Signing in to the dashboard: who gets in, for how long, and that nobody else can act for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fileferry.app import create_app
from fileferry.settings import Settings
from ui.person import ORIGIN, Person, signed_in
from unit.service import ROOT_KEY, Service

PAGES = [
    "/files", "/upload", "/uploads", "/problems", "/events", "/usage", "/keys", "/webhooks", "/organizations", "/connect",
    "/sessions", "/people", "/password", "/audit", "/server",
]  # fmt: skip
FORMS = [
    "/sign-out", "/files/act", "/undo", "/folders", "/keys", "/webhooks", "/organizations", "/workspaces", "/organization",
    "/files/1/move", "/files/1/expiry", "/files/1/delete", "/files/1/restore", "/files/1/links", "/files/1/versions/1/restore",
    "/files/1/versions/1/delete", "/folders/1/delete", "/uploads/1/cancel", "/sessions/1/revoke", "/keys/1", "/keys/1/revoke",
    "/keys/1/rotate", "/webhooks/1", "/webhooks/1/test", "/webhooks/1/rotate", "/webhooks/1/replay", "/webhooks/1/delete",
    "/webhooks/1/deliveries/1", "/organizations/1", "/workspaces/1/delete",
    "/people", "/people/1", "/people/1/password", "/people/1/remove", "/password",
]  # fmt: skip


def new_key(service: Service, **fields: Any) -> tuple[str, str]:
    """Make a key; return its id and secret."""
    made = service.request("POST", "/api/keys", json={"name": "a key", "scopes": ["read"], **fields})
    assert made.status_code == 201, made.text
    return made.json()["id"], made.json()["key"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_leads_who_is_not_signed_in_to_the_form_and_back(service: Service, path: str) -> None:
    stranger = Person(service)
    answer = stranger.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/sign-in?next={path.replace('/', '%2F')}")
    onward = stranger.sign_in(next=path)
    assert (onward.status_code, onward.headers["location"]) == (303, f"/ui{path}")
    assert stranger.get(path).status_code == 200


@pytest.mark.parametrize(
    "onward",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\x01", "data:,x"],
)
def test_signing_in_never_leads_away(service: Service, onward: str) -> None:
    assert Person(service).sign_in(next=onward).headers["location"] == "/ui/files"


def test_a_wrong_key_is_refused_and_not_shown_again(service: Service) -> None:
    answer = Person(service).sign_in("ff_wrong<script>")
    assert answer.status_code == 401
    assert "opens nothing" in answer.text
    assert "ff_wrong" not in answer.text


def test_attempts_are_limited_by_address(tmp_path: Path) -> None:
    service = Service(tmp_path, sign_in_attempts="3/minute", trusted_proxies="127.0.0.0/8")
    try:
        guesser = Person(service, address="192.0.2.1")
        assert [guesser.sign_in("wrong").status_code for _ in range(4)] == [401, 401, 401, 429]
        assert guesser.sign_in().status_code == 429
        assert Person(service, address="192.0.2.2").sign_in().status_code == 303
        service.pass_time(minutes=1)
        assert guesser.sign_in().status_code == 303
    finally:
        service.close()


def test_each_sign_in_makes_a_new_session_and_ends_the_one_before(service: Service) -> None:
    person = signed_in(service)
    before = dict(person.cookies)
    person.sign_in()
    assert person.cookies["fileferry"] != before["fileferry"]
    earlier = Person(service)
    earlier.cookies = before
    assert earlier.get("/files").status_code == 303


def test_a_session_that_somebody_prepared_is_none(service: Service) -> None:
    person = Person(service)
    person.cookies["fileferry"] = "prepared"
    assert person.get("/files").status_code == 303
    person.sign_in()
    assert person.cookies["fileferry"] != "prepared"


def test_a_session_is_stored_by_its_digest_only(tmp_path: Path) -> None:
    service = Service(tmp_path)
    token = signed_in(service).cookies["fileferry"]
    service.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("fileferry.db*"))
    assert token.encode() not in stored


def test_signing_out_ends_the_session_at_the_server(service: Service) -> None:
    person = signed_in(service)
    kept = dict(person.cookies)
    assert person.post("/sign-out").headers["location"] == "/ui/sign-in"
    assert "fileferry" not in person.cookies
    person.cookies = kept
    assert person.get("/files").status_code == 303


@pytest.mark.parametrize("end", ["revoke", "rotate"])
def test_a_session_ends_with_the_secret_that_began_it(service: Service, end: str) -> None:
    id, secret = new_key(service)
    person = signed_in(service, secret)
    assert person.get("/files").status_code == 200
    if end == "revoke":
        service.request("DELETE", f"/api/keys/{id}")
    else:
        service.request("POST", f"/api/keys/{id}/rotate", json={})
    assert person.get("/files").status_code == 303


def test_a_session_does_what_its_key_may_do_by_now(service: Service) -> None:
    id, secret = new_key(service, scopes=["read", "upload"])
    person = signed_in(service, secret)
    assert person.get("/keys").status_code == 403
    assert "/ui/keys" not in person.get("/files").text
    assert person.get("/upload").status_code == 200
    service.request("PATCH", f"/api/keys/{id}", json={"scopes": ["read"]})
    assert person.get("/upload").status_code == 403


def test_a_session_ends_when_nobody_uses_it_and_at_the_latest_after_its_lifetime(tmp_path: Path) -> None:
    service = Service(tmp_path, session_idle_timeout="1h", session_lifetime="3h")
    try:
        person = signed_in(service)
        for _ in range(3):
            service.pass_time(minutes=55)
            assert person.get("/files").status_code == 200
        service.pass_time(minutes=16)
        assert person.get("/files").status_code == 303
        idle = signed_in(service)
        service.pass_time(minutes=61)
        assert idle.get("/files").status_code == 303
        service.sweep()
        assert "(this one)" in signed_in(service).get("/sessions").text
    finally:
        service.close()


def test_sessions_are_listed_and_ended_one_by_one(service: Service) -> None:
    person, other = signed_in(service), signed_in(service)
    page = person.get("/sessions").text
    ids = re.findall(r"/sessions/([0-9a-f-]{36})/revoke", page)
    own = re.search(r"\(this one\).*?/sessions/([0-9a-f-]{36})/revoke", page, re.DOTALL)
    assert own is not None
    for id in ids:
        if id != own[1]:
            assert person.post(f"/sessions/{id}/revoke").status_code == 303
    assert other.get("/files").status_code == 303
    assert person.get("/files").status_code == 200


def test_a_key_lists_its_own_sessions_only(service: Service) -> None:
    person = signed_in(service)
    reader = signed_in(service, new_key(service)[1])
    assert len(re.findall(r"/sessions/[0-9a-f-]{36}/revoke", reader.get("/sessions").text)) == 1
    own = re.search(r"\(this one\).*?/sessions/([0-9a-f-]{36})/revoke", person.get("/sessions").text, re.DOTALL)
    assert own is not None
    assert reader.post(f"/sessions/{own[1]}/revoke").status_code == 404
    assert person.get("/files").status_code == 200


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("forged", ["no token", "token of another", "other origin", "other site"])
def test_a_form_that_no_page_of_ours_sent_is_refused(service: Service, person: Person, path: str, forged: str) -> None:
    token = person.form_token()
    if forged == "no token":
        answer = person.post(path, token="")
    elif forged == "token of another":
        answer = person.post(path, token=signed_in_once(service).form_token())
    elif forged == "other origin":
        answer = person.post(path, token=token, Origin="https://evil.example")
    else:
        answer = person._ask("POST", path, data={"form_token": token}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403, answer.text
    assert person.get("/files").status_code == 200


_others: list[Person] = []


def signed_in_once(service: Service) -> Person:
    """Return somebody else, the same one each time."""
    if not _others or _others[0].service is not service:
        _others[:] = [signed_in(service)]
    return _others[0]


def test_another_site_cannot_sign_somebody_in(service: Service) -> None:
    own = Person(service)
    own.get("/sign-in")
    attacker = Person(service)
    page = attacker.get("/sign-in").text
    token = re.search(r'form_token" value="(.*?)"', page)
    assert token is not None
    assert own.post("/sign-in", {"key": ROOT_KEY}, token=token[1]).status_code == 403
    assert Person(service).post("/sign-in", {"key": ROOT_KEY}, token=token[1]).status_code == 403


@pytest.mark.parametrize("path", ["/tickets", "/tickets/1", "/tickets/1/cancel"])
def test_what_scripts_send_needs_the_token_too(person: Person, path: str) -> None:
    assert person.send(path, {"path": "a", "size": 1}, token="").status_code == 403


def test_a_cookie_is_for_our_pages_alone(service: Service) -> None:
    answer = signed_in_raw(service, {"Origin": ORIGIN})
    assert re.fullmatch(r"fileferry=[\w-]{43}; HttpOnly; Path=/ui; SameSite=lax", answer)
    https = signed_in_raw(service, {"Origin": "https://service"})
    assert re.fullmatch(r"__Host-fileferry=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", https)


def signed_in_raw(service: Service, headers: dict[str, str]) -> str:
    """Return the cookie of a sign-in as it is sent."""
    person = Person(service)
    token = re.search(r'form_token" value="(.*?)"', person.get("/sign-in").text)
    assert token is not None
    answer = person.post("/sign-in", {"key": ROOT_KEY}, token=token[1], **headers)
    return answer.headers.get_list("set-cookie")[0]


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/nothing"])
def test_a_page_can_be_framed_and_scripted_by_nobody(person: Person, service: Service, path: str) -> None:
    answer = (Person(service) if path == "/sign-in" else person).get(path)
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == policy["style-src"] == "'self'"
    nonce = re.fullmatch(r"'nonce-([\w-]{22})'", policy["script-src"])
    assert nonce is not None
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for tag in re.findall(r"<script[^>]*>[^<]*", answer.text):
        assert re.fullmatch(rf'<script src="/ui/assets/[^"]+" nonce="{nonce[1]}" defer>', tag)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|https?://(?!service\b)", answer.text)


def test_a_key_for_end_users_names_one(service: Service) -> None:
    _id, secret = new_key(service, scopes=["read", "upload"], on_behalf_of=["ada"])
    assert Person(service).sign_in(secret).status_code == 403
    ada = signed_in(service, secret, end_user="ada")
    service.upload(b"x", "of-nobody.txt")
    assert ada.names("/files") == []


def test_a_root_key_acts_in_another_organization_when_told(service: Service) -> None:
    made = service.request("POST", "/api/organizations", json={"slug": "other", "name": "The other"})
    assert made.status_code == 201
    person = signed_in(service)
    service.upload(b"x", "of-the-default.txt")
    assert "of-the-default.txt" in person.names("/files")
    assert person.post("/organization", {"organization": "other"}).status_code == 303
    assert person.names("/files") == []
    reader = signed_in(service, new_key(service, scopes=["admin"])[1])
    assert reader.post("/organization", {"organization": "other"}).status_code == 403


def test_whoever_opens_the_server_itself_is_led_to_the_dashboard(person: Person) -> None:
    front = person.service.request("GET", "/", key=None, headers={"Accept": "text/html"}).text
    (path,) = re.findall(r'href="http://service(/ui/)"', front)
    assert path.startswith("/ui")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what the framework says of its next release
def test_without_the_dashboard_there_are_no_pages_of_it(tmp_path: Path) -> None:
    paths = {route.path for route in _framework(create_app(Settings(data=tmp_path, dashboard=False))).routes}
    # What the pages of shares and requests load is there.
    assert all(path.startswith("/ui/assets/") for path in paths if path.startswith("/ui"))


def _framework(application: Any) -> Any:
    """Return the framework within what wraps it."""
    while not hasattr(application, "routes"):
        application = next(
            value
            for name, value in vars(application).items()
            if name in ("_application", "_framework", "_app", "application")
        )
    return application
