"""The requests about users, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import httpx

from fileferry.client.calls.call import Call, Unchanged, given, members, nothing, page_of, read_as, segment, with_query
from fileferry.client.nouns.organizations import Organization
from fileferry.client.nouns.pages import Page
from fileferry.client.nouns.users import User, user_from


def create(
    name: str,
    password: str,
    *,
    scopes: Iterable[str],
    limits: Mapping[str, object] | None,
    path_prefix: str | None,
    organization: Organization | str | None,
) -> Call[User]:
    """Return the making of a user; never repeated after a lost answer, as the name is taken then."""
    body: dict[str, object] = {"name": name, "password": password, "scopes": list(scopes)}
    body |= members(limits=limits, path_prefix=path_prefix)
    path = with_query("/api/users", given(organization=organization))
    return Call(method="POST", path=path, read=_user, json=body, repeatable=False)


def list_all(*, organization: Organization | str | None, cursor: str | None) -> Call[Page[User]]:
    """Return the question for one page of users."""
    path = with_query("/api/users", given(organization=organization, cursor=cursor))
    return Call(method="GET", path=path, read=page_of("users", user_from))


def get(user: User | str, *, organization: Organization | str | None) -> Call[User]:
    """Return the question what a user is."""
    return Call(method="GET", path=_path(user, "", organization), read=_user)


def update(
    user: User | str,
    *,
    scopes: Iterable[str] | None,
    limits: Mapping[str, object] | None,
    path_prefix: str | Unchanged | None,
    organization: Organization | str | None,
) -> Call[User]:
    """Return the change of what a user may do; None lifts the folder."""
    body = members(scopes=None if scopes is None else list(scopes), limits=limits)
    if not isinstance(path_prefix, Unchanged):
        body["path_prefix"] = path_prefix
    return Call(method="PATCH", path=_path(user, "", organization), read=_user, json=body)


def set_password(user: User | str, password: str, *, organization: Organization | str | None) -> Call[None]:
    """Return the change of a user's password."""
    path = _path(user, "/password", organization)
    return Call(method="PUT", path=path, read=nothing, json={"password": password})


def delete(user: User | str, *, organization: Organization | str | None) -> Call[None]:
    """Return the removal of a user."""
    return Call(method="DELETE", path=_path(user, "", organization), read=nothing)


def _path(user: User | str, rest: str, organization: Organization | str | None) -> str:
    return with_query(f"/api/users/{segment(user)}{rest}", given(organization=organization))


def _user(response: httpx.Response) -> User:
    return read_as(response, user_from, "a user")
