"""Who acts, in which organization, and what is allowed."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec


class Scope(enum.StrEnum):
    """A right that a key carries."""

    UPLOAD = "upload"
    READ = "read"
    DELETE = "delete"
    ADMIN = "admin"


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What policy allows; None leaves a thing to the others, of which the strictest holds.

    ``max_size`` (bytes) and ``types`` (media types) are those of one file, ``max_retention`` (seconds) its longest life.
    ``max_bytes`` and ``max_files`` are what may be kept together, each version counting as one. ``requests``, ``bytes`` and
    ``tickets`` are rates, such as ``100/minute``. ``refuse_empty`` rejects files without bytes; ``serve_unscanned`` says
    whether files that the scanner could not look into are served.
    """

    max_size: int | None = None
    types: tuple[str, ...] | None = None
    max_retention: int | None = None
    max_bytes: int | None = None
    max_files: int | None = None
    requests: str | None = None
    bytes: str | None = None
    tickets: str | None = None
    refuse_empty: bool | None = None
    serve_unscanned: bool | None = None


NO_LIMITS = Limits()


class Rules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version must be to become ready, as policy said when its bytes came; ``scan`` says that it must be scanned."""

    scan: bool = False
    types: tuple[str, ...] | None = None
    refuse_empty: bool = False
    serve_unscanned: bool = False


class Organization(msgspec.Struct, frozen=True):
    """The tenant; owns everything below it. ``limits`` are those of all it holds, ``end_user_limits`` of each end user.

    ``redirect`` (``auto`` or ``never``) says whether who fetches its files is sent on to the store; None leaves it to the server.
    """

    id: str
    slug: str
    name: str
    is_default: bool
    created_at: datetime
    limits: Limits = NO_LIMITS
    end_user_limits: Limits = NO_LIMITS
    redirect: str | None = None


class Workspace(msgspec.Struct, frozen=True):
    """A tree of paths inside an organization.

    Of each file the newest ``keep_versions`` are kept, and a replaced one for ``keep_versions_for`` seconds; None keeps all.
    """

    id: str
    organization_id: str
    name: str
    is_default: bool
    created_at: datetime
    keep_versions: int | None = None
    keep_versions_for: int | None = None
    limits: Limits = NO_LIMITS


class User(msgspec.Struct, frozen=True):
    """Who stands behind a key, as answers name them: author of what the key uploads, changes and deletes.

    A root key nobody was named for stands for itself, in no organization.
    """

    id: str
    organization_id: str | None
    name: str
    email: str | None = None


class Key(msgspec.Struct, frozen=True):
    """An API credential; the secret itself is never stored. ``organization_id`` is None for a root key.

    ``path_prefix`` is the folder that it is confined to. ``on_behalf_of`` names the end users that it may act for; where it is not
    None the key must name one of them with every request, and ``*`` is any.
    """

    id: str
    organization_id: str | None
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    user_id: str | None = None
    limits: Limits = NO_LIMITS
    path_prefix: str | None = None
    on_behalf_of: tuple[str, ...] | None = None


class Account(msgspec.Struct, frozen=True):
    """A person who signs in. Their rights are those of ``key``, which has no secret that anybody knows.

    ``issuer`` says who vouches for them: nobody else where it is empty, then they have a password; ``proxy``; or an OpenID
    provider by its address. ``subject`` is what it calls them, for a password the name that they sign in with.
    """

    key: Key
    issuer: str
    subject: str
    signed_in_at: datetime | None = None


class Session(msgspec.Struct, frozen=True):
    """Somebody who is signed in to the dashboard by a key; the browser's token is not stored, and ``id`` opens nothing.

    ``secret`` is the digest of the key's secret. ``notice`` is what the next page says of what was just done.
    """

    id: str
    key_id: str
    secret: str
    organization_id: str
    end_user: str | None
    address: str
    user_agent: str
    notice: dict[str, Any] | None
    created_at: datetime
    seen_at: datetime
    ends_at: datetime


class LentKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that somebody has lent to a program by OAuth: what of its scopes, to whom, and until when it lasts.

    ``secret`` is the digest of the key's secret. ``code``, ``access``, ``refresh`` and ``spent``, the refresh token before, are
    digests too.
    """

    id: str
    key_id: str
    secret: str
    organization_id: str
    end_user: str | None
    client_id: str
    client_name: str
    redirect_uri: str
    scopes: str
    code: str
    code_challenge: str
    code_ends_at: datetime
    access: str | None = None
    access_ends_at: datetime | None = None
    refresh: str | None = None
    spent: str | None = None
    created_at: datetime
    used_at: datetime
    ends_at: datetime


class Principal(msgspec.Struct, frozen=True):
    """Who acts: a key, the organization it acts in for this request, and the end user on whose behalf, if any.

    With an end user only that user's files are there. ``judged_at`` is when these rights were looked up; a request that goes on for
    longer is judged once more. ``secret`` is the digest of the secret that it authenticated with; without one it cannot
    be renewed. ``lent`` are the scopes that a program has which the key is lent to, None for the key's holder.
    """

    key: Key
    organization: Organization
    end_user: str | None = None
    judged_at: datetime | None = None
    secret: str | None = None
    lent: tuple[Scope, ...] | None = None

    @property
    def user_id(self) -> str:
        """The user to name as the author: the one behind the key, or the key itself where nobody was named."""
        return self.key.user_id or self.key.id
