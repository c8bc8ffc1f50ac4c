"""What one organization is told of another: nothing, neither by the names of keys nor by numbers that all of them count up."""

from __future__ import annotations

from typing import Any

import pytest

from unit.service import ROOT_KEY, Service

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
    for name in "abc":
        theirs.put(name)
    assert events_of(ours, "2") == {"events": [], "next_cursor": "0", "reset": True, "more": False} | {
        "events": events_of(ours)["events"],
        "next_cursor": "1",
    }


def test_events_that_were_forgotten_are_missed_aloud_by_those_only_whose_events_they_were(
    ours: Tenant, theirs: Tenant
) -> None:
    theirs.put("a")
    theirs.service.pass_time(days=31)
    ours.put("b")
    theirs.service.sweep()
    assert not events_of(ours)["reset"]
    assert events_of(theirs)["reset"]
    theirs.put("c")
    assert [event["id"] for event in events_of(theirs, "1")["events"]] == ["2"]
    assert not events_of(theirs, "1")["reset"]
