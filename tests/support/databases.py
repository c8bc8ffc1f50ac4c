"""A pytest plugin: the PostgreSQL that a whole run shares, and what tests leave out where TESTS_DATABASE names it."""

from __future__ import annotations

import pytest

from support import postgresql


def pytest_configure(config: pytest.Config) -> None:
    """Name the place of the PostgreSQL that all processes of this run share."""
    if not hasattr(config, "workerinput"):
        postgresql.begin_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End it with the process that started the others."""
    if not hasattr(config, "workerinput"):
        postgresql.end_run()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what concerns SQLite itself where tests run on PostgreSQL; said in the summary, but no skip."""
    if not postgresql.is_chosen():
        return
    left_out = [item for item in items if item.get_closest_marker("sqlite")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
