"""Every setting, its default and its unit, read from ``FILEFERRY_…`` environment variables. Nothing else reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from fileferry.errors import InvalidExpiry
from fileferry.model import parse_duration, parse_size

PREFIX = "FILEFERRY_"
_ELSEWHERE = {
    "s3_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "s3_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "s3_session_token": ("AWS_SESSION_TOKEN",),
    "s3_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
"""Variables that many programs read, for settings whose own is not there."""
_OWN_KEY = "FILEFERRY_S3_ACCESS_KEY_ID"


class SettingsError(Exception):
    """A setting that cannot be used; the message names the variable and says what it takes."""


class Bytes(int):
    """A size in bytes; written as ``64MiB``, ``5GB`` or a plain number."""


class Duration(timedelta):
    """A length of time; written as ``30s``, ``15m``, ``24h``, ``7d`` or plain seconds."""


class Names(tuple[str, ...]):
    """Several words; written with commas between them."""

    __slots__ = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Each field is the variable ``FILEFERRY_`` + its name in upper case."""

    data: Path = Path("data")
    """Folder of the embedded database and of local blobs."""
    base_url: str | None = None
    """Public address of this service, for the URLs it hands out; without it the request's Host header decides."""
    database_url: str | None = None
    """Default: SQLite in the data folder."""
    database_processes: Literal["auto", "one", "several"] = "auto"
    """How many processes may have the database open. `auto`: `one` on btrfs, where a full disk can end several, unless there are
    more workers; otherwise `several`. With `one`, doctor and backup of the database wait until the server has stopped."""
    store: str | None = None
    """Where blobs live: ``file:///folder``, or ``s3://BUCKET/PREFIX?endpoint=URL&region=NAME``, see the page on stores. Default:
    the data folder."""
    s3_access_key_id: str | None = None
    """The access key of an S3 store; default: ``AWS_ACCESS_KEY_ID``."""
    s3_secret_access_key: str | None = None
    """Its secret; default: ``AWS_SECRET_ACCESS_KEY``."""
    s3_session_token: str | None = None
    """The token of a key that is good for a while only; default: ``AWS_SESSION_TOKEN``, with a key from there."""
    s3_region: str | None = None
    """The region of an S3 store whose URL names none; default: ``AWS_REGION``, ``AWS_DEFAULT_REGION``, else ``us-east-1``."""
    root_key: str | None = None
    """Fixes the first admin key, 24 random characters or more; without it one is made at first start and printed once."""

    max_file_size: Bytes = Bytes(50 * 1024**3)
    """Largest file accepted."""
    inline_size: Bytes = Bytes(32 * 1024)
    """Files up to this size that come in one request live in the database: one durable write instead of two. 0: none do."""
    sha256_size: Bytes = Bytes(16 * 1024**2)
    """Files up to this size always get a SHA-256; larger ones where the upload declares or wants one (Want-Repr-Digest)."""
    max_json_upload: Bytes = Bytes(16 * 1024**2)
    """Largest body of a JSON/base64 upload, which is held in memory."""
    min_free_space: Bytes = Bytes(64 * 1024**2)
    """Uploads are refused (507) that would leave less than this on a disk, so that deleting still works. 0: no check."""
    max_metadata: Bytes = Bytes(16 * 1024)
    """Largest metadata object, as JSON."""
    max_retention: Duration | None = None
    """Longest life a file may ask for; also the life of files that ask for none."""

    hot_files: Bytes = Bytes(16 * 1024**2)
    """Memory of each process for small files, up to 64 KiB, that are fetched again and again by their public URLs. 0: none."""
    accel: Literal["none", "x-accel-redirect", "x-sendfile"] = "none"
    """The header by which a proxy in front that reads the store's folder is told to send a whole file itself; see the page on
    operating. Without such a proxy: none."""
    public_cache: Duration = Duration(seconds=60)
    """How long caches may keep what a public URL serves; never longer than the file lives. Deleting cannot reach caches."""
    upload_url_lifetime: Duration = Duration(hours=24)
    """How long a signed upload URL may be used to begin sending."""
    upload_idle_timeout: Duration = Duration(days=7)
    """An upload with a ticket that is not completed or confirmed is swept this long after its last bytes arrived."""
    body_idle_timeout: Duration = Duration(seconds=60)
    """An upload that sends nothing for this long is given up (408)."""
    request_head_timeout: Duration = Duration(seconds=20)
    """A connection that has brought no whole request head for this long is closed (408 where it has begun one)."""
    answer_idle_timeout: Duration = Duration(seconds=60)
    """A client that takes no byte of its answer for this long is cut off."""
    max_request_head: Bytes = Bytes(64 * 1024)
    """Largest request head, which is the request line and all headers (431); the trailers of a chunked body too."""
    max_request_headers: int = 200
    """Most headers of a request (431)."""
    max_connections: int | None = None
    """Connections that each process holds: beyond them the longest idle one is closed, and where all are at work new ones get 503.
    Default, and never more than: half of the files it may open, less some; by default at most 10000."""
    shutdown_grace: Duration = Duration(seconds=30)
    """How long running transfers may go on after SIGTERM."""
    sweep_interval: Duration = Duration(seconds=30)
    """How often expired and deleted files give their bytes back."""
    orphan_scan_interval: Duration = Duration(hours=6)
    """How often the whole store is compared with the database; also done soon after every start."""
    tombstone_retention: Duration = Duration(days=30)
    """How long a deleted or expired file still answers 410 rather than 404."""
    idempotency_retention: Duration = Duration(hours=24)
    """How long an Idempotency-Key is remembered."""

    fetch_events: int = 60
    """How many whole fetches of one version are told as events in a minute; further ones are served without. Those of versions that
    end with their fetches are always told. 0: no others."""

    restore_window: Duration = Duration(days=30)
    """How long a deleted file of a path can be restored; its bytes are kept so long. Hand-offs are deleted for good at once."""

    clamd: str | None = None
    """The virus scanner, clamd: ``tcp://HOST:PORT`` or ``unix:///PATH``. Without it no file is scanned, and its scan says so."""
    clamd_max_size: Bytes = Bytes(25 * 1024**2)
    """Largest file that is scanned: the least of clamd's own StreamMaxLength, MaxFileSize and MaxScanSize. With clamd larger ones
    are refused, unless they may be served unscanned."""
    scan_timeout: Duration = Duration(minutes=5)
    """How long one scan may take."""
    serve_unscanned: bool = False
    """With a scanner: whether files that it cannot look into are served: too large or encrypted ones, or archives it does not
    open."""
    rescan_interval: Duration | None = Duration(days=7)
    """How long after its last scan a file is scanned again, as signatures learn; a late detection recalls it."""
    processing: Literal["server", "worker"] = "server"
    """Who judges and scans files: ``server``, every serving process; ``worker``, only 'fileferry worker' processes."""
    processing_concurrency: int = 4
    """How many files one process judges and scans at a time."""
    processing_lease: Duration = Duration(seconds=60)
    """How long after a process died the files that it was at are taken up by another; one that lives prolongs its claims."""

    allowed_types: Names | None = None
    """Media types that files may have, by name and by content, as ``application/pdf,text/plain``; without it any."""
    refuse_empty: bool = False
    """Whether files without bytes are rejected."""
    rejected_retention: Duration = Duration(days=7)
    """How long a rejected file still says why; its bytes are freed at once."""
    end_user_types: Names = Names(
        (
            "text/csv",
            "text/plain",
            "application/pdf",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        )
    )
    """Media types that files of the signed flow, which end users upload, may have."""
    end_user_max_size: Bytes = Bytes(10 * 1024**2)
    """Largest file of the signed flow."""
    transient_retention: Duration = Duration(hours=24)
    """How long a file of the signed flow with ``persist=false`` is kept."""

    key_requests: str | None = None
    """How many requests each key may make, as ``100/minute``; a key's own limit may be lower. Without it any number."""
    key_bytes: str | None = None
    """How many bytes each key may upload, as ``10000000000/hour``."""
    key_tickets: str | None = None
    """How many upload tickets each key may ask for, as ``1000/minute``."""
    redis_url: str | None = None
    """Where rates are counted for all processes together, ``redis://HOST:PORT/0``; without it each process counts its own."""

    webhook_networks: Names = Names()
    """Networks that webhooks may be sent to although they are private, as ``10.0.0.0/8,127.0.0.1/32``."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug, info, warning or error."""
    log_format: Literal["json", "console"] = "json"
    """json, or console for people."""

    def resolved_database_url(self) -> str:
        """Return the SQLAlchemy URL in force; raise SettingsError for a database that is not supported."""
        if self.database_url is None:
            return f"sqlite:///{self.data.absolute() / 'fileferry.db'}"
        if not self.database_url.startswith("sqlite:///"):
            raise SettingsError("FILEFERRY_DATABASE_URL: only sqlite:///PATH is supported by this release.")
        return self.database_url

    def resolved_database_folder(self) -> Path:
        """Return the folder that the database's file is in."""
        return Path(self.resolved_database_url().removeprefix("sqlite:///")).parent

    def resolved_store_folder(self) -> Path | None:
        """Return the folder of the local blob store, None for a bucket; raise SettingsError for a store that is not supported."""
        if self.store is None:
            return self.data.absolute()
        if self.store.startswith("s3://"):
            return None
        if not self.store.startswith("file:///"):
            raise SettingsError("FILEFERRY_STORE: only file:///FOLDER and s3://BUCKET are supported by this release.")
        return Path(self.store.removeprefix("file://"))


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read settings from ``environ``; raise SettingsError naming the first variable that cannot be used."""
    kinds = get_type_hints(Settings)
    values = {}
    for name in Settings.__struct_fields__:
        others = (
            () if _OWN_KEY in environ and name != "s3_region" else _ELSEWHERE.get(name, ())
        )  # no token of another key
        for variable in (PREFIX + name.upper(), *others):
            if variable in environ:
                values[name] = _convert(variable, environ[variable], kinds[name])
                break
    settings = Settings(**values)
    settings.resolved_database_url()
    settings.resolved_store_folder()
    return settings


def _convert(variable: str, value: str, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{variable}: {error}{_hint(kind)}") from error


def _hint(kind: Any) -> str:
    """Return what a setting may be, where it is one of a few words."""
    words = ("true", "false") if kind is bool else get_args(kind) if get_origin(kind) is Literal else ()
    return f": use {' or '.join(words)}" if words else ""


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is Bytes:
        return Bytes(parse_size(value))
    if kind is Duration:
        return _decode_duration(value)
    if kind is Names:
        return Names(name.strip() for name in value.split(",") if name.strip())
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)


def _decode_duration(value: str) -> Duration:
    try:
        return Duration(seconds=parse_duration(value).total_seconds())
    except InvalidExpiry as error:
        raise ValueError(str(error)) from error
