"""Fixtures of tests that run the service, or parts of it, in their own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

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
