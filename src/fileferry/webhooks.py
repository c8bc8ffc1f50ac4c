"""Verifying what a webhook receives, in the form of Standard Webhooks. For receivers; it asks nothing of a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from fileferry.client.nouns.events import Event, event_from
from fileferry.errors import FerryError, Retry


class InvalidSignature(FerryError):
    """A message that the secret did not sign, or whose attempt is more than five minutes old. Answer it with 401."""

    code, status, retry = "invalid_signature", 401, Retry.NEVER
    title = "The message is not signed with this webhook's secret, or is not of now."


def verify(body: bytes | str, headers: Mapping[str, str], secret: str | Iterable[str]) -> Event:
    """Return the event of a message that a webhook got: its body as it came, byte for byte, and its headers in any case.

    ``secret`` is the webhook's, or several while one replaces another. Raises InvalidSignature for a message that none of them
    signed or that is not of now, so that nobody can send it again later, and ValueError for a secret that cannot be one. An event
    may come twice: ``event_id`` is the same then, and that of a ``webhook.test`` is empty.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    said = dict(headers.items())
    for signer in [_signer(known) for known in secrets]:
        # A signature, UTF-8 or JSON that cannot be read is a ValueError of the package's.
        with contextlib.suppress(WebhookVerificationError, ValueError):
            return _event(signer.verify(body, said))
    raise InvalidSignature()


def _signer(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (EmptyWebhookSecretError, ValueError) as error:
        raise ValueError("A webhook's secret begins with whsec_, and is shown when it is made.") from error


def _event(message: Mapping[str, Any]) -> Event:
    data = message["data"]
    return event_from({**message, "id": data.get("event_id") or "", "organization_id": data.get("organization_id")})
