"""What ``AsyncClient.download`` does: asks for the bytes that are missing, until they are all there."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from fileferry.client.asynchronous.runtime import run_blocking, sleep
from fileferry.client.asynchronous.transport import Transport
from fileferry.client.failures import ConnectionFailed, failure_from
from fileferry.client.nouns.files import File
from fileferry.client.transfers.downloads import Receiving, Sink
from fileferry.client.transfers.parts import Progress
from fileferry.errors import FerryError


async def download(
    transport: Transport, url: str, headers: Mapping[str, str], sink: Sink, file: File | None, progress: Progress | None
) -> None:
    """Download what is at ``url`` into ``sink``, from where an earlier attempt stopped; ``file`` is what is known of it."""
    receiving = await run_blocking(Receiving, sink, file)
    attempts = transport.retries.begin()
    while True:
        before = receiving.received
        try:
            await _receive(transport, receiving, url, headers, progress)
            await run_blocking(receiving.finish)
            return
        except FerryError as error:
            if isinstance(error, ConnectionFailed) and receiving.received > before:
                attempts.progressed()
            await sleep(attempts.delay_after(error, repeatable=True))


async def _receive(
    transport: Transport, receiving: Receiving, url: str, headers: Mapping[str, str], progress: Progress | None
) -> None:
    try:
        async with transport.http.stream(
            "GET", url, headers={**headers, **receiving.headers()}, follow_redirects=True
        ) as response:
            if not response.is_success:
                await response.aread()
            receiving.begin(response)
            if progress:
                progress(receiving.received, receiving.total)
            async for chunk in response.aiter_raw():
                await run_blocking(receiving.take, chunk)
                if progress:
                    progress(receiving.received, receiving.total)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise failure_from(error, url) from error
