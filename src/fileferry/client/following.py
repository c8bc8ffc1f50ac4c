"""Following events over connections that break: what was read so far, and where to go on. The clients do the reading."""

from __future__ import annotations

import json
from collections.abc import Iterable

from fileferry.client.calls.call import given, with_query
from fileferry.client.failures import UnexpectedAnswer
from fileferry.client.nouns.events import Event, event_from
from fileferry.client.nouns.organizations import Organization
from fileferry.errors import Retry

SILENCE = 45.0
"""Seconds without a sign of life, of which the server gives one every 15, after which a stream is given up."""


class Following:
    """One run of events, through any number of streams."""

    def __init__(
        self,
        after: str | None,
        types: Iterable[str] | None,
        file_id: str | None,
        organization: Organization | str | None,
    ) -> None:
        query = given(types=None if types is None else ",".join(types), file=file_id, organization=organization)
        self.path = with_query("/api/events", query)
        """Of the stream."""
        self.pause = 2.0
        """Seconds to wait before a stream that has ended is opened again; the server says how many."""
        self._last_id = after
        self._rest = b""
        self._fields: dict[str, str] = {}

    def headers(self) -> dict[str, str]:
        """Return the headers of the request for the next stream, which begins after what is known."""
        self._rest, self._fields = b"", {}
        known = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        return {"Accept": "text/event-stream", **known}

    def take(self, chunk: bytes) -> list[Event]:
        """Return the events that are complete with these bytes; raise UnexpectedAnswer for what is no event."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [event for line in lines if (event := self._take_line(line.decode().removesuffix("\r"))) is not None]

    def _take_line(self, line: str) -> Event | None:
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        self._last_id = fields.get("id", self._last_id)
        if fields.get("retry", "").isdecimal():
            self.pause = int(fields["retry"]) / 1000
        return _event(fields["data"]) if "data" in fields else None


def _event(data: str) -> Event:
    try:
        return event_from(json.loads(data))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnexpectedAnswer(
            "The answer holds what is no event: is the server's address right?",
            code=UnexpectedAnswer.code,
            status=200,
            retry=Retry.NEVER,
        ) from error
