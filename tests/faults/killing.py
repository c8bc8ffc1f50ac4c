"""A trial of rounds: clients upload all at once, the server is killed at a random moment, and what it then serves is judged.

With a Company, a scanner and a receiver of webhooks work beside them: see ``company``.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx

from faults.company import Company
from faults.remains import assert_bytes_of_every_row_after_sweep, assert_no_orphans_after_sweep
from faults.resuming import SENDERS, PlainPut
from faults.waiting import eventually
from support.clamd import MARKER
from support.live_server import LiveServer

_CLIENTS = 6
_LATEST_KILL_SECONDS = 0.6
_SIZES = (0, 1, 700, 10_240, 200_000, 262_144, 262_145, 1_048_576, 3 * 1_048_576)
_PIECE = 65_536
FLOWS = ("form", "chunked", "POST", "PUT", "PUT again")
"""How clients upload in one request."""
_AT_URLS = {**SENDERS, "presigned PUT": PlainPut}
PARTS = "parts"
EVERY_WAY = (*FLOWS, *_AT_URLS, PARTS)
"""And by every protocol at a signed URL; ``parts`` are those of a ticket that asked for them, completed with the key."""
_ONE_IN = 8
"""Of so many files one is infected, where there is a scanner."""
_HEARD_EVERY = 4
"""After so many rounds webhooks are waited for: a server that is killed is followed by the next one after ten seconds."""
_PATIENCE = 60.0


class Attempt:
    """One upload: what was sent, and the server's answer if one came."""

    def __init__(self, name: str, path: str, flow: str, seed: int, size: int, *, is_infected: bool = False) -> None:
        self.name = name
        self.path = path
        self.flow = flow
        self.size = max(size, len(MARKER)) if is_infected else size
        self.is_infected = is_infected
        self._seed = seed
        self.digest = hashlib.sha256(self.content()).hexdigest()
        self.answer: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        """The id of the file that the answer told of."""
        assert self.answer is not None
        return str(self.answer.get("id") or self.answer["file_id"])

    def content(self) -> bytes:
        """Return the bytes to send; they are made anew each time, so that a long trial needs no memory for them."""
        content = random.Random(self._seed).randbytes(self.size)
        return MARKER + content[len(MARKER) :] if self.is_infected else content

    def send(self, client: httpx.Client) -> None:
        """Upload, and keep the answer; raises httpx.TransportError when there is none."""
        if self.flow in _AT_URLS:
            self.answer = self._send_in_pieces(client)
            return
        if self.flow == PARTS:
            self.answer = self._send_parts(client)
            return
        response = self._request(client)
        assert response.status_code in (200, 201), response.text
        self.answer = response.json()

    def _send_in_pieces(self, client: httpx.Client) -> dict[str, Any]:
        promise = {"path": self.path, "auto_complete": True, "size": self.size}
        made = client.post("/api/uploads", json=promise)
        assert made.status_code == 201, made.text
        sender, content = _AT_URLS[self.flow](made.json()), self.content()
        sender.begin(self.size)
        for start in sender.next_pieces(content):
            sender.send(content, start, lambda body: body)
        sender.complete(content)
        file: dict[str, Any] = client.get(f"/api/files/path/{self.path}").json()
        return file

    def _send_parts(self, client: httpx.Client) -> dict[str, Any]:
        promise = {"path": self.path, "parts": True, "part_size": _PIECE, "size": self.size}
        made = client.post("/api/uploads", json=promise)
        assert made.status_code == 201, made.text
        for number, piece in enumerate(self._pieces(), start=1):
            sent = httpx.put(
                f"{made.json()['part_url']}&partNumber={number}", content=piece, trust_env=False, timeout=30
            )
            assert sent.status_code == 200, sent.text
        completed = client.post(f"/api/uploads/{made.json()['id']}/complete")
        assert completed.status_code == 200, completed.text
        file: dict[str, Any] = completed.json()
        return file

    def _request(self, client: httpx.Client) -> httpx.Response:
        key = {"Idempotency-Key": self.name}
        if self.flow == "form":
            return client.post("/v1/files", files={"file": (self.path, self.content())}, headers=key)
        if self.flow == "chunked":
            return client.post(f"/api/upload/{self.path}", content=self._pieces(), headers=key)
        return client.request(self.flow, f"/api/upload/{self.path}", content=self.content(), headers=key)

    def _pieces(self) -> Iterator[bytes]:
        content = self.content()
        for start in range(0, len(content), _PIECE):
            yield content[start : start + _PIECE]


class KillTrial:
    """Rounds of killing on one server's data. What an answer acknowledged must be there ever after."""

    def __init__(
        self,
        server: LiveServer,
        seed: int,
        *,
        flows: Sequence[str] = FLOWS,
        after_kill: Callable[[], None] = lambda: None,
        company: Company | None = None,
        latest_kill: float = _LATEST_KILL_SECONDS,
    ) -> None:
        self._server = server
        self._flows = flows
        self._after_kill = after_kill
        self._company = company
        self._latest_kill = latest_kill
        self._random = random.Random(seed)
        self._rounds = 0
        self.acknowledged: list[Attempt] = []
        self.unanswered = 0
        self.recorded_unanswered = 0
        """Of the unanswered ones, how many the server had recorded before it died."""

    def round(self) -> None:
        """Upload and kill at once, start again, and judge what this round left."""
        attempts = self._upload_until_killed()
        self._server.start()
        with self._server.client() as client:
            for attempt in attempts:
                if attempt.answer is not None:
                    assert_kept(client, attempt)
            recorded = self._judge_listing(client, attempts)
            lost = [attempt for attempt in attempts if attempt.answer is None]
            self.unanswered += len(lost)
            self.recorded_unanswered += len(recorded)
            for attempt in lost[::2]:
                attempt.send(client)
                assert_kept(client, attempt)
                assert attempt.id == recorded.get(attempt.name, attempt.id), "the retry made a second file"
            self._judge_listing(client, attempts)
            if self._company is not None and self._rounds % _HEARD_EVERY == 0:
                self._company.hear(client)
        self.acknowledged += [attempt for attempt in attempts if attempt.answer is not None]

    def judge(self) -> None:
        """Fetch every file acknowledged in any round, then sweep and look for orphans."""
        with self._server.client() as client:
            for attempt in self.acknowledged:
                assert_kept(client, attempt)
            if self._company is not None:
                self._company.judge(client, self.acknowledged)
        if set(self._flows) - set(FLOWS):
            assert_bytes_of_every_row_after_sweep(self._server)
        else:
            assert_no_orphans_after_sweep(self._server)

    def _upload_until_killed(self) -> list[Attempt]:
        self._rounds += 1
        threads = [
            _Uploader(
                self._server,
                self._flows,
                self._rounds,
                number,
                self._random.random(),
                one_in=_ONE_IN if self._company else None,
            )
            for number in range(_CLIENTS)
        ]
        for thread in threads:
            thread.start()
        # Not a wait for the server: the moment itself is what is tried.
        threading.Event().wait(self._random.uniform(0, self._latest_kill))
        self._server.kill()
        self._after_kill()
        for thread in threads:
            thread.join()
        failures = [thread.failure for thread in threads if thread.failure is not None]
        assert not failures, failures
        return [attempt for thread in threads for attempt in thread.attempts]

    def _judge_listing(self, client: httpx.Client, attempts: list[Attempt]) -> dict[str, str]:
        """Whatever the round left was sent, is there once, and is whole; return names and ids of what no answer told of."""
        sent: dict[str, list[Attempt]] = {}
        for attempt in attempts:
            sent.setdefault(attempt.path, []).append(attempt)
        listed = _judged(client, f"r{self._rounds}-")
        paths = [file["path"] for file in listed]
        assert len(paths) == len(set(paths)), "a file is there twice"
        recorded: dict[str, str] = {}
        for file in listed:
            # Versions of one path may be the same bytes, such as none.
            same = [attempt for attempt in _possible(sent[file["path"]]) if attempt.digest == file["sha256"]]
            assert same, f"{file['path']} holds neither the last acknowledged bytes nor later ones"
            attempt = same[-1]
            if all(attempt.answer is None for attempt in same):
                assert_whole_or_refused(client, file["url"], attempt)
                recorded[attempt.name] = file["id"]
        missing = {attempt.path for attempt in attempts if attempt.answer is not None} - set(paths)
        assert not missing, "acknowledged and not listed"
        return recorded


class _Uploader(threading.Thread):
    """One client that uploads files of mixed sizes by every flow until the server is gone."""

    def __init__(
        self,
        server: LiveServer,
        flows: Sequence[str],
        round_number: int,
        number: int,
        seed: float,
        *,
        one_in: int | None,
    ) -> None:
        super().__init__()
        self._server = server
        self._flows = flows
        self._prefix = f"r{round_number}-{number}"
        self._random = random.Random(seed)
        self._one_in = one_in
        self.attempts: list[Attempt] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        with self._server.client() as client:
            while self.failure is None:
                attempt = self._next()
                self.attempts.append(attempt)
                try:
                    attempt.send(client)
                except httpx.TransportError:
                    return
                except BaseException as failure:
                    self.failure = failure

    def _next(self) -> Attempt:
        flow = self._random.choice(self._flows)
        name = f"{self._prefix}-{len(self.attempts)}"
        # "PUT again" makes further versions of one path, whose earlier URLs go on serving the earlier bytes.
        is_again = flow == "PUT again"
        path = f"{self._prefix}-again" if is_again else name
        # Nothing has no pieces.
        sizes = _SIZES if flow in FLOWS else _SIZES[1:]
        is_infected = self._one_in is not None and not is_again and self._random.randrange(self._one_in) == 0
        seed, size = self._random.getrandbits(60), self._random.choice(sizes)
        return Attempt(name, path, flow.removesuffix(" again"), seed, size, is_infected=is_infected)


def assert_kept(client: httpx.Client, attempt: Attempt) -> None:
    """Fetch an acknowledged file by the URL that its answer gave, once it is judged."""
    assert attempt.answer is not None
    assert attempt.answer["size"] == attempt.size
    assert_whole_or_refused(client, attempt.answer["url"], attempt)


def assert_whole_or_refused(client: httpx.Client, url: str, attempt: Attempt) -> None:
    """Compare the bytes served with the bytes sent, once they are judged; those of an infected file are never served."""
    answers: list[httpx.Response] = []

    def is_judged() -> bool:
        answers.append(client.get(url, headers={"Authorization": ""}))
        return not _is_waiting(answers[-1])

    eventually(is_judged, f"{attempt.name} is judged", _PATIENCE)
    response = answers[-1]
    if attempt.is_infected:
        assert response.status_code != 200, f"{attempt.name} is infected and served"
        assert response.is_client_error, f"{attempt.name}: {response.status_code} {response.text[:500]}"
        return
    assert response.status_code == 200, f"{attempt.name}: {response.status_code} {response.text[:500]}"
    assert hashlib.sha256(response.content).hexdigest() == attempt.digest, f"{attempt.name} is not what was sent"


def _is_waiting(response: httpx.Response) -> bool:
    return response.status_code == 409


def _possible(attempts: list[Attempt]) -> list[Attempt]:
    """Return the attempts on one path that may be its newest version: the last one answered, and any after it."""
    last = max((number for number, attempt in enumerate(attempts) if attempt.answer is not None), default=0)
    return attempts[last:]


def _judged(client: httpx.Client, prefix: str) -> list[dict[str, Any]]:
    """Return the files below a prefix once none of them waits to be judged."""
    listed: list[dict[str, Any]] = []

    def are_judged() -> bool:
        listed[:] = _listed(client, prefix)
        return all(file["status"] != "processing" for file in listed)

    eventually(are_judged, "all files are judged", _PATIENCE)
    return listed


def _listed(client: httpx.Client, prefix: str) -> Iterator[dict[str, Any]]:
    parameters = {"prefix": prefix, "limit": "1000"}
    while True:
        page = client.get("/api/files", params=parameters).json()
        yield from page["files"]
        if page["next_cursor"] is None:
            return
        parameters["cursor"] = page["next_cursor"]
