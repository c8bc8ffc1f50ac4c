"""The nouns of fileferry as frozen records and enums, and how their ids, names, durations and sizes are written. No I/O.

One module for each family of nouns; everyone takes them from here.
"""

from __future__ import annotations

from fileferry.model.access import (
    NO_LIMITS,
    Account,
    Key,
    LentKey,
    Limits,
    Organization,
    Principal,
    Rules,
    Scope,
    Session,
    User,
    Workspace,
)
from fileferry.model.events import EVENT_TYPES, Delivery, DeliveryState, Event, Webhook
from fileferry.model.files import (
    Digests,
    Extent,
    File,
    Folder,
    Scan,
    ScanOutcome,
    State,
    StoredFile,
    Version,
    entity_tag,
)
from fileferry.model.ids import canonical_id, is_uuid, new_id
from fileferry.model.names import MAX_NAME_BYTES, MAX_PATH_BYTES, clean_name, clean_path, normalized
from fileferry.model.processes import Process
from fileferry.model.searches import Bound, Page, Search
from fileferry.model.shares import FileRequest, SentFile, Share
from fileferry.model.uploads import Batch, Part, Stream, Upload, UploadState
from fileferry.units import Clock, format_optional_time, format_time, parse_duration, parse_size, utc_now

__all__ = [
    "EVENT_TYPES",
    "MAX_NAME_BYTES",
    "MAX_PATH_BYTES",
    "NO_LIMITS",
    "Account",
    "Batch",
    "Bound",
    "Clock",
    "Delivery",
    "DeliveryState",
    "Digests",
    "Event",
    "Extent",
    "File",
    "FileRequest",
    "Folder",
    "Key",
    "LentKey",
    "Limits",
    "Organization",
    "Page",
    "Part",
    "Principal",
    "Process",
    "Rules",
    "Scan",
    "ScanOutcome",
    "Scope",
    "Search",
    "SentFile",
    "Session",
    "Share",
    "State",
    "StoredFile",
    "Stream",
    "Upload",
    "UploadState",
    "User",
    "Version",
    "Webhook",
    "Workspace",
    "canonical_id",
    "clean_name",
    "clean_path",
    "entity_tag",
    "format_optional_time",
    "format_time",
    "is_uuid",
    "new_id",
    "normalized",
    "parse_duration",
    "parse_size",
    "utc_now",
]
