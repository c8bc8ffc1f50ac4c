"""Webhooks on a clock that tests move, sent to a real receiver that verifies with the ``standardwebhooks`` package."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event
from standardwebhooks import WebhookVerificationError

from fileferry.app import opened
from fileferry.db import events, webhooks
from fileferry.db.webhooks import DeliveryState
from fileferry.engine.events import deliveries, egress
from fileferry.engine.events.deliveries import SCHEDULE, Deliveries
from support.receiver import Message, Receiver, Reply, receiving
from unit.service import ROOT_KEY, Service

PAGE = 20
BACKLOG = 5 * PAGE // 2


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    """A service that may send to this machine."""
    return make_service(webhook_networks="127.0.0.0/8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened_receiver:
        yield opened_receiver


def ask(service: Service, method: str, url: str, **asked: Any) -> Any:
    answer = service.request(method, f"/api/webhooks{url}", **asked)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def hook(service: Service, receiver: Receiver, **asked: Any) -> dict[str, Any]:
    made: dict[str, Any] = ask(service, "POST", "", json={"url": receiver.url, **asked})
    return made


def log(service: Service, webhook: dict[str, Any], **parameters: str) -> list[dict[str, Any]]:
    """Return the deliveries, oldest first."""
    page = ask(service, "GET", f"/{webhook['id']}/deliveries", params={"limit": "1000", **parameters})
    assert page["next_cursor"] is None
    found: list[dict[str, Any]] = page["deliveries"]
    return found[::-1]


def told(message: Message) -> tuple[str, str]:
    """Return the type and the path of what a message tells."""
    payload = json.loads(message.body)
    return payload["type"], payload["data"]["path"]


def always(status: int, **headers: str) -> Callable[[Message], Reply]:
    return lambda _message: Reply(status, {name.replace("_", "-"): value for name, value in headers.items()})


def one_after_the_other(*statuses: int) -> Callable[[Message], Reply]:
    left = list(statuses)
    return lambda _message: Reply(left.pop(0))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_an_event_is_posted_signed_and_dated(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    file = service.upload(b"hello", path="a.txt")
    happened = service.now
    service.pass_time(minutes=20)
    service.deliver()
    (message,) = receiver.received
    payload = message.verified(webhook["secret"], service.now)
    assert (payload["type"], moment(payload["timestamp"])) == ("file.ready", happened)
    assert (payload["data"]["file_id"], payload["data"]["path"]) == (file["id"], "a.txt")
    assert payload["data"]["organization_id"] == file["organization_id"]
    assert message.headers["content-type"] == "application/json"
    assert "." not in message.id
    (delivery,) = log(service, webhook)
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("delivered", 1, 200)
    assert (delivery["message_id"], delivery["file_id"]) == (message.id, file["id"])
    assert delivery["event_id"] == payload["data"]["event_id"]
    assert (delivery["last_error"], delivery["next_attempt_at"]) == (None, None)


def test_what_happened_before_a_webhook_was_made_is_not_sent(service: Service, receiver: Receiver) -> None:
    service.upload(path="before")
    hook(service, receiver)
    service.upload(path="after")
    service.deliver()
    assert [told(message) for message in receiver.received] == [("file.ready", "after")]


def test_only_the_types_that_are_wanted_are_sent(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver, types=["file.deleted"])
    file = service.upload(path="a")
    service.request("DELETE", f"/api/files/{file['id']}")
    service.deliver()
    assert [told(message) for message in receiver.received] == [("file.deleted", "a")]
    ask(service, "PATCH", f"/{webhook['id']}", json={"types": None})
    service.upload(path="b")
    service.deliver()
    assert [told(message) for message in receiver.received][1:] == [("file.ready", "b")]


def test_every_event_of_a_long_backlog_is_sent_once_and_in_order_per_file(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_PAGE", PAGE)
    hook(service, receiver)
    organization = service.upload()["organization_id"]

    async def happen() -> None:
        async with opened(service.settings, service.clock) as engine:
            await engine.database.write(many)

    def many(conn: Any) -> None:
        common = {
            "organization_id": organization,
            "version_id": None,
            "type": "file.fetched",
            "created_at": service.now,
        }
        ids = {number: f"file {number % 10}" for number in range(1, BACKLOG)}
        data = {number: {"path": id, "number": number} for number, id in ids.items()}
        events.append_all(conn, [{**common, "file_id": id, "data": data[number]} for number, id in ids.items()])

    asyncio.run(happen())
    service.deliver()
    assert len(receiver.received) == BACKLOG
    assert len({message.id for message in receiver.received}) == BACKLOG
    by_file: dict[str, list[int]] = {}
    for message in receiver.received:
        data = json.loads(message.body)["data"]
        by_file.setdefault(data["path"], []).append(int(data["event_id"]))
    assert all(numbers == sorted(numbers) for numbers in by_file.values())


def test_a_receiver_that_is_down_for_a_while_gets_what_it_missed(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    receiver.stop()
    service.upload(path="a")
    service.deliver()
    (waiting,) = log(service, webhook, state="pending")
    assert (waiting["attempts"], waiting["last_status"]) == (1, None)
    assert waiting["last_error"].startswith("No connection")
    assert moment(waiting["next_attempt_at"]) == service.now + SCHEDULE[0]
    receiver.start()
    service.deliver()
    assert receiver.received == []
    service.pass_time(seconds=SCHEDULE[0].total_seconds())
    service.deliver()
    assert [told(message) for message in receiver.received] == [("file.ready", "a")]
    assert [delivery["attempts"] for delivery in log(service, webhook, state="delivered")] == [2]


def test_a_delivery_is_given_up_after_about_a_day_of_attempts(service: Service, receiver: Receiver) -> None:
    receiver.answer = always(500)
    webhook = hook(service, receiver)
    service.upload()
    waits = []
    service.deliver()
    while (delivery := log(service, webhook)[0])["state"] == "pending":
        waits.append(moment(delivery["next_attempt_at"]) - service.now)
        service.now += waits[-1]
        service.deliver()
        receiver.received[-1].verified(webhook["secret"], service.now)
    assert tuple(waits) == SCHEDULE
    assert timedelta(hours=24) < sum(waits, timedelta(0)) < timedelta(hours=30)
    assert (delivery["state"], delivery["last_status"], delivery["next_attempt_at"]) == ("failed", 500, None)
    assert len({(message.id, message.body) for message in receiver.received}) == 1
    service.pass_time(days=2)
    service.deliver()
    assert len(receiver.received) == len(SCHEDULE) + 1


def test_what_waited_for_days_behind_others_is_given_up_with_them(service: Service, receiver: Receiver) -> None:
    receiver.answer = always(500)
    webhook = hook(service, receiver)
    for _ in range(5):
        file = service.upload()
    service.deliver()
    for wait in 3 * SCHEDULE:
        service.now += wait
        service.deliver()
        if len(log(service, webhook)) == 5:
            service.request("DELETE", f"/api/files/{file['id']}")
    *attempted, fourth, fifth, deleted = log(service, webhook)
    assert [delivery["attempts"] for delivery in attempted] == [len(SCHEDULE) + 1] * 3
    for delivery in (fourth, fifth):
        assert (delivery["state"], delivery["attempts"], delivery["next_attempt_at"]) == ("failed", 0, None)
    assert (deleted["state"], deleted["attempts"]) == ("pending", 1)


def test_chance_makes_a_wait_up_to_a_fifth_longer(service: Service, receiver: Receiver) -> None:
    receiver.answer = always(500)
    webhook = hook(service, receiver)
    service.upload()
    service.deliver(chance=lambda: 1.0)
    assert moment(log(service, webhook)[0]["next_attempt_at"]) == service.now + SCHEDULE[0] * 1.2


def test_a_failure_is_followed_by_the_success_of_the_next_attempt(service: Service, receiver: Receiver) -> None:
    receiver.answer = one_after_the_other(500, 204)
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    assert log(service, webhook)[0]["last_error"] == "Answered 500."
    service.pass_time(seconds=5)
    service.deliver()
    (delivery,) = log(service, webhook)
    assert (delivery["state"], delivery["last_status"], delivery["last_error"]) == ("delivered", 204, None)


def test_a_receiver_that_never_answers_fails(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "SECONDS", 0.2)
    end = threading.Event()
    receiver.answer = lambda _message: Reply() if end.wait(60) else Reply(500)
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    end.set()
    (delivery,) = log(service, webhook)
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("pending", 1, None)
    assert delivery["last_error"].startswith("No answer within")


def test_a_slow_receiver_holds_up_nobody_else(service: Service, receiver: Receiver) -> None:
    count = 40  # more than may be under way at once
    others_are_done = threading.Event()
    receiver.answer = lambda _message: Reply() if others_are_done.wait(15) else Reply(500)
    slow = hook(service, receiver)
    with receiving() as quick:

        def answer(_message: Message) -> Reply:
            if len(quick.received) == count:
                others_are_done.set()
            return Reply()

        quick.answer = answer
        hook(service, quick)
        for number in range(count):
            service.upload(path=f"file {number}")
        service.deliver()
        assert len(quick.received) == count
    assert [delivery["attempts"] for delivery in log(service, slow, state="delivered")] == [1] * count


def test_a_body_without_end_is_not_read(service: Service, receiver: Receiver) -> None:
    receiver.answer = lambda _message: Reply(endless=True)
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    assert [delivery["state"] for delivery in log(service, webhook)] == ["delivered"]


def test_410_disables_the_webhook_and_gives_up_what_waits(service: Service, receiver: Receiver) -> None:
    receiver.answer = one_after_the_other(500, 410)
    webhook = hook(service, receiver)
    service.upload(path="waits")
    service.deliver()
    service.upload(path="gone")
    service.deliver()
    shown = ask(service, "GET", f"/{webhook['id']}")
    assert (shown["enabled"], moment(shown["disabled_at"])) == (False, service.now)
    assert "410" in shown["disabled_reason"]
    assert [delivery["state"] for delivery in log(service, webhook)] == ["failed", "failed"]
    service.upload(path="unheard")
    service.pass_time(days=1)
    service.deliver()
    assert len(receiver.received) == 2


def test_a_webhook_that_is_enabled_again_is_sent_what_happens_from_then_on(
    service: Service, receiver: Receiver
) -> None:
    receiver.answer = one_after_the_other(410, 200, 200)
    webhook = hook(service, receiver)
    service.upload(path="gone")
    service.deliver()
    service.upload(path="unheard")
    shown = ask(service, "PATCH", f"/{webhook['id']}", json={"enabled": True})
    assert (shown["enabled"], shown["disabled_at"], shown["disabled_reason"]) == (True, None, None)
    service.upload(path="heard")
    service.deliver()
    again = {"since": webhook["created_at"]}
    assert ask(service, "POST", f"/{webhook['id']}/replay", json=again) == {"replayed": 1}
    service.deliver()
    assert [path for _type, path in map(told, receiver.received)] == ["gone", "heard", "gone"]


@pytest.mark.sqlite  # looks into the folder
def test_410_of_an_address_that_was_changed_meanwhile_disables_nothing(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    with receiving() as new:

        def move(_message: Message) -> Reply:
            with sqlite3.connect(service.data / "fileferry.db", timeout=30) as database:
                database.execute("UPDATE webhooks SET url = ?", [new.url])
            return Reply(410)

        receiver.answer = move
        service.upload()
        service.deliver()
        assert ask(service, "GET", f"/{webhook['id']}")["enabled"]
        service.upload(path="b")
        service.deliver()
        assert [told(message) for message in new.received] == [("file.ready", "b")]


def test_disabling_gives_up_what_waits_and_sends_nothing(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    service.upload()
    shown = ask(service, "PATCH", f"/{webhook['id']}", json={"enabled": False})
    assert (shown["enabled"], bool(shown["disabled_reason"])) == (False, True)
    service.deliver()
    assert receiver.received == []
    for action in ("test", "replay"):
        asked = {"json": {"since": webhook["created_at"]}} if action == "replay" else {}
        answer = service.request("POST", f"/api/webhooks/{webhook['id']}/{action}", **asked)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_redirect_is_a_failure_and_not_followed(service: Service, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answer = always(307, Location=elsewhere.url)
        webhook = hook(service, receiver)
        service.upload()
        service.deliver()
        assert elsewhere.received == []
    (delivery,) = log(service, webhook)
    assert (delivery["state"], delivery["last_status"]) == ("pending", 307)
    assert "redirects are not followed" in delivery["last_error"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_puts_off_the_next_attempt(service: Service, receiver: Receiver, status: int) -> None:
    receiver.answer = always(status, Retry_After="3600")
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    assert moment(log(service, webhook)[0]["next_attempt_at"]) == service.now + timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "value", "wait"),
    [
        (503, format_datetime(datetime(2030, 1, 1, 2, tzinfo=UTC), usegmt=True), timedelta(hours=2)),
        (503, "99999999999999999999", timedelta(hours=24)),
        (503, "1", SCHEDULE[0]),
        (503, "-5", SCHEDULE[0]),
        (503, "soon", SCHEDULE[0]),
        (503, format_datetime(datetime(2020, 1, 1, tzinfo=UTC)), SCHEDULE[0]),
        (500, "3600", SCHEDULE[0]),
        (301, "3600", SCHEDULE[0]),
    ],
)
def test_retry_after_is_believed_within_bounds(
    service: Service, receiver: Receiver, status: int, value: str, wait: timedelta
) -> None:
    receiver.answer = always(status, Retry_After=value)
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    assert moment(log(service, webhook)[0]["next_attempt_at"]) == service.now + wait


@pytest.mark.sqlite  # looks into the folder
def test_a_receiver_that_asks_for_time_is_sent_nothing_else_meanwhile(service: Service, receiver: Receiver) -> None:
    receiver.answer = always(429, Retry_After="3600")
    hook(service, receiver)
    service.upload(path="a")

    async def both() -> None:
        async with opened(service.settings, service.clock) as engine:
            sending = Deliveries(engine.database, engine.links, service.settings, service.clock)
            await sending.settle()
            await asyncio.to_thread(happen, "b")
            await sending.settle()
            assert len(receiver.received) == 1
            service.pass_time(hours=2)
            receiver.answer = always(200)
            await sending.settle()

    def happen(path: str) -> None:
        with sqlite3.connect(service.data / "fileferry.db", timeout=30) as database:
            columns = "organization_id, number, file_id, version_id, type, data, created_at"
            of_another = f"organization_id, number + 1, '{path}', NULL, type, '{{\"path\": \"{path}\"}}', created_at"
            database.execute(
                f"INSERT INTO events ({columns}) SELECT {of_another} FROM events WHERE type = 'file.ready'"
            )
            database.execute("UPDATE organizations SET last_event = last_event + 1")

    asyncio.run(both())
    assert sorted(path for _type, path in map(told, receiver.received)) == ["a", "a", "b"]


def test_what_one_receiver_asked_for_does_not_hold_up_the_address_after_it(
    service: Service, receiver: Receiver
) -> None:
    receiver.answer = always(429, Retry_After="86400")
    webhook = hook(service, receiver)
    service.upload()

    async def move(new: Receiver) -> None:
        async with opened(service.settings, service.clock) as engine:
            sending = Deliveries(engine.database, engine.links, service.settings, service.clock)
            await sending.settle()
            principal = await engine.keys.authenticate(ROOT_KEY, None)
            await engine.webhooks.change(principal, webhook["id"], url=new.url)
            await engine.webhooks.test(principal, webhook["id"])
            await sending.settle()

    with receiving() as new:
        asyncio.run(move(new))
        assert [json.loads(message.body)["type"] for message in new.received] == ["webhook.test"]


@pytest.mark.sqlite  # looks into the folder
def test_the_answer_for_a_webhook_that_is_gone_is_not_taken_for_anothers(service: Service, receiver: Receiver) -> None:
    gone = hook(service, receiver)
    service.upload()
    with receiving() as other:

        def replace(_message: Message) -> Reply:
            with sqlite3.connect(service.data / "fileferry.db", timeout=30) as database:
                # The other's delivery has the id that was the newest.
                database.execute("UPDATE webhooks SET url = ?", [other.url])
                database.execute("UPDATE deliveries SET event_id = -1, file_id = 'another'")
            return Reply()

        receiver.answer = replace
        service.deliver()
        service.deliver()
        assert len(other.received) == 1
    assert [delivery["state"] for delivery in log(service, gone)] == ["delivered"]


def test_the_many_slow_receivers_of_one_organization_hold_up_no_other(service: Service, receiver: Receiver) -> None:
    other_is_served = threading.Event()
    receiver.answer = lambda _message: Reply() if other_is_served.wait(15) else Reply(500)
    slow = [hook(service, receiver) for _ in range(40)]  # more than may be under way at once
    elsewhere = service.request("POST", "/api/organizations", json={"slug": "other"}).json()["id"]
    with receiving() as quick:

        def answer(_message: Message) -> Reply:
            other_is_served.set()
            return Reply()

        quick.answer = answer
        ask(service, "POST", "", json={"url": quick.url}, params={"organization": elsewhere})
        service.request("PUT", "/api/upload/theirs", content=b"abc", params={"organization": elsewhere})
        service.upload()
        service.deliver()
        assert len(quick.received) == 1
    # Of forty at once some may have taken too long on a busy machine; they are sent again.
    service.pass_time(hours=1)
    service.deliver()
    assert {log(service, webhook)[0]["state"] for webhook in slow} == {"delivered"}


def test_both_secrets_sign_during_the_grace_of_a_rotation(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    rotated = ask(service, "POST", f"/{webhook['id']}/rotate", json={"grace": "1h"})
    assert rotated["secret"] != webhook["secret"]
    assert moment(rotated["old_secret_until"]) == service.now + timedelta(hours=1)
    service.upload(path="a")
    service.deliver()
    for secret in (rotated["secret"], webhook["secret"]):
        receiver.received[0].verified(secret, service.now)
    service.pass_time(hours=1)
    service.upload(path="b")
    service.deliver()
    receiver.received[1].verified(rotated["secret"], service.now)
    with pytest.raises(WebhookVerificationError):
        receiver.received[1].verified(webhook["secret"], service.now)


def test_without_a_grace_the_old_secret_ends_at_once(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    rotated = ask(service, "POST", f"/{webhook['id']}/rotate")
    service.upload()
    service.deliver()
    receiver.received[0].verified(rotated["secret"], service.now)
    with pytest.raises(WebhookVerificationError):
        receiver.received[0].verified(webhook["secret"], service.now)


def test_what_happened_to_a_file_later_waits_for_what_happened_before(service: Service, receiver: Receiver) -> None:
    refused = {("file.ready", "a")}
    receiver.answer = lambda message: Reply(500 if told(message) in refused else 200)
    hook(service, receiver)
    file = service.upload(path="a")
    service.deliver()
    service.upload(path="b")
    service.request("DELETE", f"/api/files/{file['id']}")
    service.deliver()
    assert [told(message) for message in receiver.received] == [("file.ready", "a"), ("file.ready", "b")]
    refused.clear()
    service.pass_time(seconds=5)
    service.deliver()
    assert [told(message) for message in receiver.received][2:] == [("file.ready", "a"), ("file.deleted", "a")]


def test_what_happened_to_a_file_later_is_sent_once_the_earlier_is_given_up(
    service: Service, receiver: Receiver
) -> None:
    receiver.answer = lambda message: Reply(500 if told(message) == ("file.ready", "a") else 200)
    hook(service, receiver)
    file = service.upload(path="a")
    service.request("DELETE", f"/api/files/{file['id']}")
    service.deliver()
    for wait in SCHEDULE:
        assert ("file.deleted", "a") not in map(told, receiver.received)
        service.now += wait
        service.deliver()
    assert [told(message) for message in receiver.received][-2:] == [("file.ready", "a"), ("file.deleted", "a")]


def test_what_waited_for_an_earlier_delivery_goes_with_its_replay(service: Service, receiver: Receiver) -> None:
    receiver.answer = one_after_the_other(500, 500, 200, 200)
    webhook = hook(service, receiver)
    file = service.upload(path="a")
    service.deliver()
    service.pass_time(seconds=5)
    service.deliver()
    service.request("DELETE", f"/api/files/{file['id']}")
    service.deliver()
    ready, deleted = log(service, webhook)
    assert (deleted["attempts"], deleted["next_attempt_at"]) == (0, ready["next_attempt_at"])
    ask(service, "POST", f"/{webhook['id']}/deliveries/{ready['id']}/replay")
    service.deliver()
    assert [told(message) for message in receiver.received][2:] == [("file.ready", "a"), ("file.deleted", "a")]


def test_a_delivery_can_be_sent_again_and_is_the_same_message(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    (delivery,) = log(service, webhook)
    service.pass_time(days=3)
    replayed = ask(service, "POST", f"/{webhook['id']}/deliveries/{delivery['id']}/replay")
    assert (replayed["state"], replayed["attempts"]) == ("pending", 0)
    service.deliver()
    first, second = receiver.received
    assert (second.id, second.body) == (first.id, first.body)
    second.verified(webhook["secret"], service.now)
    assert [found["state"] for found in log(service, webhook)] == ["delivered"]


def test_what_failed_since_a_time_can_be_sent_again(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    receiver.answer = always(500)
    service.upload(path="long ago")
    for wait in (timedelta(0), *SCHEDULE):
        service.now += wait
        service.deliver()
    service.pass_time(days=1)
    since = service.now
    service.upload(path="lately")
    for wait in (timedelta(0), *SCHEDULE):
        service.now += wait
        service.deliver()
    assert [delivery["state"] for delivery in log(service, webhook)] == ["failed", "failed"]
    receiver.answer = always(200)
    receiver.received.clear()
    replayed = ask(service, "POST", f"/{webhook['id']}/replay", json={"since": since.isoformat()})
    assert replayed == {"replayed": 1}
    service.deliver()
    assert [path for _type, path in map(told, receiver.received)] == ["lately"]


def test_an_answer_that_could_not_be_recorded_is_asked_for_again(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Deliveries._record
    failures = [OSError("the database is away")] * 2  # a write that fails is tried once more, apart from its group

    def failing(self: Deliveries, *args: Any) -> None:
        if failures:
            raise failures.pop()
        record(self, *args)

    monkeypatch.setattr(Deliveries, "_record", failing)
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    first, second = receiver.received
    assert (second.id, second.body) == (first.id, first.body)
    assert [(found["state"], found["attempts"]) for found in log(service, webhook)] == [("delivered", 1)]


def test_a_test_event_is_sent_whatever_types_are_wanted(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver, types=["file.deleted"])
    asked = ask(service, "POST", f"/{webhook['id']}/test")
    assert (asked["type"], asked["state"], asked["event_id"]) == ("webhook.test", "pending", None)
    service.deliver()
    payload = receiver.received[0].verified(webhook["secret"], service.now)
    assert (payload["type"], payload["data"]["webhook_id"]) == ("webhook.test", webhook["id"])
    assert (receiver.received[0].id, "." in asked["message_id"]) == (asked["message_id"], False)


def test_a_changed_url_gets_what_waits(service: Service, receiver: Receiver) -> None:
    receiver.answer = always(500)
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    with receiving() as elsewhere:
        ask(service, "PATCH", f"/{webhook['id']}", json={"url": elsewhere.url})
        service.pass_time(seconds=5)
        service.deliver()
        assert [message.id for message in elsewhere.received] == [receiver.received[0].id]


def test_the_log_forgets_what_is_over_and_old(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    for path in "ab":
        service.upload(path=path)
        service.deliver()
        service.pass_time(days=20)
    service.sweep()
    assert [found["state"] for found in log(service, webhook)] == ["delivered"]


@pytest.mark.sqlite  # looks into the folder
def test_a_deleted_webhook_leaves_nothing(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    receiver.answer = always(500)
    for number in range(3):
        service.upload(path=f"{number}")
    service.deliver()
    ask(service, "DELETE", f"/{webhook['id']}")
    assert service.request("GET", f"/api/webhooks/{webhook['id']}").status_code == 404
    service.pass_time(days=1)
    service.deliver()
    assert len(receiver.received) == 3
    with sqlite3.connect(service.data / "fileferry.db") as database:
        counts = [
            database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("webhooks", "deliveries")
        ]
    assert counts == [0, 0]


def test_an_address_that_is_not_public_is_refused_and_the_log_says_so(
    make_service: Callable[..., Service], receiver: Receiver
) -> None:
    service = make_service()
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    assert receiver.received == []
    (delivery,) = log(service, webhook)
    assert (delivery["state"], delivery["last_status"]) == ("pending", None)
    assert delivery["last_error"].startswith("Refused: 127.0.0.1")


def test_a_name_of_an_address_that_is_not_public_is_refused_whenever_it_becomes_one(
    make_service: Callable[..., Service], receiver: Receiver
) -> None:
    service = make_service()
    asked = []

    async def rebound(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    url = f"http://rebound.example:{receiver.port}/hook"
    webhook = ask(service, "POST", "", json={"url": url})
    service.upload()
    service.deliver(resolve=rebound)
    assert (asked, receiver.received) == ([("rebound.example", receiver.port)], [])
    assert log(service, webhook)[0]["last_error"].startswith("Refused: rebound.example")
    assert "127.0.0.1" not in log(service, webhook)[0]["last_error"]


@pytest.mark.sqlite  # looks into the folder
def test_a_process_that_ends_hands_over_to_the_next_at_once(service: Service, receiver: Receiver) -> None:
    webhook = hook(service, receiver)
    with sqlite3.connect(service.data / "fileferry.db") as database:
        database.execute("DELETE FROM leases WHERE name = 'webhooks'")

    def happen(conn: Any, path: str) -> None:
        told_of = {"version_id": None, "type": "file.fetched", "data": {"path": path}, "created_at": service.now}
        events.append_all(conn, [{"organization_id": webhook["organization_id"], "file_id": path, **told_of}])

    async def run_and_end(count: int) -> None:
        async with opened(service.settings, service.clock) as engine:
            running = asyncio.create_task(
                Deliveries(engine.database, engine.links, service.settings, service.clock).run()
            )
            await engine.database.write(happen, f"{count}")
            found = (webhook["id"], DeliveryState.DELIVERED, 1_000_000, 10)
            async with asyncio.timeout(30):
                while len(await engine.database.read(webhooks.list_deliveries, *found)) < count:
                    await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run_and_end(1))
    asyncio.run(run_and_end(2))  # the clock stands still: no lease runs out
    assert [path for _type, path in map(told, receiver.received)] == ["1", "2"]


def test_a_failure_of_the_server_itself_takes_its_turn_as_others_do(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(egress.Egress, "post", fail)
    webhook = hook(service, receiver)
    service.upload()
    service.deliver()
    (delivery,) = log(service, webhook)
    assert (delivery["state"], delivery["attempts"]) == ("pending", 1)
    assert delivery["last_error"] == "The server failed: RuntimeError."


@pytest.mark.sqlite  # looks into the folder
def test_what_is_sent_is_found_without_reading_the_whole_log(service: Service, receiver: Receiver) -> None:
    statements: set[tuple[str, int]] = set()

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if "deliveries" in statement and statement.startswith(("SELECT", "UPDATE")):
            statements.add((statement, len(parameters)))

    receiver.answer = one_after_the_other(500, 200)
    hook(service, receiver)
    service.upload()
    event.listen(Engine, "before_cursor_execute", note)
    try:
        service.deliver()
        service.pass_time(seconds=5)
        service.deliver()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    with sqlite3.connect(service.data / "fileferry.db") as database:
        steps = {
            step
            for statement, count in statements
            for *_numbers, step in database.execute(f"EXPLAIN QUERY PLAN {statement}", [1] * count)
            if "deliveries" in step or "earlier" in step
        }
    assert {step.partition(" (")[0] for step in steps} == {
        "SEARCH deliveries USING INDEX deliveries_pending",
        "SEARCH deliveries USING INDEX deliveries_in_order",
        "SEARCH deliveries USING INTEGER PRIMARY KEY",
        "SEARCH earlier USING INDEX deliveries_in_order",
    }
    assert not [step for step in steps if step.endswith("(webhook_id=?)")]


def test_the_trace_of_the_request_that_made_an_event_is_passed_on(service: Service, receiver: Receiver) -> None:
    hook(service, receiver)
    trace = "0af7651916cd43dd8448eb211c80319c"
    service.request("PUT", "/api/upload/a", content=b"abc", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    service.upload(path="b")
    service.deliver()
    passed_on = {told(message)[1]: message.headers.get("traceparent") for message in receiver.received}
    assert passed_on["b"] is None
    assert re.fullmatch(f"00-{trace}-(?!b7ad6b7169203331)[0-9a-f]{{16}}-01", passed_on["a"] or "")
