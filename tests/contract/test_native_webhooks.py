"""Webhooks over the native API, sent by a server in a process of its own; what they are sent and when is in tests/unit."""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from contract.edge import eventually
from contract.test_native_keys import make_key
from contract.test_native_uploads import problem
from support.live_server import LiveServer, MakeServer
from support.receiver import Message, Receiver, Reply, receiving

URL = "https://receiver.example/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def new_client(http: httpx.Client, server: LiveServer) -> Iterator[Callable[..., httpx.Client]]:
    """Makes clients of an organization that has nothing but what the test makes, or of another one."""
    with contextlib.ExitStack() as opened:

        def make(*scopes: str, organization: str | None = None) -> httpx.Client:
            if organization is None:
                made = http.post("/api/organizations", json={"slug": f"o-{uuid.uuid4().hex[:12]}"})
                organization = made.json()["id"]
            key = make_key(http, *(scopes or ["admin"]), organization=organization)["key"]
            return opened.enter_context(server.client(key))

        yield make


@pytest.fixture
def admin(new_client: Callable[..., httpx.Client]) -> httpx.Client:
    """A client that may do everything in its organization."""
    return new_client()


def create(http: httpx.Client, url: str = URL, **asked: Any) -> dict[str, Any]:
    answer = http.post("/api/webhooks", json={"url": url, **asked})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def delivered(http: httpx.Client, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    answer = http.get(f"/api/webhooks/{webhook['id']}/deliveries", params={"state": "delivered"})
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def test_a_new_webhook_is_described_and_its_secret_shown_once(admin: httpx.Client) -> None:
    made = create(admin, types=["file.ready", "file.deleted"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    assert (made["url"], made["types"], made["enabled"]) == (URL, ["file.deleted", "file.ready"], True)
    assert (made["disabled_at"], made["disabled_reason"], made["old_secret_until"]) == (None, None, None)
    shown = admin.get(f"/api/webhooks/{made['id']}")
    assert shown.json() == {name: value for name, value in made.items() if name != "secret"}
    rotated = admin.post(f"/api/webhooks/{made['id']}/rotate", json={"grace": "1h"})
    assert rotated.status_code == 201
    everything = shown.text + admin.get("/api/webhooks?limit=1000").text
    assert not [secret for secret in (made["secret"], rotated.json()["secret"]) if secret in everything]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "receiver.example/hook",
        "//receiver.example/hook",
        "ftp://receiver.example/",
        "file:///etc/passwd",
        "http://",
        "http:///hook",
        "http://user:password@receiver.example/",
        "http://receiver.example/#part",
        "http://receiver.example:0/",
        "http://receiver.example:65536/",
        "http://receiver example/",
        "http://receiver.example/\n",
        "http://[::1/",
        "http://receiver.example/" + "a" * 2048,
    ],
)
def test_what_is_no_plain_http_address_is_refused(admin: httpx.Client, url: str) -> None:
    said = problem(admin.post("/api/webhooks", json={"url": url}), 400, "invalid_parameter")
    assert said["parameter"] == "url"
    webhook = create(admin)
    problem(admin.patch(f"/api/webhooks/{webhook['id']}", json={"url": url}), 400, "invalid_parameter")


@pytest.mark.parametrize("asked", [{}, {"url": 1}, {"url": URL, "types": []}, {"url": URL, "types": ["file.no"]}])
def test_what_cannot_be_asked_for_is_refused(admin: httpx.Client, asked: dict[str, Any]) -> None:
    problem(admin.post("/api/webhooks", json=asked), 400, "invalid_parameter")


@pytest.mark.parametrize("query", ["state=lost", "cursor=nonsense", "limit=0"])
def test_what_a_log_cannot_be_asked_is_refused(admin: httpx.Client, query: str) -> None:
    webhook = create(admin)
    problem(admin.get(f"/api/webhooks/{webhook['id']}/deliveries?{query}"), 400, "invalid_parameter")


@pytest.mark.parametrize("since", ["yesterday", "2026-11-21T09:30:00", None])
def test_since_when_to_send_again_is_a_time_with_a_zone(admin: httpx.Client, since: str | None) -> None:
    webhook = create(admin)
    answer = admin.post(f"/api/webhooks/{webhook['id']}/replay", json={"since": since})
    problem(answer, 400, "invalid_parameter")


def test_another_organizations_webhook_is_not_there(
    admin: httpx.Client, new_client: Callable[..., httpx.Client]
) -> None:
    foreign = new_client()
    webhook = create(admin)
    test = admin.post(f"/api/webhooks/{webhook['id']}/test").json()
    asked: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/rotate", {}),
        ("POST", "/test", None),
        ("GET", "/deliveries", None),
        ("POST", f"/deliveries/{test['id']}/replay", None),
        ("POST", "/replay", {"since": webhook["created_at"]}),
    ]
    for method, path, body in asked:
        answer = foreign.request(method, f"/api/webhooks/{webhook['id']}{path}", json=body)
        problem(answer, 404, "not_found")
    assert foreign.get("/api/webhooks").json() == {"webhooks": [], "next_cursor": None}
    assert admin.get(f"/api/webhooks/{webhook['id']}").json()["enabled"]


def test_a_delivery_of_another_webhook_is_not_there(admin: httpx.Client) -> None:
    webhook, other = create(admin), create(admin)
    test = admin.post(f"/api/webhooks/{other['id']}/test").json()
    for delivery in (test["id"], "-1", "x", "9" * 30):
        answer = admin.post(f"/api/webhooks/{webhook['id']}/deliveries/{delivery}/replay")
        problem(answer, 404, "not_found")


@pytest.mark.parametrize("scope", ["upload", "read", "delete"])
def test_webhooks_need_the_scope_admin(
    admin: httpx.Client, new_client: Callable[..., httpx.Client], scope: str
) -> None:
    webhook = create(admin)
    lesser = new_client(scope, organization=webhook["organization_id"])
    problem(lesser.get("/api/webhooks"), 403, "forbidden")
    problem(lesser.post("/api/webhooks", json={"url": URL}), 403, "forbidden")
    for path in ("rotate", "test", "deliveries/1/replay"):
        problem(lesser.post(f"/api/webhooks/{webhook['id']}/{path}"), 403, "forbidden")
    for method in ("GET", "PATCH", "DELETE"):
        problem(lesser.request(method, f"/api/webhooks/{webhook['id']}"), 403, "forbidden")


def test_webhooks_and_their_log_come_in_pages(admin: httpx.Client) -> None:
    webhooks = [create(admin) for _ in range(3)]
    for _ in range(3):
        admin.post(f"/api/webhooks/{webhooks[0]['id']}/test").raise_for_status()
    for path, member in (("", "webhooks"), (f"/{webhooks[0]['id']}/deliveries", "deliveries")):
        first = admin.get(f"/api/webhooks{path}", params={"limit": 2}).json()
        rest = admin.get(f"/api/webhooks{path}", params={"limit": 2, "cursor": first["next_cursor"]}).json()
        whole = admin.get(f"/api/webhooks{path}").json()[member]
        assert [item["id"] for item in first[member] + rest[member]] == [item["id"] for item in whole]
        assert (len(first[member]), len(rest[member]), rest["next_cursor"]) == (2, 1, None)


def test_an_organization_has_at_most_a_hundred_webhooks(admin: httpx.Client) -> None:
    for _ in range(100):
        create(admin)
    problem(admin.post("/api/webhooks", json={"url": URL}), 409, "conflict")


def test_a_server_sends_without_being_asked_and_one_of_its_processes_does(
    make_server: MakeServer, receiver: Receiver
) -> None:
    server = make_server(workers=2, webhook_networks="127.0.0.0/8")
    with server.client() as http:
        webhook = create(http, receiver.url)
        for number in range(20):
            http.put(f"/api/upload/{number}", content=b"abc").raise_for_status()
        eventually(lambda: len(delivered(http, webhook)) == 20)
    assert len({message.id for message in receiver.received}) == len(receiver.received) == 20
    for message in receiver.received:
        message.verified(webhook["secret"])


def test_a_server_killed_between_answer_and_commit_sends_again(make_server: MakeServer, receiver: Receiver) -> None:
    server = make_server(webhook_networks="127.0.0.0/8")
    killed = threading.Event()

    def kill(_message: Message) -> Reply:
        if not killed.is_set():
            server.kill()
            killed.set()
        return Reply()

    receiver.answer = kill
    with server.client() as http:
        webhook = create(http, receiver.url)
        file = http.put("/api/upload/a", content=b"abc").json()
    assert killed.wait(30)
    server.start()
    first, second = receiver.wait_for(2)
    assert (second.id, second.body) == (first.id, first.body)
    assert second.verified(webhook["secret"])["data"]["file_id"] == file["id"]
    with server.client() as http:
        eventually(lambda: len(delivered(http, webhook)) == 1)
