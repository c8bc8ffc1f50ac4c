"""What tools take, and the JSON Schemas of it. Texts in here are read by models with every request: they are short."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

LONGEST_TEXT = 64 * 1024
LONGEST_BASE64 = 10_000
LONGEST_WAIT = 50
SHORTEST_PAGE, LONGEST_PAGE = 5, 20

Name = Annotated[str | None, Meta(description="File name.")]
Path = Annotated[str | None, Meta(description="Instead of name: its path.")]
Expiry = Annotated[str | None, Meta(description="Life: 24h, 7d…")]
Type = str | None
FileId = str
PageLength = Annotated[int, Meta(ge=1, le=LONGEST_PAGE)]
Cursor = Annotated[str | None, Meta(description="next_cursor.")]


class CreateUpload(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``create_upload``."""

    name: Name = None
    path: Path = None
    size: Annotated[int, Meta(ge=0)] | None = None
    sha256: str | None = None
    content_type: Type = None
    expires_in: Expiry = None


class BatchFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A file of a batch."""

    name: str | None = None
    path: str | None = None
    size: int | None = None
    sha256: str | None = None


class CreateBatch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``create_batch``."""

    files: Annotated[list[BatchFile], Meta(min_length=1, max_length=20, description="Each with a name or a path.")]
    expires_in: str | None = None


class CommitBatch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``commit_batch``."""

    batch_id: str


class UploadStatus(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``upload_status``."""

    upload_id: str
    wait: Annotated[int, Meta(ge=0, le=LONGEST_WAIT, description="Seconds to wait for its end.")] = 0
    fresh_url: Annotated[bool, Meta(description="Also give a new URL.")] = False


class GetFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``get_file``."""

    file_id: FileId
    url_expires_in: Annotated[str, Meta(description="At most 7d.")] = "7d"


class PreflightFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``preflight_file``."""

    file_id: FileId
    service: Annotated[str, Meta(description="slack, openai-file…")] = msgspec.field(name="for", default="generic")
    job: str | None = None


class ListFiles(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``list_files``."""

    prefix: Annotated[str, Meta(description="Only paths that start so.")] = ""
    limit: PageLength = SHORTEST_PAGE
    cursor: Cursor = None


class SearchFiles(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``search_files``."""

    query: Annotated[str, Meta(min_length=1, max_length=255, description="Part of the path, any case.")]
    limit: PageLength = SHORTEST_PAGE
    cursor: Cursor = None


class ShareFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``share_file``."""

    file_ids: Annotated[list[str], Meta(min_length=1, max_length=20)]
    name: Annotated[str | None, Meta(description="Title.")] = None
    expires_in: Annotated[str | None, Meta(description="Life: 24h, 7d…")] = None
    passphrase: Annotated[str | None, Meta(description="6 characters or more.")] = None


class RequestFiles(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``request_files``."""

    title: Annotated[str, Meta(description="What people are asked for.")]
    message: str = ""
    folder: Annotated[str | None, Meta(description="Where the files go.")] = None
    max_files: int | None = None
    max_size: Annotated[str | None, Meta(description="Of one file: 10MiB…")] = None
    expires_in: Annotated[str | None, Meta(description="Life: 24h, 7d…")] = None


class PutText(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``put_text``."""

    text: str
    name: Name = None
    path: Path = None
    content_type: Type = None
    expires_in: str | None = None


class PutBytes(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``put_bytes``."""

    base64: str
    name: Name = None
    path: Path = None
    content_type: Type = None
    expires_in: str | None = None


class DeleteFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Arguments of ``delete_file``."""

    file_id: FileId


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments, without what says nothing: titles, and null for what may be left out."""
    _, definitions = msgspec.json.schema_components([kind])
    return _object(definitions[kind.__name__], definitions)


def _object(shape: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    found = {
        "type": "object",
        "properties": {name: _plain(member, definitions) for name, member in shape["properties"].items()},
        "additionalProperties": False,
    }
    return {**found, "required": shape["required"]} if shape["required"] else found


def _plain(member: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in member.get("items", ()):
        name = member["items"]["$ref"].rpartition("/")[2]
        return {**member, "items": _object(definitions[name], definitions)}
    choices = [choice for choice in member.get("anyOf", ()) if choice.get("type") != "null"]
    rest = {name: value for name, value in member.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**(choices[0] if choices else {}), **rest}
