"""Renames a table, and changes the type of a key."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "4", "3"


def upgrade():
    op.rename_table("things", "goods")
    op.alter_column("goods", "id", type_=sa.BigInteger)
    op.alter_column("places", "thing_id", type_=sa.BigInteger, new_column_name="good_id")
    op.create_index("goods_label", "goods", ["label"])


def downgrade():
    op.drop_index("goods_label", "goods")
    op.alter_column("places", "good_id", type_=sa.Integer, new_column_name="thing_id")
    op.alter_column("goods", "id", type_=sa.Integer)
    op.rename_table("goods", "things")
