"""What one organization is told of another: nothing, neither by the names of keys nor by numbers that all of them count up."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from unit.service import ROOT_KEY, Service
from unit.words import Stage

PLACE = "/file/v2/orgs/{}/workspaces/default/files"
JSON = {"Accept": "application/json"}


class Tenant:
    """An organization of a service, seen by its administrator."""

    def __init__(self, service: Service, slug: str) -> None:
        self.service, self.slug = service, slug
        service.request("POST", "/api/organizations", json={"slug": slug, "name": slug})
        self.admin = self.make_key(name=f"administrator of {slug}", scopes=["admin"], by=ROOT_KEY)["key"]

    def make_key(self, *, by: str | None = None, **asked: Any) -> dict[str, Any]:
        """Make a key of the organization."""
        query = {"organization": self.slug} if by == ROOT_KEY else {}
        return self.ask("POST", "/api/keys", key=by, params=query, json=asked)

    def ask(self, method: str, url: str, *, key: str | None = None, **options: Any) -> dict[str, Any]:
        """Ask with the administrator's key, or another."""
        answer = self.service.request(method, url, key=key or self.admin, **options)
        assert answer.is_success, answer.text
        said: dict[str, Any] = answer.json() if answer.content else {}
        return said

    def put(self, path: str, key: str | None = None, **headers: str) -> dict[str, Any]:
        """Upload a file."""
        file = self.ask("PUT", f"/api/upload/{path}", key=key, content=path.encode(), headers=headers)
        self.service.process()
        return file

    def author_of(self, path: str, key: str | None = None, **headers: str) -> dict[str, Any]:
        """Return who is named as the author of a file."""
        described = self.ask("GET", f"{PLACE.format(self.slug)}/path/{path}", key=key, headers=headers)
        listed = self.ask(
            "GET", PLACE.format(self.slug), key=key, headers=headers, params={"file_name": path.rpartition("/")[2]}
        )
        for told in (described["created_by"], listed["files"][0]["author"]):
            assert told == described["author"]
        author: dict[str, Any] = described["author"]
        return author


@pytest.fixture
def ours(service: Service) -> Tenant:
    return Tenant(service, "ours")


@pytest.fixture
def theirs(service: Service) -> Tenant:
    return Tenant(service, "theirs")


def test_a_user_with_the_id_of_another_organizations_key_does_not_have_its_name(ours: Tenant, theirs: Tenant) -> None:
    secret = theirs.make_key(name="of the secret project", scopes=["upload", "read"])
    forged = ours.make_key(name="k", scopes=["upload", "read"], user={"id": secret["id"], "name": "Eve"})
    ours.put("one", forged["key"])
    theirs.put("two", secret["key"])
    assert ours.author_of("one") == {"id": secret["id"], "name": "Eve", "email": None}
    assert theirs.author_of("two") == {"id": secret["id"], "name": "of the secret project", "email": None}


@pytest.mark.parametrize(
    ("confinement", "headers"),
    [({"path_prefix": "in"}, {}), ({"on_behalf_of": ["ada"]}, {"user-id": "ada"})],
    ids=["folder", "end user"],
)
def test_a_confined_key_is_told_the_names_of_users_and_its_own_but_of_no_other_key(
    ours: Tenant, confinement: dict[str, Any], headers: dict[str, str]
) -> None:
    confined = ours.make_key(name="mine", scopes=["upload", "read"], **confinement)
    named = ours.make_key(name="n", scopes=["upload"], user={"name": "Grace", "email": "grace@example.org"})
    bare = ours.make_key(name="of the secret project", scopes=["upload"])
    for path, by in (("in/own", confined), ("in/grace", named), ("in/unnamed", bare)):
        ours.put(path, by["key"], **headers)
    told = {path: ours.author_of(f"in/{path}", confined["key"], **headers) for path in ("own", "grace", "unnamed")}
    assert told == {
        "own": {"id": confined["id"], "name": "mine", "email": None},
        "grace": {"id": named["user_id"], "name": "Grace", "email": "grace@example.org"},
        "unnamed": {"id": bare["id"], "name": None, "email": None},
    }
    assert ours.author_of("in/unnamed")["name"] == "of the secret project", "an administrator is told"


def test_each_organization_has_the_ids_of_users_for_itself(ours: Tenant, theirs: Tenant) -> None:
    user_id = "0193f5a4-7c1e-7b52-9c0e-5d1f3a2b4c6d"
    for tenant, name in ((theirs, "Ada"), (ours, "Eve")):
        key = tenant.make_key(name="k", scopes=["upload"], user={"id": user_id, "name": name})
        assert key["user_id"] == user_id
        tenant.put("a", key["key"])
    ours.make_key(name="k", scopes=["upload"], user={"id": user_id.upper(), "name": "Grace"})
    assert ours.author_of("a") == {"id": user_id, "name": "Grace", "email": None}
    assert theirs.author_of("a") == {"id": user_id, "name": "Ada", "email": None}


@pytest.mark.sqlite  # looks into the folder
def test_a_user_of_an_earlier_release_is_known_by_its_id_and_only_there(ours: Tenant, theirs: Tenant) -> None:
    user_id = "0193f5a4-7c1e-7b52-9c0e-5d1f3a2b4c6d"
    key = theirs.make_key(name="k", scopes=["upload"], user={"id": user_id, "name": "Ada"})
    theirs.put("a", key["key"])
    with sqlite3.connect(theirs.service.data / "fileferry.db") as database:
        database.execute("UPDATE users SET id = ?", (user_id,))  # as it was written
    database.close()
    assert theirs.author_of("a")["name"] == "Ada"
    mine = ours.make_key(name="k", scopes=["upload"], user={"id": user_id, "name": "Eve"})
    ours.put("a", mine["key"])
    theirs.make_key(name="k", scopes=["upload"], user={"id": user_id, "name": "Grace"})
    assert (ours.author_of("a")["name"], theirs.author_of("a")["name"]) == ("Eve", "Grace")


def test_only_a_root_key_fixes_the_id_of_a_workspace(ours: Tenant, theirs: Tenant) -> None:
    taken = theirs.ask("POST", "/api/workspaces", json={"name": "w"})["id"]
    free = "0193f5a4-7c1e-7b52-9c0e-5d1f3a2b4c6d"
    answers = [
        ours.service.request("POST", "/api/workspaces", key=ours.admin, json={"name": "v", "id": id})
        for id in (taken, free)
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    made = ours.ask(
        "POST", "/api/workspaces", key=ROOT_KEY, params={"organization": "ours"}, json={"name": "v", "id": free}
    )
    assert made["id"] == free


_UNKNOWN = "01b8dac5-b7e8-7fa5-8891-f07fa9588441"
_NAMED_IN_BODIES: tuple[tuple[str, str, Callable[[dict[str, str]], dict[str, Any]]], ...] = (
    ("POST", "/api/uploads", lambda ids: {"name": "a", "folder": ids["folder_id"]}),
    ("POST", "/api/uploads", lambda ids: {"file": ids["file_id"]}),
    ("POST", "/api/uploads", lambda ids: {"path": "a", "workspace": ids["workspace_id"]}),
    ("POST", "/v1/files/confirm-upload", lambda ids: {"ids": [ids["file_id"]]}),
    ("GET", "/api/files?workspace={workspace_id}", lambda _ids: {}),
    ("GET", "/api/events?file={file_id}", lambda _ids: {}),
    ("GET", "/api/folders?workspace={workspace_id}", lambda _ids: {}),
    ("GET", "/api/files?organization={organization_id}", lambda _ids: {}),
)


def test_what_another_organization_has_is_as_unknown_as_what_is_not_there(ours: Tenant) -> None:
    stage = Stage(ours.service)  # of the default organization
    theirs = stage.path_values() | {"path": "folder/a.svg"}
    (workspace,) = ours.service.request("GET", "/api/workspaces").json()["workspaces"]
    theirs |= dict.fromkeys(("workspace_id", "id_or_name"), workspace["id"])
    own = dict.fromkeys(("organization_id", "id_or_slug"), ours.slug)
    document = ours.service.request("GET", "/docs/openapi.json").json()

    def told(method: str, path: str, ids: dict[str, str], body: Any) -> tuple[int, str]:
        target = path.format_map(ids)
        headers = [
            (b"x-api-key", ours.admin.encode()),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
        ]
        if path.startswith("/v1/files/{file_id}/"):
            headers.append((b"user-id", b"u"))
        answer = ours.service.ask_raw(method, target.encode(), headers, json.dumps(body).encode() if body else b"")
        text = answer.body.decode(errors="replace")
        for id in sorted(ids.values(), key=len, reverse=True):
            text = text.replace(id, "ID") if len(id) > 16 else text
        return answer.status, re.sub(r'"(request_id|trace_id|timestamp)":"[^"]*"', "", text)

    calls = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "{" in path and not path.startswith(("/f/", "/u/", "/d/", "/t/", "/g/", "/api/upload/")):
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                body = document["components"]["schemas"][name]["examples"][0] if name else {}
                calls.append((method.upper(), path, lambda _ids, body=body: body))
    nowhere = {
        name: "nothing/a.svg" if "path" in name else "7" if value.isdigit() else _UNKNOWN
        for name, value in theirs.items()
    }
    assert len(calls) > 50
    for at in (own, {}):
        for method, path, body in (*calls, *_NAMED_IN_BODIES):
            if at and not ("{organization_id}" in path or "{id_or_slug}" in path):
                continue
            if at and set(re.findall(r"{(\w+)}", path)) <= set(own) | {"path", "file_path"}:
                continue  # it is about what is ours
            foreign, unknown = (told(method, path, ids | at, body(ids)) for ids in (theirs, nowhere))
            assert foreign == unknown, (method, path)
            assert foreign[0] >= 400 or "organization" not in path, (method, path, foreign)


def events_of(tenant: Tenant, after: str = "0", key: str | None = None) -> dict[str, Any]:
    """Return a page of what the tenant is told."""
    return tenant.ask("GET", "/api/events", key=key, params={"after": after} if after else {}, headers=JSON)


def numbers_of(tenant: Tenant) -> tuple[Any, ...]:
    """Let the tenant do the same as ever, and return every number that it is told then."""
    hook = tenant.ask("POST", "/api/webhooks", json={"url": "http://127.0.0.1:9/", "types": ["file.deleted"]})
    log = f"/api/webhooks/{hook['id']}/deliveries"
    file = tenant.put("a")
    tenant.ask("DELETE", f"/api/files/{file['id']}")
    tenant.service.deliver()
    tenant.ask("POST", f"/api/webhooks/{hook['id']}/test")
    told = events_of(tenant)
    sent = tenant.ask("GET", log)["deliveries"]
    page = tenant.ask("GET", log, params={"limit": "1"})
    return (
        [event["id"] for event in told["events"]],
        told["next_cursor"],
        events_of(tenant, "")["next_cursor"],
        [(delivery["id"], delivery["event_id"]) for delivery in sent],
        [delivery["message_id"].rpartition("_")[0] for delivery in sent if delivery["event_id"]],
        page["next_cursor"],
    )


def test_no_number_tells_what_others_do(ours: Tenant, theirs: Tenant) -> None:
    alone = numbers_of(ours)
    for _ in range(3):
        numbers_of(theirs)
    another = Tenant(ours.service, "another")
    assert numbers_of(another) == alone
    told = events_of(another)["next_cursor"]
    theirs.put("b")
    assert events_of(another)["next_cursor"] == told


def test_a_number_beyond_ones_own_events_is_unknown_whatever_others_have_done(ours: Tenant, theirs: Tenant) -> None:
    ours.put("a")
    newest = events_of(ours)["next_cursor"]
    for name in "abcdef":
        theirs.put(name)
    assert events_of(ours, str(int(newest) + 1)) == {
        "events": events_of(ours)["events"],
        "next_cursor": newest,
        "reset": True,
        "more": False,
    }


def test_events_that_were_forgotten_are_missed_aloud_by_those_only_whose_events_they_were(
    ours: Tenant, theirs: Tenant
) -> None:
    theirs.put("a")
    forgotten = events_of(theirs)["next_cursor"]
    theirs.service.pass_time(days=31)
    ours.put("b")
    theirs.service.sweep()
    assert not events_of(ours)["reset"]
    assert events_of(theirs)["reset"]
    theirs.put("c")
    assert [event["id"] for event in events_of(theirs, forgotten)["events"]] == [str(int(forgotten) + 1)]
    assert not events_of(theirs, forgotten)["reset"]
