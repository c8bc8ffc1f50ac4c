"""Whatever is done to a workspace, in whatever order, it is what a plain model of it says: every answer and every byte."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from fileferry.engine.files.changes import Changes
from fileferry.engine.receiving.promises import Promise
from fileferry.errors import Conflict, Gone, NotFound
from fileferry.model import Search, StoredFile
from model.expected import File, Upload, Version, Workspace
from model.trial import Trial

T = TypeVar("T")
ALL_PATHS = ["a.txt", "a (2).txt", "d/e/b"]
PATHS = st.sampled_from(ALL_PATHS)
LIFETIMES = st.sampled_from([None, None, timedelta(hours=1), timedelta(days=10)])
PICKS = st.integers(0, 30)


class History(RuleBasedStateMachine):
    """Does the same to an engine and to the model, and compares them after every step."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial
        self.engine = trial.engine
        self.principal = trial.principal
        self.expected = Workspace()
        self.written = 0
        trial.now += timedelta(seconds=1)
        making = self.engine.workspaces.create(self.principal, f"at {trial.now.timestamp()}")
        self.workspace = trial.run(making).id

    @rule(path=PATHS, lifetime=LIFETIMES, times=st.integers(1, 3))
    def put(self, path: str, lifetime: timedelta | None, times: int) -> None:
        for _ in range(times):
            content = self.content()
            stored = self.trial.put(self.workspace, path, content, lifetime, at_path=True)
            owner = self.expected.owner(path, self.now)
            assert owner is None or owner.id == stored.file.id
            self.draw(stored.version.number)
            self.completed(owner or File(stored.file.id, path), stored, content, lifetime)

    @rule(path=PATHS, lifetime=LIFETIMES)
    def hand_off(self, path: str, lifetime: timedelta | None) -> None:
        content = self.content()
        stored = self.trial.put(self.workspace, path, content, lifetime, at_path=False)
        self.draw(stored.version.number)
        self.completed(File(stored.file.id, path, owns_path=False), stored, content, lifetime)

    @rule(path=PATHS, lifetime=LIFETIMES, completes_itself=st.booleans())
    def ask_at_path(self, path: str, lifetime: timedelta | None, completes_itself: bool) -> None:
        promise = Promise(
            path=path, at_path=True, workspace=self.workspace, expires_in=lifetime, auto_complete=completes_itself
        )
        upload = self.asked(promise, path)
        owner = self.expected.owner(path, self.now)
        assert owner is None or owner.id == upload.file_id
        self.expected.files.setdefault(upload.file_id, owner or File(upload.file_id, path))

    @precondition(lambda self: self.expected.files)
    @rule(pick=PICKS, lifetime=LIFETIMES, completes_itself=st.booleans())
    def ask_by_id(self, pick: int, lifetime: timedelta | None, completes_itself: bool) -> None:
        file = self.file(pick, self.expected.living(self.now))
        promise = Promise(file_id=file.id, expires_in=lifetime, auto_complete=completes_itself)
        if file.has_path(self.now):
            self.asked(promise, file.path)
        else:
            self.refused(self.engine.tickets.open(self.principal, [promise]))

    @precondition(lambda self: self.under_way)
    @rule(pick=PICKS, in_blocks=st.booleans())
    def deliver(self, pick: int, in_blocks: bool) -> None:
        upload, content = self.upload(pick), self.content()
        deliver = self.trial.deliver_in_blocks if in_blocks and upload.content is None else self.trial.deliver
        self.delivered(upload, content, self.trial.run(deliver(upload.id, content)))

    @precondition(lambda self: len(self.under_way) > 1)
    @rule()
    def deliver_all_at_once(self) -> None:
        contents = [(upload, self.content()) for upload in self.under_way]
        found = self.trial.deliver_together([(upload.id, content) for upload, content in contents])
        # Which one comes first is nobody's to say, but what is said afterwards must fit that.
        order = sorted(range(len(found)), key=lambda place: ((stored := found[place]) and stored.version.sequence) or 0)
        for place in order:
            self.delivered(*contents[place], found[place])

    @precondition(lambda self: self.expected.uploads)
    @rule(pick=PICKS)
    def complete(self, pick: int) -> None:
        upload = self.expected.uploads[pick % len(self.expected.uploads)]
        if upload.is_completed:
            return
        if not upload.is_open:
            self.has_ended(upload)
            return
        if upload.content is None:
            self.refused(self.trial.complete(upload.id))
            return
        self.promise_kept(upload, upload.content, self.trial.run(self.trial.complete(upload.id)))

    @precondition(lambda self: self.under_way)
    @rule(pick=PICKS)
    def abort(self, pick: int) -> None:
        upload = self.upload(pick)
        self.trial.run(self.trial.abort(upload.id))
        upload.is_open = False

    @precondition(lambda self: self.expected.files)
    @rule(pick=PICKS, permanent=st.booleans())
    def delete(self, pick: int, permanent: bool) -> None:
        living, promised = self.expected.living(self.now), {upload.file_id for upload in self.under_way}
        file = self.file(pick, [file for file in living if file.id in promised] or living)
        deleting = self.engine.changes.delete(self.principal, file.id, permanent=permanent)
        if self.allow(deleting, file.is_living(self.now) or (permanent and file.is_restorable(self.now))):
            self.expected.delete(file, self.now, permanent=permanent)
            for upload in self.expected.uploads:
                if upload.file_id == file.id and not upload.is_completed:
                    self.has_ended(upload)

    @rule(path=PATHS)
    def delete_at(self, path: str) -> None:
        owner = self.expected.owner(path, self.now)
        deleting = self.engine.changes.delete_at(self.principal, self.workspace, path)
        if self.allow(deleting, owner is not None and owner.is_living(self.now)) and owner is not None:
            self.expected.delete(owner, self.now, permanent=False)

    @precondition(lambda self: self.expected.files)
    @rule(pick=PICKS)
    def restore(self, pick: int) -> None:
        file = self.file(pick, self.expected.restorable(self.now))
        restoring = self.engine.changes.restore(self.principal, file.id)
        if not self.allow(restoring, file.is_living(self.now) or file.is_restorable(self.now)):
            return
        if file.deleted:
            self.expected.restore(file, self.now)

    @precondition(lambda self: self.expected.files)
    @rule(pick=PICKS, path=PATHS)
    def move(self, pick: int, path: str) -> None:
        file = self.file(pick, self.expected.living(self.now))
        is_free = path == file.path or not file.owns_path or self.expected.owner(path, self.now) is None
        moving = self.engine.changes.change(self.principal, file.id, Changes(path=path))
        if self.allow(moving, file.is_living(self.now) and is_free):
            file.path = path

    @precondition(lambda self: self.expected.files)
    @rule(pick=PICKS, lifetime=LIFETIMES)
    def change_expiry(self, pick: int, lifetime: timedelta | None) -> None:
        file = self.file(pick, self.expected.living(self.now))
        expires_at = None if lifetime is None else self.now + lifetime
        changing = self.engine.changes.change(self.principal, file.id, Changes(expires_at=expires_at))
        if self.allow(changing, file.is_living(self.now)):
            file.current.expires_at = expires_at

    @precondition(lambda self: self.expected.files)
    @rule(pick=PICKS, nth=st.integers(0, 3))
    def delete_version(self, pick: int, nth: int) -> None:
        file = self.file(pick, [file for file in self.expected.living(self.now) if len(file.shown(self.now)) > 1])
        if not file.versions:
            return
        version = file.versions[-1 - nth % len(file.versions)]
        is_old = version is not file.current and version.is_shown(self.now)
        deleting = self.engine.changes.delete_version(self.principal, file.id, version.number)
        if self.allow(deleting, file.is_living(self.now) and is_old):
            version.ended = True

    @rule(keep=st.sampled_from([None, 1, 2]), keep_for=st.sampled_from([None, timedelta(hours=2)]))
    def keep_versions(self, keep: int | None, keep_for: timedelta | None) -> None:
        seconds = None if keep_for is None else int(keep_for.total_seconds())
        changing = self.engine.workspaces.change(
            self.principal, self.workspace, keep_versions=keep, keep_versions_for=seconds
        )
        self.trial.run(changing)
        self.expected.keep, self.expected.keep_for = keep, keep_for

    @rule(days=st.sampled_from([1 / 24, 1 / 24, 1, 8, 31]))
    def pass_time(self, days: float) -> None:
        self.trial.now += timedelta(days=days)

    @rule(scans_too=st.booleans())
    def sweep(self, scans_too: bool) -> None:
        if scans_too:
            self.trial.run(self.engine.sweeper.scan(fix=True))
            self.expected.scan()
        else:
            self.trial.run(self.engine.sweeper.sweep())
        self.expected.sweep(self.now)
        mine = [blob for blob in self.trial.stored_blobs() if blob.startswith(self.workspace.encode())]
        assert mine == self.expected.blobs(self.now)

    @invariant()
    def files_agree(self) -> None:
        self.trial.run(self.compare())

    def teardown(self) -> None:
        """Look at every version; then sweep, and again a while later: the store holds what the model has, no more and no less."""
        self.trial.run(self.compare_versions())
        for hours in (0, 3):
            self.pass_time(hours / 24)
            self.sweep(False)
            self.trial.run(self.compare())
            self.trial.run(self.compare_versions())
        assert self.trial.run(self.engine.sweeper.scan(fix=False)).is_clean
        for upload in self.under_way:
            self.trial.run(self.trial.abort(upload.id))
        for file in self.expected.living(self.now) + self.expected.restorable(self.now):
            self.trial.run(self.engine.changes.delete(self.principal, file.id, permanent=True))
        self.trial.run(self.engine.sweeper.sweep())

    async def compare(self) -> None:
        await self.compare_listing(self.expected.living(self.now), Search(limit=1000))
        await self.compare_listing(self.expected.restorable(self.now), Search(limit=1000, deleted=True))
        for file in self.expected.files.values():
            await self.compare_file(file)
        for path in ALL_PATHS:
            owner = self.expected.owner(path, self.now)
            found = await _found(self.engine.files.at(self.principal, self.workspace, path))
            assert found == (owner.id if owner and owner.is_living(self.now) else False), path

    async def compare_versions(self) -> None:
        for file in self.expected.files.values():
            for version in file.versions:
                await self.compare_version(file, version)

    async def compare_listing(self, files: list[File], search: Search) -> None:
        found = await self.engine.files.search(self.principal, self.workspace, search)
        assert found.total == len(files)
        listed = {(stored.file.id, stored.file.path, stored.version.number) for stored in found.items}
        assert listed == {(file.id, file.path, file.current.number) for file in files}
        assert len(found.items) == len(files)

    async def compare_file(self, file: File) -> None:
        is_living, is_restorable = file.is_living(self.now), file.is_restorable(self.now)
        assert await _found(self.engine.files.get(self.principal, file.id)) == (is_living and file.id)
        if not is_living and not is_restorable:
            assert not await _found(self.engine.files.get(self.principal, file.id, deleted=True))
            return
        stored = await self.engine.files.get(self.principal, file.id, deleted=True)
        assert (stored.file.path, stored.version.number) == (file.path, file.current.number)
        assert stored.file.expires_at == stored.version.expires_at == file.current.expires_at
        assert await self.trial.read(stored) == file.current.content
        listed = await self.engine.files.versions(self.principal, file.id, deleted=True)
        assert [version.number for version in listed] == [version.number for version in file.shown(self.now)]

    async def compare_version(self, file: File, version: Version) -> None:
        is_shown = file.is_living(self.now) and version.is_shown(self.now)
        getting = self.engine.files.open(self.principal, file.id, version.number)
        assert await _found(getting) == (is_shown and file.id)
        assert await _found(self.engine.files.open_public(version.token)) == (is_shown and file.id)
        if is_shown:
            stored = await self.engine.files.open(self.principal, file.id, version.number)
            assert await self.trial.read(stored) == version.content

    @property
    def now(self) -> Any:
        return self.trial.now

    @property
    def under_way(self) -> list[Upload]:
        return [upload for upload in self.expected.uploads if upload.is_open]

    def file(self, pick: int, fitting: list[File]) -> File:
        """Return a file that fits, where there is one; now and then any other, for which it must be refused."""
        files = fitting if fitting and pick % 5 else list(self.expected.files.values())
        return files[pick % len(files)]

    def upload(self, pick: int) -> Upload:
        return self.under_way[pick % len(self.under_way)]

    def content(self) -> bytes:
        """Return bytes that no other version has."""
        self.written += 1
        return f"{self.workspace} {self.written}".encode()

    def draw(self, number: int) -> None:
        """Note a number that was handed out: each is above all before it."""
        assert number > self.expected.last_number
        self.expected.last_number = number

    def asked(self, promise: Promise, path: str) -> Upload:
        given = self.trial.ask(promise)
        self.draw(given.number)
        upload = Upload(
            given.id, given.file_id, given.number, path, promise.expires_in, promise.auto_complete, self.now
        )
        self.expected.uploads.append(upload)
        return upload

    def delivered(self, upload: Upload, content: bytes, stored: StoredFile | None) -> None:
        upload.content, upload.touched_at = content, self.now
        assert upload.completes_itself == (stored is not None)
        if stored is not None:
            self.promise_kept(upload, content, stored)

    def promise_kept(self, upload: Upload, content: bytes, stored: StoredFile) -> None:
        assert stored.version.number == upload.number
        self.draw(stored.version.sequence)
        target = self.expected.target(upload, self.now)
        assert target is None or target.id == stored.file.id
        self.completed(target or File(stored.file.id, upload.path), stored, content, upload.lifetime)
        upload.is_open, upload.is_completed, upload.content = False, True, None

    def completed(self, file: File, stored: StoredFile, content: bytes, lifetime: timedelta | None) -> None:
        assert stored.file.path == file.path
        expires_at = None if lifetime is None else self.now + lifetime
        token = self.engine.files.public_token(stored)
        self.expected.add(file, Version(stored.version.number, content, token, expires_at), self.now)

    def has_ended(self, upload: Upload) -> None:
        """An upload that was given up, waited too long, or whose file was deleted: it never becomes a version."""
        with pytest.raises((NotFound, Gone)):
            self.trial.run(self.trial.complete(upload.id))

    def allow(self, awaited: Coroutine[Any, Any, T], is_allowed: bool) -> bool:
        """Do it where it is allowed; otherwise it must be refused."""
        if is_allowed:
            self.trial.run(awaited)
        else:
            self.refused(awaited)
        return is_allowed

    def refused(self, awaited: Coroutine[Any, Any, Any]) -> None:
        with pytest.raises((NotFound, Gone, Conflict)):
            self.trial.run(awaited)


async def _found(awaited: Coroutine[Any, Any, StoredFile]) -> str | bool | None:
    """Return the id of what is found; False for nothing."""
    try:
        return (await awaited).file.id
    except (NotFound, Gone):
        return False


@pytest.fixture(params=["sqlite"])
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trial]:
    """An engine on each database that is supported."""
    databases: dict[str, Callable[[], str]] = {"sqlite": lambda: f"sqlite:///{tmp_path}/trial.db"}
    made = Trial(tmp_path / "data", database_url=databases[request.param]())
    yield made
    made.close()


def compare(trial: Trial, histories: int, *, always_the_same: bool) -> None:
    """Make so many histories of a workspace and of the model."""
    run_state_machine_as_test(
        partial(History, trial),  # type: ignore[arg-type]
        settings=settings(
            max_examples=histories,
            stateful_step_count=25,
            derandomize=always_the_same,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_workspace_is_what_was_made_of_it(trial: Trial) -> None:
    compare(trial, 16, always_the_same=True)
