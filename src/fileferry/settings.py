"""Every setting, its default and its unit, read from ``FILEFERRY_…`` environment variables and a file. Nothing else reads those."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_type_hints
from urllib.parse import urlsplit

import msgspec

from fileferry.sources import CLIENT_NAMES, from_file, refuse_unknown, variable_of
from fileferry.values import (
    PREFIX,
    AtLeastOne,
    Bytes,
    Duration,
    Names,
    Network,
    NoneOrMore,
    SettingsError,
    convert,
    networks,
)

__all__ = [
    "CLIENT_NAMES",
    "PREFIX",
    "Bytes",
    "Duration",
    "Names",
    "Network",
    "Settings",
    "SettingsError",
    "load",
    "networks",
]

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.IGNORECASE)
_SHORTEST_ROOT_KEY = 24
_FEWEST_CHARACTERS = 8
STORES = ("file:///", "s3://", "az://", "gs://")
"""What the address of a store begins with."""
ONLY_THESE = "only file:///FOLDER, s3://BUCKET, az://CONTAINER and gs://BUCKET are supported by this release."
"""What is told of any other one."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Each field is the variable ``FILEFERRY_`` + its name in upper case, and its name in the file."""

    settings: Path | None = None
    """A TOML file of settings: their names in lower case, without the prefix. Variables win over it; see the page on operating."""
    bootstrap: Path | None = None
    """A TOML file of organizations, keys, webhooks and limits that every start makes so; see the page on operating."""
    data: Path = Path("data")
    """Folder of the embedded database and of local blobs."""
    base_url: str | None = None
    """Public address of this service, for the URLs it hands out; without it the request's Host header decides."""
    database_url: str | None = None
    """``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``; default: SQLite in the data folder."""
    database_processes: Literal["auto", "one", "several"] = "auto"
    """How many processes may have the database open. `auto`: `one` on btrfs, where a full disk can end several, unless there are
    more workers; otherwise `several`. With `one`, doctor and backup of the database wait until the server has stopped."""
    database_readers: int = 4
    """How many connections to PostgreSQL each process has for reads that take longer, beside one for look-ups by key, one that
    writes and one that listens. More help only where the database has cores to spare."""
    database_statement_timeout: Duration = Duration(seconds=30)
    """How long one statement may take on PostgreSQL. Longer than the slowest listing takes; shorter than clients wait."""
    database_lock_timeout: Duration = Duration(seconds=10)
    """How long a group of writes waits on PostgreSQL for those of other processes, and may itself be idle before it is undone: so
    long does one that has frozen hold up the others."""
    database_patience: Duration = Duration(seconds=10)
    """How long a request waits for a PostgreSQL that is away, as during a restart or a failover, before it is answered 503."""
    database_pooler: bool = False
    """Whether a pooler such as pgbouncer, in transaction mode, is between this server and PostgreSQL: nothing is prepared then."""
    database_listen_url: str | None = None
    """Where to listen for notices when there is a pooler: the URL of PostgreSQL itself. Without it waiters look every 100 ms."""
    store: str | None = None
    """Where blobs live: ``file:///folder``, ``s3://BUCKET/PREFIX?endpoint=URL&region=NAME``,
    ``az://CONTAINER/PREFIX?account=NAME`` or ``gs://BUCKET/PREFIX``, see the page on stores. Default: the data folder."""
    store_before: str | None = None
    """The store that ``fileferry migrate-store`` moves files from: what is not in ``store`` yet is read from it. Drop it when that
    command says so; see the page on stores."""
    s3_access_key_id: str | None = None
    """The access key of an S3 store; default: ``AWS_ACCESS_KEY_ID``."""
    s3_secret_access_key: str | None = None
    """Its secret; default: ``AWS_SECRET_ACCESS_KEY``."""
    s3_session_token: str | None = None
    """The token of a key that is good for a while only; default: ``AWS_SESSION_TOKEN``, with a key from there."""
    s3_region: str | None = None
    """The region of an S3 store whose URL names none; default: ``AWS_REGION``, ``AWS_DEFAULT_REGION``, else ``us-east-1``."""
    s3_before_access_key_id: str | None = None
    """The access key of an S3 store before; default: that of ``store``."""
    s3_before_secret_access_key: str | None = None
    """Its secret."""
    s3_before_session_token: str | None = None
    """Its token, if it is good for a while only."""
    azure_account: str | None = None
    """The storage account of an Azure store whose URL names none; default: ``AZURE_STORAGE_ACCOUNT``."""
    azure_key: str | None = None
    """The key of that account; default: ``AZURE_STORAGE_KEY``."""
    azure_sas_token: str | None = None
    """A SAS token of the container or the account in place of a key; default: ``AZURE_STORAGE_SAS_TOKEN``."""
    azure_connection_string: str | None = None
    """A connection string, in place of account, key and endpoint; default: ``AZURE_STORAGE_CONNECTION_STRING``."""
    azure_before_key: str | None = None
    """The account key of an Azure store before; default: what opens ``store``."""
    azure_before_sas_token: str | None = None
    """A SAS token of it, in place of a key."""
    gcs_credentials: str | None = None
    """The file of a service account's key for a Google store, or of another identity; default: ``GOOGLE_APPLICATION_CREDENTIALS``,
    else the identity of the machine."""
    gcs_before_credentials: str | None = None
    """The same for a Google store before; default: what opens ``store``."""
    direct: Literal["auto", "never"] = "auto"
    """Whether clients send to a store of objects themselves, by its presigned URLs: where it enforces what they were signed for,
    and its address is known to them (``public=``, or AWS, Azure and Google themselves); see the page on stores."""
    redirect: Literal["auto", "never"] = "never"
    """Whether who fetches a file from such a store is sent there (307). What the file's organization says wins over it, and a
    link's own ``?redirect=1`` or ``0`` over both."""
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
    max_wait: Duration = Duration(seconds=12)
    """How long ``Prefer: wait`` puts an answer off at most: less than any proxy in front waits for one (Envoy: 15 seconds)."""
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
    audit_retention: Duration = Duration(days=90)
    """How long it is kept who did what; never shorter than ``tombstone_retention``, in which events are told."""
    idempotency_retention: Duration = Duration(hours=24)
    """How long an Idempotency-Key is remembered."""

    fetch_events: NoneOrMore = 60
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
    processing_concurrency: AtLeastOne = 4
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
    passphrase_guesses: str = "10 per 10 minutes"  # noqa: S105 - a rate
    """How many wrong passphrases each address may try at one link of a share or a request."""
    link_guesses: str = "100/hour"
    """How many wrong passphrases all addresses together may try at one link."""
    sign_in_attempts: str = "20/minute; 200/hour"
    """How many attempts to sign in to the dashboard each address has. Behind a proxy, name that in ``trusted_proxies``."""
    session_idle_timeout: Duration = Duration(hours=12)
    """How long somebody stays signed in to the dashboard who asks for no page."""
    session_lifetime: Duration = Duration(days=7)
    """How long somebody stays signed in to the dashboard at most."""
    roles: Path | None = None
    """A TOML file of what groups may do whose people a proxy or an OpenID provider vouches for; see the page on the dashboard."""
    proxy_user_header: str | None = None
    """The header by which a proxy of ``trusted_proxies`` says who comes to the dashboard, as ``Remote-User``. Needs ``roles``."""
    proxy_groups_header: str = "Remote-Groups"
    """The header by which it says their groups, with commas between them."""
    oidc_issuer: str | None = None
    """The OpenID provider by which people sign in to the dashboard: the address that its discovery says. Needs ``base_url``,
    ``oidc_client_id`` and ``roles``."""
    oidc_client_id: str | None = None
    """What this server is called there."""
    oidc_client_secret: str | None = None
    """Its secret there; a client without one is public."""
    oidc_scopes: str = "openid profile email"
    """What is asked of the provider, with blanks between; some tell groups only when asked for ``groups``."""
    oidc_groups_claim: str = "groups"
    """The claim of the ID token that has the groups."""
    dashboard: bool = True
    """Whether the dashboard is served, at ``/ui/``."""
    redis_url: str | None = None
    """Where rates are counted for all processes together, ``redis://HOST:PORT/0``; without it in PostgreSQL, and with SQLite each
    process counts its own."""

    webhook_networks: Names = Names()
    """Networks that webhooks may be sent to although they are private, as ``10.0.0.0/8,127.0.0.1/32``."""

    trusted_proxies: Names = Names()
    """Networks of proxies in front, as ``10.0.0.0/8,127.0.0.1/32``: the log's ``client`` is whom they name in X-Forwarded-For."""

    traces: bool = False
    """Send a span of every request by OpenTelemetry, to where OTEL_EXPORTER_OTLP_ENDPOINT says. Needs fileferry[opentelemetry]."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug, info, warning or error."""
    log_format: Literal["json", "console"] = "json"
    """json, or console for people."""

    def resolved_database_url(self) -> str:
        """Return the SQLAlchemy URL in force; raise SettingsError for a database that is not supported."""
        if self.database_url is None:
            return f"sqlite:///{self.data.absolute() / 'fileferry.db'}"
        if not self.database_url.startswith(("sqlite:///", "postgresql://")):
            raise SettingsError("FILEFERRY_DATABASE_URL: use sqlite:///PATH or postgresql://USER@HOST/NAME.")
        return self.database_url

    def resolved_database_file(self) -> Path | None:
        """Return the file of the database; None where it is no file of this machine."""
        url = self.resolved_database_url()
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    def resolved_store_folder(self) -> Path | None:
        """Return the folder of the local blob store, None for any other; raise SettingsError for one that is not supported."""
        if self.store is None:
            return self.data.absolute()
        if not self.store.startswith(STORES):
            raise SettingsError(f"FILEFERRY_STORE: {ONLY_THESE}")
        if not self.store.startswith("file:///"):
            return None
        return Path(self.store.removeprefix("file://"))

    def of_store_before(self) -> Settings | None:
        """Return the settings of a server that has only the store before; None where there is none."""
        if self.store_before is None:
            return None
        alone = msgspec.structs.replace(self, store=self.store_before, store_before=None)
        if self.s3_before_access_key_id is not None:
            alone = msgspec.structs.replace(
                alone,
                s3_access_key_id=self.s3_before_access_key_id,
                s3_secret_access_key=self.s3_before_secret_access_key,
                s3_session_token=self.s3_before_session_token,
            )
        if self.azure_before_key is not None or self.azure_before_sas_token is not None:
            alone = msgspec.structs.replace(
                alone,
                azure_key=self.azure_before_key,
                azure_sas_token=self.azure_before_sas_token,
                azure_connection_string=None,
            )
        if self.gcs_before_credentials is not None:
            alone = msgspec.structs.replace(alone, gcs_credentials=self.gcs_before_credentials)
        return alone


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read settings from ``environ`` and the file that it names; raise SettingsError naming the first that cannot be used."""
    known = frozenset(Settings.__struct_fields__)
    refuse_unknown(environ, known)
    file = from_file(environ.get(PREFIX + "SETTINGS", ""), known - {"settings"})
    kinds = get_type_hints(Settings, include_extras=True)
    values = {}
    for field in msgspec.structs.fields(Settings):
        variable = variable_of(field.name, environ)
        where, value = (variable, environ[variable]) if variable in environ else file.get(field.name, (variable, None))
        if value is None or (value == "" and field.default is None):
            continue  # an empty variable is what a compose file makes of one that is not set
        if value == "" and field.type is Path:
            raise SettingsError(f"{where}: is empty; name a path, or leave it out.")
        values[field.name] = convert(where, value, kinds[field.name])
    settings = Settings(**values)
    _judge(settings)
    return settings


def _judge(settings: Settings) -> None:
    """Raise SettingsError for a value that has the right form and cannot be meant."""
    settings.resolved_database_url()
    settings.resolved_store_folder()
    if settings.store_before and not settings.store_before.startswith(STORES):
        raise SettingsError(f"FILEFERRY_STORE_BEFORE: {ONLY_THESE}")
    networks("webhook_networks", settings.webhook_networks)
    networks("trusted_proxies", settings.trusted_proxies)
    if settings.base_url is not None:
        _judge_base_url(settings.base_url)
    for name in ("allowed_types", "end_user_types"):
        for media_type in getattr(settings, name) or ():
            if not _MEDIA_TYPE.fullmatch(media_type):
                raise SettingsError(
                    f"{PREFIX}{name.upper()}: {media_type!r} is no media type; write for example application/pdf,text/plain."
                )
    root_key = settings.root_key
    if root_key and (len(root_key) < _SHORTEST_ROOT_KEY or len(set(root_key)) < _FEWEST_CHARACTERS):
        raise SettingsError(
            f"{PREFIX}ROOT_KEY can be guessed: use 24 random characters or more, for example what 'openssl rand -hex 32' prints."
        )


def _judge_base_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or url != url.strip() or not url.isascii():
        raise SettingsError(f"{PREFIX}BASE_URL: {url!r} is no address; write for example https://files.example.com.")
    if parts.query or parts.fragment or parts.username is not None or "?" in url or "#" in url:
        raise SettingsError(f"{PREFIX}BASE_URL: {url!r} may have a path, and no user, query or fragment.")
