"""Which files, uploads and folders of an organization someone sees, as a value and as conditions of a query."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import and_, func, or_, select

from fileferry.db.schema import files, folders, uploads
from fileferry.model import File, Upload


class Reach(msgspec.Struct, frozen=True):
    """What someone sees: only what is of ``end_user``, and only what lies in the tree below ``folder``, a path. None is any.

    ``organization_id`` says for queries whose end user is meant, and so which index helps them.
    """

    end_user: str | None = None
    folder: str | None = None
    organization_id: str | None = None

    def has(self, thing: File | Upload) -> bool:
        """Whether a file or an upload is among what is seen."""
        if self.end_user is not None and thing.end_user != self.end_user:
            return False
        return self.folder is None or (is_in_tree(thing) and self.has_path(thing.path))

    def has_path(self, path: str) -> bool:
        """Whether a path lies below the folder, by whole segments."""
        return self.folder is None or path.startswith(self.folder + "/")

    def has_folder(self, path: str) -> bool:
        """Whether a folder is the one that is seen, or lies below it."""
        return path == self.folder or self.has_path(path)


EVERYTHING = Reach()


def is_in_tree(thing: File | Upload) -> bool:
    """Whether something has a place in the tree of paths; hand-offs outside of folders have none, whatever their name.

    A partial upload is where the whole will be.
    """
    if isinstance(thing, File):
        return thing.owns_path or thing.folder_id is not None
    return thing.at_path or thing.folder_id is not None or thing.parent_id is not None


def of_files(reach: Reach) -> list[Any]:
    """Return the conditions of a query of files."""
    conditions: list[Any] = []
    if reach.end_user is not None:
        of_user = and_(files.c.organization_id == reach.organization_id, files.c.end_user == reach.end_user)
        conditions += [of_user, files.c.deleted_by_end_user.is_(False)]
    if reach.folder is not None:
        conditions += [_below(files.c.path, reach.folder), or_(files.c.owns_path, files.c.folder_id.is_not(None))]
    return conditions


def in_workspace(workspace_id: str, reach: Reach, *, are_few: bool = False) -> Any:
    """Return the condition of a query of a workspace's files; ``are_few`` says that others leave few of them."""
    if reach.end_user is None and not are_few:
        return files.c.workspace_id == workspace_id
    # Of a user there are few too. As a bare column it would have all of the workspace walked through for them, in their order.
    return func.coalesce(files.c.workspace_id, "") == workspace_id


def of_uploads(reach: Reach) -> list[Any]:
    """Return the conditions of a query of uploads."""
    conditions: list[Any] = [] if reach.end_user is None else [uploads.c.end_user == reach.end_user]
    if reach.folder is not None:
        conditions += [
            _below(uploads.c.path, reach.folder),
            or_(uploads.c.at_path, uploads.c.folder_id.is_not(None), uploads.c.parent_id.is_not(None)),
        ]
    return conditions


def of_folders(reach: Reach) -> list[Any]:
    """Return the conditions of a query of folders; of an end user those that hold a living file of the user's."""
    conditions: list[Any] = []
    if reach.end_user is not None:
        inside = and_(files.c.path > folders.c.path + "/", files.c.path < folders.c.path + "0")
        own = and_(files.c.workspace_id == folders.c.workspace_id, inside, files.c.deleted_at.is_(None))
        in_tree = or_(files.c.owns_path, files.c.folder_id.is_not(None))
        shown = and_(own, in_tree, files.c.current_version_id.is_not(None))
        conditions.append(
            select(files.c.id).where(shown, *of_files(Reach(reach.end_user, None, reach.organization_id))).exists()
        )
    if reach.folder is not None:
        conditions.append(or_(folders.c.path == reach.folder, _below(folders.c.path, reach.folder)))
    return conditions


def _below(column: Any, folder: str) -> Any:
    # "0" is the character after "/".
    return and_(column > folder + "/", column < folder + "0")
