"""Opens the store that the settings name. The one place that knows which stores there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.blobs.local import LocalStore
from fileferry.blobs.store import BlobStore
from fileferry.settings import Settings, SettingsError

if TYPE_CHECKING:
    from fileferry.blobs.s3 import S3Store


def open_store(settings: Settings) -> BlobStore:
    """Return the store, whose folder is made where it is missing; raises SettingsError for one that cannot be used."""
    folder = settings.resolved_store_folder()
    return _bucket(settings) if folder is None else LocalStore(folder)


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
    return s3.S3Store(s3.Client(location, credentials), location.prefix)
