"""A service for the tests of a module, whose pages somebody opens."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from fileferry.ui import door
from ui.person import Person, signed_in
from unit.service import Service


@pytest.fixture(scope="session", autouse=True)
def _loaded() -> None:
    """Load the pages once, without what their framework says of its next release."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        door._pages()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("dashboard"), sign_in_attempts="1000/minute")
    yield made
    made.close()


@pytest.fixture(scope="module")
def person(service: Service) -> Person:
    """Somebody who is signed in with the root key."""
    return signed_in(service)
