"""Both clients behind one blocking face, so that every test of a fault is made of each of them."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from fileferry import AsyncClient, Client, RetryPolicy

HASTY = RetryPolicy(attempts=4, first_delay=0.001, longest_delay=0.002, patience=2.5)


class Blocking:
    """The client as it is."""

    def __init__(self, url: str, key: str | None = "ff_test", **options: Any) -> None:
        self._client = Client(url, key, **{"retries": HASTY, "timeout": 5.0, **options})

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = getattr(self._client, name)(*args, **kwargs)
            return list(result) if inspect.isgenerator(result) else result

        return call


class Awaiting:
    """The asynchronous client, a loop per call."""

    def __init__(self, url: str, key: str | None = "ff_test", **options: Any) -> None:
        self._arguments = url, key
        self._options: dict[str, Any] = {"retries": HASTY, "timeout": 5.0, **options}

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            async with AsyncClient(*self._arguments, **self._options) as client:
                result = getattr(client, name)(*args, **kwargs)
                return [item async for item in result] if inspect.isasyncgen(result) else await result

        return lambda *args, **kwargs: asyncio.run(call(*args, **kwargs))
