"""Versioned workspaces."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


# Uploads of a further version name the same file, so its id is not unique any more; what was not named cannot be dropped.
_NAMES = {"uq": "uq_%(table_name)s_%(column_0_name)s"}


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_users_organization_id"), ["organization_id"], unique=False)

    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.add_column(sa.Column("restorable_until", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("created_by", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("modified_by", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("deleted_by", sa.String(length=36), nullable=True))
        batch_op.create_index(
            "files_by_change",
            ["workspace_id", "modified_at", "id"],
            unique=False,
            sqlite_where=sa.text("deleted_at IS NULL AND current_version_id IS NOT NULL"),
            postgresql_where=sa.text("deleted_at IS NULL AND current_version_id IS NOT NULL"),
        )
        batch_op.create_index(
            "files_by_creation",
            ["workspace_id", "created_at", "id"],
            unique=False,
            sqlite_where=sa.text("deleted_at IS NULL AND current_version_id IS NOT NULL"),
            postgresql_where=sa.text("deleted_at IS NULL AND current_version_id IS NOT NULL"),
        )
        batch_op.create_index(
            "files_to_come", ["created_at"], unique=False, sqlite_where=sa.text("current_version_id IS NULL")
        )
        batch_op.create_index(
            "files_to_purge", ["restorable_until"], unique=False, sqlite_where=sa.text("restorable_until IS NOT NULL")
        )
        batch_op.create_index(
            "files_to_restore",
            ["workspace_id", "deleted_at", "id"],
            unique=False,
            sqlite_where=sa.text("restorable_until IS NOT NULL"),
            postgresql_where=sa.text("restorable_until IS NOT NULL"),
        )

    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("user_id", sa.String(length=36), nullable=True))

    _change_uploads()
    with op.batch_alter_table("parts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("block_id", sa.String(length=88), nullable=True))
        batch_op.create_index("parts_by_block", ["upload_id", "block_id"], unique=True)

    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("md5", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("sequence", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("created_by", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("expires_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("superseded_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("workspace_id", sa.String(length=36), nullable=True))
        batch_op.drop_index(batch_op.f("ix_versions_file_id"))
        batch_op.create_index(
            "versions_by_age",
            ["workspace_id", "superseded_at"],
            unique=False,
            sqlite_where=sa.text("state = 'ready' AND superseded_at IS NOT NULL"),
            postgresql_where=sa.text("state = 'ready' AND superseded_at IS NOT NULL"),
        )
        batch_op.create_index(
            "versions_by_expiry",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("state = 'ready' AND superseded_at IS NOT NULL AND expires_at IS NOT NULL"),
            postgresql_where=sa.text("state = 'ready' AND superseded_at IS NOT NULL AND expires_at IS NOT NULL"),
        )
        batch_op.create_index("versions_of_file", ["file_id", "sequence"], unique=False)

    with op.batch_alter_table("workspaces", schema=None) as batch_op:
        batch_op.add_column(sa.Column("keep_versions", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("keep_versions_for", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("living_files", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("deleted_files", sa.BigInteger(), server_default="0", nullable=False))
    _fill()


def _change_uploads() -> None:
    connection = op.get_bind()
    # The table is made anew, and parts refer to it: they stand aside meanwhile.
    connection.execute(sa.text("CREATE TEMPORARY TABLE parts_aside AS SELECT * FROM parts"))
    connection.execute(sa.text("DELETE FROM parts"))
    with op.batch_alter_table("uploads", naming_convention=_NAMES) as batch_op:
        batch_op.add_column(sa.Column("user_id", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("number", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("auto_complete", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("block_list", sa.JSON(none_as_null=True), nullable=True))
        batch_op.drop_constraint("uq_uploads_file_id", type_="unique")
        batch_op.create_index("ix_uploads_file_id", ["file_id"], unique=False)
    connection.execute(sa.text("INSERT INTO parts SELECT * FROM parts_aside"))
    connection.execute(sa.text("DROP TABLE parts_aside"))


def _fill() -> None:
    """Give what is there already the new columns' values."""
    connection = op.get_bind()
    run = connection.execute
    run(
        sa.text(
            "UPDATE versions SET sequence = number, "
            "workspace_id = (SELECT workspace_id FROM files WHERE files.id = versions.file_id)"
        )
    )
    run(
        sa.text(
            "UPDATE versions SET expires_at = (SELECT expires_at FROM files WHERE files.id = versions.file_id), "
            "superseded_at = (SELECT modified_at FROM files WHERE files.id = versions.file_id "
            "AND files.current_version_id != versions.id)"
        )
    )
    run(
        sa.text(
            "UPDATE workspaces SET living_files = (SELECT count(*) FROM files WHERE files.workspace_id = workspaces.id "
            "AND files.deleted_at IS NULL AND files.current_version_id IS NOT NULL)"
        )
    )
    _number_uploads(connection)
    _make_folders(connection)


def _number_uploads(connection: sa.Connection) -> None:
    for upload_id, workspace_id in connection.execute(
        sa.text("SELECT id, workspace_id FROM uploads ORDER BY id")
    ).all():
        parameters = {"upload": upload_id, "workspace": workspace_id}
        connection.execute(
            sa.text("UPDATE workspaces SET last_number = last_number + 1 WHERE id = :workspace"), parameters
        )
        connection.execute(
            sa.text(
                "UPDATE uploads SET number = (SELECT last_number FROM workspaces WHERE id = :workspace) WHERE id = :upload"
            ),
            parameters,
        )


def _make_folders(connection: sa.Connection) -> None:
    """Make the folders that files at a path lie in: from now on they are the same as those made by name."""
    nested = sa.text(
        "SELECT id, workspace_id, path, created_at FROM files WHERE owns_path AND deleted_at IS NULL AND path LIKE '%/%'"
    )
    for file_id, workspace_id, path, created_at in connection.execute(nested).all():
        folder_id = None
        segments = path.split("/")[:-1]
        for depth in range(1, len(segments) + 1):
            folder_id = _folder_at(connection, workspace_id, "/".join(segments[:depth]), created_at)
        connection.execute(
            sa.text("UPDATE files SET folder_id = :folder WHERE id = :file"), {"folder": folder_id, "file": file_id}
        )


def _folder_at(connection: sa.Connection, workspace_id: str, path: str, created_at: int) -> str:
    place = {"workspace": workspace_id, "path": path}
    query = sa.text("SELECT id FROM folders WHERE workspace_id = :workspace AND path = :path")
    found = connection.execute(query, place).scalar_one_or_none()
    if found is not None:
        return str(found)
    folder_id = str(uuid.uuid4())
    connection.execute(
        sa.text("INSERT INTO folders (id, workspace_id, path, created_at) VALUES (:id, :workspace, :path, :created)"),
        {**place, "id": folder_id, "created": created_at},
    )
    return folder_id
