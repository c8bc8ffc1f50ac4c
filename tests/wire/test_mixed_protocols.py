"""One upload, every protocol at once and everything that goes wrong: whatever completes it, its bytes are those acknowledged."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from wire.asking import open_ticket, part_url, send
from wire.blob import put_block, put_list
from wire.draft import Draft
from wire.slow import SlowRequest

TUS = {"Tus-Resumable": "1.0.0"}
TUS_BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
BLOCKS = ("a", "b", "c")
COMPLETING = ("tus", "draft", "google", "parts", "blocks", "plain")

sequential = st.sampled_from(["tus", "draft", "google"])
sizes = st.sampled_from([0, 1, 999, 65_536, 300_001])
some = st.sampled_from([1, 999, 65_536, 300_001])


class Mixture(RuleBasedStateMachine):
    """``stream`` is what has come one after the other, ``parts`` and ``blocks`` what came beside it."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self.http = http
        self.draft = Draft(9)
        self.chance = random.Random(5)
        self.stream = b""
        self.parts: dict[int, tuple[str, bytes]] = {}
        self.blocks: dict[str, bytes] = {}
        self.abandoned: list[SlowRequest] = []
        self.whole: bytes | None = None
        """The file, once there is one."""
        self.last: Callable[[], httpx.Response] | None = None
        """The request that completed it."""

    @initialize()
    def open(self) -> None:
        self.ticket = open_ticket(self.http, auto_complete=True, parts=True)
        self.url: str = self.ticket["url"]

    def noise(self, size: int) -> bytes:
        return self.chance.randbytes(size)

    def append(self, protocol: str, offset: int, content: Any, total: int | None = None) -> httpx.Response:
        """Send bytes that belong at ``offset``; ``total`` says that they are the last, and how many there are."""
        method, headers = self.head(protocol, offset, len(content), total)
        return send(self.url, content, method, headers=headers)

    def head(self, protocol: str, offset: int, size: int, total: int | None = None) -> tuple[str, dict[str, str]]:
        if protocol == "draft":
            return "PATCH", self.draft.headers(complete=total is not None, offset=offset)
        if protocol == "tus":
            length = {} if total is None else {"Upload-Length": str(total)}
            return "PATCH", {**TUS_BYTES, "Upload-Offset": str(offset), **length}
        whole = "*" if total is None else str(total)
        span = f"{offset}-{offset + size - 1}" if size else "*"
        return "PUT", {"Content-Range": f"bytes {span}/{whole}"}

    def told(self) -> int:
        """Return the offset that the server tells; every protocol that asks is told the same."""
        offset = self.draft.offset(self.url)
        assert send(self.url, None, "HEAD", headers=TUS).headers["upload-offset"] == str(offset)
        answer = send(self.url, b"", headers={"Content-Range": "bytes */*"})
        assert (answer.status_code, answer.headers.get("range")) == (308, f"bytes=0-{offset - 1}" if offset else None)
        return offset

    @precondition(lambda self: self.whole is None)
    @rule(protocol=sequential, content_size=st.sampled_from([0, 999, 65_536]))
    def begin_anew(self, protocol: str, content_size: int) -> None:
        self.stream = self.noise(content_size) if protocol == "draft" else b""
        if protocol == "draft":
            answer = self.draft.create(self.url, self.stream)
        elif protocol == "tus":
            answer = send(self.url, None, "POST", headers={**TUS, "Upload-Defer-Length": "1"})
        else:
            answer = send(self.url, b"", "POST", headers={"x-goog-resumable": "start"})
        assert answer.status_code == 201, answer.text

    @precondition(lambda self: self.whole is None)
    @rule(protocol=sequential, size=some)
    def send_more(self, protocol: str, size: int) -> None:
        more = self.noise(size)
        offset = len(self.stream)
        answer = self.append(protocol, offset, more)
        assert answer.status_code in (204, 308), answer.text
        self.stream += more
        assert self.told() == len(self.stream)

    @precondition(lambda self: self.whole is None)
    @rule(protocol=sequential, size=some, brought=st.floats(0, 1))
    def lose_the_connection(self, protocol: str, size: int, brought: float) -> None:
        content = self.noise(size + 1)
        before = content[: int(size * brought)]
        method, headers = self.head(protocol, len(self.stream), len(content))
        with SlowRequest(self.url, len(content), method, headers) as request:
            request.send(before)
        self.keep_some_of(before)

    @precondition(lambda self: self.whole is None and len(self.abandoned) < 3)
    @rule(protocol=sequential, size=some)
    def abandon_a_request(self, protocol: str, size: int) -> None:
        """It is still open when the next one comes."""
        content = self.noise(size)
        method, headers = self.head(protocol, len(self.stream), size + 1)
        request = SlowRequest(self.url, size + 1, method, headers)
        self.abandoned.append(request)
        request.send(content)
        self.keep_some_of(content)

    def keep_some_of(self, content: bytes) -> None:
        kept = self.told() - len(self.stream)
        assert 0 <= kept <= len(content)
        self.stream += content[:kept]

    @precondition(lambda self: self.whole is None)
    @rule(protocol=sequential, beyond=st.sampled_from([1, 1000, 10**9]))
    def leave_a_gap(self, protocol: str, beyond: int) -> None:
        answer = self.append(protocol, len(self.stream) + beyond, b"behind a gap")
        assert answer.status_code >= 400
        assert self.told() == len(self.stream)

    @precondition(lambda self: self.whole is None and self.stream)
    @rule(protocol=sequential, back=some, size=some)
    def overlap(self, protocol: str, back: int, size: int) -> None:
        offset = max(0, len(self.stream) - back)
        sent = self.stream[offset:] + self.noise(size)
        answer = self.append(protocol, offset, sent)
        if protocol == "google":
            assert answer.status_code == 308
            self.stream = self.stream[:offset] + sent
        else:
            assert answer.status_code == 409
            assert answer.headers["upload-offset"] == str(len(self.stream))
        assert self.told() == len(self.stream)

    @precondition(lambda self: self.whole is None)
    @rule(number=st.integers(1, 3), size=sizes)
    def send_a_part(self, number: int, size: int) -> None:
        content = self.noise(size)
        answer = send(part_url(self.ticket, number), content)
        assert answer.status_code == 200, answer.text
        self.parts[number] = (answer.headers["etag"], content)

    @precondition(lambda self: self.whole is None)
    @rule(name=st.sampled_from(BLOCKS), size=sizes)
    def send_a_block(self, name: str, size: int) -> None:
        content = self.noise(size)
        assert put_block(self.url, name, content).status_code == 201
        self.blocks[name] = content

    @precondition(lambda self: self.whole is None)
    @rule(name=st.sampled_from(BLOCKS))
    def list_a_block_that_never_came(self, name: str) -> None:
        assert put_list(self.url, name, "d").status_code == 400

    @precondition(lambda self: self.whole is None)
    @rule(protocol=st.sampled_from(COMPLETING), size=some)
    def complete(self, protocol: str, size: int) -> None:
        if protocol in ("tus", "draft", "google"):
            self.complete_stream(protocol, self.noise(size))
        elif protocol == "parts" and self.parts:
            chosen = dict(sorted(self.parts.items()))
            self.finish(b"".join(content for _, content in chosen.values()), lambda: self.list_parts(chosen))
        elif protocol == "blocks" and self.blocks:
            names = [*self.blocks, next(iter(self.blocks))]
            content = b"".join(self.blocks[name] for name in names)
            self.finish(content, lambda: put_list(self.url, *names))
        elif protocol == "plain":
            content = self.noise(size)
            self.finish(content, lambda: send(self.url, content))

    def complete_stream(self, protocol: str, rest: bytes) -> None:
        offset, whole = len(self.stream), self.stream + rest
        self.finish(whole, lambda: self.append(protocol, offset, rest, len(whole)))

    def list_parts(self, chosen: dict[int, tuple[str, bytes]]) -> httpx.Response:
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, (etag, _content) in chosen.items()
        )
        url = f"{self.url}&uploadId={part_url(self.ticket, 1).partition('uploadId=')[2].partition('&')[0]}"
        return send(url, f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>", "POST")

    def finish(self, content: bytes, complete: Callable[[], httpx.Response]) -> None:
        answer = complete()
        assert answer.status_code in (200, 201, 204), answer.text
        self.whole, self.last = content, complete

    @precondition(lambda self: self.whole is not None)
    @rule()
    def send_the_last_request_again(self) -> None:
        assert self.last is not None
        answer = self.last()
        if "tus-resumable" in answer.headers:
            # In tus that is a wrong offset, and the right one says that all is there.
            assert (answer.status_code, answer.headers["upload-offset"]) == (409, str(len(self.whole or b"")))
        else:
            assert answer.status_code in (200, 201), answer.text

    @precondition(lambda self: self.whole is not None)
    @rule(protocol=sequential, size=some)
    def send_more_to_a_complete_one(self, protocol: str, size: int) -> None:
        assert self.whole is not None
        assert self.append(protocol, len(self.whole), self.noise(size)).status_code >= 400

    @precondition(lambda self: self.whole is not None)
    @rule()
    def replace_a_complete_one(self) -> None:
        assert send(self.url, self.noise(7)).status_code == 409
        assert put_block(self.url, "a", b"late").status_code == 409
        assert self.draft.create(self.url, b"late").status_code == 409

    @invariant()
    def is_what_the_model_says(self) -> None:
        stored = self.http.get(f"/api/files/{self.ticket['file_id']}/content")
        assert stored.status_code == (404 if self.whole is None else 200)
        assert self.whole is None or stored.content == self.whole

    def teardown(self) -> None:
        try:
            if self.whole is None and hasattr(self, "ticket"):
                self.complete_stream("draft", b"the end")
                self.is_what_the_model_says()
        finally:
            for request in self.abandoned:
                with suppress(OSError), request:
                    pass


def test_every_mixture_of_protocols_and_faults_ends_with_the_bytes_acknowledged(http: httpx.Client) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Mixture(http),
        settings=settings(
            max_examples=20,
            stateful_step_count=12,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
