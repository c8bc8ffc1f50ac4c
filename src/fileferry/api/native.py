"""The native API, ``/api``: fileferry's own nouns as JSON, with problem+json errors and cursors. The client and CLI speak it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Response, Router, delete, get, patch, post, route
from litestar.params import Parameter

from fileferry.api.delivery import Answer, deliver
from fileferry.engine.engine import Engine
from fileferry.engine.files import Changes
from fileferry.engine.uploads import NewFile
from fileferry.engine.versions import Received
from fileferry.errors import BadRequest, InvalidName, InvalidParameter
from fileferry.model import Key, Organization, Principal, Scope, StoredFile, clean_name, clean_path, format_time
from fileferry.web.requests import (
    AnyRequest,
    body_of,
    content_length,
    declared_digests,
    decode_cursor,
    encode_cursor,
    idempotency_key,
    parse_expires_at,
    parse_expires_in,
    parse_limit,
    parse_metadata,
    preconditions,
    public_url,
    refuse_encoded,
    small_body_of,
)

_JSON_LIMIT = 1024 * 1024

Cursor = Annotated[str | None, Parameter(description="The next_cursor of the page before.")]
Limit = Annotated[str | None, Parameter(description="How many to return, 1 to 1000; 100 by default.")]
OrganizationName = Annotated[
    str | None, Parameter(description="Id or slug of the organization to act in; only a root key has a choice.")
]


class FileObject(msgspec.Struct, kw_only=True):
    """A file as the native API shows it. Sizes are bytes, times RFC 3339 in UTC, digests lower-case hex."""

    id: str
    version_id: str
    name: str
    path: str
    size: int
    content_type: str
    status: str
    reason: str | None
    sha256: str | None
    crc32c: str
    etag: str
    metadata: dict[str, Any]
    url: str
    organization_id: str
    workspace_id: str
    created_at: str
    modified_at: str
    expires_at: str | None


class FilePage(msgspec.Struct):
    """A page of files, by path; ``next_cursor`` is null on the last."""

    files: list[FileObject]
    next_cursor: str | None


class KeyObject(msgspec.Struct, kw_only=True):
    """An API key without its secret; ``prefix`` is how the secret begins."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    organization_id: str | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewKeyObject(KeyObject, kw_only=True):
    """An API key with its secret in ``key``, which is shown this once."""

    key: str


class KeyPage(msgspec.Struct):
    """A page of keys."""

    keys: list[KeyObject]
    next_cursor: str | None


class OrganizationObject(msgspec.Struct):
    """An organization."""

    id: str
    slug: str
    name: str
    is_default: bool
    created_at: str


class OrganizationPage(msgspec.Struct):
    """A page of organizations."""

    organizations: list[OrganizationObject]
    next_cursor: str | None


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """What to make a key of. ``expires_in`` is a duration such as ``90d``."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    scopes: list[Scope]
    expires_in: str | int | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How long the present secret stays good beside the new one, as a duration; not at all by default."""

    grace: str | int | None = None


class NewOrganization(msgspec.Struct, forbid_unknown_fields=True):
    """What to make an organization of; ``id`` fixes its UUID."""

    slug: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    id: str | None = None


class FileChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a file; ``expires_at: null`` keeps it for good."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    expires_in: str | int | None = None
    expires_at: str | msgspec.UnsetType | None = msgspec.UNSET


@post(["/upload", "/upload/{path:path}"])
async def hand_off(request: AnyRequest, engine: Engine, principal: Principal) -> Response[Any]:
    """Upload the raw body as a new file of its own, whatever else has its name."""
    return await _upload(request, engine, principal, at_path=False)


@route(["/upload", "/upload/{path:path}"], http_method=[HttpMethod.PUT])
async def put_at_path(request: AnyRequest, engine: Engine, principal: Principal) -> Response[Any]:
    """Upload the raw body as the file at this path: 201 for a new one, 200 for a further version of the one there."""
    return await _upload(request, engine, principal, at_path=True)


@get("/files")
async def list_files(
    request: AnyRequest,
    engine: Engine,
    principal: Principal,
    workspace: str | None = None,
    prefix: str = "",
    cursor: Cursor = None,
    limit: Limit = None,
) -> FilePage:
    """List the files of a workspace by path, those whose path starts with ``prefix``."""
    after = decode_cursor(cursor, 2)
    found, further = await engine.files.list_by_path(
        principal, workspace, prefix.removeprefix("/"), (after[0], after[1]) if after else None, parse_limit(limit)
    )
    objects = [file_object(request, engine, stored) for stored in found]
    return FilePage(objects, encode_cursor(*further) if further else None)


@get("/files/{file_id:str}")
async def get_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> FileObject:
    """Inspect a file."""
    return file_object(request, engine, await engine.files.get(principal, file_id))


@patch("/files/{file_id:str}")
async def patch_file(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> FileObject:
    """Change a file's name, metadata or expiry."""
    asked = await _json(request, engine, FileChanges)
    expires_at = asked.expires_at
    changes = Changes(
        name=asked.name if asked.name is msgspec.UNSET else clean_name(asked.name),
        metadata=asked.metadata,
        expires_in=parse_expires_in(asked.expires_in),
        expires_at=expires_at if expires_at is msgspec.UNSET else parse_expires_at(expires_at),
    )
    return file_object(request, engine, await engine.files.change(principal, file_id, changes))


@delete("/files/{file_id:str}")
async def delete_file(engine: Engine, principal: Principal, file_id: str) -> None:
    """Delete a file: its URLs answer 410 at once, its bytes are freed soon after."""
    await engine.files.delete(principal, file_id)


@route("/files/{file_id:str}/content", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def get_content(request: AnyRequest, engine: Engine, principal: Principal, file_id: str) -> Answer:
    """Fetch the current bytes of a file with a key; ranges and conditions as on the public URL."""
    stored = await engine.files.open(principal, file_id)
    return deliver(request, engine, stored, {"Cache-Control": "private, no-cache"})


@post("/keys")
async def create_key(request: AnyRequest, engine: Engine, principal: Principal) -> NewKeyObject:
    """Make an API key of the organization; its secret is in the answer and nowhere else."""
    asked = await _json(request, engine, NewKey)
    return _with_secret(
        *await engine.keys.create(principal, asked.name, tuple(asked.scopes), parse_expires_in(asked.expires_in))
    )


@get("/keys")
async def list_keys(engine: Engine, principal: Principal, cursor: Cursor = None, limit: Limit = None) -> KeyPage:
    """List the organization's API keys, revoked ones too."""
    after = decode_cursor(cursor, 1)
    page = await engine.keys.list(principal, after[0] if after else "", parse_limit(limit))
    return KeyPage(
        [_key_object(key) for key in page.items], encode_cursor(page.next_cursor) if page.next_cursor else None
    )


@get("/keys/{key_id:str}")
async def get_key(engine: Engine, principal: Principal, key_id: str) -> KeyObject:
    """Inspect an API key."""
    return _key_object(await engine.keys.get(principal, key_id))


@delete("/keys/{key_id:str}")
async def revoke_key(engine: Engine, principal: Principal, key_id: str) -> None:
    """Revoke an API key at once."""
    await engine.keys.revoke(principal, key_id)


@post("/keys/{key_id:str}/rotate")
async def rotate_key(request: AnyRequest, engine: Engine, principal: Principal, key_id: str) -> NewKeyObject:
    """Give an API key a new secret; the present one stays good for ``grace``."""
    asked = await _json(request, engine, Rotation)
    grace = parse_expires_in(asked.grace) or timedelta(0)
    return _with_secret(*await engine.keys.rotate(principal, key_id, grace))


@post("/organizations")
async def create_organization(request: AnyRequest, engine: Engine, principal: Principal) -> OrganizationObject:
    """Make an organization; needs the root key."""
    asked = await _json(request, engine, NewOrganization)
    return _organization_object(await engine.organizations.create(principal, asked.slug, asked.name, asked.id))


@get("/organizations")
async def list_organizations(
    engine: Engine, principal: Principal, cursor: Cursor = None, limit: Limit = None
) -> OrganizationPage:
    """List the organizations that the key may act in."""
    after = decode_cursor(cursor, 1)
    page = await engine.organizations.list(principal, after[0] if after else "", parse_limit(limit))
    objects = [_organization_object(organization) for organization in page.items]
    return OrganizationPage(objects, encode_cursor(page.next_cursor) if page.next_cursor else None)


@get("/organizations/{id_or_slug:str}")
async def get_organization(engine: Engine, principal: Principal, id_or_slug: str) -> OrganizationObject:
    """Inspect an organization."""
    return _organization_object(await engine.organizations.get(principal, id_or_slug))


router = Router(
    "/api",
    route_handlers=[
        hand_off,
        put_at_path,
        list_files,
        get_file,
        patch_file,
        delete_file,
        get_content,
        create_key,
        list_keys,
        get_key,
        revoke_key,
        rotate_key,
        create_organization,
        list_organizations,
        get_organization,
    ],
)


async def _upload(request: AnyRequest, engine: Engine, principal: Principal, *, at_path: bool) -> Response[Any]:
    # The path as it was sent, so that empty segments are refused rather than lost.
    path = request.scope["path"].removeprefix("/api/upload").removeprefix("/")
    if not path:
        raise InvalidName("Name the file in the URL: PUT /api/upload/report.pdf, or curl -T report.pdf …/api/upload/")
    refuse_encoded(request)
    query = request.query_params
    new = NewFile(
        path=clean_path(path),
        at_path=at_path,
        content_type=request.headers.get("content-type"),
        metadata=parse_metadata(query.get("metadata")),
        expires_in=parse_expires_in(query.get("expires_in")),
        expires_at=parse_expires_at(query.get("expires_at")),
        workspace=query.get("workspace"),
        idempotency_key=idempotency_key(request),
        preconditions=preconditions(request),
    )
    await engine.uploads.check(principal, new)
    size = content_length(request)
    async with engine.uploads.receive(principal, declared=declared_digests(request.headers), size=size) as incoming:
        async for chunk in body_of(request, engine.settings.body_idle_timeout):
            await incoming.write(chunk)
        received = await incoming.finish(new)
    return _uploaded(request, engine, received)


def _uploaded(request: AnyRequest, engine: Engine, received: Received) -> Response[Any]:
    answer = file_object(request, engine, received.stored)
    status = 201 if received.is_new_file else 200
    headers = {"Location": f"/api/files/{answer.id}", "ETag": answer.etag}
    if request.headers.get("accept", "").split(";")[0].strip() == "text/plain":
        return Response(f"{answer.url}\n", status_code=status, media_type="text/plain", headers=headers)
    return Response(answer, status_code=status, headers=headers)


async def _json(request: AnyRequest, engine: Engine, kind: type[Any]) -> Any:
    body = await small_body_of(request, _JSON_LIMIT, engine.settings.body_idle_timeout)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"{error}.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest("The body is not valid JSON.") from error


def file_object(request: AnyRequest, engine: Engine, stored: StoredFile) -> FileObject:
    """Return a file as the native API shows it."""
    file, version = stored.file, stored.version
    return FileObject(
        id=file.id,
        version_id=str(version.number),
        name=file.name,
        path=file.path,
        size=version.size,
        content_type=version.content_type,
        status=version.state,
        reason=version.reason,
        sha256=version.digests.sha256,
        crc32c=version.digests.crc32c,
        etag=version.etag,
        metadata=file.metadata,
        url=public_url(request, engine, stored),
        organization_id=file.organization_id,
        workspace_id=file.workspace_id,
        created_at=format_time(file.created_at),
        modified_at=format_time(file.modified_at),
        expires_at=_optional_time(file.expires_at),
    )


def _key_fields(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "organization_id": key.organization_id,
        "created_at": format_time(key.created_at),
        "expires_at": _optional_time(key.expires_at),
        "revoked_at": _optional_time(key.revoked_at),
    }


def _key_object(key: Key) -> KeyObject:
    return KeyObject(**_key_fields(key))


def _with_secret(key: Key, secret: str) -> NewKeyObject:
    return NewKeyObject(**_key_fields(key), key=secret)


def _organization_object(organization: Organization) -> OrganizationObject:
    return OrganizationObject(
        organization.id,
        organization.slug,
        organization.name,
        organization.is_default,
        format_time(organization.created_at),
    )


def _optional_time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
