"""The requests about API keys, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import httpx

from fileferry.client.calls.call import (
    Call,
    Lifetime,
    Unchanged,
    expiry,
    given,
    lifetime_text,
    members,
    nothing,
    page_of,
    read_as,
    segment,
    with_query,
)
from fileferry.client.nouns.identities import Identity, identity_from
from fileferry.client.nouns.keys import ApiKey, key_from
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page


def create(
    name: str,
    *,
    scopes: Iterable[str],
    organization: Organization | str | None,
    expires_in: Lifetime | None,
    user_id: str | None,
    user_name: str | None,
    user_email: str | None,
    limits: Mapping[str, object] | None,
    path_prefix: str | None,
    on_behalf_of: Iterable[str] | None,
) -> Call[ApiKey]:
    """Return the making of a key; never repeated after a lost answer, which would leave a key nobody holds."""
    path = with_query("/api/keys", given(organization=organization))
    body: dict[str, object] = {"name": name, "scopes": list(scopes)}
    if user := given(id=user_id, name=user_name, email=user_email):
        body["user"] = user
    named = None if on_behalf_of is None else list(on_behalf_of)
    body |= members(limits=limits, path_prefix=path_prefix, on_behalf_of=named)
    return Call(method="POST", path=path, read=_key, json=body | expiry(expires_in, None), repeatable=False)


def list_all(*, organization: Organization | str | None, cursor: str | None) -> Call[Page[ApiKey]]:
    """Return the question for one page of keys."""
    return Call(
        method="GET",
        path=with_query("/api/keys", given(organization=organization, cursor=cursor)),
        read=page_of("keys", key_from),
    )


def get(key: ApiKey | str, *, organization: Organization | str | None) -> Call[ApiKey]:
    """Return the question what a key is."""
    return Call(method="GET", path=_path(key, "", organization), read=_key)


def whoami(*, organization: Organization | str | None) -> Call[Identity]:
    """Return the question who the key acts for, which needs no scope."""
    path = with_query("/api/whoami", given(organization=organization))
    return Call(method="GET", path=path, read=lambda response: read_as(response, identity_from, "an identity"))


def update(
    key: ApiKey | str,
    *,
    name: str | None,
    scopes: Iterable[str] | None,
    limits: Mapping[str, object] | None,
    path_prefix: str | Unchanged | None,
    on_behalf_of: Iterable[str] | Unchanged | None,
    organization: Organization | str | None,
) -> Call[ApiKey]:
    """Return the change of what a key may do; None lifts what confines it."""
    body = members(name=name, scopes=None if scopes is None else list(scopes), limits=limits)
    if not isinstance(path_prefix, Unchanged):
        body["path_prefix"] = path_prefix
    if not isinstance(on_behalf_of, Unchanged):
        body["on_behalf_of"] = None if on_behalf_of is None else list(on_behalf_of)
    return Call(method="PATCH", path=_path(key, "", organization), read=_key, json=body)


def revoke(key: ApiKey | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the revocation of a key, which counts at once."""
    return Call(method="DELETE", path=_path(key, "", organization), read=nothing)


def rotate(key: ApiKey | str, *, grace: Lifetime | None, organization: Organization | str | None) -> Call[ApiKey]:
    """Return the renewal of a key's secret; the old one stays valid for ``grace``."""
    body = {} if grace is None else {"grace": lifetime_text(grace)}
    return Call(method="POST", path=_path(key, "/rotate", organization), read=_key, json=body, repeatable=False)


def _path(key: ApiKey | str, rest: str, organization: Organization | str | None) -> str:
    return with_query(f"/api/keys/{segment(key)}{rest}", given(organization=organization))


def _key(response: httpx.Response) -> ApiKey:
    return read_as(response, key_from, "an API key")
