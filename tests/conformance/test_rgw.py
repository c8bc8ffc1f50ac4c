"""Ceph's RGW, the old class of S3 stores: the store in a bucket keeps its contract, and the probe tells what RGW does not do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from fileferry.blobs.conformance import CHECKS
from fileferry.blobs.s3 import Client, Credentials, S3Store, parse
from support.rgw import Rgw

NOT_FINE = {"checksums", "pinned", "if_range", "copy", "cors_upload", "cors_download"}


@pytest.mark.service("rgw")
def test_it_keeps_the_contract_and_is_told_apart(rgw: Rgw) -> None:
    # All in one test, as the cluster takes longer to start than all of it; `make soak` has the rest.
    async def run() -> None:
        for check in CHECKS:
            store = opened(rgw)
            await check(store)
            await store.close()
        store = opened(rgw)
        report = await store.probe()
        assert {seen.name for seen in report.observations if not seen.is_fine} == NOT_FINE
        assert (report.is_sound, report.uploads, report.downloads) == (True, False, False)
        assert [found.key async for found in store._objects.list("")] == []
        assert [found async for found in store._objects.list_unfinished("")] == []
        await store.close()

    asyncio.run(run())


def opened(rgw: Rgw) -> S3Store:
    location = parse(rgw.location(is_public=True))
    client = Client(location, Credentials(rgw.key_id, rgw.secret))
    return S3Store(client, location.prefix, grace=timedelta(0))
