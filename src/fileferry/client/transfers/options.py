"""What may be said of an upload to a path, beside the path: the keywords that both workspace faces hand on to ``upload``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from fileferry.client.calls.call import Lifetime
from fileferry.client.transfers.parts import Progress


class UploadOptions(TypedDict, total=False):
    """Keywords of ``Client.upload``; each means what it means there."""

    expires_in: Lifetime | None
    expires_at: datetime | None
    expires_after_fetches: int | None
    content_type: str | None
    metadata: Mapping[str, object] | None
    sha256: str | None
    wait: float | None
    resume: bool
    parallel: int
    part_size: int | None
    multipart_threshold: int
    progress: Progress | None
