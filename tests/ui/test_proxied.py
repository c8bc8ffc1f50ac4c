"""An authenticating proxy in front: it says who comes by and in which groups, and nobody else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from fileferry.engine.access import roles
from fileferry.settings import SettingsError, load
from ui.person import TOKEN, Person
from unit.service import Service

ROLES = """
[[roles]]
group = "operators"
scopes = ["admin"]

[[roles]]
group = "staff"
scopes = ["read", "upload"]
path_prefix = "reports"
limits = { max_size = "1MiB" }

[[roles]]
group = "partners"
organization = "nowhere"
scopes = ["read"]
"""
STAFF = {"Remote-User": "ada", "Remote-Groups": "visitors, staff"}
OPERATOR = {"Remote-User": "ada", "Remote-Groups": "staff,operators"}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("proxied")
    file = folder / "roles.toml"
    file.write_text(ROLES)
    service = Service(
        folder / "data",
        proxy_user_header="Remote-User",
        trusted_proxies="127.0.0.1",
        roles=str(file),
        sign_in_attempts="1000/minute",
    )
    yield service
    service.close()


def visit(service: Service, path: str, **headers: str) -> Person:
    """Open a page as a browser behind the proxy does, led on by the form."""
    person = Person(service)
    person._headers |= headers
    led = person.get(path)
    assert led.headers["location"].startswith("/ui/sign-in?next="), led.text
    entered = person.get(led.headers["location"].removeprefix("/ui"))
    assert (entered.status_code, entered.headers["location"]) == (303, f"/ui{path}"), entered.text
    return person


def test_who_the_proxy_names_is_signed_in_with_the_role_of_the_first_group_of_the_file(proxied: Service) -> None:
    ada = visit(proxied, "/upload", **STAFF)
    assert ada.get("/upload").status_code == 200
    assert ada.get("/keys").status_code == 403
    (user,) = [one for one in proxied.request("GET", "/api/users").json()["users"] if one["subject"] == "ada"]
    assert (user["issuer"], user["scopes"], user["path_prefix"]) == ("proxy", ["read", "upload"], "reports")
    assert user["limits"]["max_size"] == 1024**2
    password = {"password": "a password for a thief"}
    assert proxied.request("PUT", f"/api/users/{user['id']}/password", json=password).status_code == 409
    assert proxied.request("PATCH", f"/api/users/{user['id']}", json={"scopes": ["admin"]}).status_code == 409


def test_other_groups_hold_from_the_next_request_on(proxied: Service) -> None:
    bob = visit(proxied, "/keys", **{**OPERATOR, "Remote-User": "bob"})
    assert bob.get("/keys").status_code == 200
    bob._headers |= {"Remote-Groups": "staff"}
    assert bob.get("/keys").status_code == 303
    bob.get("/sign-in")
    assert bob.get("/keys").status_code == 403
    users = proxied.request("GET", "/api/users").json()["users"]
    assert [one["scopes"] for one in users if one["subject"] == "bob"] == [["read", "upload"]]


@pytest.mark.parametrize("change", ["another user", "no user", "no role", "two users"])
def test_a_session_ends_where_the_proxy_says_otherwise(proxied: Service, change: str) -> None:
    person = visit(proxied, "/files", **{**STAFF, "Remote-User": "carol"})
    if change == "another user":
        person._headers["Remote-User"] = "dave"
    elif change == "no user":
        del person._headers["Remote-User"]
    elif change == "no role":
        person._headers["Remote-Groups"] = "visitors"
    else:
        person._headers["remote-user"] = "carol"
    answer = person.get("/files")
    assert answer.status_code == (403 if change == "no role" else 303), answer.text


def test_nobody_lends_the_key_of_whom_the_proxy_does_not_name_any_more(proxied: Service) -> None:
    back = "https://host.example/callback"
    program = proxied.request("POST", "/oauth/register", key=None, json={"redirect_uris": [back]}).json()["client_id"]
    asked = {
        "response_type": "code",
        "client_id": program,
        "redirect_uri": back,
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    person = visit(proxied, "/files", **{**STAFF, "Remote-User": "fay"})
    page = person.get(f"/authorize?{urlencode(asked)}")
    assert "fay" in page.text
    person._headers["Remote-User"] = "gil"
    assert "fay" not in person.get(f"/authorize?{urlencode(asked)}").text
    token = TOKEN.search(page.text)
    assert token is not None
    answer = person.post("/authorize", {**asked, "decision": "allow", "may": "read"}, token=token[1])
    assert (answer.status_code, "location" in answer.headers) == (401, False)


def test_who_has_no_role_is_told_so(proxied: Service) -> None:
    person = Person(proxied)
    person._headers |= {"Remote-User": "erin", "Remote-Groups": "visitors"}
    answer = person.get("/sign-in")
    assert answer.status_code == 403
    assert "None of your groups" in answer.text
    person._headers["Remote-Groups"] = "partners"
    assert person.get("/sign-in").status_code == 404


def test_signing_out_stays_out_until_one_goes_on(proxied: Service) -> None:
    person = visit(proxied, "/files", **STAFF)
    out = person.post("/sign-out").headers["location"]
    page = person.get(out.removeprefix("/ui"))
    assert page.status_code == 200
    assert "as who the proxy says" in page.text


def test_a_key_opens_the_dashboard_behind_the_proxy_too(proxied: Service) -> None:
    person = Person(proxied)
    assert person.sign_in().status_code == 303
    assert person.get("/files").status_code == 200


@pytest.mark.parametrize("trusted", ["192.0.2.0/24", "10.0.0.0/8,::1"])
def test_a_header_from_anybody_else_is_not_heard(tmp_path: Path, trusted: str) -> None:
    file = tmp_path / "roles.toml"
    file.write_text(ROLES)
    service = Service(tmp_path / "d", proxy_user_header="Remote-User", trusted_proxies=trusted, roles=str(file))
    try:
        # Nor where it names a proxy of ours as where it was forwarded from: the connection itself counts.
        person = Person(service, address="192.0.2.1")
        person._headers |= OPERATOR
        assert person.get("/sign-in").status_code == 200
        assert service.request("GET", "/api/users").json()["users"] == []
    finally:
        service.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PROXY_USER_HEADER": "Remote-User", "ROLES": "{roles}"}, "TRUSTED_PROXIES"),
        ({"PROXY_USER_HEADER": "Remote-User", "ROLES": "{roles}", "TRUSTED_PROXIES": "10.0.0.1,0.0.0.0/0"}, "everybody"),
        ({"PROXY_USER_HEADER": "Remote-User", "TRUSTED_PROXIES": "10.0.0.1"}, "ROLES"),
        ({"PROXY_USER_HEADER": "Remote User", "TRUSTED_PROXIES": "10.0.0.1", "ROLES": "{roles}"}, "name a header"),
        ({"OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "x", "ROLES": "{roles}"}, "BASE_URL"),
        ({"OIDC_ISSUER": "http://id.example", "OIDC_CLIENT_ID": "x", "ROLES": "{roles}", "BASE_URL": "https://a.b"}, "https"),
        ({"ROLES": "/nowhere"}, "cannot be read"),
        ({"ROLES": "{wrong}"}, "roles"),
    ],
)  # fmt: skip
def test_a_server_that_would_believe_anybody_does_not_start(tmp_path: Path, given: dict[str, str], said: str) -> None:
    (tmp_path / "roles.toml").write_text(ROLES)
    (tmp_path / "wrong.toml").write_text('[[roles]]\ngroup = "a"\nscopes = ["everything"]\n')
    places = {"roles": tmp_path / "roles.toml", "wrong": tmp_path / "wrong.toml"}
    settings = load({f"FILEFERRY_{name}": value.format(**places) for name, value in given.items()})
    with pytest.raises(SettingsError, match=said):
        roles.read(settings)
