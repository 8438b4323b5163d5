"""Renames a hidden column and another, adds one with a value for rows that are there, drops one."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "3", "2"


def upgrade():
    op.alter_column("things", "secret", new_column_name="api_key")
    op.alter_column("things", "name", new_column_name="label")
    op.add_column("things", sa.Column("kind", sa.Text, nullable=False, server_default="plain"))
    op.drop_column("things", "size")
    op.execute("UPDATE things SET label = upper(label)")
    op.alter_column("things", "kind", server_default=None)


def downgrade():
    op.add_column("things", sa.Column("size", sa.Integer))
    op.drop_column("things", "kind")
    op.alter_column("things", "label", new_column_name="name")
    op.alter_column("things", "api_key", new_column_name="secret")
