"""Where new content goes, and what it is: the records that a version is made of. Nothing is looked up or moved here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from fileferry.engine.access.quotas import Quota
from fileferry.errors import PreconditionFailed
from fileferry.model import Digests, Extent, Rules, StoredFile


class Preconditions(msgspec.Struct, frozen=True):
    """RFC 9110 section 13 conditions on the file at a path: entity tags of If-Match (``*`` is any), or If-None-Match: *."""

    if_match: tuple[str, ...] = ()
    must_be_new: bool = False

    def verify(self, current: StoredFile | None) -> None:
        """Raise PreconditionFailed unless the file now at the path fits."""
        if self.must_be_new and current is not None:
            raise PreconditionFailed("There is a file at this path already.")
        if self.if_match and current is None:
            raise PreconditionFailed("There is no file at this path.")
        if self.if_match and current and "*" not in self.if_match and current.version.etag not in self.if_match:
            raise PreconditionFailed("The file at this path has changed.")


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that are durable and verified in the store, or ``inline`` to go into the database; and what was learned of them."""

    blob_key: str | None
    extents: tuple[Extent, ...] | None = None
    inline: bytes | None = None
    size: int
    content_type: str
    detected_type: str | None
    digests: Digests


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where new content goes and what it is called. ``at_path`` files own their path; the others are found by id only.

    A version that was promised brings the ``file_id`` and ``number`` that it was promised with. With ``rules`` it must be judged
    before it is ready. ``fetches`` is how often it may be fetched whole. It counts against ``quotas``.
    """

    organization_id: str
    workspace_id: str
    path: str
    at_path: bool
    metadata: dict[str, Any]
    expires_at: datetime | None
    user_id: str | None = None
    folder_id: str | None = None
    file_id: str | None = None
    version_id: str | None = None
    number: int | None = None
    key_id: str | None = None
    end_user: str | None = None
    fetches: int | None = None
    rules: Rules | None = None
    quotas: tuple[Quota, ...] = ()
    preconditions: Preconditions = Preconditions()


class Received(msgspec.Struct, frozen=True):
    """The outcome of an upload. ``is_new_file`` tells a first version from a further one."""

    stored: StoredFile
    is_new_file: bool
