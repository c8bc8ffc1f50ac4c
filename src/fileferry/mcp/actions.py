"""What each tool does: requests of the native API, and an answer made of theirs. Which tools there are is said by ``tools``.

What users wrote, names above all, is in the fields of an answer and never in its sentences: a model might take it for an order.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from fileferry.errors import FerryError, FileTooLarge, InvalidParameter
from fileferry.mcp.api import Api
from fileferry.mcp.arguments import (
    LONGEST_BASE64,
    LONGEST_TEXT,
    CommitBatch,
    CreateBatch,
    CreateUpload,
    DeleteFile,
    GetFile,
    ListFiles,
    PreflightFile,
    PutBytes,
    PutText,
    RequestFiles,
    SearchFiles,
    ShareFile,
    UploadStatus,
)

Answer = dict[str, Any]
_SEARCHED = 1000  # files in one step of a search
_STEPS = 5
_WAIT_AT_ONCE = 10  # seconds: less than any proxy gives an answer


async def create_upload(api: Api, asked: CreateUpload) -> Answer:
    """Make a ticket, and tell how the bytes are sent."""
    return _ticket(await _open(api, asked))


async def create_batch(api: Api, asked: CreateBatch) -> Answer:
    """Make a ticket for each file of a batch."""
    files = msgspec.to_builtins(asked.files)
    body = {"files": files, "url_style": "short"} | (
        {} if asked.expires_in is None else {"expires_in": asked.expires_in}
    )
    made = await api.ask("POST", "/api/batches", json=body)
    uploads = [{"path": upload["path"], "upload_id": upload["id"], "url": upload["url"]} for upload in made["uploads"]]
    return {"batch_id": made["id"], "curl": _curl("URL"), "uploads": uploads}


async def commit_batch(api: Api, asked: CommitBatch) -> Answer:
    """Make the files of a batch, and tell where their list is."""
    made = await api.ask("POST", f"/api/batches/{_segment(asked.batch_id)}/commit")
    return {
        "batch_id": made["id"],
        "manifest_url": made["manifest_url"],
        "manifest_url_expires_at": made["manifest_url_expires_at"],
        "file_ids": [file["id"] for file in made["files"]],
    }


async def upload_status(api: Api, asked: UploadStatus) -> Answer:
    """Tell how far an upload is, once it has ended or the wait is over."""
    path = f"/api/uploads/{_segment(asked.upload_id)}"
    ends = time.monotonic() + asked.wait
    while True:
        rest = max(0, round(ends - time.monotonic()))
        upload = await api.ask("GET", path, wait=min(rest, _WAIT_AT_ONCE))
        file = await _file_of(api, upload)
        is_settled = upload["state"] in ("aborted", "expired") or (file is not None and file["status"] != "processing")
        if is_settled or time.monotonic() >= ends:
            break
    answer: Answer = {"upload_id": upload["id"], "file_id": upload["file_id"], "state": upload["state"]}
    if file is not None:
        answer["file"] = _described(file)
    else:
        answer["received"] = upload["offset"]
    if asked.fresh_url and upload["state"] == "open":
        renewed = await api.ask("POST", f"{path}/urls", json={"url_style": "short"})
        answer |= {"upload": _target(renewed), "curl": _curl(renewed["url"])}
    return answer


async def get_file(api: Api, asked: GetFile) -> Answer:
    """Tell what a file is, with a URL to fetch it from."""
    return await _given(api, await api.ask("GET", _file_path(asked.file_id)), asked.url_expires_in)


async def preflight_file(api: Api, asked: PreflightFile) -> Answer:
    """Tell what stands in the way of a service that is to fetch a file: what failed with advice, the rest by name."""
    body = {"for": asked.service} | ({} if asked.job is None else {"job": asked.job})
    found = await api.ask("POST", f"{_file_path(asked.file_id)}/preflight", json=body)
    failed = [check for check in found["checks"] if check["outcome"] == "failed"]
    return {
        "for": found["for"],
        "outcome": found["outcome"],
        "failed": [{name: check[name] for name in ("check", "said", "advice", "found")} for check in failed],
        "unknown": [check["check"] for check in found["checks"] if check["outcome"] == "unknown"],
        "passed": [check["check"] for check in found["checks"] if check["outcome"] == "passed"],
    }


async def share_file(api: Api, asked: ShareFile) -> Answer:
    """Make a page with files, for people."""
    share = await api.ask("POST", "/api/shares", json=_members(asked))
    return {"share_id": share["id"], "url": share["url"], "expires_at": share["expires_at"]}


async def request_files(api: Api, asked: RequestFiles) -> Answer:
    """Make a page to which people bring files."""
    made = await api.ask("POST", "/api/requests", json=_members(asked))
    return {
        "request_id": made["id"],
        "url": made["url"],
        "folder": made["folder"],
        "expires_at": made["expires_at"],
    }


async def list_files(api: Api, asked: ListFiles) -> Answer:
    """List files by path."""
    found = await _page(api, asked.prefix, asked.limit, asked.cursor)
    return {"files": [_listed(file) for file in found["files"]], "next_cursor": found["next_cursor"]}


async def search_files(api: Api, asked: SearchFiles) -> Answer:
    """Look through paths for a text; so many at a time, then ``next_cursor`` goes on behind them."""
    wanted, cursor = asked.query.casefold(), asked.cursor
    matching: list[Answer] = []
    for _ in range(_STEPS):
        found = await _page(api, "", _SEARCHED, cursor)
        places = [place for place, file in enumerate(found["files"]) if wanted in file["path"].casefold()]
        most = asked.limit - len(matching)
        if len(places) > most:
            # Once more up to the last that is told: a cursor points behind the end of a page.
            found = await _page(api, "", places[most - 1] + 1, cursor)
        matching += [file for file in found["files"] if wanted in file["path"].casefold()][:most]
        cursor = found["next_cursor"]
        if cursor is None or len(matching) == asked.limit:
            break
    return {"files": [_listed(file) for file in matching], "next_cursor": cursor}


async def put_text(api: Api, asked: PutText) -> Answer:
    """Make a file of a text."""
    content = asked.text.encode(errors="surrogatepass")
    if len(content) > LONGEST_TEXT:
        raise await _too_long(api, asked, f"The text has more than {LONGEST_TEXT} bytes")
    return await _put(api, asked, content, asked.content_type or "text/plain; charset=utf-8")


async def put_bytes(api: Api, asked: PutBytes) -> Answer:
    """Make a file of a few bytes."""
    if len(asked.base64) > LONGEST_BASE64:
        raise await _too_long(api, asked, f"The base64 has more than {LONGEST_BASE64} characters")
    try:
        content = base64.b64decode(asked.base64, validate=True)
    except binascii.Error as error:
        raise InvalidParameter(
            "base64 is not base64 with padding. Send the file with create_upload and curl."
        ) from error
    return await _put(api, asked, content, asked.content_type or "application/octet-stream")


async def delete_file(api: Api, asked: DeleteFile) -> Answer:
    """Delete a file."""
    await api.ask("DELETE", _file_path(asked.file_id))
    return {"file_id": asked.file_id, "deleted": True}


def _members(asked: msgspec.Struct) -> Answer:
    given: Answer = msgspec.to_builtins(asked)
    return {name: value for name, value in given.items() if value is not None}


async def _open(api: Api, asked: CreateUpload | PutText | PutBytes) -> Answer:
    members = {
        "name": asked.name,
        "path": asked.path,
        "content_type": asked.content_type,
        "expires_in": asked.expires_in,
        "size": getattr(asked, "size", None),
        "sha256": getattr(asked, "sha256", None),
    }
    given = {name: value for name, value in members.items() if value is not None}
    opened: Answer = await api.ask("POST", "/api/uploads", json={**given, "auto_complete": True, "url_style": "short"})
    return opened


def _ticket(upload: Answer) -> Answer:
    return {
        "upload_id": upload["id"],
        "file_id": upload["file_id"],
        "upload": _target(upload),
        "curl": _curl(upload["url"]),
        "page": upload["url"],
        "max_size": upload["max_size"],
    }


def _target(upload: Answer) -> Answer:
    return {"transport": "https", "method": "PUT", "url": upload["url"], "expiresAt": upload["url_expires_at"]}


def _curl(url: str) -> str:
    return f"curl -fsS -T FILE {url}"


async def _file_of(api: Api, upload: Answer) -> Answer | None:
    """Return the file that an upload has made; None where it has not, or where this key may not read it."""
    if upload["state"] != "completed":
        return None
    try:
        found: Answer = await api.ask("GET", _file_path(upload["file_id"]))
    except FerryError as error:
        if error.status not in (403, 404):
            raise
        return {"id": upload["file_id"], "name": upload["name"], "size": upload["size"], "status": "ready"}
    return found


def _described(file: Answer) -> Answer:
    """Return a file as SEP-2631 has file objects, with its id and how it stands."""
    described: Answer = {"id": file["id"], "name": file["name"], "size": file["size"], "status": file["status"]}
    if file.get("content_type"):
        described["mimeType"] = file["content_type"]
    if file.get("sha256"):
        digest = base64.urlsafe_b64encode(bytes.fromhex(file["sha256"])).rstrip(b"=").decode()
        described["digest"] = {"algorithm": "sha-256", "value": digest}
    return described


async def _given(api: Api, file: Answer, lifetime: str = "7d") -> Answer:
    """Return what a file is, and how to fetch and verify it."""
    answer: Answer = {"file": _described(file), "status": file["status"], "expires_at": file["expires_at"]}
    if file["status"] == "ready":
        asked = {"url_style": "short", "expires_in": lifetime}
        link = await api.ask("POST", f"{_file_path(file['id'])}/links", json=asked)
        answer["file"]["uri"] = link["url"]
        answer |= {"url": link["url"], "url_expires_at": link["expires_at"]}
    if file["sha256"]:
        answer["verify"] = f"echo '{file['sha256']}  FILE' | sha256sum -c"
    if file["scan"] is not None:
        answer["verdict"] = file["scan"]["outcome"]
    if file["reason"]:
        answer["reason"] = file["reason"]
    return answer


def _listed(file: Answer) -> Answer:
    return {"id": file["id"], "path": file["path"], "size": file["size"], "status": file["status"]}


async def _page(api: Api, prefix: str, limit: int, cursor: str | None) -> Answer:
    query = {"limit": str(limit), "prefix": prefix, "cursor": cursor or ""}
    found: Answer = await api.ask(
        "GET", f"/api/files?{urlencode({name: value for name, value in query.items() if value})}"
    )
    return found


async def _put(api: Api, asked: PutText | PutBytes, content: bytes, content_type: str) -> Answer:
    if (asked.name is None) == (asked.path is None):
        raise InvalidParameter("Give a name or a path, one of them.")
    method, target = ("POST", asked.name) if asked.path is None else ("PUT", asked.path)
    query = "" if asked.expires_in is None else f"?{urlencode({'expires_in': asked.expires_in})}"
    path = f"/api/upload/{'/'.join(map(_segment, (target or '').strip('/').split('/')))}{query}"
    file = await api.ask(method, path, content=content, content_type=content_type, wait=_WAIT_AT_ONCE)
    answer: Answer = {"file": _described(file), "status": file["status"], "expires_at": file["expires_at"]}
    if "read" in await api.scopes() or "admin" in await api.scopes():
        answer = await _given(api, file)
    return answer


async def _too_long(api: Api, asked: PutText | PutBytes, what: str) -> FerryError:
    """Return the error that says how to send it instead, with the URL for that."""
    ticket = _ticket(await _open(api, asked))
    said = f"{what}: write it to a file and run the line in curl, then call upload_status."
    return FileTooLarge(said, upload_id=ticket["upload_id"], curl=ticket["curl"])


def _file_path(file_id: str) -> str:
    return f"/api/files/{_segment(file_id)}"


def _segment(text: str) -> str:
    """Return a text as a quoted segment of a path; raises InvalidParameter for what would lead to another address."""
    if text in ("", ".", ".."):
        raise InvalidParameter("An id, a name or a part of a path is empty or made of dots.")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InvalidParameter("An id, a name or a path is not Unicode.") from error
