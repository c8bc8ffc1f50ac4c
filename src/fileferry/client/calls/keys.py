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
from fileferry.client.nouns.keys import ApiKey, key_from
from fileferry.client.nouns.pages import Page


def create(
    name: str,
    *,
    scopes: Iterable[str],
    organization: str | None,
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


def list_all(*, cursor: str | None) -> Call[Page[ApiKey]]:
    """Return the question for one page of keys."""
    return Call(method="GET", path=with_query("/api/keys", given(cursor=cursor)), read=page_of("keys", key_from))


def get(key_id: str) -> Call[ApiKey]:
    """Return the question what a key is."""
    return Call(method="GET", path=f"/api/keys/{segment(key_id)}", read=_key)


def update(
    key_id: str,
    *,
    name: str | None,
    scopes: Iterable[str] | None,
    limits: Mapping[str, object] | None,
    path_prefix: str | Unchanged | None,
    on_behalf_of: Iterable[str] | Unchanged | None,
) -> Call[ApiKey]:
    """Return the change of what a key may do; None lifts what confines it."""
    body = members(name=name, scopes=None if scopes is None else list(scopes), limits=limits)
    if not isinstance(path_prefix, Unchanged):
        body["path_prefix"] = path_prefix
    if not isinstance(on_behalf_of, Unchanged):
        body["on_behalf_of"] = None if on_behalf_of is None else list(on_behalf_of)
    return Call(method="PATCH", path=f"/api/keys/{segment(key_id)}", read=_key, json=body)


def revoke(key_id: str) -> Call[None]:
    """Return the revocation of a key, which counts at once."""
    return Call(method="DELETE", path=f"/api/keys/{segment(key_id)}", read=nothing)


def rotate(key_id: str, *, grace: Lifetime | None) -> Call[ApiKey]:
    """Return the renewal of a key's secret; the old one stays valid for ``grace``."""
    body = {} if grace is None else {"grace": lifetime_text(grace)}
    return Call(method="POST", path=f"/api/keys/{segment(key_id)}/rotate", read=_key, json=body, repeatable=False)


def _key(response: httpx.Response) -> ApiKey:
    return read_as(response, key_from, "an API key")
