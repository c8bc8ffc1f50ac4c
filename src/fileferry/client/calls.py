"""Every request the client can make, as a value: what to send, how to read the answer, and whether it may be repeated.

Both clients run these values; nothing here opens a connection.
"""

from __future__ import annotations

import base64
import enum
import json
import mimetypes
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import httpx

from fileferry.client.connection import Connection
from fileferry.client.failures import unreadable
from fileferry.client.nouns import (
    ApiKey,
    File,
    Folder,
    Organization,
    Page,
    Ticket,
    Version,
    Workspace,
    file_from,
    folder_from,
    key_from,
    organization_from,
    ticket_from,
    version_from,
    workspace_from,
)
from fileferry.errors import (
    DigestMismatch,
    FerryError,
    Gone,
    InvalidDigest,
    InvalidExpiry,
    InvalidMetadata,
    InvalidName,
    InvalidParameter,
    NotFound,
)

T = TypeVar("T")

Lifetime = str | int | timedelta
"""``"30m"``, ``"24h"``, ``"7d"``, a number of seconds, or a timedelta."""


class Unchanged(enum.Enum):
    """What ``update`` leaves as it is; None has a meaning of its own there."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED

SLOWEST_DIGEST = 50_000_000.0
"""Bytes a second at which a server is given time to digest a whole upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request. ``path`` starts below the server's address, is quoted, and includes the query."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, object] | None = None
    repeatable: bool = True
    final: tuple[type[FerryError], ...] = ()
    """Errors that repeating does not mend here, whatever their class says."""
    seconds: float = 0.0
    """How much longer than the client's timeout the answer may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """What is to be made: a new file called ``name``, in a folder or not, or a version of the file at ``path``, or of that id."""

    name: str | None = None
    path: str | None = None
    file_id: str | None = None
    folder_id: str | None = None
    expires_in: Lifetime | None = None
    expires_at: datetime | None = None
    content_type: str | None = None
    metadata: Mapping[str, object] | None = None
    organization: str | None = None
    workspace: str | None = None
    sha256: str | None = None
    """What the whole must have, in hex, where the caller knows it."""

    @property
    def target(self) -> str:
        """The path or else the name; raise InvalidName without either."""
        target = self.path if self.path is not None else self.name
        if not target:
            raise InvalidName("Give the file a name: name= for a new file, path= for the file at a path.")
        return target

    @property
    def needs_ticket(self) -> bool:
        """Whether one request cannot say it."""
        return self.folder_id is not None or self.file_id is not None


def upload(new: NewFile) -> Call[File]:
    """Return the upload of a file in one request; its body is added by the client."""
    query = _expiry(new.expires_in, new.expires_at)
    if new.metadata is not None:
        query["metadata"] = _metadata_text(new.metadata)
    query |= _given(organization=new.organization, workspace=new.workspace)
    # The key makes a repeated upload safe: the same key never makes a second file.
    headers = {"Want-Repr-Digest": "sha-256=1", "Idempotency-Key": str(uuid.uuid4())}
    if new.sha256 is not None:
        headers["Content-Digest"] = f"sha-256=:{base64.b64encode(_sha256_bytes(new.sha256)).decode()}:"
    if declared := new.content_type or _guessed_type(new.target):
        headers["Content-Type"] = declared
    method = "POST" if new.path is None else "PUT"
    return Call(
        method=method, path=_with(f"/api/upload/{_quoted_path(new.target)}", query), read=_file, headers=headers
    )


def open_upload(
    new: NewFile, *, size: int | None, in_parts: bool = False, part_size: int | None = None
) -> Call[Ticket]:
    """Return the request for a ticket, for ``size`` bytes where that is known. A lost answer leaves one that nobody uses."""
    body: dict[str, object] = {"path": new.path, "file": new.file_id}
    if new.path is None and new.file_id is None:
        body = {"name": new.target}
    body |= {"folder": new.folder_id, "workspace": new.workspace, "size": size, "sha256": new.sha256}
    body |= {"content_type": new.content_type or _guessed_type(new.path or new.name or ""), "part_size": part_size}
    body |= _expiry(new.expires_in, new.expires_at)
    if new.metadata is not None:
        body["metadata"] = json.loads(_metadata_text(new.metadata))
    if new.sha256 is not None:
        _sha256_bytes(new.sha256)
    given = {name: value for name, value in body.items() if value is not None}
    path = _with("/api/uploads", _given(organization=new.organization))
    return Call(method="POST", path=path, read=_ticket, json=given | ({"parts": True} if in_parts else {}))


def get_upload(upload_id: str, organization: str | None) -> Call[Ticket]:
    """Return the question how far an upload is; the answer has fresh addresses."""
    path = _with(f"/api/uploads/{_segment(upload_id)}", _given(organization=organization))
    return Call(method="GET", path=path, read=_ticket)


def renew_upload(upload_id: str, organization: str | None) -> Call[Ticket]:
    """Return the request for fresh addresses of an upload."""
    path = _with(f"/api/uploads/{_segment(upload_id)}/urls", _given(organization=organization))
    return Call(method="POST", path=path, read=_renewed)


def complete_upload(ticket: Ticket, parts: Sequence[tuple[int, str]] | None, new: NewFile, *, size: int) -> Call[File]:
    """Return the completion of an upload of ``size`` bytes, with number and ETag of its parts where it has some."""
    body = {} if parts is None else {"parts": [{"part_number": number, "etag": etag} for number, etag in parts]}
    return Call(
        method="POST",
        path=_with(f"/api/uploads/{_segment(ticket.upload_id)}/complete", _given(organization=new.organization)),
        read=_file,
        json=body,
        # The bytes were verified already: a whole that differs is another one than was promised, and will be again.
        final=(DigestMismatch,),
        # Only for a promised digest must the server read everything again.
        seconds=size / SLOWEST_DIGEST if new.sha256 is not None else 0.0,
    )


def abort_upload(upload_id: str, organization: str | None) -> Call[None]:
    """Return the end of an upload that is not to be completed."""
    path = _with(f"/api/uploads/{_segment(upload_id)}", _given(organization=organization))
    return Call(method="DELETE", path=path, read=_nothing)


def create_folder(path: str, *, workspace: str | None, organization: str | None) -> Call[Folder]:
    """Return the making of a folder, or the question for the one that is there."""
    where = _with("/api/folders", _given(workspace=workspace, organization=organization))
    return Call(method="POST", path=where, read=_folder, json={"path": path})


def list_folders(*, workspace: str | None, cursor: str | None) -> Call[Page[Folder]]:
    """Return the question for one page of folders."""
    path = _with("/api/folders", _given(workspace=workspace, cursor=cursor))
    return Call(method="GET", path=path, read=_page("folders", folder_from))


def get_folder(folder_id: str) -> Call[Folder]:
    """Return the question what a folder is."""
    return Call(method="GET", path=f"/api/folders/{_segment(folder_id)}", read=_folder)


def delete_folder(folder_id: str) -> Call[None]:
    """Return the deletion of an empty folder."""
    return Call(method="DELETE", path=f"/api/folders/{_segment(folder_id)}", read=_nothing)


def get_file(file_id: str, *, version: Version | str | None = None, organization: str | None = None) -> Call[File]:
    """Return the question what a file is now, or was as another version."""
    query = _given(version_id=_version(version), organization=organization)
    return Call(method="GET", path=_with(f"/api/files/{_segment(file_id)}", query), read=_file)


def find_file(
    path: str, *, workspace: str | None, version: Version | str | None, organization: str | None
) -> Call[File]:
    """Return the question what the file at a path is now, or was as another version."""
    query = _given(workspace=workspace, version_id=_version(version), organization=organization)
    return Call(method="GET", path=_with(_address_at(path), query), read=_file)


def list_files(
    *,
    prefix: str | None,
    workspace: str | None,
    organization: str | None,
    deleted: bool,
    page_size: int | None,
    cursor: str | None,
) -> Call[Page[File]]:
    """Return the question for one page of files, or of those that can be restored."""
    query = _given(
        prefix=prefix,
        workspace=workspace,
        organization=organization,
        deleted="true" if deleted else None,
        cursor=cursor,
        limit=page_size,
    )
    return Call(method="GET", path=_with("/api/files", query), read=_page("files", file_from))


def list_versions(file_id: str, *, organization: str | None) -> Call[tuple[Version, ...]]:
    """Return the question for all versions of a file."""
    path = _with(f"/api/files/{_segment(file_id)}/versions", _given(organization=organization))
    return Call(method="GET", path=path, read=_versions)


def delete_version(file_id: str, version: Version | str, *, organization: str | None) -> Call[None]:
    """Return the deletion of a version."""
    path = f"/api/files/{_segment(file_id)}/versions/{_segment(version_id_of(version))}"
    return Call(method="DELETE", path=_with(path, _given(organization=organization)), read=_nothing)


def update_file(
    file_id: str,
    *,
    name: str | Unchanged = UNCHANGED,
    path: str | Unchanged = UNCHANGED,
    expires_in: Lifetime | Unchanged | None = UNCHANGED,
    expires_at: datetime | Unchanged | None = UNCHANGED,
    metadata: Mapping[str, object] | Unchanged = UNCHANGED,
    organization: str | None = None,
) -> Call[File]:
    """Return the change of a file's name, path, expiry (None: keep it) or metadata."""
    changes: dict[str, object] = {}
    if not isinstance(name, Unchanged):
        changes["name"] = name
    if not isinstance(path, Unchanged):
        changes["path"] = path
    if not isinstance(expires_in, Unchanged):
        # Only expires_at has a null that means "keep".
        changes |= {"expires_at": None} if expires_in is None else {"expires_in": _lifetime_text(expires_in)}
    if not isinstance(expires_at, Unchanged):
        changes["expires_at"] = None if expires_at is None else _moment_text(expires_at)
    if not isinstance(metadata, Unchanged):
        changes["metadata"] = json.loads(_metadata_text(metadata))
    where = _with(f"/api/files/{_segment(file_id)}", _given(organization=organization))
    return Call(method="PATCH", path=where, read=_file, json=changes)


def delete_file(file_id: str, *, permanent: bool = False, organization: str | None = None) -> Call[None]:
    """Return the deletion of a file."""
    query = _given(permanent="true" if permanent else None, organization=organization)
    return Call(method="DELETE", path=_with(f"/api/files/{_segment(file_id)}", query), read=_nothing)


def delete_file_at(path: str, *, workspace: str | None, organization: str | None) -> Call[None]:
    """Return the deletion of the file at a path."""
    query = _given(workspace=workspace, organization=organization)
    return Call(method="DELETE", path=_with(_address_at(path), query), read=_nothing)


def restore_file(file_id: str, *, organization: str | None) -> Call[File]:
    """Return the request to take a file's deletion back."""
    path = _with(f"/api/files/{_segment(file_id)}/restore", _given(organization=organization))
    return Call(method="POST", path=path, read=_file)


def content_of(
    file: File | str,
    connection: Connection,
    *,
    version: Version | str | None = None,
    organization: str | None = None,
) -> tuple[str, dict[str, str]]:
    """Return the address of a file's bytes and the headers it needs: the key goes with an id, never to a URL."""
    if version is not None and isinstance(file, File):
        file = file.file_id
    url = file.url if isinstance(file, File) else file
    if "://" not in url:
        query = _given(version_id=_version(version), organization=organization)
        return connection.to(_with(f"/api/files/{_segment(url)}/content", query)), connection.authorization()
    if version is not None:
        raise InvalidParameter("A URL is for one version: give the file or its id to choose another.")
    return url, {}


def id_of(file: File | str) -> str:
    """Return the id of a file that is given as itself or by its id."""
    return file.file_id if isinstance(file, File) else file


def version_id_of(version: Version | str) -> str:
    """Return the id of a version that is given as itself or by its id."""
    return version.version_id if isinstance(version, Version) else version


def deleted_last(deleted: Iterable[File], path: str) -> File:
    """Return which of the deleted files was deleted last at exactly this path; raise NotFound for none."""
    found = [file for file in deleted if file.path == path.removeprefix("/")]
    if not found:
        raise NotFound(f"No file that was deleted at {path!r} can be restored.")
    return max(found, key=lambda file: file.deleted_at or file.created_at)


def folder_id_of(folder: Folder | str) -> str:
    """Return the id of a folder that is given as itself or by its id."""
    return folder.folder_id if isinstance(folder, Folder) else folder


def workspace_id_of(workspace: Workspace | str) -> str:
    """Return the id, or name, of a workspace that is given as itself or by either."""
    return workspace.workspace_id if isinstance(workspace, Workspace) else workspace


def create_workspace(
    name: str,
    *,
    workspace_id: str | None,
    keep_versions: int | None,
    keep_versions_for: Lifetime | None,
    organization: str | None,
) -> Call[Workspace]:
    """Return the making of a workspace."""
    body: dict[str, object] = {"name": name, **_given(id=workspace_id)}
    body |= _retention(keep_versions, keep_versions_for)
    path = _with("/api/workspaces", _given(organization=organization))
    return Call(method="POST", path=path, read=_workspace, json=body, repeatable=False)


def list_workspaces(*, organization: str | None, cursor: str | None) -> Call[Page[Workspace]]:
    """Return the question for one page of workspaces."""
    path = _with("/api/workspaces", _given(organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=_page("workspaces", workspace_from))


def get_workspace(id_or_name: str, *, organization: str | None) -> Call[Workspace]:
    """Return the question what a workspace is."""
    path = _with(f"/api/workspaces/{_segment(id_or_name)}", _given(organization=organization))
    return Call(method="GET", path=path, read=_workspace)


def update_workspace(
    id_or_name: str,
    *,
    keep_versions: int | Unchanged | None,
    keep_versions_for: Lifetime | Unchanged | None,
    organization: str | None,
) -> Call[Workspace]:
    """Return the change of which versions a workspace keeps (None: all)."""
    path = _with(f"/api/workspaces/{_segment(id_or_name)}", _given(organization=organization))
    return Call(method="PATCH", path=path, read=_workspace, json=_retention(keep_versions, keep_versions_for))


def create_key(
    name: str,
    *,
    scopes: Iterable[str],
    organization: str | None,
    expires_in: Lifetime | None,
    user_id: str | None,
    user_name: str | None,
    user_email: str | None,
) -> Call[ApiKey]:
    """Return the making of a key; never repeated after a lost answer, which would leave a key nobody holds."""
    path = _with("/api/keys", _given(organization=organization))
    body: dict[str, object] = {"name": name, "scopes": list(scopes)}
    if user := _given(id=user_id, name=user_name, email=user_email):
        body["user"] = user
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


def _version(version: Version | str | None) -> str | None:
    return None if version is None else version_id_of(version)


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _address_at(path: str) -> str:
    # A path may begin with a slash, as a command line writes it; a second one would be an empty name.
    return f"/api/files/path/{_quoted_path(path.removeprefix('/'))}"


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


def _retention(
    keep_versions: int | Unchanged | None, keep_versions_for: Lifetime | Unchanged | None
) -> dict[str, object]:
    kept: dict[str, object] = {}
    if not isinstance(keep_versions, Unchanged):
        kept["keep_versions"] = keep_versions
    if not isinstance(keep_versions_for, Unchanged):
        kept["keep_versions_for"] = None if keep_versions_for is None else _lifetime_text(keep_versions_for)
    return kept


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


def _sha256_bytes(text: str) -> bytes:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise InvalidDigest("sha256= takes 64 hexadecimal digits.")
    return bytes.fromhex(text)


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


def _folder(response: httpx.Response) -> Folder:
    return _read(response, folder_from, "a folder")


def _workspace(response: httpx.Response) -> Workspace:
    return _read(response, workspace_from, "a workspace")


def _versions(response: httpx.Response) -> tuple[Version, ...]:
    return _read(response, lambda said: tuple(version_from(item) for item in said["versions"]), "a list of versions")


def _ticket(response: httpx.Response) -> Ticket:
    return _read(response, ticket_from, "an upload")


def _renewed(response: httpx.Response) -> Ticket:
    ticket = _ticket(response)
    if ticket.state in {"aborted", "expired"}:
        raise Gone("The upload was aborted, or waited too long.")
    return ticket


def _nothing(response: httpx.Response) -> None:
    del response


def _page(member: str, item_from: Callable[[Mapping[str, Any]], T]) -> Callable[[httpx.Response], Page[T]]:
    def page(said: Mapping[str, Any]) -> Page[T]:
        return Page(tuple(item_from(item) for item in said[member]), said["next_cursor"])

    return lambda response: _read(response, page, f"a list of {member}")
