"""PostgreSQL ends, restarts and cuts connections amid uploads: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from faults.postgresql_restarts import Uploads, check, disturb
from faults.waiting import eventually
from support.live_server import LiveServer, MakeServer
from support.postgresql import LivePostgresql

pytestmark = pytest.mark.service("postgresql")


@pytest.fixture(scope="module")
def server_of_databases() -> Iterator[LivePostgresql]:
    """A PostgreSQL that syncs what it commits."""
    with LivePostgresql() as live:
        yield live


def test_uploads_survive_restarts_and_cuts(server_of_databases: LivePostgresql, make_server: MakeServer) -> None:
    server = make_server(database_url=server_of_databases.new_database())
    with Uploads(server) as uploads:
        disturb(server_of_databases, uploads, times=6)
    check(server, uploads)


def test_requests_wait_a_bounded_time_for_a_database_that_is_away(
    server_of_databases: LivePostgresql, make_server: MakeServer
) -> None:
    server = make_server(database_url=server_of_databases.new_database(), database_patience="1s")
    with server.client() as http:
        url = http.put("/api/upload/before", content=b"before").json()["url"]
        server_of_databases.stop("immediate")
        try:
            for answer in (http.put("/api/upload/away", content=b"away"), http.get(url), http.get("/readyz")):
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.elapsed.total_seconds() < 20
            assert http.get("/healthz").status_code == 200
        finally:
            server_of_databases.start()
        eventually(lambda: http.get("/readyz").is_success, "the server is ready again")
        assert http.get(url).content == b"before"
        assert http.put("/api/upload/after", content=b"after").is_success
        assert http.get("/api/files").json()["files"][0]["path"] in ("after", "before")


def test_a_server_waits_for_a_database_that_starts_after_it(
    server_of_databases: LivePostgresql, make_server: MakeServer
) -> None:
    url = server_of_databases.new_database()
    server_of_databases.stop()
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="database cannot be used"):
        make_server(database_url=url, database_patience="1s")
    assert time.monotonic() - begun < 60
    server_of_databases.start()
    server: LiveServer = make_server(database_url=url)
    assert httpx.get(server.url + "/readyz").is_success
