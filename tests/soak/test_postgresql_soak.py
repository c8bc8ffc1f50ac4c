"""PostgreSQL ends and cuts connections many times amid uploads. SOAK_RESTARTS says how often: 200 unless told."""

from __future__ import annotations

import os

import pytest

from faults.postgresql_restarts import Uploads, check, disturb
from support.live_server import MakeServer
from support.postgresql import LivePostgresql

pytestmark = [pytest.mark.soak, pytest.mark.service("postgresql")]


def test_uploads_survive_many_restarts_and_cuts(make_server: MakeServer) -> None:
    with LivePostgresql() as live:
        server = make_server(database_url=live.new_database(), workers=2)
        with Uploads(server, clients=6) as uploads:
            disturb(live, uploads, times=int(os.environ.get("SOAK_RESTARTS", "200")))
        check(server, uploads)
        print(
            f"{len(uploads.acknowledged)} uploads acknowledged and whole, {uploads.refused} answered 503 and repeated"
        )
