"""The presigned flow of large files: a signed URL for every part, parts in any order and at once, and a call that ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Router, get, post

from fileferry.api import direct
from fileferry.api.bodies import takes_json
from fileferry.api.presigned import FileMetadata, Limits, PresignedFile, Size, presigned_file, promise_of, s3_key_of
from fileferry.engine.engine import Engine
from fileferry.engine.receiving.direct_tickets import DirectUrl
from fileferry.engine.receiving.lapse import refuse_ended
from fileferry.engine.receiving.parts import MOST_PARTS, part_count
from fileferry.errors import InvalidParameter, NotFound
from fileferry.model import Part, Principal, Scope, Upload, canonical_id, format_time
from fileferry.web.requests import AnyRequest, json_body, part_urls
from fileferry.web.waiting import judged


class NewMultipart(FileMetadata, kw_only=True, forbid_unknown_fields=True):
    """A large file to come in parts of ``partSize`` bytes, which we choose where it is not given."""

    part_size: Size | None = msgspec.field(default=None, name="partSize")


class ListedPart(msgspec.Struct, forbid_unknown_fields=True):
    """A part that the client sent, and the ETag that it got for it."""

    part_number: int = msgspec.field(name="partNumber")
    etag: str


class Completion(msgspec.Struct, forbid_unknown_fields=True):
    """The parts that make the file, in order."""

    id: str
    upload_id: str = msgspec.field(name="uploadId")
    parts: Annotated[list[ListedPart], msgspec.Meta(min_length=1, max_length=MOST_PARTS)]


class MultipartName(msgspec.Struct, forbid_unknown_fields=True):
    """Which multipart upload is meant."""

    id: str
    upload_id: str = msgspec.field(name="uploadId")


class PartsAsked(MultipartName, forbid_unknown_fields=True):
    """Parts that need fresh URLs."""

    part_numbers: Annotated[list[int], msgspec.Meta(min_length=1, max_length=MOST_PARTS)] = msgspec.field(
        name="partNumbers"
    )


class PartUrl(msgspec.Struct, rename="camel"):
    """Where to send one part."""

    part_number: int
    url: str


class MultipartTicket(msgspec.Struct):
    """Where to send the parts of one file: each exactly ``partSize`` bytes but the last."""

    id: str
    upload_id: str = msgspec.field(name="uploadId")
    s3_key: str = msgspec.field(name="s3Key")
    part_size: int = msgspec.field(name="partSize")
    urls: list[PartUrl]
    expires_at: str = msgspec.field(name="expiresAt")
    limits: Limits


class PartUrls(msgspec.Struct, rename="camel"):
    """Fresh URLs for parts."""

    urls: list[PartUrl]
    expires_at: str


class PartObject(msgspec.Struct, rename="camel"):
    """A part that has arrived."""

    part_number: int
    etag: str
    size: int


class PartList(msgspec.Struct, rename="camel"):
    """The parts that have arrived, by number, and the size that each must have."""

    id: str
    upload_id: str
    part_size: int | None
    parts: list[PartObject]


@post("/files/multipart/{folder_id:str}/initiate", status_code=200, operation_class=takes_json(NewMultipart))
async def initiate(request: AnyRequest, engine: Engine, principal: Principal, folder_id: str) -> MultipartTicket:
    """Ask for a signed URL for every part of a large file; parts may be sent in any order, at once, and again."""
    asked = await json_body(request, engine, Scope.UPLOAD, NewMultipart)
    promise = msgspec.structs.replace(promise_of(asked, folder_id), part_size=asked.part_size or 0)
    (upload,) = await engine.tickets.open(principal, [promise])
    direct = (await engine.direct.offer(principal, [upload], lists_parts=True)).get(upload.id)
    return MultipartTicket(
        id=upload.file_id,
        upload_id=str(upload.multipart_id),
        s3_key=s3_key_of(engine.tickets.public_token(upload), upload.name),
        part_size=upload.part_size or 0,
        urls=await _part_urls(request, engine, upload, range(1, part_count(upload) + 1), direct),
        expires_at=format_time(engine.tickets.url_expiry()),
        limits=Limits(upload.size, upload.max_size),
    )


@post("/files/multipart/{folder_id:str}/complete", status_code=200, operation_class=takes_json(Completion))
async def complete(request: AnyRequest, engine: Engine, principal: Principal, folder_id: str) -> PresignedFile:
    """Make the file of its parts; completing again is no error."""
    asked = await json_body(request, engine, Scope.UPLOAD, Completion)
    upload = await _multipart(engine, principal, folder_id, asked.id, asked.upload_id)
    listed = [(part.part_number, part.etag) for part in asked.parts]
    stored = await engine.tickets.complete_parts(upload, listed)
    return presigned_file(request, engine, await judged(request, engine, stored))


@post("/files/multipart/{folder_id:str}/abort", status_code=204, operation_class=takes_json(MultipartName))
async def abort(request: AnyRequest, engine: Engine, principal: Principal, folder_id: str) -> None:
    """End a multipart upload and free its parts."""
    asked = await json_body(request, engine, Scope.UPLOAD, MultipartName)
    await engine.tickets.abort(await _multipart(engine, principal, folder_id, asked.id, asked.upload_id))


@get("/files/multipart/{folder_id:str}/{upload_id:str}/parts")
async def list_parts(engine: Engine, principal: Principal, folder_id: str, upload_id: str) -> PartList:
    """List the parts that have arrived, to go on after a crash."""
    upload = await engine.tickets.find_multipart(principal, upload_id)
    _refuse_folder(upload, folder_id)
    refuse_ended(upload)
    parts = [_part_object(part) for part in await engine.tickets.parts(upload)]
    return PartList(upload.file_id, upload_id, upload.part_size, parts)


@post("/files/multipart/{folder_id:str}/urls", status_code=200, operation_class=takes_json(PartsAsked))
async def fresh_urls(request: AnyRequest, engine: Engine, principal: Principal, folder_id: str) -> PartUrls:
    """Ask for fresh URLs for parts whose URLs have expired."""
    asked = await json_body(request, engine, Scope.UPLOAD, PartsAsked)
    upload = await _multipart(engine, principal, folder_id, asked.id, asked.upload_id)
    refuse_ended(upload)
    count = MOST_PARTS if upload.promised_size is None else part_count(upload)
    if not all(1 <= number <= count for number in asked.part_numbers):
        raise InvalidParameter(f"This upload has the parts 1 to {count}.", parameter="partNumbers")
    direct = await engine.direct.urls(upload, asked.part_numbers)
    urls = await _part_urls(request, engine, upload, asked.part_numbers, direct)
    return PartUrls(urls, format_time(engine.tickets.url_expiry()))


async def _multipart(engine: Engine, principal: Principal, folder_id: str, file_id: str, upload_id: str) -> Upload:
    upload = await engine.tickets.find_by_file(principal, canonical_id(file_id))
    if upload.multipart_id != canonical_id(upload_id):
        raise NotFound("The uploadId is not that of this file's upload.")
    _refuse_folder(upload, folder_id)
    return upload


def _refuse_folder(upload: Upload, folder_id: str) -> None:
    if upload.folder_id != folder_id:
        raise NotFound("There is no such upload in this folder.")


async def _part_urls(
    request: AnyRequest, engine: Engine, upload: Upload, numbers: Sequence[int], direct: list[DirectUrl] | None
) -> list[PartUrl]:
    if direct is not None:
        return [PartUrl(part.number, part.url) for part in direct]

    def sign() -> list[PartUrl]:
        return [PartUrl(number, url) for number, url in part_urls(request, engine, upload, numbers)]

    # Ten thousand signatures take a tenth of a second, in which others go on.
    return await asyncio.to_thread(sign)


def _part_object(part: Part) -> PartObject:
    return PartObject(part.number, f'"{part.md5}"', part.size)


router = Router(
    "/v1",
    route_handlers=[initiate, complete, abort, list_parts, fresh_urls],
    exception_handlers={Exception: direct.render_error},
)
