"""Uploads with a ticket: what is to come is promised first, its bytes come to a signed URL whole or in parts, and a last
call makes them a version. Until that call nothing of them is served.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection

from fileferry.db import files, keys, uploads
from fileferry.db.database import Database
from fileferry.db.uploads import Usable
from fileferry.db.writer import brief
from fileferry.engine.access import limits, links, policy
from fileferry.engine.access.links import Grant, Links, Right
from fileferry.engine.access.rates import Rates
from fileferry.engine.access.workspaces import find_workspace
from fileferry.engine.files.catalogue import refuse_other_workspace
from fileferry.engine.files.placement import Content
from fileferry.engine.inspection.declarations import agreed_type
from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving import lapse
from fileferry.engine.receiving.completion import (
    MOST_BRIEF,
    Completion,
    ReceivedBytes,
    completed,
    received_bytes,
    refuse_too_long,
    reload,
    stored_bytes,
)
from fileferry.engine.receiving.direct_tickets import DirectTickets
from fileferry.engine.receiving.lapse import refuse_ended, refuse_gone, refuse_unknown
from fileferry.engine.receiving.parts import MOST_PARTIALS, choose_parts
from fileferry.engine.receiving.promises import Promise, insert_promised, partial_upload
from fileferry.errors import AlreadyUploaded, Conflict, FileTooLarge, Forbidden, LinkRefused, NotFound, NotUploaded
from fileferry.model import Clock, Part, Principal, Scope, State, StoredFile, Upload, UploadState
from fileferry.settings import Settings

_FEW_PARTS = 64  # what the loop may read for one request


class Tickets:
    """The uploads with a ticket of all organizations."""

    def __init__(
        self,
        database: Database,
        completion: Completion,
        direct: DirectTickets,
        links: Links,
        rates: Rates,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._completion = completion
        self._direct = direct
        self._links = links
        self._rates = rates
        self._settings = settings
        self._clock = clock

    async def open(self, principal: Principal, promises: Sequence[Promise]) -> list[Upload]:
        """Promise an upload each, all or none, in one transaction.

        Raises Forbidden, RateLimited, FileTooLarge, InvalidExpiry, InvalidMetadata, InvalidParameter, NotFound (folder, workspace),
        and BadRequest for more at once than a rate has.
        """
        policy.authorize(principal, Scope.UPLOAD)
        for promise in promises:
            policy.check_metadata(self._settings, promise.metadata)
        await self._rates.spend_tickets(principal, len(promises))
        opening = self._open if len(promises) > MOST_BRIEF else self._open_few
        return await self._database.grow(opening, principal, promises)

    async def get(self, principal: Principal, upload_id: str) -> Upload:
        """Return an upload of the organization; raises NotFound."""
        policy.authorize(principal, Scope.UPLOAD)
        upload = await self._database.lookup(uploads.find, upload_id)
        if upload is None or not policy.sees(principal, upload):
            raise NotFound("There is no upload with this id, or this key may not see it.")
        return upload

    async def find_by_file(self, principal: Principal, file_id: str) -> Upload:
        """Return the upload that is to make, or has made, a file; raises NotFound."""
        policy.authorize(principal, Scope.UPLOAD)
        organization_id, reach = principal.organization.id, policy.reach(principal)
        found = await self._database.lookup(uploads.find_by_files, organization_id, [file_id], reach)
        if file_id not in found:
            raise NotFound("There is no upload for a file with this id, or this key may not see it.")
        return found[file_id]

    async def find_version(
        self, principal: Principal, file_id: str, number: int, *, workspace: str | None = None
    ) -> Upload:
        """Return the upload that is to make the version of this number, still without its bytes; raises NotFound."""
        return await self._database.read(self._find_unfinished, principal, file_id, number, workspace)

    async def find_version_at(self, principal: Principal, workspace: str | None, path: str, number: int) -> Upload:
        """Return the upload that is to make the version of this number of the file that owns a path; raises NotFound."""

        def find(conn: Connection) -> Upload:
            workspace_id = find_workspace(conn, principal.organization.id, workspace).id
            owner = files.find_owner(conn, workspace_id, path)
            if owner is None or not policy.sees(principal, owner):
                raise NotFound("There is no file at this path.")
            return self._find_unfinished(conn, principal, owner.id, number, None)

        return await self._database.read(find)

    async def find_multipart(self, principal: Principal, multipart_id: str) -> Upload:
        """Return the upload with this multipart id; raises NotFound."""
        policy.authorize(principal, Scope.UPLOAD)
        upload = await self._database.read(uploads.find_by_multipart, multipart_id)
        if upload is None or not policy.sees(principal, upload):
            raise NotFound("There is no multipart upload with this id, or this key may not see it.")
        return upload

    async def at(self, upload_id: str, query: Mapping[str, str]) -> tuple[Upload, Grant]:
        """Return the upload that a signed URL is for, with the limits that hold by now, and what the URL grants.

        Raises LinkRefused, the same for every reason, and FileTooLarge where more was promised than may come by now.
        """
        now = self._clock()
        usable = await self._usable(upload_id, now)
        secrets = await self._database.lookup(keys.living_secrets, links.asker(query, usable.upload), now)
        grant = self._links.verify_upload(query, usable.upload, secrets, now)
        return await self._admitted(usable, grant, now), grant

    async def granted(self, upload_id: str, grant: Grant) -> Upload:
        """Return the upload that a short URL grants, as ``at`` does."""
        now = self._clock()
        usable = await self._usable(upload_id, now)
        await self._refuse_other_secret(grant.right, now)
        return await self._admitted(usable, grant, now)

    async def _admitted(self, usable: Usable, grant: Grant, now: datetime) -> Upload:
        upload = usable.upload
        is_over = grant.is_session and lapse.session_end(upload, self._settings) <= now
        if is_over or lapse.has_failed(upload, self._settings, now):
            raise LinkRefused()
        await self._refuse_powerless(usable, grant.right.key_id, now)
        largest = limits.largest(limits.at_use(self._settings, usable))
        return upload if upload.max_size <= largest else await self._narrow(upload, largest)

    async def refuse_lapsed(self, upload_id: str, right: Right) -> None:
        """Return if the right behind a signed URL may still send to its upload, which may go on after the URL's own end.

        Raises LinkRefused.
        """
        now = self._clock()
        usable = await self._usable(upload_id, now)
        await self._refuse_other_secret(right, now)
        await self._refuse_powerless(usable, right.key_id, now)

    async def _usable(self, upload_id: str, now: datetime) -> Usable:
        usable = await self._database.lookup(uploads.find_usable, upload_id, now)
        if usable is None:
            raise LinkRefused()
        return usable

    async def _refuse_other_secret(self, right: Right, now: datetime) -> None:
        secrets = await self._database.lookup(keys.living_secrets, right.key_id, now)
        if right.secret and right.secret not in secrets:
            raise LinkRefused()

    async def _refuse_powerless(self, usable: Usable, asker: str, now: datetime) -> None:
        upload = usable.upload
        key = usable.key if asker == upload.key_id else await self._database.lookup(keys.find_living, asker, now)
        if key is None or not all(policy.may(one, Scope.UPLOAD, upload) for one in (key, usable.key)):
            raise LinkRefused()
        if upload.request_id is not None:
            await self._database.lookup(limits.living_request, upload.request_id, now)

    async def _narrow(self, upload: Upload, largest: int) -> Upload:
        """Hold an upload to a limit that has become narrower since its ticket was made; a wider one changes no ticket."""
        if upload.state is not UploadState.OPEN:
            return upload
        await self._database.write(uploads.narrow, upload.id, largest)
        if upload.size is None or upload.size <= largest:
            return msgspec.structs.replace(upload, max_size=largest)
        error = FileTooLarge(f"{upload.size} bytes were promised; the limit is {largest} by now.", limit=largest)
        await self.refuse_too_long(upload, error)
        raise error

    async def refuse_too_long(self, upload: Upload, error: FileTooLarge) -> None:
        """End an upload that is for an end user, as it is too long; those of others take what is sent again."""
        # A part of the wrong size says nothing of the whole.
        is_of_part = error.fields.get("expected", upload.promised_size) != upload.promised_size
        if upload.end_user is not None and not is_of_part:
            await self._database.free(refuse_too_long, upload.id, self._clock())

    def url_query(self, upload: Upload, right: Right, lifetime: timedelta | None = None) -> dict[str, str]:
        """Return the query of the upload's signed URL, good for ``lifetime`` or ``upload_url_lifetime`` from now.

        It ends with the secret of the key that asks for it, and with the upload's key.
        """
        return self._links.upload_query(upload, right, self.url_expiry(lifetime))

    def part_queries(self, upload: Upload, right: Right, numbers: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Yield each part's number with the query of a signed URL that takes this part only, and ends as that of ``url_query``."""
        return self._links.part_queries(upload, right, self.url_expiry(), numbers)

    def session_query(self, upload: Upload, right: Right) -> dict[str, str]:
        """Return the query of the signed URL that what was begun goes on with; see ``session_end``."""
        latest = upload.created_at + self._settings.upload_idle_timeout
        return self._links.upload_query(upload, right, latest, is_session=True)

    def session_end(self, upload: Upload) -> datetime:
        """Return when the URL of a session ends unless a piece comes before."""
        return lapse.session_end(upload, self._settings)

    def end_of(self, upload: Upload, grant: Grant) -> datetime:
        """Return when a signed URL ends unless a piece comes before."""
        return min(grant.ends_at, self.session_end(upload)) if grant.is_session else grant.ends_at

    def has_lapsed(self, upload: Upload) -> bool:
        """Whether the bytes that were promised have not come in time, and will not be taken any more."""
        return lapse.has_lapsed(upload, self._settings, self._clock())

    def url_expiry(self, lifetime: timedelta | None = None) -> datetime:
        """Return when a URL signed now ends."""
        return self._clock() + (lifetime or self._settings.upload_url_lifetime)

    def public_token(self, upload: Upload) -> str:
        """Return the token that the file's public URL will carry."""
        return self._links.public_token(upload.organization_id, upload.file_id, upload.version_id)

    async def pending_file(self, upload: Upload) -> str | None:
        """Return the id of the file that an upload is to make, while it is not known what becomes of it."""
        if upload.state is not UploadState.COMPLETED:
            return upload.file_id if upload.state in (UploadState.OPEN, UploadState.RECEIVED) else None
        stored = await self._database.lookup(files.find_by_version, upload.version_id)
        if stored is None or stored.file.deleted_at is not None or stored.version.state is not State.PROCESSING:
            return None
        return stored.file.id

    async def parts(self, upload: Upload) -> list[Part]:
        """Return the parts that have arrived, by number."""
        if (told := await self._direct.find(upload)) is not None:
            return await self._direct.parts(upload, told)
        few = await self._database.lookup(uploads.list_parts, upload.id, _FEW_PARTS)
        return few if len(few) < _FEW_PARTS else await self._database.read(uploads.list_parts, upload.id)

    async def open_partial(self, upload: Upload, size: int | None = None) -> Upload:
        """Open an upload whose bytes are to be joined with others to those of ``upload``; it is never a file by itself.

        ``size`` (bytes) is its own, where it is known. Raises FileTooLarge where all partial uploads together could have more than
        twice what ``upload`` may: enough to begin once more after all was lost. Raises Forbidden for a partial upload, and Conflict
        for too many.
        """

        def record(conn: Connection) -> Upload:
            now = self._clock()
            refuse_ended(reload(conn, upload.id))
            if upload.parent_id is not None:
                raise Forbidden("This upload is a partial one itself.")
            asked = upload.max_size if size is None else size
            total, count = uploads.size_of_partials(conn, upload.id)
            if count >= MOST_PARTIALS:
                raise Conflict(f"This URL has {MOST_PARTIALS} partial uploads already.")
            if total + asked > 2 * upload.max_size:
                raise FileTooLarge(
                    "The partial uploads of this URL have more bytes than it takes.", limit=upload.max_size
                )
            partial = partial_upload(upload, size, now)
            uploads.insert_uploads(conn, [partial])
            return partial

        return await self._database.grow(record)

    async def partial_of(self, upload: Upload, partial_id: str) -> Upload:
        """Return a partial upload by its id alone, for whoever may write to ``upload``; raises NotFound."""
        partial = await self._database.lookup(uploads.find, partial_id)
        if partial is None or partial.parent_id != upload.id:
            raise NotFound("No such partial upload was created at this URL.")
        return partial

    async def state_type(self, upload: Upload, stated: str | None) -> None:
        """Keep what a protocol says of the type before the bytes come, where that says more than was promised."""
        content_type = agreed_type(upload.content_type, stated)
        if upload.state is UploadState.OPEN and content_type != upload.content_type:
            values = {"content_type": content_type}
            await self._database.write(lambda conn: uploads.update_upload(conn, upload.id, **values))

    async def received(self, upload: Upload) -> ReceivedBytes | None:
        """Return what the upload's bytes are, once all are there; raises Gone for one that has ended."""
        if upload.state is UploadState.COMPLETED:
            return stored_bytes(await self._database.lookup(completed, upload))
        refuse_ended(upload)
        if upload.content is None or not upload.content["content_type"]:
            return None
        return received_bytes(upload, msgspec.convert(upload.content, Content))

    async def complete(self, upload: Upload, listed: Sequence[tuple[int, str]] | None) -> StoredFile:
        """Make what has arrived the file, whether it came whole or in parts; see ``complete_parts``. Raises NotUploaded too."""
        upload = await self._direct.receive(upload, listed)
        if upload.blob_key is None or upload.state is UploadState.RECEIVED:
            (stored,) = await self._completion.finish([upload])
            return stored
        return await self.complete_parts(upload, listed)

    async def complete_parts(self, upload: Upload, listed: Sequence[tuple[int, str]] | None) -> StoredFile:
        """Make the listed parts (number and ETag, in order; None is all) the file. Copies no bytes; repeating it is no error.

        Raises InvalidPart naming the part, NotUploaded, SizeMismatch, DigestMismatch, Gone.
        """
        gathered = await self._direct.receive(upload, listed)
        if gathered.state is UploadState.OPEN or not await self._direct.has_brought(gathered):
            gathered = await self._database.write(self._gather, upload.id, listed)
        (stored,) = await self._completion.finish([gathered])
        return stored

    async def receive_parts(
        self, upload: Upload, listed: Sequence[tuple[int, str]], declared: Mapping[Algorithm, bytes] | None = None
    ) -> ReceivedBytes:
        """Make the listed parts the bytes of the upload, for whoever holds its URL; one that completes itself is a version then.

        Copies no bytes; repeating it is no error. Raises as ``complete_parts``, Forbidden for a partial upload, and DigestMismatch
        where the whole is not what was ``declared`` of it: then it begins anew.
        """
        if upload.parent_id is not None:
            raise Forbidden("A partial upload is no file by itself: join it with the others.")
        gathered = await self._database.write(self._gather, upload.id, listed)
        if declared and gathered.content and not gathered.content["content_type"]:
            await self._completion.assemble_declared(gathered, declared)
            gathered = await self._database.lookup(reload, gathered.id)
        if gathered.auto_complete or gathered.state is UploadState.COMPLETED:
            (stored,) = await self._completion.finish([gathered])
            return stored_bytes(stored)
        if gathered.content and not gathered.content["content_type"]:
            await self._completion.assemble(gathered)
        received = await self._database.lookup(reload, gathered.id)
        refuse_gone(received)
        return received_bytes(received, msgspec.convert(received.content, Content))

    async def confirm(self, principal: Principal, file_ids: Sequence[str]) -> list[StoredFile]:
        """Make received uploads files, all or none; those that are files already stay so.

        Raises NotFound and NotUploaded, naming ids.
        """
        policy.authorize(principal, Scope.UPLOAD)
        organization_id, reach = principal.organization.id, policy.reach(principal)
        find = self._database.read if len(file_ids) > MOST_BRIEF else self._database.lookup
        found = await find(uploads.find_by_files, organization_id, list(file_ids), reach)
        refuse_unknown(file_ids, found)
        asked = [found[file_id] for file_id in dict.fromkeys(file_ids)]
        return await self._completion.finish(await self._direct.receive_all(asked))

    async def finish(self, found: Sequence[Upload]) -> list[StoredFile]:
        """Make received uploads files, all or none; those that are so already stay so. Raises NotUploaded, naming ids, and Gone."""
        return await self._completion.finish(found)

    async def abort(self, upload: Upload) -> None:
        """End an upload that is not complete, and free its bytes; repeating it is no error. Raises AlreadyUploaded."""

        def end(conn: Connection) -> None:
            current = reload(conn, upload.id)
            if current.state is UploadState.COMPLETED:
                raise AlreadyUploaded("The upload is complete: delete the file instead.")
            if current.state in (UploadState.OPEN, UploadState.RECEIVED):
                uploads.update_upload(conn, upload.id, state=UploadState.ABORTED, content=None)

        await self._database.free(end)

    def _open(self, conn: Connection, principal: Principal, promises: Sequence[Promise]) -> list[Upload]:
        return insert_promised(conn, principal, promises, self._settings, self._clock())

    @brief
    def _open_few(self, conn: Connection, principal: Principal, promises: Sequence[Promise]) -> list[Upload]:
        return self._open(conn, principal, promises)

    def _find_unfinished(
        self, conn: Connection, principal: Principal, file_id: str, number: int, workspace: str | None
    ) -> Upload:
        policy.authorize(principal, Scope.UPLOAD)
        upload = uploads.find_by_version(conn, file_id, number)
        known = upload is not None and policy.sees(principal, upload)
        if upload is None or not known or upload.state not in (UploadState.OPEN, UploadState.RECEIVED):
            raise NotFound("There is no unfinished version with this id, or this key may not see it.")
        if workspace is not None:
            refuse_other_workspace(conn, principal, upload.workspace_id, workspace)
        return upload

    def _gather(self, conn: Connection, upload_id: str, listed: Sequence[tuple[int, str]] | None) -> Upload:
        """Fix which parts make the file; from here on no part is taken any more."""
        upload = reload(conn, upload_id)
        refuse_gone(upload)
        chosen = choose_parts(uploads.list_parts(conn, upload_id), listed)
        if upload.state is not UploadState.OPEN:
            return upload
        if upload.blob_key is None or not chosen:
            raise NotUploaded("No part has arrived.")
        return self._completion.gather(conn, upload, chosen)
