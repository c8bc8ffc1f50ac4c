"""What every database must keep, as checks to be run against one: ours and third parties'. It needs no test framework.

A check opens the database as often as it likes, as several processes would, works on fresh rows only, and raises ``Violation``
where the database breaks its contract. The tables must be there::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_the_database_keeps_its_contract(check):
        asyncio.run(check(lambda: MyDatabase(url)))
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from fileferry.db import bookkeeping, events, files, folders, jobs, specimens
from fileferry.db.database import Database
from fileferry.db.specimens import count_on, insert_and_fail, insert_lease, new_name, number_of
from fileferry.errors import InvalidParameter
from fileferry.model import File, Folder, new_id, utc_now

Open = Callable[[], Database]
Check = Callable[[Open], Awaitable[None]]


class Violation(Exception):
    """The database broke a sentence of its contract."""


async def a_failing_write_undoes_its_own_and_touches_no_other(open: Open) -> None:
    """An exception of a function that writes undoes what it wrote, and only that; it is what the caller gets."""
    async with _opened(open) as database:
        names = [new_name() for _ in range(60)]
        writes = [
            database.write(insert_and_fail if at % 7 == 0 else insert_lease, name) for at, name in enumerate(names)
        ]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        kept = [await database.lookup(number_of, name) is not None for name in names]
        _hold(kept == [at % 7 != 0 for at in range(60)], "exactly the writes that did not fail are kept")
        told = [isinstance(outcome, ZeroDivisionError) for outcome in outcomes]
        _hold(told == [at % 7 == 0 for at in range(60)], "exactly they have their own exception")


async def a_broken_rule_fails_one_write_only(open: Open) -> None:
    """What breaks a rule of the tables raises IntegrityError, and is undone."""
    async with _opened(open) as database:
        names = [new_name() for _ in range(20)]
        writes = [database.write(insert_lease, name) for name in names * 2]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        broken = [outcome for outcome in outcomes if outcome is not None]
        _hold(len(broken) == 20 and all(isinstance(each, IntegrityError) for each in broken), "each is there once")


async def a_write_is_seen_at_once_by_everybody(open: Open) -> None:
    """What ``write`` has returned from is seen by every read that begins later, of any process."""
    async with _opened(open) as database, _opened(open) as other:
        for _ in range(10):
            name = new_name()
            await database.write(insert_lease, name)
            for seen in (
                database.read(number_of, name),
                database.lookup(number_of, name),
                other.lookup(number_of, name),
            ):
                _hold(await seen == 0, "a write is seen")


async def a_read_sees_one_state(open: Open) -> None:
    """All statements of a ``read`` see the same state, whatever is written meanwhile; those of a ``lookup`` need not."""
    async with _opened(open) as database:
        name, begun, written = new_name(), threading.Event(), threading.Event()
        await database.write(insert_lease, name)

        def twice(conn: Connection) -> tuple[int | None, int | None]:
            first = number_of(conn, name)
            begun.set()
            written.wait(30)
            return first, number_of(conn, name)

        reading = asyncio.create_task(database.read(twice))
        await asyncio.to_thread(begun.wait, 30)
        await database.write(count_on, name)
        written.set()
        _hold(await reading == (0, 0), "a read sees one state")
        _hold(await database.read(number_of, name) == 1, "the next one sees the next")


async def what_reads_cannot_write(open: Open) -> None:
    """A write in ``read`` or ``lookup`` fails, and nothing is kept of it."""
    async with _opened(open) as database:
        for ask in (database.read, database.lookup):
            name = new_name()
            try:
                await ask(insert_lease, name)
            except Exception:
                _hold(await database.lookup(number_of, name) is None, "nothing was written")
            else:
                raise Violation("Broken: what reads cannot write.")


async def writes_are_one_after_the_other(open: Open) -> None:
    """A function that writes sees what all that are done have written, of any process, and no other runs beside it."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(_opened(open)) for _ in range(3)]
        name = new_name()
        await opened[0].write(insert_lease, name)
        await asyncio.gather(*(database.write(count_on, name) for database in opened for _ in range(30)))
        _hold(await opened[0].lookup(number_of, name) == 90, "no count is lost")


async def no_event_is_passed_over(open: Open) -> None:
    """Who reads on behind the last event that was seen sees every one, though several processes write; ids grow with commits."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(_opened(open)) for _ in range(3)]
        organization = await specimens.make_organization(opened[0])
        position = await opened[0].lookup(events.last_id)
        seen: list[int] = []

        async def follow() -> None:
            nonlocal position
            while len(seen) < 60:
                await asyncio.sleep(0)
                for event in await opened[0].lookup(events.list_following, position, 7):
                    position = event.id
                    if event.organization_id == organization.id:
                        seen.append(event.number)

        following = asyncio.create_task(follow())
        for _ in range(10):
            writes = [database.write(specimens.announce, organization.id) for database in opened for _ in range(2)]
            await asyncio.gather(*writes)
        await asyncio.wait_for(following, 60)
        _hold(seen == list(range(1, 61)), "each event is seen once, in the order of its numbers")


async def texts_are_compared_byte_by_byte(open: Open) -> None:
    """Order, prefixes and uniqueness of text are those of its UTF-8."""
    paths = ["Z", "a", "a/b", "a0", "b", "É", "é", "e\u0301", "ß", "SS", "\ue000", "\U0001f600", "a_b", "a%b"]
    async with _opened(open) as database:
        workspace = await specimens.make_workspace(database)
        for path in paths:
            await database.write(folders.insert_folder, Folder(new_id(utc_now()), workspace.id, path, utc_now()))
        listed = await database.read(folders.list_folders, workspace.id, "", 100)
        _hold([each.path for each in listed] == sorted(paths, key=str.encode), "text is in the order of its bytes")
        after = await database.read(folders.list_folders, workspace.id, "a", 2)
        _hold([each.path for each in after] == ["a%b", "a/b"], "text is compared by its bytes")


async def texts_are_of_any_length_and_any_character(open: Open) -> None:
    """Text comes back as it went in, however long it is."""
    async with _opened(open) as database:
        workspace = await specimens.make_workspace(database)
        for path in ("x" * 3000, "\x01\x7f\u2028\ufeff\U0010ffff", "' \" \\ % _ :name {0} %s %(x)s $1 ?"):
            await database.write(folders.insert_folder, Folder(new_id(utc_now()), workspace.id, path, utc_now()))
            found = await database.lookup(folders.find_by_path, workspace.id, path)
            _hold(found is not None and found.path == path, "text comes back")


async def small_letters_are_those_of_all_of_unicode(open: Open) -> None:
    """``lowered`` is ``str.lower``, so that searches find the same names everywhere; what stands for others is taken as it is."""
    async with _opened(open) as database:
        workspace = await specimens.make_workspace(database)
        for path in ("ÄRGER.pdf", "Straße", "ΑΒΓ", "ЖУК", "100%_/x"):
            await database.write(folders.insert_folder, Folder(new_id(utc_now()), workspace.id, path, utc_now()))
        for asked, expected in (
            ("ärger", ["ÄRGER.pdf"]),
            ("straße", ["Straße"]),
            ("αβ", ["ΑΒΓ"]),
            ("жук", ["ЖУК"]),
            ("0%_/", ["100%_/x"]),
            ("0__", []),
        ):
            found = await database.read(specimens.list_with_letters, workspace.id, asked)
            _hold(found == expected, f"{asked} finds {expected}")


async def json_comes_back_as_it_went_in(open: Open) -> None:
    """Also in the order of its keys, and with what text columns cannot hold."""
    metadata = {"b": 1, "a": [1.5, None, True, {"z": "é\U0001f600", "y": "\x00\x01"}], "": 2**53, "aa": -0.5}
    async with _opened(open) as database:
        file = await specimens.make_file(database, metadata=metadata)
        found = await database.lookup(files.find_file, file.id)
        _hold(found == file and found is not None, "a file comes back")
        assert found is not None
        _hold(list(found.metadata) == list(metadata), "keys are in their order")


async def times_and_numbers_are_exact(open: Open) -> None:
    """Times to the microsecond, numbers to 63 bits."""
    async with _opened(open) as database:
        moment = datetime.fromisoformat("9999-12-31T23:59:59.999999+00:00")
        file = await specimens.make_file(
            database, created_at=moment, modified_at=datetime.fromisoformat("1601-01-01T00:00:00Z")
        )
        _hold(await database.lookup(files.find_file, file.id) == file, "times come back")
        version = specimens.new_version(file, size=2**63 - 1, number=2**63 - 1)
        await database.write(files.insert_version, version, file.workspace_id)
        found = await database.lookup(files.find_by_version, version.id)
        _hold(found is not None and found.version == version, "numbers come back")


async def what_cannot_be_kept_is_refused(open: Open) -> None:
    """Half of a surrogate pair, and a number of more bits, raise InvalidParameter and are not kept; others go on."""
    async with _opened(open) as database:
        workspace = await specimens.make_workspace(database)
        bad = Folder(new_id(utc_now()), workspace.id, "a\ud800", utc_now())
        file = await specimens.make_file(database)
        large = specimens.new_version(file, size=2**63)
        name = new_name()
        outcomes = await asyncio.gather(
            database.write(folders.insert_folder, bad),
            database.write(insert_lease, name),
            database.write(files.insert_version, large, workspace.id),
            database.lookup(folders.find_by_path, workspace.id, "\udfff"),
            return_exceptions=True,
        )
        told = [type(outcome) for outcome in outcomes]
        _hold(told == [InvalidParameter, type(None), InvalidParameter, InvalidParameter], f"{told} are told")
        _hold(await database.lookup(number_of, name) == 0, "the others are kept")


async def an_index_of_some_rows_is_unique_among_them(open: Open) -> None:
    """A path has one living owner, and as many dead ones as there were."""
    async with _opened(open) as database:
        first = await specimens.make_file(database, path="p")
        second = File(**{**specimens.values_of(first), "id": new_id(utc_now())})
        try:
            await database.write(files.insert_file, second, None)
        except IntegrityError:
            pass
        else:
            raise Violation("Broken: a path has one living owner.")
        await database.write(lambda conn: files.update_file(conn, first.id, deleted_at=utc_now()))
        await database.write(files.insert_file, second, None)
        owner = await database.lookup(files.find_owner, first.workspace_id, "p")
        _hold(owner == second, "the living file owns the path")


async def a_lease_has_one_holder(open: Open) -> None:
    """Of all who ask for a lease that is free, one gets it, until it ends."""
    async with _opened(open) as database, _opened(open) as other:
        name, now = new_name(), utc_now()
        asked = [(opened, f"{at}") for at in range(10) for opened in (database, other)]
        taking = [
            opened.write(bookkeeping.take_lease, name, holder + str(id(opened)), now, now + timedelta(seconds=9))
            for opened, holder in asked
        ]
        _hold(sum(await asyncio.gather(*taking)) == 1, "one gets it")
        later = now + timedelta(seconds=9)
        _hold(await other.write(bookkeeping.take_lease, name, "next", later, later), "another gets it afterwards")


async def a_job_is_claimed_once(open: Open) -> None:
    """However many claim at the same time."""
    async with _opened(open) as database, _opened(open) as other:
        file, now = await specimens.make_file(database), utc_now() - timedelta(days=10_000)
        versions = [specimens.new_version(file, number=at) for at in range(12)]
        for version in versions:
            await database.write(files.insert_version, version, file.workspace_id)
            await database.write(jobs.enqueue, version.id, None, now)
        until = utc_now() + timedelta(hours=1)
        claims = [
            opened.write(jobs.claim, f"{at}{id(opened)}", now, until, 5)
            for at in range(3)
            for opened in (database, other)
        ]
        claimed = [job.version_id for found in await asyncio.gather(*claims) for job in found]
        ours = [id for id in claimed if id in {version.id for version in versions}]
        _hold(sorted(ours) == sorted(version.id for version in versions), "each job is claimed once")


async def a_bell_may_be_waited_for(open: Open) -> None:
    """``Bell.wait`` returns in time where nothing rings."""
    async with _opened(open) as database:
        await asyncio.wait_for(database.bell().wait(0.01), 10)


async def many_at_once_are_served(open: Open) -> None:
    """More callers than there are connections wait for each other, and all are served."""
    async with _opened(open) as database:
        name = new_name()
        await database.write(insert_lease, name)
        asked: list[Awaitable[object]] = []
        for _ in range(100):
            asked += [
                database.read(number_of, name),
                database.lookup(number_of, name),
                database.write(count_on, name),
            ]
        await asyncio.gather(*asked)
        _hold(await database.lookup(number_of, name) == 100, "all writes are there")


CHECKS: tuple[Check, ...] = (
    a_failing_write_undoes_its_own_and_touches_no_other,
    a_broken_rule_fails_one_write_only,
    a_write_is_seen_at_once_by_everybody,
    a_read_sees_one_state,
    what_reads_cannot_write,
    writes_are_one_after_the_other,
    no_event_is_passed_over,
    texts_are_compared_byte_by_byte,
    texts_are_of_any_length_and_any_character,
    small_letters_are_those_of_all_of_unicode,
    json_comes_back_as_it_went_in,
    times_and_numbers_are_exact,
    what_cannot_be_kept_is_refused,
    an_index_of_some_rows_is_unique_among_them,
    a_lease_has_one_holder,
    a_job_is_claimed_once,
    a_bell_may_be_waited_for,
    many_at_once_are_served,
)
"""Every check, each independent of the others."""


def _hold(held: bool, sentence: str) -> None:
    if not held:
        raise Violation(f"Broken: {sentence}.")


@asynccontextmanager
async def _opened(open: Open) -> AsyncIterator[Database]:
    database = open()
    try:
        yield database
    finally:
        await database.close()
