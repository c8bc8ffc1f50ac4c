"""The parts of many uploads to a bucket share one budget of memory, and no slow client holds up another one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from fileferry.blobs.objects.budget import Budget
from fileferry.blobs.objects.writers import ObjectWriter
from fileferry.errors import InsufficientStorage, Unavailable

PART = 1000
HELD, SENT = 3 * PART, 2 * PART


class Objects:
    """A bucket in memory, whose parts arrive when they are let through."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.sending = self.most_sending = 0
        self.is_broken = False

    async def put(self, key: str, body: bytes) -> bool:
        await self._arrive(body)
        self.kept[key] = body
        return True

    async def begin_parts(self, key: str) -> str:
        return key

    async def put_part(self, key: str, _upload_id: str, number: int, body: bytes) -> str:
        await self._arrive(body)
        self.parts.setdefault(key, {})[number] = body
        return str(number)

    async def complete_parts(self, key: str, _upload_id: str, tags: list[str], _size: int) -> None:
        self.kept[key] = b"".join(self.parts[key][int(tag)] for tag in tags)

    async def abort_parts(self, key: str, _upload_id: str) -> None:
        self.parts.pop(key, None)

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    async def _arrive(self, body: bytes) -> None:
        self.sending += len(body)
        self.most_sending = max(self.most_sending, self.sending)
        await asyncio.sleep(0)
        self.sending -= len(body)
        if self.is_broken:
            raise Unavailable()


def writer(objects: Objects, name: str, budget: Budget) -> ObjectWriter:
    async def admit() -> None:
        return

    return ObjectWriter(
        objects,  # type: ignore[arg-type]
        name,
        empty=name,
        admit=admit,
        release=lambda: None,
        budget=budget,
        part_size=PART,
    )


def content_of(number: int, size: int) -> bytes:
    return bytes((number * 7 + place) % 251 for place in range(size))


def run(use: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await use

    asyncio.run(bounded())


def test_many_uploads_at_once_share_what_is_held_and_what_is_sent(tmp_path: Path) -> None:
    objects, budget = Objects(), Budget(tmp_path, held=HELD, sent=SENT)

    async def send(number: int) -> None:
        content = content_of(number, 4321 + number)
        upload = writer(objects, str(number), budget)
        for start in range(0, len(content), 170):
            await upload.append([content[start : start + 170]])
            assert 0 <= budget._to_hold <= HELD
            await asyncio.sleep(0)
        await upload.commit()
        await upload.close()

    async def use() -> None:
        await asyncio.gather(*map(send, range(16)))

    run(use())
    assert objects.kept == {str(number): content_of(number, 4321 + number) for number in range(16)}
    assert objects.most_sending <= SENT
    assert (budget._to_hold, budget._sent) == (HELD, 0)
    assert list(tmp_path.iterdir()) == []


def test_slow_clients_hold_up_nobody(tmp_path: Path) -> None:
    objects, budget = Objects(), Budget(tmp_path, held=HELD, sent=SENT)

    async def use() -> None:
        slow = [writer(objects, f"slow{number}", budget) for number in range(20)]
        for upload in slow:
            await upload.append([content_of(1, 900)])
        quick = writer(objects, "quick", budget)
        await quick.append([content_of(2, 5500)])
        await quick.commit()
        assert objects.kept["quick"] == content_of(2, 5500)
        for upload in (*slow, quick):
            await upload.close()
        assert (budget._to_hold, budget._sent) == (HELD, 0)

    run(use())


def test_a_part_that_is_larger_than_the_budget_is_sent_alone(tmp_path: Path) -> None:
    objects, budget = Objects(), Budget(tmp_path, held=10, sent=10)

    async def use() -> None:
        for number in range(3):
            upload = writer(objects, str(number), budget)
            await upload.append([content_of(number, 2500)])
            await upload.commit()
            await upload.close()

    run(use())
    assert objects.most_sending == PART
    assert objects.kept["2"] == content_of(2, 2500)


def test_what_fails_gives_its_memory_back(tmp_path: Path) -> None:
    objects, budget = Objects(), Budget(tmp_path, held=HELD, sent=SENT)
    objects.is_broken = True

    async def use() -> None:
        upload = writer(objects, "a", budget)
        with pytest.raises(Unavailable):
            await upload.append([content_of(1, 2500)])
        await upload.close()
        small = writer(objects, "b", budget)
        await small.append([b"abc"])
        with pytest.raises(Unavailable):
            await small.commit()
        await small.close()
        assert (budget._to_hold, budget._sent) == (HELD, 0)

    run(use())


def test_a_disk_without_room_for_it_is_told(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "missing", held=10, sent=10)

    async def use() -> None:
        upload = writer(Objects(), "a", budget)
        with pytest.raises(InsufficientStorage):
            await upload.append([bytes(100)])
        await upload.close()

    run(use())
