"""Both clients behind one blocking face, so that every test of a fault is made of each of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from fileferry import AsyncClient, Client, RetryPolicy

HASTY = RetryPolicy(attempts=4, first_delay=0.001, longest_delay=0.002, patience=2.5)


class Blocking:
    """The client as it is."""

    def __init__(self, url: str, key: str | None = "ff_test", **options: Any) -> None:
        self._client = Client(url, key, **{"retries": HASTY, "timeout": 5.0, **options})

    def workspace(self, *args: Any, **kwargs: Any) -> Any:
        return _BlockingFace(self._client.workspace(*args, **kwargs))

    @property
    def tickets(self) -> Any:
        return _BlockingFace(self._client.tickets)

    def webhooks(self, *args: Any, **kwargs: Any) -> Any:
        return _BlockingFace(self._client.webhooks(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(_BlockingFace(self._client), name)


class _BlockingFace:
    """The client, or what it gives to work with; lists are made whole."""

    def __init__(self, face: Any) -> None:
        self._face = face

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = getattr(self._face, name)(*args, **kwargs)
            return list(result) if inspect.isgenerator(result) else result

        return call


class Awaiting:
    """The asynchronous client, a loop per call."""

    def __init__(self, url: str, key: str | None = "ff_test", **options: Any) -> None:
        self._client = lambda: AsyncClient(url, key, **{"retries": HASTY, "timeout": 5.0, **options})

    def workspace(self, *args: Any, **kwargs: Any) -> Any:
        return _AwaitingFace(self._client, lambda client: client.workspace(*args, **kwargs))

    @property
    def tickets(self) -> Any:
        return _AwaitingFace(self._client, lambda client: client.tickets)

    def webhooks(self, *args: Any, **kwargs: Any) -> Any:
        return _AwaitingFace(self._client, lambda client: client.webhooks(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(_AwaitingFace(self._client, lambda client: client), name)


class _AwaitingFace:
    """The client, or what it gives to work with."""

    def __init__(self, client: Callable[[], AsyncClient], face_of: Callable[[AsyncClient], Any]) -> None:
        self._client = client
        self._face_of = face_of

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            async with self._client() as client:
                result = getattr(self._face_of(client), name)(*args, **kwargs)
                return [item async for item in result] if inspect.isasyncgen(result) else await result

        return lambda *args, **kwargs: asyncio.run(call(*args, **kwargs))
