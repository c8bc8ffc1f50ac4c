"""What the service answers on PostgreSQL as on SQLite, where the two had once differed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support import postgresql
from unit.service import Service

pytestmark = pytest.mark.service("postgresql")

UNKNOWN = "01b8dac5-b400-7f8b-a51f-c0df7ef4f195"
METHODS = ("get", "put", "post", "patch", "delete")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    found = Service(tmp_path_factory.mktemp("service"), database_url=postgresql.new_database(prepared=True))
    yield found
    found.close()


def test_an_id_with_nul_is_one_of_nothing(service: Service) -> None:
    paths = service.request("GET", "/docs/openapi.json").json()["paths"]
    asked = 0
    for path, operations in paths.items():
        ids = [name for name in re.findall(r"{(\w+)(?::\w+)?}", path) if re.search(r"(^|_)id(_|$)", name)]
        for method in set(operations) & set(METHODS):
            for nul in ids:
                unknown = re.sub(r"{\w+(?::\w+)?}", UNKNOWN, path)
                address = re.sub(
                    r"{(\w+)(?::\w+)?}", lambda found, nul=nul: "%00" if found[1] == nul else UNKNOWN, path
                )
                answer = service.request(method.upper(), address, json={})
                wanted = service.request(method.upper(), unknown, json={})
                # What is said beside it may be judged first.
                assert answer.status_code in (404, wanted.status_code), (method, address, answer.text)
                asked += 1
    assert asked > 60
