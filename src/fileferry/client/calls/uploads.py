"""The requests about uploads, as values: in one request, or with a ticket. The bytes are added by whoever sends them."""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx

from fileferry.client.calls.call import (
    Call,
    Lifetime,
    expiry,
    given,
    metadata_text,
    nothing,
    page_of,
    quoted_path,
    read_as,
    segment,
    with_query,
)
from fileferry.client.calls.files import preference, read_file
from fileferry.client.nouns.files import File
from fileferry.client.nouns.identity import id_of
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.uploads import Ticket, UnfinishedUpload, ticket_from, unfinished_upload_from
from fileferry.client.nouns.workspaces import Workspace
from fileferry.errors import DigestMismatch, Gone, InvalidDigest, InvalidName

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
    organization: Organization | str | None = None
    workspace: Workspace | str | None = None
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


def in_one_request(new: NewFile) -> Call[File]:
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
    return Call(method=method, path=path, read=read_file, headers=headers, seconds=new.wait or 0.0)


def open_ticket(
    new: NewFile,
    *,
    size: int | None,
    max_size: int | None = None,
    in_parts: bool = False,
    part_size: int | None = None,
    auto_complete: bool = False,
    url_style: str | None = None,
) -> Call[Ticket]:
    """Return the request for a ticket, for ``size`` bytes where that is known. A lost answer leaves one that nobody uses."""
    body: dict[str, object] = {"path": new.path, "file": new.file_id}
    if new.path is None and new.file_id is None:
        body = {"name": new.target}
    body |= {
        "folder": new.folder_id,
        "workspace": None if new.workspace is None else id_of(new.workspace),
        "size": size,
        "sha256": new.sha256,
    }
    body |= {"content_type": new.content_type or _guessed_type(new.path or new.name or ""), "part_size": part_size}
    body |= {**expiry(new.expires_in, new.expires_at), "expires_after_fetches": new.expires_after_fetches}
    if new.metadata is not None:
        body["metadata"] = json.loads(metadata_text(new.metadata))
    if new.sha256 is not None:
        _sha256_bytes(new.sha256)
    body |= {"max_size": max_size, "parts": in_parts or None, "auto_complete": auto_complete or None}
    body["url_style"] = url_style
    asked = {name: value for name, value in body.items() if value is not None}
    path = with_query("/api/uploads", given(organization=new.organization))
    return Call(method="POST", path=path, read=_ticket, json=asked)


def list_all(*, organization: Organization | str | None, cursor: str | None) -> Call[Page[UnfinishedUpload]]:
    """Return the question for one page of uploads that are not complete."""
    path = with_query("/api/uploads", given(organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("uploads", unfinished_upload_from))


def get(ticket: Ticket | str, organization: Organization | str | None) -> Call[Ticket]:
    """Return the question how far an upload is; the answer has fresh addresses."""
    path = with_query(f"/api/uploads/{segment(ticket)}", given(organization=organization))
    return Call(method="GET", path=path, read=_ticket)


def renew(
    ticket: Ticket | str, organization: Organization | str | None, *, url_style: str | None = None
) -> Call[Ticket]:
    """Return the request for fresh addresses of an upload."""
    path = with_query(f"/api/uploads/{segment(ticket)}/urls", given(organization=organization))
    return Call(method="POST", path=path, read=_renewed, json=given(url_style=url_style) or None)


def stream(ticket: Ticket | str, organization: Organization | str | None) -> Call[Ticket]:
    """Return the request to go on with an upload as one stream: the answer says from which byte, and has a fresh address."""
    path = with_query(f"/api/uploads/{segment(ticket)}/stream", given(organization=organization))
    return Call(method="POST", path=path, read=_ticket)


def complete(ticket: Ticket | str, parts: Sequence[tuple[int, str]] | None, new: NewFile, *, size: int) -> Call[File]:
    """Return the completion of an upload of ``size`` bytes, with number and ETag of its parts where it has some."""
    body = {} if parts is None else {"parts": [{"part_number": number, "etag": etag} for number, etag in parts]}
    return Call(
        method="POST",
        path=with_query(f"/api/uploads/{segment(ticket)}/complete", given(organization=new.organization)),
        read=read_file,
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


def abort(ticket: Ticket | UnfinishedUpload | str, organization: Organization | str | None) -> Call[None]:
    """Return the end of an upload that is not to be completed."""
    path = with_query(f"/api/uploads/{segment(ticket)}", given(organization=organization))
    return Call(method="DELETE", path=path, read=nothing)


def _sha256_bytes(text: str) -> bytes:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise InvalidDigest("sha256= takes 64 hexadecimal digits.")
    return bytes.fromhex(text)


def _guessed_type(name: str) -> str | None:
    guessed, encoding = mimetypes.guess_type(name.rpartition("/")[2])
    # What is stored is the compressed form: x.tar.gz holds gzip, not tar.
    return f"application/{encoding}" if encoding else guessed


def _ticket(response: httpx.Response) -> Ticket:
    return read_as(response, ticket_from, "an upload")


def _renewed(response: httpx.Response) -> Ticket:
    ticket = _ticket(response)
    if ticket.state in {"aborted", "expired"}:
        raise Gone("The upload was aborted, or waited too long.")
    return ticket
