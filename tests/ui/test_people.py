"""People with passwords: who makes them, what they may do, and when they are signed out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fileferry.engine.access import passwords
from ui.person import TOKEN, Person, signed_in
from ui.test_sign_in import new_key
from unit.service import Service

PASSWORD = "correct horse battery"


def new_user(service: Service, name: str, **fields: Any) -> str:
    """Make a user; return the id."""
    said = {"name": name, "password": PASSWORD, "scopes": ["read", "upload"], **fields}
    made = service.request("POST", "/api/users", json=said)
    assert made.status_code == 201, made.text
    assert PASSWORD not in made.text
    return str(made.json()["id"])


def enter(service: Service, name: str, password: str = PASSWORD, *, address: str = "", **fields: str) -> Any:
    """Send the form for a name and a password; return who did, and the answer."""
    person = Person(service, address=address)
    token = TOKEN.search(person.get("/sign-in").text)
    assert token is not None
    return person, person.post("/sign-in", {"name": name, "password": password, **fields}, token=token[1])


def test_an_administrator_makes_somebody_who_signs_in_and_does_what_they_may(service: Service, person: Person) -> None:
    made = person.post("/people", {"name": "Grace", "password": PASSWORD, "scope": ["read"], "path_prefix": "reports"})
    assert made.headers["location"] == "/ui/people", made.text
    assert "Grace can sign in" in person.notice()
    assert ">Grace</a>" in person.get("/people").text
    service.upload(b"x", "reports/seen.txt")
    service.upload(b"x", "unseen.txt")
    grace, answer = enter(service, "grace")  # however the letters are written
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/files")
    assert "seen.txt" in grace.get("/files?path=reports").text
    assert "unseen.txt" not in grace.get("/files").text
    assert grace.get("/upload").status_code == grace.get("/people").status_code == 403
    assert "/ui/people" not in grace.get("/files").text


def test_rights_change_from_the_next_request_on(service: Service, person: Person) -> None:
    id = new_user(service, "ida")
    ida, _ = enter(service, "ida")
    assert ida.get("/upload").status_code == 200
    assert person.post(f"/people/{id}", {"scope": ["read"]}).headers["location"] == f"/ui/people/{id}"
    assert ida.get("/upload").status_code == 403
    assert service.request("PATCH", f"/api/users/{id}", json={"scopes": ["upload"]}).json()["scopes"] == ["upload"]
    assert ida.get("/upload").status_code == 200


@pytest.mark.parametrize("end", ["password", "removal", "own"])
def test_all_sessions_end_with_the_password_and_with_the_user(service: Service, person: Person, end: str) -> None:
    id = new_user(service, f"ends-{end}")
    first, _ = enter(service, f"ends-{end}")
    second, _ = enter(service, f"ends-{end}")
    kept = dict(first.cookies)
    if end == "password":
        person.post(f"/people/{id}/password", {"password": "another one altogether"})
    elif end == "removal":
        person.post(f"/people/{id}/remove")
        assert service.request("GET", f"/api/users/{id}").status_code == 404
    else:
        answer = first.post("/password", {"present": PASSWORD, "password": "  blanks count  "})
        assert answer.status_code == 303, answer.text
        assert first.get("/files").status_code == 200  # this browser goes on
        assert enter(service, f"ends-{end}", "  blanks count  ")[1].status_code == 303
    assert second.get("/files").status_code == 303
    first.cookies = kept
    assert first.get("/files").status_code == 303
    assert enter(service, f"ends-{end}")[1].status_code == 401


def test_one_changes_the_own_password_knowing_the_present_one_only(service: Service, person: Person) -> None:
    new_user(service, "wanda")
    wanda, _ = enter(service, "wanda")
    answer = wanda.post("/password", {"present": "something else", "password": "another one altogether"})
    assert answer.status_code == 403
    assert wanda.get("/files").status_code == 200
    assert wanda.post("/password", {"present": PASSWORD, "password": "short"}).status_code == 400
    assert person.post("/password", {"present": "", "password": "another one altogether"}).status_code == 403
    assert "none to change" in person.get("/password").text


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_user(service, "known")
    compared: list[str] = []
    verify = passwords._verify
    monkeypatch.setattr(passwords, "_verify", lambda kept, word: compared.append(kept[:30]) or verify(kept, word))
    answers = [enter(service, name, "a wrong password")[1] for name in ("known", "nobody")]
    assert [answer.status_code for answer in answers] == [401, 401]
    texts = {re.sub(r'(value|nonce)="[^"]*"', "", answer.text) for answer in answers}
    assert len(texts) == 1
    assert "a wrong password" not in texts.pop()
    # As much was computed, with the same parameters.
    assert len(compared) == 2
    assert compared[0] == compared[1] == "$argon2id$v=19$m=19456,t=2,p=1"[:30]


def test_attempts_with_passwords_and_with_keys_are_limited_together(tmp_path: Path) -> None:
    service = Service(tmp_path, sign_in_attempts="2/minute", trusted_proxies="127.0.0.0/8")
    try:
        assert enter(service, "nobody", address="2001:db8::1")[1].status_code == 401
        # Who holds an address of IPv6 holds the network.
        assert Person(service, address="2001:db8::2").sign_in("wrong").status_code == 401
        assert enter(service, "nobody", address="2001:db8::3")[1].status_code == 429
    finally:
        service.close()


@pytest.mark.sqlite  # looks into the file
def test_a_password_is_stored_as_argon2id_only(tmp_path: Path) -> None:
    service = Service(tmp_path)
    new_user(service, "stored")
    service.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("fileferry.db*"))
    assert b"$argon2id$" in stored
    assert PASSWORD.encode() not in stored


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"password": "short"}, 400),
        ({"password": "aaaaaaaaaaaa"}, 400),
        ({"password": "x" * 257}, 400),
        ({"name": " "}, 400),
        ({"name": "taken"}, 409),
        ({"name": "\uff34aken"}, 409),
        ({"scopes": []}, 400),
    ],
)
def test_what_cannot_be_a_user_is_refused(service: Service, said: dict[str, Any], status: int) -> None:
    if service.request("GET", "/api/users").json()["users"] == [] or status == 409:
        service.request("POST", "/api/users", json={"name": "taken", "password": PASSWORD, "scopes": ["read"]})
    given = {"name": "new", "password": PASSWORD, "scopes": ["read"], **said}
    answer = service.request("POST", "/api/users", json=given)
    assert answer.status_code == status, answer.text
    assert given["password"] not in answer.text


def test_a_user_is_no_key_and_is_none_once_removed(service: Service) -> None:
    id = new_user(service, "no-key")
    for _time in ("there", "removed"):
        assert id not in [key["id"] for key in service.request("GET", "/api/keys").json()["keys"]]
        for method, path, body in (
            ("GET", "", None), ("POST", "/rotate", {}), ("PATCH", "", {"scopes": ["admin"]}), ("DELETE", "", None),
        ):  # fmt: skip
            assert service.request(method, f"/api/keys/{id}{path}", json=body).status_code == 404
        service.request("DELETE", f"/api/users/{id}")


def test_who_administers_nothing_makes_nobody(service: Service) -> None:
    id = new_user(service, "prey")
    confined = new_key(service, scopes=["admin"], path_prefix="a")[1]
    limited = new_key(service, scopes=["admin"], limits={"max_size": 1})[1]
    reader = new_key(service)[1]
    body = {"name": "x", "password": PASSWORD, "scopes": ["admin"]}
    for secret in (confined, limited, reader):
        assert service.request("POST", "/api/users", key=secret, json=body).status_code == 403
        password = {"password": "another one altogether"}
        assert service.request("PUT", f"/api/users/{id}/password", key=secret, json=password).status_code == 403
        assert service.request("DELETE", f"/api/users/{id}", key=secret).status_code == 403
    assert "/ui/people" not in signed_in(service, confined).get("/files").text


def test_people_of_another_organization_are_not_there(service: Service) -> None:
    assert service.request("POST", "/api/organizations", json={"slug": "elsewhere"}).status_code == 201
    made = service.request(
        "POST", "/api/users?organization=elsewhere", json={"name": "eve", "password": PASSWORD, "scopes": ["admin"]}
    )
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    own = new_key(service, scopes=["admin"])[1]
    assert service.request("GET", f"/api/users/{id}", key=own).status_code == 404
    assert service.request("DELETE", f"/api/users/{id}", key=own).status_code == 404
    assert enter(service, "eve")[1].status_code == 401
    eve, answer = enter(service, "eve", organization="elsewhere")
    assert answer.status_code == 303
    assert eve.get("/people").status_code == 200


def test_what_was_done_to_people_is_in_the_audit_log(service: Service) -> None:
    id = new_user(service, "audited")
    service.request("PUT", f"/api/users/{id}/password", json={"password": "another one altogether"})
    service.request("PATCH", f"/api/users/{id}", json={"scopes": ["read"]})
    service.request("DELETE", f"/api/users/{id}")
    records = service.request("GET", "/api/audit", params={"limit": 1000}).json()["records"]
    done = [record["type"] for record in records if record["subject_id"] == id]
    assert done == ["user.created", "user.password_changed", "user.changed", "user.removed"]
