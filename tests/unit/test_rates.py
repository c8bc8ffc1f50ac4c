"""Rates as they are counted: nobody gets more than the rate, waiting as long as told suffices, and no refusal costs another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import StaticPool, create_engine

from fileferry.db import schema
from fileferry.engine.access.counters import Memory
from fileferry.engine.access.rates import Rates, Standing, check, listen, parse
from fileferry.errors import BadRequest, InvalidParameter, RateLimited
from fileferry.model import NO_LIMITS, Key, Limits, Organization, Principal, Scope
from fileferry.settings import Settings, SettingsError
from unit.service import ROOT_KEY, Service

START = datetime(2030, 1, 1, tzinfo=UTC)
MIB = 1024 * 1024
MakeService = Callable[..., Service]


class Trial:
    """Rates on a clock that stands still until it is moved; ``refused`` returns the error that something must raise."""

    def __init__(self, database: Any, **settings: Any) -> None:
        self.now = START
        # Only uploads are looked up in the database; these tests have principals at hand.
        self.rates = Rates(database, Settings(**settings), lambda: self.now)
        self.key = Key("key-1", "organization-1", "a key", "ff_", (Scope.UPLOAD,), START)
        self.organization = Organization("organization-1", "o", "O", is_default=False, created_at=START)
        self.loop = asyncio.new_event_loop()

    def payer(self, end_user: str | None = None, key: str | None = None) -> Principal:
        own = self.key if key is None else msgspec.structs.replace(self.key, id=key)
        return Principal(own, self.organization, end_user)

    def limit(self, *, key: Limits = NO_LIMITS, organization: Limits = NO_LIMITS, users: Limits = NO_LIMITS) -> None:
        self.key = msgspec.structs.replace(self.key, limits=key)
        self.organization = msgspec.structs.replace(self.organization, limits=organization, end_user_limits=users)

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def run(self, spending: Awaitable[None]) -> dict[str, Standing]:
        """Let something be spent, and return how it stands then."""

        async def spend() -> dict[str, Standing]:
            found = listen()
            await spending
            return found

        return self.loop.run_until_complete(spend())

    def request(self, end_user: str | None = None) -> dict[str, Standing]:
        return self.run(self.rates.spend_request(self.payer(end_user)))

    def announce(self, size: int) -> dict[str, Standing]:
        toll = self.rates.toll(self.payer())
        assert toll is not None
        return self.run(toll.announce(size))

    def stream(self, *chunks: int) -> dict[str, Standing]:
        """Let a body come whose length nobody announced."""
        toll = self.rates.toll(self.payer())
        assert toll is not None

        async def come() -> None:
            for size in chunks:
                await toll.pay(size)
            await toll.settle()

        return self.run(come())

    def refused(self, spend: Callable[[], object]) -> RateLimited:
        with pytest.raises(RateLimited) as refusal:
            spend()
        return refusal.value

    def close(self) -> None:
        self.loop.run_until_complete(self.rates.close())
        self.loop.close()


class Table:
    """A database that has nothing but what servers took of rates; ``asked`` counts how often it was."""

    def __init__(self) -> None:
        self.connection = create_engine("sqlite://", poolclass=StaticPool).connect()
        schema.rates.create(self.connection)
        self.asked = {"lookup": 0, "write": 0}

    async def lookup(self, fn: Callable[..., int], *args: Any) -> int:
        self.asked["lookup"] += 1
        await asyncio.sleep(0)  # so that others come in between
        return fn(self.connection, *args)

    async def write(self, fn: Callable[..., int], *args: Any) -> int:
        self.asked["write"] += 1
        await asyncio.sleep(0)
        return fn(self.connection, *args)


RATES = {"key_requests": "5/minute", "key_bytes": "100/minute", "key_tickets": "10/hour"}


@pytest.fixture(params=["in memory", "in the database"])
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    in_database = request.param == "in the database"
    made = Trial(Table(), **RATES, database_url="postgresql://anywhere/" if in_database else None)
    yield made
    made.close()


def test_servers_of_one_database_admit_together_what_the_rate_says_and_write_seldom() -> None:
    database = Table()
    given = {"key_requests": "1000/360 days", "database_url": "postgresql://anywhere/"}
    servers = [Trial(database, **given) for _ in range(3)]
    for server in servers:
        server.key = msgspec.structs.replace(server.key, id="shared")
    admitted = 0
    for number in range(1500):
        try:
            servers[number % 3].request()
        except RateLimited:
            continue
        admitted += 1
    # What one has taken and not given out is lost to the others.
    assert 900 <= admitted <= 1000
    assert database.asked["write"] < 250
    assert database.asked["lookup"] < 1500 / 10
    for server in servers:
        server.close()


def test_servers_of_one_database_share_the_last_of_a_rate_exactly() -> None:
    database = Table()
    servers = [Trial(database, **RATES, database_url="postgresql://anywhere/") for _ in range(2)]
    servers[0].request(), servers[1].request(), servers[1].request(), servers[0].request(), servers[0].request()
    for server in servers:
        server.refused(server.request)
    servers[0].announce(60)
    servers[1].refused(lambda: servers[1].announce(50))
    servers[1].announce(40)  # what was refused was given back
    servers[0].refused(lambda: servers[0].announce(1))
    for server in servers:
        server.close()


def test_a_server_with_nothing_left_asks_the_database_seldom() -> None:
    database = Table()
    trial = Trial(database, **RATES, database_url="postgresql://anywhere/")
    for _ in range(5):
        trial.request()
    before = dict(database.asked)
    for _ in range(200):
        trial.refused(trial.request)
    assert database.asked["write"] <= before["write"] + 5
    trial.close()


def test_as_many_as_the_rate_says_are_admitted_and_no_more(trial: Trial) -> None:
    left = [trial.request()["requests"].remaining for _ in range(5)]
    assert left == [4, 3, 2, 1, 0]
    refusal = trial.refused(trial.request)
    assert refusal.fields == {"limit": "requests", "subject": "key"}


@pytest.mark.parametrize("second", [0, 0.001, 1, 7.25, 17.999999, 29.5, 41.3, 59.999])
def test_waiting_as_long_as_told_suffices_and_no_second_less(trial: Trial, second: float) -> None:
    trial.pass_time(second)
    for _ in range(5):
        trial.request()
    wait = trial.refused(trial.request).retry_after
    assert wait == int(wait or 0) >= 1
    trial.pass_time(wait - 1.000001)
    trial.refused(trial.request)
    trial.pass_time(1.000001)
    assert trial.request()["requests"].remaining == 4


def test_a_refused_request_is_not_counted(trial: Trial) -> None:
    for _ in range(5):
        trial.request()
    trial.limit(organization=Limits(requests="8/minute"))
    for _ in range(20):
        trial.refused(trial.request)
    trial.key = msgspec.structs.replace(trial.key, id="key-2")
    assert trial.request()["organization-requests"].remaining == 7


def test_what_one_subject_refuses_takes_nothing_from_the_others(trial: Trial) -> None:
    trial.limit(organization=Limits(requests="50/minute"), users=Limits(requests="2/minute"))
    trial.request("ann"), trial.request("ann")
    assert trial.refused(lambda: trial.request("ann")).fields["subject"] == "end_user"
    stands = trial.request("ben")
    assert {name: one.remaining for name, one in stands.items()} == {
        "requests": 2,
        "organization-requests": 47,
        "end-user-requests": 1,
    }


def test_end_users_of_the_same_name_in_two_organizations_are_two(trial: Trial) -> None:
    trial.limit(users=Limits(requests="1/minute"))
    trial.request("ann")
    trial.organization = msgspec.structs.replace(trial.organization, id="organization-2")
    assert trial.request("ann")["end-user-requests"].remaining == 0


def test_the_lower_of_the_settings_and_a_keys_own_rate_holds(trial: Trial) -> None:
    trial.limit(key=Limits(requests="2/minute; 100/hour"))
    stands = trial.request()
    assert [(one.name, one.quota, one.window) for one in stands.values()] == [
        ("requests", 2, 60),
        ("requests-3600s", 100, 3600),
    ]
    trial.limit(key=Limits(requests="1000/minute"))
    assert trial.request()["requests"].quota == 5


def test_tickets_are_admitted_all_or_none(trial: Trial) -> None:
    trial.run(trial.rates.spend_tickets(trial.payer(), 8))
    trial.refused(lambda: trial.run(trial.rates.spend_tickets(trial.payer(), 3)))
    assert trial.run(trial.rates.spend_tickets(trial.payer(), 2))["tickets"].remaining == 0


def test_more_tickets_at_once_than_a_window_has_are_never_had(trial: Trial) -> None:
    with pytest.raises(BadRequest, match="At most 10 upload tickets"):
        trial.run(trial.rates.spend_tickets(trial.payer(), 11))
    assert trial.run(trial.rates.spend_tickets(trial.payer(), 10))["tickets"].remaining == 0


def test_a_body_larger_than_a_whole_window_takes_one_that_nobody_has_spent_of(trial: Trial) -> None:
    trial.announce(1)
    wait = trial.refused(lambda: trial.announce(250)).retry_after
    trial.announce(99)
    trial.pass_time(wait or 0)
    assert trial.announce(250)["bytes"].remaining == 0
    trial.refused(lambda: trial.announce(1))


def test_bytes_that_nobody_announced_are_counted_as_they_come(trial: Trial) -> None:
    assert trial.stream(30, 30)["bytes"].remaining == 40
    trial.announce(40)
    trial.refused(lambda: trial.stream(1))


def test_bytes_that_nobody_announced_are_refused_where_others_spent_too(trial: Trial) -> None:
    trial.limit(key=Limits(bytes=f"{4 * MIB}/hour"))
    trial.key = msgspec.structs.replace(trial.key, id="streaming")
    trial.rates = Rates(None, Settings(), lambda: trial.now)  # type: ignore[arg-type]
    assert trial.stream(*[MIB] * 9)["bytes"].remaining == 0  # alone in its window
    trial.pass_time(3600)
    trial.announce(10)
    trial.refused(lambda: trial.stream(*[MIB] * 9))
    trial.refused(lambda: trial.stream(MIB))


def test_many_at_once_get_no_more_than_the_rate(trial: Trial) -> None:
    async def crowd() -> list[object]:
        asked = [trial.rates.spend_request(trial.payer("ann")) for _ in range(100)]
        return await asyncio.gather(*asked, return_exceptions=True)

    assert trial.loop.run_until_complete(crowd()).count(None) == 5


def test_counters_of_windows_that_ended_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, now = Memory(), time.time()

    async def count(names: range) -> None:
        for number in names:
            await memory.incr(f"key {number}", 60)

    asyncio.run(count(range(1000)))
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    asyncio.run(count(range(1000, 1010)))
    assert len(memory.storage) == len(memory.expirations) == 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "100",
        "minute",
        "0/minute",
        "-1/minute",
        "1/fortnight",
        "1/minute;",
        "1/minute 5",
        "9" * 20 + "/day",
        "1/2 years",
    ],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="100/minute"):
        parse(text)


def test_rates_are_read_as_limits_writes_them() -> None:
    rates = parse("5000 per 2 hours, 10/second")
    assert [(rate.amount, rate.get_expiry()) for rate in rates] == [(10, 1), (5000, 7200)]


@pytest.mark.parametrize("name", ["key_requests", "key_bytes", "key_tickets"])
def test_a_setting_that_is_no_rate_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"FILEFERRY_{name.upper()}.*100/minute"):
        check(Settings(**{name: "many/minute"}))


def test_a_setting_that_is_no_address_of_redis_is_named() -> None:
    with pytest.raises(SettingsError, match="FILEFERRY_REDIS_URL"):
        check(Settings(redis_url="http://localhost"))


def stands(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["ratelimit-policy"], answer.headers["ratelimit"].partition(";t=")[0]


def test_every_answer_to_a_limited_key_tells_how_it_stands(make_service: MakeService) -> None:
    service = make_service(key_requests="3/minute")
    policy = '"requests";q=3;w=60'
    assert stands(service.request("GET", "/api/files")) == (200, policy, '"requests";r=2')
    assert stands(service.request("GET", "/api/files/none")) == (404, policy, '"requests";r=1')
    assert stands(service.request("DELETE", "/api/files/none")) == (404, policy, '"requests";r=0')
    refusal = service.request("GET", "/api/files")
    assert stands(refusal) == (429, policy, '"requests";r=0')
    service.pass_time(seconds=int(refusal.headers["retry-after"]))
    assert stands(service.request("GET", "/api/files")) == (200, policy, '"requests";r=2')


def test_who_is_not_limited_is_told_nothing(service: Service) -> None:
    answer = service.request("GET", "/api/files")
    assert not {"ratelimit", "ratelimit-policy"} & set(answer.headers)


def test_public_urls_are_not_limited(make_service: MakeService) -> None:
    service = make_service(key_requests="1/minute")
    url = service.upload(b"abc")["url"]
    assert service.request("GET", "/api/files").status_code == 429
    answers = [service.fetch(url) for _ in range(3)]
    assert [answer.content for answer in answers] == [b"abc"] * 3
    assert not any("ratelimit" in answer.headers for answer in answers)


def test_a_keys_own_rate_holds_for_its_signed_urls_within_a_second(make_service: MakeService) -> None:
    service = make_service()
    made = service.request("POST", "/api/keys", json={"name": "k", "scopes": ["upload"]}).json()
    ticket = service.request("POST", "/api/uploads", json={"path": "a", "max_size": 9}, key=made["key"]).json()
    assert service.request("PUT", ticket["url"], content=b"1", key=None).status_code == 200
    limits = {"limits": {"requests": "2/hour", "bytes": "3/hour"}}
    assert service.request("PATCH", f"/api/keys/{made['id']}", json=limits).status_code == 200
    service.pass_time(seconds=1)
    first = service.request("PUT", ticket["url"], content=b"12", key=None)
    assert stands(first)[2] == '"requests";r=1'
    assert '"bytes";r=1' in first.headers["ratelimit"]
    second = service.request("PUT", ticket["url"], content=b"12", key=None)
    assert (second.status_code, second.json()["limit"]) == (429, "bytes")
    assert service.request("PUT", ticket["url"], content=b"1", key=None).json()["limit"] == "requests"
    assert service.request("GET", "/api/files", key=ROOT_KEY).status_code == 200


def test_rates_of_an_organization_and_of_its_end_users_hold(make_service: MakeService) -> None:
    service = make_service()
    limits = {"limits": {"requests": "3/hour"}, "end_user_limits": {"requests": "2/hour"}}
    assert service.request("PATCH", "/api/organizations/default", json=limits).status_code == 200

    def ask(end_user: str) -> tuple[int, str]:
        answer = service.request("GET", "/api/files", headers={"user-id": end_user})
        return answer.status_code, answer.json().get("subject", "")

    assert [ask("ann"), ask("ann"), ask("ann")] == [(200, ""), (200, ""), (429, "end_user")]
    assert [ask("ben"), ask("ben")] == [(200, ""), (429, "organization")]


def test_bytes_of_every_kind_of_upload_are_counted(make_service: MakeService) -> None:
    service = make_service(key_bytes="1000/hour", key_tickets="3/hour")

    def left(answer: httpx.Response) -> str:
        assert answer.is_success, answer.text
        return answer.headers["ratelimit"].split(", ")[-1].partition(";t=")[0]

    def ticket(**promise: object) -> str:
        answer = service.request("POST", "/api/uploads", json={"path": "a", "max_size": 100, **promise})
        return str(answer.json()["url"])

    assert left(service.request("PUT", "/api/upload/a", content=bytes(10))) == '"bytes";r=990'
    assert left(service.request("POST", "/v1/files", files={"file": ("a", bytes(10))})) == '"bytes";r=980'
    assert left(service.request("POST", "/v1/files", json={"filename": "a", "base64": "AAAA"})) == '"bytes";r=977'
    url = ticket()
    assert left(service.request("PUT", url, content=bytes(7), key=None)) == '"bytes";r=970'
    url = ticket()
    block = {"content": bytes(10), "key": None, "headers": {"x-ms-blob-type": "BlockBlob"}}
    assert left(service.request("PUT", f"{url}&comp=block&blockid=AAAA", **block)) == '"bytes";r=960'
    tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    url = ticket()
    made = service.request("POST", url, key=None, headers={**tus, "Upload-Length": "20", "Content-Length": "0"})
    where = made.headers["location"]
    sent = service.request("PATCH", where, content=bytes(20), key=None, headers={**tus, "Upload-Offset": "0"})
    assert left(sent) == '"bytes";r=940'
    refused = service.request("POST", "/api/uploads", json={"path": "a", "max_size": 100})
    assert (refused.status_code, refused.json()["limit"]) == (429, "tickets")
