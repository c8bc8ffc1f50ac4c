"""Opens the store that the settings name. The one place that knows which stores there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.blobs.local import LocalStore
from fileferry.blobs.store import BlobStore
from fileferry.logs import get_logger
from fileferry.settings import Settings, SettingsError

if TYPE_CHECKING:
    from fileferry.blobs.s3 import S3Store

_log = get_logger(__name__)


def open_store(settings: Settings) -> BlobStore:
    """Return the store, whose folder is made where it is missing; raises SettingsError for one that cannot be used."""
    folder = settings.resolved_store_folder()
    return _bucket(settings) if folder is None else LocalStore(folder)


async def examine(store: BlobStore, settings: Settings) -> None:
    """Find out whether clients may be sent to the store, unless the settings rule it out; log why they are not."""
    if settings.resolved_store_folder() is not None or (settings.direct == "never" and settings.redirect == "never"):
        return
    if not _is_public(settings):
        _log.info("clients_not_sent_to_store", reason="its address is not known to them: say it as public=https://HOST")
        return
    report = await store.probe()
    for reason in report.reasons:
        _log.warning("clients_not_sent_to_store", reason=reason)


def _is_public(settings: Settings) -> bool:
    from fileferry.blobs import s3

    return s3.parse(settings.store or "", settings.s3_region).public is not None


def check(settings: Settings) -> None:
    """Raise SettingsError for a store that cannot be used by its words alone; nothing is made or asked."""
    if settings.resolved_store_folder() is None:
        _bucket(settings)


def _bucket(settings: Settings) -> S3Store:
    from fileferry.blobs import s3  # loaded where it is used only, as it speaks HTTP

    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    try:
        location = s3.parse(settings.store or "", settings.s3_region)
    except ValueError as error:
        raise SettingsError(f"FILEFERRY_STORE: {error}.") from error
    if not key_id or not secret:
        raise SettingsError("FILEFERRY_STORE: a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    credentials = s3.Credentials(key_id, secret, settings.s3_session_token or None)
    return s3.S3Store(s3.Client(location, credentials), location.prefix, budget=s3.Budget(settings.data))
