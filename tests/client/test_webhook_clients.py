"""Webhooks by both clients and by the command line."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from shell import Shell

from fileferry import Conflict, NotFound
from support.live_server import LiveServer, MakeServer
from support.receiver import Receiver, Reply, receiving

URL = "https://receiver.example/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def own_key(http: httpx.Client) -> str:
    """A key of an organization that has nothing but what the test makes."""
    organization = http.post("/api/organizations", json={"slug": f"o-{uuid.uuid4().hex[:12]}"}).json()
    asked = {"name": "admin", "scopes": ["admin"]}
    made = http.post("/api/keys", params={"organization": organization["id"]}, json=asked)
    key: str = made.json()["key"]
    return key


def test_a_webhook_is_made_changed_and_deleted(server: LiveServer, connect: Any, own_key: str) -> None:
    hooks = connect(server.url, own_key).webhooks()
    made = hooks.create(URL, types=["file.ready"])
    assert (made.url, made.types, made.enabled) == (URL, ("file.ready",), True)
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    assert hooks.get(made).secret is None
    changed = hooks.update(made, url=f"{URL}/2", types=None)
    assert (changed.url, changed.types) == (f"{URL}/2", None)
    rotated = hooks.rotate(made, grace="1h")
    assert rotated.secret != made.secret
    assert rotated.old_secret_until is not None
    assert made.webhook_id in [found.webhook_id for found in hooks.list()]
    hooks.update(made, enabled=False)
    with pytest.raises(Conflict):
        hooks.test(made)
    hooks.delete(made.webhook_id)
    with pytest.raises(NotFound):
        hooks.get(made)


def test_the_log_is_read_and_deliveries_sent_again(server: LiveServer, connect: Any, own_key: str) -> None:
    hooks = connect(server.url, own_key).webhooks()
    made = hooks.create(URL)
    test = hooks.test(made)
    assert (test.type, test.state, test.attempts, test.event_id) == ("webhook.test", "pending", 0, None)
    assert [found.message_id for found in hooks.deliveries(made)] == [test.message_id]
    assert [found.delivery_id for found in hooks.deliveries(made, state="delivered")] == []
    assert hooks.replay(made, test).delivery_id == test.delivery_id
    hooks.update(made, enabled=False)
    hooks.update(made, enabled=True)
    assert [found.state for found in hooks.deliveries(made)] == ["failed"]
    assert hooks.replay_failed(made, made.created_at) == 1


def test_the_root_key_reaches_the_webhooks_of_another_organization(server: LiveServer, connect: Any) -> None:
    client = connect(server.url, server.root_key)
    organization = client.create_organization(f"o-{uuid.uuid4().hex[:12]}")
    hooks = client.webhooks(organization=organization.slug)
    made = hooks.create(URL)
    assert made.organization_id == organization.organization_id
    assert [found.webhook_id for found in hooks.list()] == [made.webhook_id]
    with pytest.raises(NotFound):
        client.webhooks().get(made)


def test_the_command_line_makes_tests_and_removes_a_webhook(
    make_server: MakeServer, receiver: Receiver, tmp_path: Any
) -> None:
    server = make_server(webhook_networks="127.0.0.0/8")
    shell = Shell(tmp_path, server.url, server.root_key)
    secret = shell.out("webhooks", "create", receiver.url, "--type", "file.ready").strip()
    (listed,) = shell.out("webhooks", "ls").splitlines()
    webhook_id, _created, standing, types, url = listed.split("\t")
    assert (standing, types, url) == ("enabled", "file.ready", receiver.url)
    delivery_id = shell.out("webhooks", "test", webhook_id).strip()
    receiver.wait_for(1)[0].verified(secret)
    shell.out("webhooks", "replay", webhook_id, delivery_id)
    assert receiver.wait_for(2)[1].id == receiver.received[0].id
    new = shell.out("webhooks", "rotate", webhook_id, "--grace", "1h").strip()
    assert new != secret
    shell.out("webhooks", "update", webhook_id, "--all-types", "--disable")
    assert json.loads(shell.out("webhooks", "ls", "--json"))["types"] is None
    assert shell.out("webhooks", "ls").split("\t")[2] == "Disabled by request."
    shell.out("webhooks", "update", webhook_id, "--enable", "--target", f"{receiver.url}/2")
    assert shell.out("webhooks", "ls").split("\t")[2::2] == ["enabled", f"{receiver.url}/2\n"]
    shell.out("webhooks", "rm", webhook_id)
    assert shell.out("webhooks", "ls") == ""


def test_the_command_line_shows_the_log_and_sends_again_what_failed(
    make_server: MakeServer, receiver: Receiver, tmp_path: Any
) -> None:
    server = make_server(webhook_networks="127.0.0.0/8")
    shell = Shell(tmp_path, server.url, server.root_key)
    receiver.answer = lambda _message: Reply(410)
    shell.out("webhooks", "create", receiver.url)
    webhook_id = shell.out("webhooks", "ls").split("\t")[0]
    shell.out("webhooks", "test", webhook_id)
    receiver.wait_for(1)
    while (fields := shell.out("webhooks", "deliveries", webhook_id).strip().split("\t"))[4] == "pending":
        pass
    assert fields[2:] == ["webhook.test", "-", "failed", "1", "Answered 410.", "-"]
    found = json.loads(shell.out("webhooks", "deliveries", webhook_id, "--state", "failed", "--json"))
    assert (found["last_status"], found["attempts"]) == (410, 1)
    receiver.answer = lambda _message: Reply()
    shell.out("webhooks", "update", webhook_id, "--enable")
    since = datetime.fromisoformat(found["created_at"]).isoformat()
    shell.out("webhooks", "replay", webhook_id, "--failed-since", since)
    assert len(receiver.wait_for(2)) == 2


def test_the_command_line_tells_at_once_that_an_address_is_private(shell: Shell) -> None:
    for address, is_told in (("http://127.0.0.1:9/hook", True), ("http://[fd00::1]/", True), (URL, False)):
        made = shell.run("webhooks", "create", address)
        assert (made.returncode, b"FILEFERRY_WEBHOOK_NETWORKS" in made.stderr) == (0, is_told)


def test_the_command_line_tells_when_the_next_attempt_is(
    make_server: MakeServer, receiver: Receiver, tmp_path: Any
) -> None:
    server = make_server(webhook_networks="127.0.0.0/8")
    shell = Shell(tmp_path, server.url, server.root_key)
    receiver.answer = lambda _message: Reply(302)
    shell.out("webhooks", "create", receiver.url)
    webhook_id = shell.out("webhooks", "ls").split("\t")[0]
    shell.out("webhooks", "test", webhook_id)
    receiver.wait_for(1)
    while (fields := shell.out("webhooks", "deliveries", webhook_id).strip().split("\t"))[5] == "0":
        pass
    assert fields[4:7] == ["pending", "1", "Answered 302: redirects are not followed."]
    assert datetime.fromisoformat(fields[7]) > datetime.fromisoformat(fields[1])


@pytest.mark.parametrize(
    "arguments", [["ID"], ["ID", "1", "--failed-since", "2026-11-21T09:30:00Z"], ["ID", "--failed-since", "noon"]]
)
def test_the_command_line_refuses_to_guess_what_to_send_again(shell: Shell, arguments: list[str]) -> None:
    status, said = shell.refused("webhooks", "replay", *arguments)
    assert (status, "--failed-since" in said) == (2, True)
