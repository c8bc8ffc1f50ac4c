"""Two gigabytes, and ten, through one request: memory must not depend on the size."""

from __future__ import annotations

from typing import Any

import pytest

from faults.transfer import MIB, assert_memory_stays_small


@pytest.mark.soak
@pytest.mark.parametrize("gigabytes", [2, 10])
def test_gigabytes_through_one_request_leave_memory_small(make_server: Any, gigabytes: int) -> None:
    assert_memory_stays_small(make_server(log_level="warning"), gigabytes * 1024 * MIB)
