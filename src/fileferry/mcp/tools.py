"""The tools: which there are, in their order, and what models read of them. What each does is in ``actions``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from fileferry.errors import InvalidParameter
from fileferry.mcp import actions
from fileferry.mcp.actions import Answer
from fileferry.mcp.api import Api
from fileferry.mcp.arguments import (
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
    schema_of,
)


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool: its name, what models read of it, what its key must have, what it takes, and what it does."""

    name: str
    title: str
    description: str
    scope: str
    arguments: type[msgspec.Struct]
    run: Callable[[Api, Any], Awaitable[Answer]]
    is_read_only: bool = False
    is_destructive: bool = False
    is_repeatable: bool = False

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its arguments."""
        return schema_of(self.arguments)

    async def call(self, api: Api, arguments: Mapping[str, Any] | None) -> Answer:
        """Return the answer; raises FerryError, InvalidParameter for arguments that cannot be used."""
        try:
            asked = msgspec.convert(dict(arguments or {}), self.arguments)
        except msgspec.ValidationError as error:
            raise InvalidParameter(f"{error}. See the schema of {self.name}.") from error
        return await self.run(api, asked)


TOOLS: tuple[Tool, ...] = (
    Tool(
        name="create_upload",
        title="Create an upload URL",
        description=(
            "Get a URL to send one file of any size to, without its bytes passing through you. Run the returned curl line with"
            " the file in place of FILE, or give the page URL to a person. Then call upload_status."
        ),
        scope="upload",
        arguments=CreateUpload,
        run=actions.create_upload,
    ),
    Tool(
        name="upload_status",
        title="Check an upload",
        description="See whether an upload has become a file; can wait, and give a fresh URL.",
        scope="upload",
        arguments=UploadStatus,
        run=actions.upload_status,
        is_read_only=True,
        is_repeatable=True,
    ),
    Tool(
        name="get_file",
        title="Get a file's URL",
        description="Get a file's size, type, SHA-256, scan verdict and expiry, and a URL that anyone can fetch it from.",
        scope="read",
        arguments=GetFile,
        run=actions.get_file,
        is_read_only=True,
        is_repeatable=True,
    ),
    Tool(
        name="share_file",
        title="Share files with people",
        description="Get the URL of a page where people see and download files.",
        scope="read",
        arguments=ShareFile,
        run=actions.share_file,
    ),
    Tool(
        name="request_files",
        title="Ask people for files",
        description="Get the URL of a page where people upload files for you; list_files shows what came.",
        scope="upload",
        arguments=RequestFiles,
        run=actions.request_files,
    ),
    Tool(
        name="list_files",
        title="List files",
        description="List files by path.",
        scope="read",
        arguments=ListFiles,
        run=actions.list_files,
        is_read_only=True,
        is_repeatable=True,
    ),
    Tool(
        name="search_files",
        title="Search files",
        description="Find files whose path contains a text; next_cursor: there may be more.",
        scope="read",
        arguments=SearchFiles,
        run=actions.search_files,
        is_read_only=True,
        is_repeatable=True,
    ),
    Tool(
        name="put_text",
        title="Save a text",
        description="Save a text that you wrote, at most 64 KiB, as a file. For existing files use create_upload.",
        scope="upload",
        arguments=PutText,
        run=actions.put_text,
    ),
    Tool(
        name="put_bytes",
        title="Save a few bytes",
        description="Save a tiny binary file, at most 10,000 characters of base64. Only where you cannot run curl.",
        scope="upload",
        arguments=PutBytes,
        run=actions.put_bytes,
    ),
    Tool(
        name="delete_file",
        title="Delete a file",
        description="Delete a file; its URLs stop working at once.",
        scope="delete",
        arguments=DeleteFile,
        run=actions.delete_file,
        is_destructive=True,
        is_repeatable=True,
    ),
    Tool(
        name="create_batch",
        title="Create a batch of uploads",
        description="Get upload URLs for files that shall appear together or not at all. Send each, then call commit_batch.",
        scope="upload",
        arguments=CreateBatch,
        run=actions.create_batch,
    ),
    Tool(
        name="commit_batch",
        title="Commit a batch",
        description="Make all files of a batch appear at once; gives the URL of a manifest.",
        scope="upload",
        arguments=CommitBatch,
        run=actions.commit_batch,
        is_repeatable=True,
    ),
    Tool(
        name="preflight_file",
        title="Check a file for a service",
        description="Ask whether a service can fetch a file, before you give it the URL.",
        scope="read",
        arguments=PreflightFile,
        run=actions.preflight_file,
        is_read_only=True,
        is_repeatable=True,
    ),
)
"""Every tool, in the order in which they are listed."""


def seen_with(scopes: frozenset[str]) -> list[Tool]:
    """Return the tools that a key with these scopes may use."""
    return [tool for tool in TOOLS if tool.scope in scopes or "admin" in scopes]
