"""A file of any size goes through in constant memory; two gigabytes of it in `make soak`."""

from __future__ import annotations

from typing import Any

from faults.transfer import MIB, assert_memory_stays_small


def test_half_a_gigabyte_through_one_request_leaves_memory_small(make_server: Any) -> None:
    assert_memory_stays_small(make_server(log_level="warning"), 512 * MIB)
