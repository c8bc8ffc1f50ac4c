"""What a principal may do with which things: one place for every verb of every protocol. How much it may is in ``limits``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from fileferry.db.reach import Reach
from fileferry.errors import Forbidden, InvalidMetadata, NotFound
from fileferry.model import File, FileRequest, Key, Principal, Scope, Share, Upload
from fileferry.settings import Settings

_DEEPEST_METADATA = 32
# A request that takes longer is judged by the rights that its key has by its end.
_LONG = timedelta(seconds=1)


def authorize(principal: Principal, scope: Scope) -> None:
    """Return if the principal may use ``scope`` in its organization; raises Forbidden.

    Who sees a part of the organization only, or acts for an end user, administers nothing, whatever scope the key has.
    """
    held = principal.key.scopes
    if scope not in held and Scope.ADMIN not in held:
        raise Forbidden(f"This API key lacks the scope '{scope}'.")
    if scope is Scope.ADMIN and is_confined(principal):
        raise Forbidden("A key that is confined to a folder or to end users, or that names one, administers nothing.")


def authorize_use(principal: Principal, scope: Scope, thing: File | Upload) -> None:
    """Return if the principal may use ``scope`` on a file or an upload.

    Raises NotFound for what it does not see, so that ids tell nothing, and Forbidden for a missing scope.
    """
    if not sees(principal, thing):
        raise NotFound()
    authorize(principal, scope)


def authorize_path(principal: Principal, path: str | None) -> None:
    """Return if the principal may put something at a path, or hand it off, for which ``path`` is None; raises Forbidden."""
    folder = principal.key.path_prefix
    if folder is None:
        return
    if path is None:
        raise Forbidden(f"This API key is confined to the folder {folder!r}: name a path in it, hand-offs have none.")
    if not reach(principal).has_path(path):
        raise Forbidden(f"This API key is confined to the folder {folder!r}.")


def reach(principal: Principal) -> Reach:
    """Return what of its organization the principal sees."""
    return Reach(
        principal.end_user, principal.key.path_prefix, None if principal.end_user is None else principal.organization.id
    )


def sees(principal: Principal, thing: File | Upload) -> bool:
    """Whether a file or an upload is there for the principal."""
    return thing.organization_id == principal.organization.id and reach(principal).has(thing)


def sees_link(principal: Principal, link: Share | FileRequest) -> bool:
    """Whether a share or a request is there for the principal: its own, and for who administers the organization all of its."""
    if link.organization_id != principal.organization.id:
        return False
    return administers(principal) or (link.key_id, link.end_user) == (principal.key.id, principal.end_user)


def administers(principal: Principal) -> bool:
    """Whether a principal may do everything in its organization."""
    return Scope.ADMIN in principal.key.scopes and not is_confined(principal)


def is_confined(principal: Principal) -> bool:
    """Whether a principal has less than its whole organization before it."""
    key = principal.key
    return key.path_prefix is not None or key.on_behalf_of is not None or principal.end_user is not None


def may(key: Key, scope: Scope, thing: File | Upload) -> bool:
    """Whether a living key may use ``scope`` on a file or an upload; for links, which tell nobody why they are refused."""
    is_in_reach = Reach(folder=key.path_prefix).has(thing)
    return is_in_reach and may_still(key, scope, thing.organization_id, thing.end_user)


def may_still(key: Key, scope: Scope, organization_id: str, end_user: str | None) -> bool:
    """Whether a living key has ``scope`` in an organization, for an end user or for nobody in particular."""
    if key.organization_id not in (None, organization_id):
        return False
    if scope not in key.scopes and Scope.ADMIN not in key.scopes:
        return False
    return may_act_for(key, end_user)


def may_act_for(key: Key, end_user: str | None) -> bool:
    """Whether a key may act for an end user, or for nobody in particular where that is None."""
    allowed = key.on_behalf_of
    return allowed is None or (end_user is not None and ("*" in allowed or end_user in allowed))


def has_lapsed(judged_at: datetime | None, now: datetime) -> bool:
    """Whether rights that were looked up then must be looked up once more before anything is done by them."""
    return judged_at is not None and now - judged_at > _LONG


def authorize_root(principal: Principal) -> None:
    """Return if the principal is a root key, which may act on every organization; raises Forbidden otherwise."""
    if principal.key.organization_id is not None:
        raise Forbidden("Only the root key may do that.")


def check_metadata(settings: Settings, metadata: dict[str, Any]) -> None:
    """Raise InvalidMetadata for an object that is larger, as JSON, than the limit, or nested too deep to be read back safely."""
    if not metadata:
        return
    largest = int(settings.max_metadata)
    try:
        size = len(msgspec.json.encode(metadata))
    except RecursionError as error:
        raise InvalidMetadata(f"metadata may be nested at most {_DEEPEST_METADATA} deep.") from error
    # Before it is looked through: that takes far longer.
    if size > largest:
        raise InvalidMetadata(f"metadata may be at most {largest} bytes of JSON.", limit=largest)
    level: list[Any] = [metadata]
    for _ in range(_DEEPEST_METADATA):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            break
    if level:
        raise InvalidMetadata(f"metadata may be nested at most {_DEEPEST_METADATA} deep.")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def lent_to(key: Key, scopes: tuple[Scope, ...] | None) -> Key:
    """Return a key as a program has it that it is lent to: with those of the scopes that it has, and to administer nothing.

    With None it is the key as its holder has it.
    """
    if scopes is None:
        return key
    held = [scope for scope in scopes if scope in key.scopes or Scope.ADMIN in key.scopes]
    return msgspec.structs.replace(key, scopes=tuple(scope for scope in held if scope is not Scope.ADMIN))
