"""What the workspaces flow's client asks first: which organizations and workspaces there are, and whether all is well."""

from __future__ import annotations

import uuid
from importlib.metadata import version
from typing import Any

import httpx
import pytest

from contract.test_native_keys import make_key
from contract.workspace import Place, refusal
from support.live_server import LiveServer

DISCOVERY = "/evo/identity/v2/discovery"


def discovered(http: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = http.get(DISCOVERY, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["discovery"]
    return found


@pytest.fixture
def tenant(http: httpx.Client) -> dict[str, Any]:
    """An organization that nothing else uses."""
    made = http.post("/api/organizations", json={"slug": f"org-{uuid.uuid4().hex[:12]}", "name": "A tenant"})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def test_a_key_discovers_its_own_organization_at_this_server(
    http: httpx.Client, server: LiveServer, tenant: dict[str, Any]
) -> None:
    with server.client(make_key(http, "read", organization=tenant["slug"])["key"]) as member:
        found = discovered(member, service="evo")
    assert found["organizations"] == [{"id": tenant["id"], "display_name": "A tenant"}]
    (hub,) = found["hubs"]
    assert hub["url"] == server.url
    assert found["service_access"] == [{"hub_code": hub["code"], "org_id": tenant["id"], "services": ["evo"]}]


def test_the_root_key_discovers_every_organization(http: httpx.Client, tenant: dict[str, Any]) -> None:
    ids = [organization["id"] for organization in discovered(http)["organizations"]]
    listed = http.get("/api/organizations?limit=1000").json()["organizations"]
    assert tenant["id"] in ids
    assert sorted(ids) == sorted(organization["id"] for organization in listed)


def test_a_service_that_is_not_here_is_not_offered(http: httpx.Client) -> None:
    assert discovered(http, service="something-else")["service_access"] == []
    assert discovered(http, service=["something-else", "evo"])["service_access"] != []


def test_discovery_needs_a_key(server: LiveServer) -> None:
    answer = httpx.get(server.url + DISCOVERY, trust_env=False)
    assert refusal(answer) == (401, "unauthorized")


def test_workspaces_are_listed_in_windows(http: httpx.Client, tenant: dict[str, Any]) -> None:
    for name in ("beta", "alpha", "gamma"):
        http.post("/api/workspaces", json={"name": name}, params={"organization": tenant["id"]})
    address = f"/workspace/orgs/{tenant['id']}/workspaces"
    listing = http.get(address, params={"order_by": "asc:name", "limit": 2}).json()
    assert [workspace["name"] for workspace in listing["results"]] == ["alpha", "beta"]
    assert (listing["links"]["count"], listing["links"]["total"], listing["links"]["previous"]) == (2, 4, None)
    following = http.get(listing["links"]["next"]).json()
    assert [workspace["name"] for workspace in following["results"]] == ["default", "gamma"]
    assert following["links"]["next"] is None
    assert http.get(following["links"]["previous"]).json() == listing
    assert http.get(listing["links"]["last"]).json() == following
    assert http.get(listing["links"]["first"]).json() == listing
    summary = http.get(f"{address}/summary", params={"name": "ET"}).json()
    assert [set(workspace) for workspace in summary["results"]] == [{"id", "name"}]
    assert summary["results"][0]["name"] == "beta"


@pytest.mark.parametrize(("scope", "role"), [("read", "viewer"), ("admin", "owner")])
def test_a_workspace_says_what_the_key_may_do_there(
    http: httpx.Client, server: LiveServer, scope: str, role: str
) -> None:
    place = Place.new(http)
    with server.client(make_key(http, scope)["key"]) as member:
        described = member.get(f"/workspace/orgs/{place.organization}/workspaces/{place.workspace}").json()
        assert (described["id"], described["current_user_role"]) == (place.workspace, role)
        assert member.get(described["self_link"]).json() == described


def test_workspaces_of_another_organization_are_not_found(
    http: httpx.Client, server: LiveServer, tenant: dict[str, Any]
) -> None:
    place = Place.new(http)
    with server.client(make_key(http, "admin", organization=tenant["slug"])["key"]) as stranger:
        for organization in (place.organization, tenant["id"]):
            address = f"/workspace/orgs/{organization}/workspaces/{place.workspace}"
            assert refusal(stranger.get(address)) == (404, "not_found")
        assert refusal(stranger.get(f"/workspace/orgs/{place.organization}/workspaces")) == (404, "not_found")


@pytest.mark.parametrize("query", [{"limit": "0"}, {"offset": "x"}, {"order_by": "size"}])
def test_a_window_that_makes_no_sense_is_refused(http: httpx.Client, query: dict[str, str]) -> None:
    assert refusal(http.get("/workspace/orgs/default/workspaces", params=query)) == (400, "invalid_parameter")


@pytest.mark.parametrize("service", ["file", "workspace"])
def test_a_healthy_service_says_so_to_anyone(server: LiveServer, service: str) -> None:
    address = f"{server.url}/{service}/health_check"
    assert httpx.get(address, trust_env=False).text == "pass"
    full = httpx.get(address, params={"full": "true", "check_dependencies": "true"}, trust_env=False)
    assert full.json() == {"status": "pass", "version": version("fileferry"), "dependencies": {"storage": "pass"}}
    assert "dependencies" not in httpx.get(address, params={"full": "true"}, trust_env=False).json()


@pytest.mark.folder("how much room there is, a bucket does not say")
def test_a_service_without_room_is_degraded_and_strictly_judged_failed(make_server: Any) -> None:
    address = f"{make_server(min_free_space='1000TB').url}/file/health_check"
    lenient = httpx.get(address, params={"full": "true"}, trust_env=False)
    strict = httpx.get(address, params={"full": "true", "strict": "true"}, trust_env=False)
    assert (lenient.status_code, lenient.json()["status"]) == (200, "degraded")
    assert (strict.status_code, strict.json()["status"]) == (503, "degraded")
