"""``fileferry.webhooks.verify`` believes what a webhook's secret signed just now, and nothing else, whatever it is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from fileferry import webhooks

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "AAAQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps(
    {
        "type": "file.ready",
        "timestamp": "2026-11-30T09:00:00Z",
        "data": {"event_id": "7", "organization_id": "o", "file_id": "f", "url": "https://files.example/f/a"},
    }
).encode()


def signed(body: bytes = BODY, secret: str = SECRET, age: timedelta = timedelta(0)) -> dict[str, str]:
    at = datetime.now(UTC) - age
    signature = Webhook(secret).sign("msg_1", at, body.decode())
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(int(at.timestamp())), "Webhook-Signature": signature}


def test_what_was_signed_is_the_event() -> None:
    event = webhooks.verify(BODY, signed(), SECRET)
    assert (event.type, event.event_id, event.organization_id) == ("file.ready", "7", "o")
    assert event.data["url"] == "https://files.example/f/a"


def test_either_secret_of_a_rotation_does() -> None:
    assert webhooks.verify(BODY, signed(), [OTHER, SECRET]).event_id == "7"


def test_a_test_event_belongs_to_no_file() -> None:
    body = b'{"type": "webhook.test", "timestamp": "2026-11-30T09:00:00Z", "data": {"webhook_id": "w"}}'
    assert webhooks.verify(body, signed(body), SECRET).event_id == ""


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {}),
        (BODY, signed(secret=OTHER)),
        (BODY + b" ", signed()),
        (BODY, signed(age=timedelta(minutes=6))),
        (BODY, {**signed(), "Webhook-Signature": "no signature at all"}),
        (BODY, {**signed(), "Webhook-Signature": "v1,%%%"}),
        (BODY, {**signed(), "Webhook-Signature": "v1,a,b"}),
        (BODY, {**signed(), "Webhook-Timestamp": "nan"}),
        (b"\xff", signed()),
        (b"no JSON", signed(b"no JSON")),
    ],
)
def test_everything_else_is_one_error(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(webhooks.InvalidSignature):
        webhooks.verify(body, headers, SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%", "ff_key"])
def test_a_secret_that_cannot_be_one_is_a_mistake_of_the_receiver(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        webhooks.verify(BODY, signed(), secret)
