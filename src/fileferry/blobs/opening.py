"""Opens the stores that the settings name. The one place that knows which stores there are."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileferry.blobs.local import LocalStore
from fileferry.blobs.moving import MovingStore
from fileferry.blobs.store import BlobStore
from fileferry.logs import get_logger
from fileferry.settings import ONLY_THESE, STORES, Settings, SettingsError

if TYPE_CHECKING:
    from fileferry.blobs import azure, google, s3
    from fileferry.blobs.direct import Report

_log = get_logger(__name__)


def open_store(settings: Settings) -> BlobStore:
    """Return the store, whose folder is made where it is missing; raises SettingsError for one that cannot be used.

    Where there is a store before, it is one made of both.
    """
    before = settings.of_store_before()
    store = _open(settings)
    return store if before is None else MovingStore(store, _open(before))


async def examine(store: BlobStore, settings: Settings) -> Report | None:
    """Find out whether clients may be sent to the store, and log why they are not; None where the settings rule it out."""
    before = settings.of_store_before()
    if isinstance(store, MovingStore) and before is not None:
        await examine(store.before, before)
        store = store.staying
    if settings.resolved_store_folder() is not None or (settings.direct == "never" and settings.redirect == "never"):
        return None
    if _reach(settings)[1] is None:
        _log.info("clients_not_sent_to_store", reason="its address is not known to them: say it as public=https://HOST")
        return None
    report = await store.probe()
    for reason in report.reasons:
        _log.warning("clients_not_sent_to_store", reason=reason)
    return report


def check(settings: Settings) -> None:
    """Raise SettingsError for stores that cannot be used by their words alone; nothing is made or asked."""
    before = settings.of_store_before()
    for name, one in (("FILEFERRY_STORE", settings), ("FILEFERRY_STORE_BEFORE", before)):
        if one is not None and one.resolved_store_folder() is None:
            _remote(one, name)
    if before is not None and _place(before) == _place(settings):
        raise SettingsError("FILEFERRY_STORE and FILEFERRY_STORE_BEFORE are the same store.")


def sides(settings: Settings, to: str) -> tuple[Settings, Settings]:
    """Return the settings of the store to copy from, and of the one to copy ``to``, each alone.

    It is copied from the other one of the two that the settings name, or from their only one. Raises SettingsError.
    """
    if not to.startswith(STORES):
        raise SettingsError(f"TO: {ONLY_THESE}")
    staying, before = replace(settings, store_before=None), settings.of_store_before()
    named = [staying] if before is None else [staying, before]
    target = next((one for one in named if _place(one) == _place(replace(one, store=to))), None)
    others = [one for one in named if one is not target]
    if not others:
        raise SettingsError("TO is FILEFERRY_STORE itself: name the store before it in FILEFERRY_STORE_BEFORE.")
    if target is None and before is not None:
        raise SettingsError("TO: name FILEFERRY_STORE or FILEFERRY_STORE_BEFORE, or drop the second.")
    return others[0], target or replace(staying, store=to)


def address(settings: Settings) -> str:
    """Return what FILEFERRY_STORE says, or would say of a folder that is the default."""
    folder = settings.resolved_store_folder()
    return f"file://{folder}" if folder is not None else settings.store or ""


def _open(settings: Settings) -> BlobStore:
    folder = settings.resolved_store_folder()
    return _remote(settings) if folder is None else LocalStore(folder)


def _place(settings: Settings) -> tuple[str, ...]:
    """Return what two addresses of one store have in common."""
    folder = settings.resolved_store_folder()
    return _reach(settings)[0] if folder is None else (os.path.realpath(folder),)


def _reach(settings: Settings) -> tuple[tuple[str, ...], str | None]:
    """Return where a store that is no folder is, and by which address clients reach it."""
    if _scheme(settings) == "az":
        container, _credentials = _container(settings)
        return (container.origin, container.root, container.prefix), container.public
    if _scheme(settings) == "gs":
        of_google = _google_bucket(settings)
        return (of_google.origin, of_google.bucket, of_google.prefix), of_google.public
    bucket = _bucket(settings)
    return (bucket.origin, bucket.bucket, bucket.prefix), bucket.public


def _remote(settings: Settings, name: str = "FILEFERRY_STORE") -> BlobStore:
    openers = {"az": _open_container, "gs": _open_google, "s3": _open_bucket}
    return openers[_scheme(settings)](settings, name)


def _scheme(settings: Settings) -> str:
    return (settings.store or "").partition(":")[0]


def _bucket(settings: Settings, name: str = "FILEFERRY_STORE") -> s3.Location:
    from fileferry.blobs import s3  # loaded where it is used only, as it speaks HTTP

    try:
        return s3.parse(settings.store or "", settings.s3_region)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}.") from error


def _open_bucket(settings: Settings, name: str) -> BlobStore:
    from fileferry.blobs import s3
    from fileferry.blobs.objects.budget import Budget

    location = _bucket(settings, name)
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if not key_id or not secret:
        raise SettingsError(f"{name}: a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    credentials = s3.Credentials(key_id, secret, settings.s3_session_token or None)
    return s3.S3Store(s3.Client(location, credentials), location.prefix, budget=Budget(settings.data))


def _container(settings: Settings, name: str = "FILEFERRY_STORE") -> tuple[azure.Location, azure.Credentials]:
    from fileferry.blobs import azure

    try:
        return azure.resolve(
            settings.store or "",
            account=settings.azure_account,
            key=settings.azure_key,
            sas=settings.azure_sas_token,
            connection=settings.azure_connection_string,
        )
    except ValueError as error:
        raise SettingsError(f"{name}: {error}.") from error


def _open_container(settings: Settings, name: str) -> BlobStore:
    from fileferry.blobs import azure
    from fileferry.blobs.objects.budget import Budget

    location, credentials = _container(settings, name)
    return azure.AzureStore(azure.Client(location, credentials), location.prefix, budget=Budget(settings.data))


def _google_bucket(settings: Settings, name: str = "FILEFERRY_STORE") -> google.Location:
    from fileferry.blobs import google

    try:
        return google.parse(settings.store or "")
    except ValueError as error:
        raise SettingsError(f"{name}: {error}.") from error


def _open_google(settings: Settings, name: str) -> BlobStore:
    from fileferry.blobs import google
    from fileferry.blobs.objects.budget import Budget

    location = _google_bucket(settings, name)
    try:
        credentials = google.resolve(location, settings.gcs_credentials)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}.") from error
    return google.GoogleStore(google.Client(location, credentials), location.prefix, budget=Budget(settings.data))
