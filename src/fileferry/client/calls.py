"""Every request the client can make, as a value: what to send, how to read the answer, and whether it may be repeated.

Both clients run these values; nothing here opens a connection.
"""

from __future__ import annotations

import enum
import json
import mimetypes
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import httpx

from fileferry.client.connection import Connection
from fileferry.client.failures import unreadable
from fileferry.client.nouns import ApiKey, File, Organization, Page, file_from, key_from, organization_from
from fileferry.errors import InvalidExpiry, InvalidMetadata, InvalidName, InvalidParameter

T = TypeVar("T")

Lifetime = str | int | timedelta
"""``"30m"``, ``"24h"``, ``"7d"``, a number of seconds, or a timedelta."""


class Unchanged(enum.Enum):
    """What ``update`` leaves as it is; None has a meaning of its own there."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request. ``path`` starts below the server's address, is quoted, and includes the query."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, object] | None = None
    repeatable: bool = True


def upload(
    *,
    name: str | None,
    path: str | None,
    expires_in: Lifetime | None = None,
    expires_at: datetime | None = None,
    content_type: str | None = None,
    metadata: Mapping[str, object] | None = None,
    organization: str | None = None,
    workspace: str | None = None,
) -> Call[File]:
    """Return the upload of a new file called ``name``, or of the file at ``path``; its body is added by the client."""
    target = path if path is not None else name
    if not target:
        raise InvalidName("Give the file a name: name= for a new file, path= for the file at a path.")
    query = _expiry(expires_in, expires_at)
    if metadata is not None:
        query["metadata"] = _metadata_text(metadata)
    query |= _given(organization=organization, workspace=workspace)
    # The key makes a repeated upload safe: the same key never makes a second file.
    headers = {"Want-Repr-Digest": "sha-256=1", "Idempotency-Key": str(uuid.uuid4())}
    if declared := content_type or _guessed_type(target):
        headers["Content-Type"] = declared
    method = "POST" if path is None else "PUT"
    return Call(method=method, path=_with(f"/api/upload/{_quoted_path(target)}", query), read=_file, headers=headers)


def get_file(file_id: str) -> Call[File]:
    """Return the question what a file is now."""
    return Call(method="GET", path=f"/api/files/{_segment(file_id)}", read=_file)


def list_files(
    *, prefix: str | None, workspace: str | None, page_size: int | None, cursor: str | None
) -> Call[Page[File]]:
    """Return the question for one page of files."""
    query = _given(prefix=prefix, workspace=workspace, cursor=cursor, limit=page_size)
    return Call(method="GET", path=_with("/api/files", query), read=_page("files", file_from))


def update_file(
    file_id: str,
    *,
    name: str | Unchanged = UNCHANGED,
    expires_in: Lifetime | Unchanged | None = UNCHANGED,
    expires_at: datetime | Unchanged | None = UNCHANGED,
    metadata: Mapping[str, object] | Unchanged = UNCHANGED,
) -> Call[File]:
    """Return the change of a file's name, expiry (None: keep it) or metadata."""
    changes: dict[str, object] = {}
    if not isinstance(name, Unchanged):
        changes["name"] = name
    if not isinstance(expires_in, Unchanged):
        # Only expires_at has a null that means "keep".
        changes |= {"expires_at": None} if expires_in is None else {"expires_in": _lifetime_text(expires_in)}
    if not isinstance(expires_at, Unchanged):
        changes["expires_at"] = None if expires_at is None else _moment_text(expires_at)
    if not isinstance(metadata, Unchanged):
        changes["metadata"] = json.loads(_metadata_text(metadata))
    return Call(method="PATCH", path=f"/api/files/{_segment(file_id)}", read=_file, json=changes)


def delete_file(file_id: str) -> Call[None]:
    """Return the deletion of a file."""
    return Call(method="DELETE", path=f"/api/files/{_segment(file_id)}", read=_nothing)


def content_of(file: File | str, connection: Connection) -> tuple[str, dict[str, str]]:
    """Return the address of a file's bytes and the headers it needs: the key goes with an id, never to a URL."""
    url = file.url if isinstance(file, File) else file
    if "://" in url:
        return url, {}
    return connection.to(f"/api/files/{_segment(url)}/content"), connection.authorization()


def id_of(file: File | str) -> str:
    """Return the id of a file that is given as itself or by its id."""
    return file.file_id if isinstance(file, File) else file


def create_key(
    name: str, *, scopes: Iterable[str], organization: str | None, expires_in: Lifetime | None
) -> Call[ApiKey]:
    """Return the making of a key; never repeated after a lost answer, which would leave a key nobody holds."""
    path = _with("/api/keys", _given(organization=organization))
    body: dict[str, object] = {"name": name, "scopes": list(scopes)}
    return Call(method="POST", path=path, read=_key, json=body | _expiry(expires_in, None), repeatable=False)


def list_keys(*, cursor: str | None) -> Call[Page[ApiKey]]:
    """Return the question for one page of keys."""
    return Call(method="GET", path=_with("/api/keys", _given(cursor=cursor)), read=_page("keys", key_from))


def revoke_key(key_id: str) -> Call[None]:
    """Return the revocation of a key, which counts at once."""
    return Call(method="DELETE", path=f"/api/keys/{_segment(key_id)}", read=_nothing)


def rotate_key(key_id: str, *, grace: Lifetime | None) -> Call[ApiKey]:
    """Return the renewal of a key's secret; the old one stays valid for ``grace``."""
    body = {} if grace is None else {"grace": _lifetime_text(grace)}
    return Call(method="POST", path=f"/api/keys/{_segment(key_id)}/rotate", read=_key, json=body, repeatable=False)


def create_organization(slug: str, *, name: str | None, organization_id: str | None) -> Call[Organization]:
    """Return the making of an organization."""
    body: dict[str, object] = {"slug": slug, **_given(name=name, id=organization_id)}
    return Call(method="POST", path="/api/organizations", read=_organization, json=body, repeatable=False)


def list_organizations(*, cursor: str | None) -> Call[Page[Organization]]:
    """Return the question for one page of organizations."""
    path = _with("/api/organizations", _given(cursor=cursor))
    return Call(method="GET", path=path, read=_page("organizations", organization_from))


def _given(**values: str | int | None) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _quoted_path(path: str) -> str:
    # Dot segments would be resolved on the way, into the address of something else.
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise InvalidName("A file name cannot contain the segments '.' or '..'.")
    try:
        return quote(path, safe="/")
    except UnicodeEncodeError:
        raise InvalidName("The file name is not valid Unicode: give another with name=.") from None


def _segment(identifier: str) -> str:
    if identifier in {"", ".", ".."}:
        raise InvalidParameter(f"{identifier!r} is not an id.")
    return quote(identifier, safe="")


def _expiry(expires_in: Lifetime | None, expires_at: datetime | None) -> dict[str, str]:
    if expires_in is not None and expires_at is not None:
        raise InvalidExpiry()
    if expires_in is not None:
        return {"expires_in": _lifetime_text(expires_in)}
    return {} if expires_at is None else {"expires_at": _moment_text(expires_at)}


def _lifetime_text(lifetime: Lifetime) -> str:
    if isinstance(lifetime, timedelta):
        return str(int(lifetime.total_seconds()))
    return str(lifetime)


def _moment_text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise InvalidExpiry("expires_at needs a time zone: datetime.now(UTC) + …")
    return moment.isoformat()


def _metadata_text(metadata: Mapping[str, object]) -> str:
    try:
        return json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidMetadata(f"metadata must be a JSON object: {error}") from error


def _guessed_type(name: str) -> str | None:
    guessed, encoding = mimetypes.guess_type(name.rpartition("/")[2])
    # What is stored is the compressed form: x.tar.gz holds gzip, not tar.
    return f"application/{encoding}" if encoding else guessed


def _read(response: httpx.Response, parse: Callable[[Mapping[str, Any]], T], wanted: str) -> T:
    try:
        return parse(response.json())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unreadable(response, wanted) from error


def _file(response: httpx.Response) -> File:
    return _read(response, file_from, "a file")


def _key(response: httpx.Response) -> ApiKey:
    return _read(response, key_from, "an API key")


def _organization(response: httpx.Response) -> Organization:
    return _read(response, organization_from, "an organization")


def _nothing(response: httpx.Response) -> None:
    del response


def _page(member: str, item_from: Callable[[Mapping[str, Any]], T]) -> Callable[[httpx.Response], Page[T]]:
    def page(said: Mapping[str, Any]) -> Page[T]:
        return Page(tuple(item_from(item) for item in said[member]), said["next_cursor"])

    return lambda response: _read(response, page, f"a list of {member}")
