"""The native API of batches, ``/api/batches``: uploads that become files together or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, post

from fileferry.api.bodies import takes_json
from fileferry.api.native.objects import FileObject, UploadObject, UrlStyle, file_object, styled_uploads, upload_object
from fileferry.engine.engine import Engine
from fileferry.engine.inspection.digests import Algorithm
from fileferry.engine.receiving.promises import Promise
from fileferry.errors import InvalidParameter
from fileferry.model import Batch, Principal, Scope, Upload, UploadState, clean_path, format_optional_time, format_time
from fileferry.web import short_urls
from fileferry.web.requests import AnyRequest, created, json_body, parse_expires_in

_MANIFEST_LIFETIME = timedelta(days=7)


class BatchFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A file that is to come: a hand-off called ``name``, or a version of the file at ``path``. ``sha256`` (hex) must match."""

    name: str | None = None
    path: str | None = None
    size: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None
    content_type: str | None = None


class NewBatch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The files that are to become files together, 1 to 1000. ``expires_in`` is for each of them, from the commit."""

    files: Annotated[list[BatchFile], msgspec.Meta(min_length=1, max_length=1000)]
    workspace: str | None = None
    expires_in: str | int | None = None
    url_style: UrlStyle = "signed"


class BatchObject(msgspec.Struct, kw_only=True):
    """A batch: ``uploads`` as they are, in the order in which they were asked for. ``missing`` are ids of those without bytes."""

    id: str
    uploads: list[UploadObject]
    missing: list[str]
    created_at: str
    committed_at: str | None


class CommittedBatch(msgspec.Struct, kw_only=True):
    """A committed batch: its files, and where anyone gets the list of them until ``manifest_url_expires_at``."""

    id: str
    files: list[FileObject]
    manifest_url: str
    manifest_url_expires_at: str
    committed_at: str | None


@post("/batches", operation_class=takes_json(NewBatch))
async def create_batch(request: AnyRequest, engine: Engine, principal: Principal) -> Response[BatchObject]:
    """Get a ticket for each file of a batch, all or none. Send the bytes whole, then commit."""
    asked = await json_body(request, engine, Scope.UPLOAD, NewBatch)
    promises = [_promise(file, asked, engine) for file in asked.files]
    batch, uploads = await engine.batches.open(principal, promises)
    shown = await styled_uploads(request, engine, uploads, asked.url_style)
    return created(request, engine, f"/api/batches/{batch.id}", _object(batch, uploads, shown))


@get("/batches/{batch_id:str}")
async def get_batch(request: AnyRequest, engine: Engine, principal: Principal, batch_id: str) -> BatchObject:
    """See which files of a batch have come, with fresh signed URLs."""
    batch, uploads = await engine.batches.get(principal, batch_id)
    return _object(batch, uploads, [upload_object(request, engine, upload, []) for upload in uploads])


@post("/batches/{batch_id:str}/commit", status_code=200)
async def commit_batch(request: AnyRequest, engine: Engine, principal: Principal, batch_id: str) -> CommittedBatch:
    """Make all uploads of a batch files, or none of them while one is missing; again it gives a fresh manifest URL."""
    batch, stored, is_first = await engine.batches.commit(principal, batch_id)
    # A batch asked for room when it was opened; what comes again asks anew.
    manifest = await short_urls.for_batch(request, engine, batch, _MANIFEST_LIFETIME, has_room=is_first)
    return CommittedBatch(
        id=batch.id,
        files=[file_object(request, engine, each) for each in stored],
        manifest_url=manifest.url,
        manifest_url_expires_at=format_time(manifest.ends_at),
        committed_at=format_optional_time(batch.committed_at),
    )


@delete("/batches/{batch_id:str}")
async def abort_batch(engine: Engine, principal: Principal, batch_id: str) -> None:
    """Give up a batch that is not committed, and free the bytes of its uploads."""
    await engine.batches.abort(principal, batch_id)


def _promise(file: BatchFile, asked: NewBatch, engine: Engine) -> Promise:
    if (file.name is None) == (file.path is None):
        raise InvalidParameter("Give each file a name or a path.", parameter="files")
    return Promise(
        path=clean_path(file.name or file.path or ""),
        at_path=file.path is not None,
        workspace=asked.workspace,
        content_type=file.content_type,
        expires_in=parse_expires_in(asked.expires_in),
        size=file.size,
        digests={Algorithm.SHA256: bytes.fromhex(file.sha256)} if file.sha256 else {},
        url_lifetime=engine.settings.upload_idle_timeout if asked.url_style == "short" else None,
    )


def _object(batch: Batch, uploads: list[Upload], shown: list[UploadObject]) -> BatchObject:
    return BatchObject(
        id=batch.id,
        uploads=shown,
        missing=[upload.id for upload in uploads if upload.state is UploadState.OPEN],
        created_at=format_time(batch.created_at),
        committed_at=format_optional_time(batch.committed_at),
    )


router = Router("/api", route_handlers=[create_batch, get_batch, commit_batch, abort_batch])
