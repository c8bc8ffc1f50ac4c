"""Fixtures of tests that run the service, or parts of it, in their own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from unit.service import Service


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """A factory of services with settings of their own."""
    made: list[Service] = []

    def make(**settings: str) -> Service:
        made.append(Service(tmp_path / f"data{len(made)}", **settings))
        return made[-1]

    yield make
    for service in made:
        service.close()


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    """A service with default settings."""
    return make_service()


@pytest.fixture(scope="module")
def folder(service: Service) -> str:
    """The id of a folder of the presigned API, for modules whose tests share a service of their own."""
    made: str = service.request("POST", "/v1/folders", json={"name": "direct"}).json()["id"]
    return made


@pytest.fixture(scope="module")
def web() -> Iterator[httpx.Client]:
    """A client of whatever URL, as one has who knows nothing of the service."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client
