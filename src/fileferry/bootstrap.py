"""What ``FILEFERRY_BOOTSTRAP`` says that there shall be: organizations with their limits, keys and webhooks.

Each start of the server makes it so, and changes nothing where it is so already. What the file does not name is left alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec

from fileferry.api.native.bounds import LimitChanges, changes_of
from fileferry.db.organizations import find_default_organization
from fileferry.engine.access.key_bounds import KeyBounds
from fileferry.engine.engine import Engine
from fileferry.errors import FerryError, NotFound
from fileferry.model import Key, Organization, Principal, Scope, Webhook, utc_now
from fileferry.settings import Settings, SettingsError

_SETTING = "FILEFERRY_BOOTSTRAP"
_PAGE = 1000
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class _WantedKey(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A key, known by its name within its organization. ``secret_file`` names a file with the secret in it."""

    name: _Text
    scopes: list[Scope]
    secret: str | None = None
    secret_file: str | None = None
    path_prefix: _Text | None = None
    on_behalf_of: list[_Text] | None = None
    limits: LimitChanges | None = None


class _WantedWebhook(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A webhook, known by its URL within its organization; without ``types`` it is told of all events."""

    url: _Text
    secret: str | None = None
    secret_file: str | None = None
    types: list[_Text] | None = None


class _WantedOrganization(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An organization, known by its slug."""

    slug: _Text
    name: _Text | None = None
    limits: LimitChanges | None = None
    end_user_limits: LimitChanges | None = None
    keys: list[_WantedKey] = []
    webhooks: list[_WantedWebhook] = []


class Bootstrap(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    organizations: list[_WantedOrganization] = []


def read(settings: Settings) -> Bootstrap | None:
    """Return what the file says, with the secrets that it names, or None where none is set; raises SettingsError."""
    if settings.bootstrap is None:
        return None
    try:
        wanted = msgspec.convert(tomllib.loads(settings.bootstrap.read_text()), Bootstrap)
        for organization in wanted.organizations:
            for key in organization.keys:
                key.secret = _secret_of(key)
            for webhook in organization.webhooks:
                webhook.secret = _secret_of(webhook)
    except OSError as error:
        raise SettingsError(f"{_SETTING}: {error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # of TOML, of its encoding, and of msgspec
        raise SettingsError(f"{_SETTING}: {settings.bootstrap}: {str(error).rstrip('.')}.") from error
    _refuse_doubled([organization.slug for organization in wanted.organizations])
    for organization in wanted.organizations:
        _refuse_doubled([f"{organization.slug}: {key.name}" for key in organization.keys])
        _refuse_doubled([f"{organization.slug}: {webhook.url}" for webhook in organization.webhooks])
    return wanted


def _secret_of(wanted: _WantedKey | _WantedWebhook) -> str:
    named = wanted.name if isinstance(wanted, _WantedKey) else wanted.url
    if (wanted.secret is None) == (wanted.secret_file is None):
        raise ValueError(f"{named}: give either secret or secret_file")
    return wanted.secret or Path(wanted.secret_file or "").read_text().strip()


def _refuse_doubled(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{_SETTING}: {name!r} is there twice.")


async def apply(engine: Engine, wanted: Bootstrap) -> None:
    """Make what is wanted, one after the other; raises SettingsError for the first thing that cannot be.

    What was made before that stays: the next start goes on from there.
    """
    default = await engine.database.read(find_default_organization)
    assert default is not None, "every prepared database has one"
    root = Principal(Key("", None, "bootstrap", "", (Scope.ADMIN,), utc_now()), default)
    for organization in wanted.organizations:
        with _named(organization.slug):
            made = await _organization(engine, root, organization)
        principal = msgspec.structs.replace(root, organization=made)
        for key in organization.keys:
            with _named(f"{organization.slug}, key {key.name}"):
                await _key(engine, principal, key)
        for webhook in organization.webhooks:
            with _named(f"{organization.slug}, webhook {webhook.url}"):
                await _webhook(engine, principal, webhook)


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except FerryError as error:
        raise SettingsError(f"{_SETTING}: {what}: {error.detail}") from error


async def _organization(engine: Engine, root: Principal, wanted: _WantedOrganization) -> Organization:
    own, of_each = changes_of(wanted.limits), changes_of(wanted.end_user_limits)
    try:
        before = await engine.organizations.get(root, wanted.slug)
    except NotFound:
        return await engine.organizations.create(
            root, wanted.slug, wanted.name, None, changes=own, end_user_changes=of_each
        )
    if _has(before.limits, own) and _has(before.end_user_limits, of_each):
        return before
    return await engine.organizations.change(root, wanted.slug, changes=own, end_user_changes=of_each)


async def _key(engine: Engine, principal: Principal, wanted: _WantedKey) -> None:
    scopes = tuple(sorted(set(wanted.scopes)))
    assert wanted.secret is not None, "it was read"
    bounds = KeyBounds(
        limits=changes_of(wanted.limits),
        path_prefix=wanted.path_prefix,
        on_behalf_of=None if wanted.on_behalf_of is None else tuple(wanted.on_behalf_of),
    )
    present = [key async for key in _keys(engine, principal) if key.name == wanted.name and key.revoked_at is None]
    if len(present) > 1:
        raise SettingsError(f"{_SETTING}: {principal.organization.slug} has several keys called {wanted.name!r}.")
    if not present:
        present = [(await engine.keys.create(principal, wanted.name, scopes, None, bounds=bounds))[0]]
    (key,) = present
    if key.scopes != scopes or any(getattr(key, name) != value for name, value in bounds.values(key.limits).items()):
        await engine.keys.change(principal, key.id, bounds, scopes=scopes)
    await engine.keys.put_secret(principal, key.id, wanted.secret)


async def _keys(engine: Engine, principal: Principal) -> AsyncIterator[Key]:
    after: str | None = ""
    while after is not None:
        page = await engine.keys.list(principal, after, _PAGE)
        for key in page.items:
            yield key
        after = page.next_cursor


async def _webhook(engine: Engine, principal: Principal, wanted: _WantedWebhook) -> None:
    present: list[Webhook] = (await engine.webhooks.list(principal, "", _PAGE)).items
    found = next((webhook for webhook in present if webhook.url == wanted.url), None)
    if found is None:
        found = await engine.webhooks.create(principal, wanted.url, wanted.types)
    elif found.types != (None if wanted.types is None else sorted(set(wanted.types))):
        found = await engine.webhooks.change(principal, found.id, types=wanted.types)
    assert wanted.secret is not None, "it was read"
    if found.secret != wanted.secret:
        await engine.webhooks.put_secret(principal, found.id, wanted.secret)


def _has(limits: Any, changes: dict[str, Any]) -> bool:
    """Whether limits are already what these changes would make of them."""
    return all(_plain(getattr(limits, name)) == _plain(value) for name, value in changes.items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
