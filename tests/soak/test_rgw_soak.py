"""A server whose blobs are in Ceph's RGW, the old class of S3 stores, does what one does whose blobs are in the strict one."""

from __future__ import annotations

import pytest

from faults.test_bucket import (
    http,
    on_bucket,
    settings,
    test_a_bucket_of_another_database_and_a_wrong_secret_are_refused_in_one_sentence,
    test_a_transfer_goes_on_after_kill_9,
    test_every_call_that_brings_a_file_brings_it_there,
    test_every_protocol_brings_the_same_file,
    test_what_is_deleted_leaves_no_object_and_the_doctor_finds_nothing,
)
from support.rgw import Rgw

pytestmark = [pytest.mark.soak, pytest.mark.service("rgw")]

__all__ = [
    "http",
    "on_bucket",
    "settings",
    "test_a_bucket_of_another_database_and_a_wrong_secret_are_refused_in_one_sentence",
    "test_a_transfer_goes_on_after_kill_9",
    "test_every_call_that_brings_a_file_brings_it_there",
    "test_every_protocol_brings_the_same_file",
    "test_what_is_deleted_leaves_no_object_and_the_doctor_finds_nothing",
]


@pytest.fixture(scope="session")
def seaweedfs(rgw: Rgw) -> Rgw:
    """Those tests are of the strict store by its name; here they get the old one."""
    return rgw
