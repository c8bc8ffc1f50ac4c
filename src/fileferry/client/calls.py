"""The requests about uploads, files, versions and folders, as values; see ``call``. Both clients run them."""

from __future__ import annotations

import base64
import json
import math
import mimetypes
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import httpx

from fileferry.client.call import (
    UNCHANGED,
    Call,
    Lifetime,
    Unchanged,
    expiry,
    given,
    lifetime_text,
    metadata_text,
    moment_text,
    nothing,
    page_of,
    quoted_path,
    read_as,
    segment,
    with_query,
)
from fileferry.client.connection import Connection
from fileferry.client.nouns import (
    File,
    Folder,
    Page,
    Ticket,
    Version,
    file_from,
    folder_from,
    ticket_from,
    version_from,
)
from fileferry.errors import DigestMismatch, Gone, InvalidDigest, InvalidName, InvalidParameter, NotFound

SLOWEST_DIGEST = 50_000_000.0
"""Bytes a second at which a server is given time to digest a whole upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """What is to be made: a new file called ``name``, in a folder or not, or a version of the file at ``path``, or of that id."""

    name: str | None = None
    path: str | None = None
    file_id: str | None = None
    folder_id: str | None = None
    expires_in: Lifetime | None = None
    expires_at: datetime | None = None
    expires_after_fetches: int | None = None
    content_type: str | None = None
    metadata: Mapping[str, object] | None = None
    organization: str | None = None
    workspace: str | None = None
    sha256: str | None = None
    """What the whole must have, in hex, where the caller knows it."""
    wait: float | None = None
    """Seconds that the answer may be put off until the file is ready or not to be."""

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
    query = expiry(new.expires_in, new.expires_at) | given(expires_after_fetches=new.expires_after_fetches)
    if new.metadata is not None:
        query["metadata"] = metadata_text(new.metadata)
    query |= given(organization=new.organization, workspace=new.workspace)
    # The key makes a repeated upload safe: the same key never makes a second file.
    headers = {"Want-Repr-Digest": "sha-256=1", "Idempotency-Key": str(uuid.uuid4()), **preference(new.wait)}
    if new.sha256 is not None:
        headers["Content-Digest"] = f"sha-256=:{base64.b64encode(_sha256_bytes(new.sha256)).decode()}:"
    if declared := new.content_type or _guessed_type(new.target):
        headers["Content-Type"] = declared
    method = "POST" if new.path is None else "PUT"
    path = with_query(f"/api/upload/{quoted_path(new.target)}", query)
    return Call(method=method, path=path, read=_file, headers=headers, seconds=new.wait or 0.0)


def open_upload(
    new: NewFile, *, size: int | None, in_parts: bool = False, part_size: int | None = None
) -> Call[Ticket]:
    """Return the request for a ticket, for ``size`` bytes where that is known. A lost answer leaves one that nobody uses."""
    body: dict[str, object] = {"path": new.path, "file": new.file_id}
    if new.path is None and new.file_id is None:
        body = {"name": new.target}
    body |= {"folder": new.folder_id, "workspace": new.workspace, "size": size, "sha256": new.sha256}
    body |= {"content_type": new.content_type or _guessed_type(new.path or new.name or ""), "part_size": part_size}
    body |= {**expiry(new.expires_in, new.expires_at), "expires_after_fetches": new.expires_after_fetches}
    if new.metadata is not None:
        body["metadata"] = json.loads(metadata_text(new.metadata))
    if new.sha256 is not None:
        _sha256_bytes(new.sha256)
    asked = {name: value for name, value in body.items() if value is not None}
    path = with_query("/api/uploads", given(organization=new.organization))
    return Call(method="POST", path=path, read=_ticket, json=asked | ({"parts": True} if in_parts else {}))


def get_upload(upload_id: str, organization: str | None) -> Call[Ticket]:
    """Return the question how far an upload is; the answer has fresh addresses."""
    path = with_query(f"/api/uploads/{segment(upload_id)}", given(organization=organization))
    return Call(method="GET", path=path, read=_ticket)


def renew_upload(upload_id: str, organization: str | None) -> Call[Ticket]:
    """Return the request for fresh addresses of an upload."""
    path = with_query(f"/api/uploads/{segment(upload_id)}/urls", given(organization=organization))
    return Call(method="POST", path=path, read=_renewed)


def stream_upload(upload_id: str, organization: str | None) -> Call[Ticket]:
    """Return the request to go on with an upload as one stream: the answer says from which byte, and has a fresh address."""
    path = with_query(f"/api/uploads/{segment(upload_id)}/stream", given(organization=organization))
    return Call(method="POST", path=path, read=_ticket)


def complete_upload(ticket: Ticket, parts: Sequence[tuple[int, str]] | None, new: NewFile, *, size: int) -> Call[File]:
    """Return the completion of an upload of ``size`` bytes, with number and ETag of its parts where it has some."""
    body = {} if parts is None else {"parts": [{"part_number": number, "etag": etag} for number, etag in parts]}
    return Call(
        method="POST",
        path=with_query(f"/api/uploads/{segment(ticket.upload_id)}/complete", given(organization=new.organization)),
        read=_file,
        json=body,
        headers=preference(new.wait),
        # The bytes were verified already: a whole that differs is another one than was promised, and will be again.
        final=(DigestMismatch,),
        # Only for a promised digest must the server read everything again.
        seconds=digesting_seconds(new, size) + (new.wait or 0.0),
    )


def digesting_seconds(new: NewFile, size: int) -> float:
    """Return how long the server may need to digest a whole upload, where it must."""
    return size / SLOWEST_DIGEST if new.sha256 is not None else 0.0


def abort_upload(upload_id: str, organization: str | None) -> Call[None]:
    """Return the end of an upload that is not to be completed."""
    path = with_query(f"/api/uploads/{segment(upload_id)}", given(organization=organization))
    return Call(method="DELETE", path=path, read=nothing)


def create_folder(path: str, *, workspace: str | None, organization: str | None) -> Call[Folder]:
    """Return the making of a folder, or the question for the one that is there."""
    where = with_query("/api/folders", given(workspace=workspace, organization=organization))
    return Call(method="POST", path=where, read=_folder, json={"path": path})


def list_folders(*, workspace: str | None, cursor: str | None) -> Call[Page[Folder]]:
    """Return the question for one page of folders."""
    path = with_query("/api/folders", given(workspace=workspace, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("folders", folder_from))


def get_folder(folder_id: str) -> Call[Folder]:
    """Return the question what a folder is."""
    return Call(method="GET", path=f"/api/folders/{segment(folder_id)}", read=_folder)


def delete_folder(folder_id: str) -> Call[None]:
    """Return the deletion of an empty folder."""
    return Call(method="DELETE", path=f"/api/folders/{segment(folder_id)}", read=nothing)


def get_file(
    file_id: str,
    *,
    version: Version | str | None = None,
    organization: str | None = None,
    wait: float | None = None,
) -> Call[File]:
    """Return the question what a file is now, or was as another version; ``wait`` is as in ``waiting``."""
    query = given(version_id=_version(version), organization=organization)
    return waiting(Call(method="GET", path=with_query(f"/api/files/{segment(file_id)}", query), read=_file), wait)


def find_file(
    path: str, *, workspace: str | None, version: Version | str | None, organization: str | None
) -> Call[File]:
    """Return the question what the file at a path is now, or was as another version."""
    query = given(workspace=workspace, version_id=_version(version), organization=organization)
    return Call(method="GET", path=with_query(_address_at(path), query), read=_file)


def waiting(question: Call[File], seconds: float | None) -> Call[File]:
    """Return a question whose answer may be put off so long, a minute at most, until the file is ready or not to be."""
    return replace(question, headers={**question.headers, **preference(seconds)}, seconds=seconds or 0.0)


def preference(seconds: float | None) -> dict[str, str]:
    """Return the header by which an answer may be put off so long, in whole seconds; none for None."""
    return {} if seconds is None else {"Prefer": f"wait={math.ceil(max(0.0, seconds))}"}


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
    query = given(
        prefix=prefix,
        workspace=workspace,
        organization=organization,
        deleted="true" if deleted else None,
        cursor=cursor,
        limit=page_size,
    )
    return Call(method="GET", path=with_query("/api/files", query), read=page_of("files", file_from))


def list_versions(file_id: str, *, organization: str | None) -> Call[tuple[Version, ...]]:
    """Return the question for all versions of a file."""
    path = with_query(f"/api/files/{segment(file_id)}/versions", given(organization=organization))
    return Call(method="GET", path=path, read=_versions)


def delete_version(file_id: str, version: Version | str, *, organization: str | None) -> Call[None]:
    """Return the deletion of a version."""
    path = f"/api/files/{segment(file_id)}/versions/{segment(version_id_of(version))}"
    return Call(method="DELETE", path=with_query(path, given(organization=organization)), read=nothing)


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
        changes |= {"expires_at": None} if expires_in is None else {"expires_in": lifetime_text(expires_in)}
    if not isinstance(expires_at, Unchanged):
        changes["expires_at"] = None if expires_at is None else moment_text(expires_at)
    if not isinstance(metadata, Unchanged):
        changes["metadata"] = json.loads(metadata_text(metadata))
    where = with_query(f"/api/files/{segment(file_id)}", given(organization=organization))
    return Call(method="PATCH", path=where, read=_file, json=changes)


def delete_file(file_id: str, *, permanent: bool = False, organization: str | None = None) -> Call[None]:
    """Return the deletion of a file."""
    query = given(permanent="true" if permanent else None, organization=organization)
    return Call(method="DELETE", path=with_query(f"/api/files/{segment(file_id)}", query), read=nothing)


def delete_file_at(path: str, *, workspace: str | None, organization: str | None) -> Call[None]:
    """Return the deletion of the file at a path."""
    query = given(workspace=workspace, organization=organization)
    return Call(method="DELETE", path=with_query(_address_at(path), query), read=nothing)


def restore_file(file_id: str, *, organization: str | None) -> Call[File]:
    """Return the request to take a file's deletion back."""
    path = with_query(f"/api/files/{segment(file_id)}/restore", given(organization=organization))
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
        query = given(version_id=_version(version), organization=organization)
        return connection.to(with_query(f"/api/files/{segment(url)}/content", query)), connection.authorization()
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


def _version(version: Version | str | None) -> str | None:
    return None if version is None else version_id_of(version)


def _address_at(path: str) -> str:
    # A path may begin with a slash, as a command line writes it; a second one would be an empty name.
    return f"/api/files/path/{quoted_path(path.removeprefix('/'))}"


def _sha256_bytes(text: str) -> bytes:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise InvalidDigest("sha256= takes 64 hexadecimal digits.")
    return bytes.fromhex(text)


def _guessed_type(name: str) -> str | None:
    guessed, encoding = mimetypes.guess_type(name.rpartition("/")[2])
    # What is stored is the compressed form: x.tar.gz holds gzip, not tar.
    return f"application/{encoding}" if encoding else guessed


def _file(response: httpx.Response) -> File:
    return read_as(response, file_from, "a file")


def _folder(response: httpx.Response) -> Folder:
    return read_as(response, folder_from, "a folder")


def _versions(response: httpx.Response) -> tuple[Version, ...]:
    return read_as(response, lambda said: tuple(version_from(item) for item in said["versions"]), "a list of versions")


def _ticket(response: httpx.Response) -> Ticket:
    return read_as(response, ticket_from, "an upload")


def _renewed(response: httpx.Response) -> Ticket:
    ticket = _ticket(response)
    if ticket.state in {"aborted", "expired"}:
        raise Gone("The upload was aborted, or waited too long.")
    return ticket
