"""A trial of several servers on one PostgreSQL: clients of every protocol whose requests go to another server each, amid kills.

Three servers and two workers are behind a proxy that takes turns, PostgreSQL behind pgbouncer, and blobs in a shared folder or in a
store of objects; all but the folder are killed and started again in turn. Clients do what any would: a request that broke, or was
told to come later, is sent again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from faults.resuming import PIECE, SENDERS, Base, PlainPut, PutBlob
from faults.waiting import eventually
from support.live_server import LiveServer
from support.live_worker import LiveWorker
from support.object_stores import ObjectStore
from support.pgbouncer import LivePgbouncer
from support.postgresql import LivePostgresql
from support.receiver import Receiver, receiving
from support.round_robin import RoundRobin

REPLICAS = 3
WORKERS = 2
_SIZES = (1, 900, 20_000, 90_000, 1_500_000)  # bytes: in the database, and in the store in one piece and in two
_LATER = {408, 409, 423, 429, 500, 502, 503, 504}
_DONE_BEFORE = {404, 409, 410, 412, 416, 423}
_PATIENCE = 120.0
_AT_URLS: dict[str, Callable[[dict[str, Any]], Any]] = {**SENDERS, "put": PlainPut, "put blob": PutBlob}
_IN_ONE = ("form", "PUT", "POST")
PROTOCOLS = (*_IN_ONE, *_AT_URLS)


class Later(httpx.TransportError):
    """An answer that says to come again."""


class Fleet:
    """What runs: ``replicas``, ``workers``, ``postgresql`` and ``pooler``, at ``url`` behind the proxy.

    Blobs are in ``store``, which must be the trial's own as it is killed too; without one in a folder that all share.
    """

    def __init__(self, stack: ExitStack, folder: Path, store: ObjectStore | None = None) -> None:
        self.store = store
        self.postgresql = stack.enter_context(LivePostgresql())
        database = self.postgresql.new_database()
        self.pooler = stack.enter_context(LivePgbouncer(database, connections=20))
        self.receiver: Receiver = stack.enter_context(receiving())
        settings = {
            "database_url": self.pooler.url,
            "database_pooler": "true",
            "database_listen_url": database,
            **({"store": f"file://{folder / 'store'}"} if store is None else store.settings()),
            "processing": "worker",
            "processing_lease": "2s",
            "allowed_types": "application/octet-stream,text/plain",
            "webhook_networks": "127.0.0.0/8",
            "sweep_interval": "5s",
        }
        self.replicas = [LiveServer(folder / f"replica-{number}", settings) for number in range(REPLICAS)]
        self.proxy = stack.enter_context(RoundRobin([replica.port for replica in self.replicas]))
        self.url = self.proxy.url
        self.root_key = self.replicas[0].root_key
        for replica in self.replicas:
            replica.data.parent.mkdir()
            replica.root_key = replica._settings["root_key"] = self.root_key
            replica._settings["base_url"] = self.url
            stack.callback(replica.close)
            replica.start()
        self.workers = [LiveWorker(self.replicas[number % REPLICAS]) for number in range(WORKERS)]
        stack.callback(lambda: [worker.kill() for worker in self.workers])

    def client(self) -> httpx.Client:
        """Return a client with the root key, whose requests the proxy shares out."""
        headers = {"Authorization": f"Bearer {self.root_key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def faults(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield what is ended and started again, without end: its name, and how."""
        for number in itertools.count():
            yield f"replica {number % REPLICAS}", lambda at=number % REPLICAS: self._restart_replica(at)
            yield "PostgreSQL, as a crash", self.postgresql.restart
            yield f"worker {number % WORKERS}", lambda at=number % WORKERS: self._restart_worker(at)
            yield "pgbouncer", self._restart_pooler
            yield f"replica {(number + 1) % REPLICAS}", lambda at=(number + 1) % REPLICAS: self._restart_replica(at)
            yield "PostgreSQL, as an operator", lambda: self.postgresql.restart("fast")
            if self.store is not None:
                yield self.store.name, self._restart_store

    def _restart_replica(self, number: int) -> None:
        self.replicas[number].kill()
        self.replicas[number].start()

    def _restart_worker(self, number: int) -> None:
        self.workers[number].kill()
        self.workers[number] = LiveWorker(self.replicas[number % REPLICAS])

    def _restart_store(self) -> None:
        assert self.store is not None
        self.store.kill()
        self.store.start()

    def _restart_pooler(self) -> None:
        self.pooler.kill()
        self.pooler.start()


class Trial:
    """Clients at work on a fleet: what was acknowledged, by path, with its protocol, URL and digest."""

    def __init__(self, fleet: Fleet, seed: int, clients: int = 4) -> None:
        self.fleet = fleet
        self.acknowledged: dict[str, tuple[str, str, str]] = {}
        self.repeated = 0
        self.kills: Counter[str] = Counter()
        self.faults: list[BaseException] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number, seed)) for number in range(clients)]
        with fleet.client() as http:
            asked = {"url": fleet.receiver.url, "types": ["file.ready"]}
            assert _sure(lambda: http.post("/api/webhooks", json=asked)).is_success

    def run(self, kills: int) -> None:
        """End one thing after the other, each once clients have got further, and let the clients finish."""
        for thread in self._threads:
            thread.start()
        try:
            for name, end in itertools.islice(self.fleet.faults(), kills):
                self._let_go_on(4)
                end()
                self.kills[name.rstrip("0123456789 ")] += 1
            self._let_go_on(len(PROTOCOLS))
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()
        assert not self.faults, self.faults

    def judge(self) -> None:
        """See that what was acknowledged is there whole and once, that nothing else is, and that all was told."""
        with self.fleet.client() as http:
            eventually(lambda: _sure(lambda: http.get("/readyz")).status_code == 200, "the fleet is ready")
            eventually(
                lambda: all(file["status"] == "ready" for file in _listed(http)), "all are ready", within=_PATIENCE
            )
            listed = _listed(http)
            assert sorted(file["path"] for file in listed) == sorted(self.acknowledged), "each is there once"
            by_path = {file["path"]: file for file in listed}
            for path, (protocol, url, digest) in self.acknowledged.items():
                assert by_path[path]["sha256"] == digest, (protocol, path)
                served = _sure(lambda url=url: httpx.get(url, trust_env=False, timeout=30))
                assert hashlib.sha256(served.content).hexdigest() == digest, (protocol, path, served.status_code)
            told = [event for event in _events(http) if event["type"] == "file.ready"]
        numbers = [int(event["id"]) for event in told]
        assert numbers == sorted(set(numbers))
        versions = Counter((event["data"]["file_id"], event["data"]["version_id"]) for event in told)
        assert [version for version, count in versions.items() if count > 1] == [], "told twice of one version"
        assert {event["data"]["path"] for event in told} == set(self.acknowledged)
        eventually(lambda: set(versions) <= self._sent(), "every event is sent", within=_PATIENCE)
        assert self._sent() == set(versions), "nothing is sent that was not told"
        assert all(self.fleet.proxy.passed.values()), "every server has had requests"

    def _sent(self) -> set[tuple[str, str]]:
        whole = [
            message
            for message in list(self.fleet.receiver.received)
            if len(message.body) == int(message.headers["content-length"])
        ]
        data = [json.loads(message.body)["data"] for message in whole]
        return {(each["file_id"], each["version_id"]) for each in data}

    def _let_go_on(self, files: int) -> None:
        before, deadline = len(self.acknowledged), time.monotonic() + _PATIENCE
        while len(self.acknowledged) < before + files:
            assert not self.faults, self.faults
            assert time.monotonic() < deadline, "no upload succeeds any more"
            time.sleep(0.01)

    def _run(self, client: int, seed: int) -> None:
        try:
            with self.fleet.client() as http:
                for number in itertools.count():
                    if self._over.is_set() or self.faults:
                        return
                    self._upload(http, PROTOCOLS[(client + number) % len(PROTOCOLS)], f"{client}-{number}", seed)
        except BaseException as fault:
            self.faults.append(fault)

    def _upload(self, http: httpx.Client, protocol: str, path: str, seed: int) -> None:
        chance = random.Random(f"{seed} {path}")
        content = chance.randbytes(chance.choice(_SIZES))
        file = (
            self._in_one(http, protocol, path, content)
            if protocol in _IN_ONE
            else self._at_url(http, protocol, path, content)
        )
        assert file["size"] == len(content)
        self._look_early(http, file)
        self.acknowledged[path] = (protocol, file["url"], hashlib.sha256(content).hexdigest())

    def _look_early(self, http: httpx.Client, file: dict[str, Any]) -> None:
        """What is served is ready: a worker has judged it by then."""
        served = self._again(lambda: httpx.get(file["url"], trust_env=False, timeout=30), but=(409,))
        if served.status_code == 200:
            status = self._again(lambda: http.get(f"/api/files/{file['id']}")).json()["status"]
            assert status == "ready", f"{file['path']} was served while it was {status}"

    def _in_one(self, http: httpx.Client, protocol: str, path: str, content: bytes) -> dict[str, Any]:
        headers = {"Idempotency-Key": path}
        if protocol == "form":
            answer = self._again(lambda: http.post("/v1/files", files={"file": (path, content)}, headers=headers))
        else:
            answer = self._again(
                lambda: http.request(protocol, f"/api/upload/{path}", content=content, headers=headers)
            )
        told = answer.json()
        file: dict[str, Any] = self._again(lambda: http.get(f"/api/files/{told.get('id') or told['file_id']}")).json()
        return file

    def _at_url(self, http: httpx.Client, protocol: str, path: str, content: bytes) -> dict[str, Any]:
        promise: dict[str, Any] = {"path": path, "auto_complete": True, "size": len(content)}
        if protocol == "s3":
            promise |= {"parts": True, "part_size": PIECE}
        deadline = time.monotonic() + _PATIENCE
        while True:
            ticket = self._again(lambda: http.post("/api/uploads", json=promise)).json()
            sender = _AT_URLS[protocol](ticket)
            sender.ask = self._patient(sender)
            try:
                self._go_through(sender, content, deadline)
            except httpx.TransportError:
                self.repeated += 1
            found = self._again(lambda: http.get(f"/api/files/path/{path}"), but=(404,))
            if found.status_code == 200:
                file: dict[str, Any] = found.json()
                return file
            assert time.monotonic() < deadline, f"{path} by {protocol} did not come through"

    def _go_through(self, sender: Any, content: bytes, deadline: float) -> None:
        """Send what the server does not have until it has all; raises Later where the ticket is of no use any more."""
        sender.begin(len(content))
        while time.monotonic() < deadline:
            try:
                for start in sender.next_pieces(content):
                    sender.send(content, start, lambda body: body)
                sender.complete(content)
                return
            except Later:
                raise
            except httpx.TransportError:
                self.repeated += 1
                time.sleep(0.05)
        raise Later("it takes too long")

    def _patient(self, sender: Base) -> Callable[..., httpx.Response]:
        def ask(method: str, url: str = "", *, fine: tuple[int, ...], **options: Any) -> httpx.Response:
            answer = sender._send(method, url or sender.url, **options)
            if answer.status_code in fine:
                return answer
            if answer.status_code in (502, 503):
                raise httpx.ReadError("come again")
            if answer.status_code in _DONE_BEFORE and method != "HEAD":
                # What a request did whose answer was lost is refused the second time: look, or begin anew.
                raise Later(f"{answer.status_code} {answer.text[:200]}")
            raise AssertionError(f"{method}: {answer.status_code} {answer.text[:300]}")

        return ask

    def _again(self, ask: Callable[[], httpx.Response], but: tuple[int, ...] = ()) -> httpx.Response:
        """Ask until there is an answer that is none of a server in trouble."""
        return _sure(ask, but, self._count)

    def _count(self) -> None:
        self.repeated += 1


@contextmanager
def fleet(folder: Path, store: ObjectStore | None = None) -> Iterator[Fleet]:
    """Start everything but the store, and end it."""
    with ExitStack() as stack:
        yield Fleet(stack, folder, store)


def _sure(
    ask: Callable[[], httpx.Response], but: tuple[int, ...] = (), count: Callable[[], None] = lambda: None
) -> httpx.Response:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            answer = ask()
        except httpx.TransportError:
            answer = None
        if answer is not None and (answer.is_success or answer.status_code in but):
            return answer
        if answer is not None and answer.status_code not in _LATER:
            raise AssertionError(
                f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}"
            )
        assert time.monotonic() < deadline, f"not answered in {_PATIENCE:.0f} s: {answer and answer.text[:300]}"
        count()
        time.sleep(0.05)


def _listed(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        given = {"limit": "1000", **({"cursor": cursor} if cursor else {})}
        page = _sure(lambda given=given: http.get("/api/files", params=given)).json()
        found += page["files"]
        cursor = page["next_cursor"]
        if not cursor:
            return found


def _events(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = "0"
    while True:
        asked = {"after": after}
        page = _sure(
            lambda asked=asked: http.get("/api/events", params=asked, headers={"Accept": "application/json"})
        ).json()
        if not page["events"]:
            return found
        found += page["events"]
        after = page["next_cursor"]
