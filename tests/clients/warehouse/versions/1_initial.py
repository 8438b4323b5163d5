"""Two tables."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None


def upgrade():
    op.create_table(
        "things",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret", sa.Text),
        sa.Column("size", sa.Integer),
    )
    op.create_table(
        "places",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("thing_id", sa.Integer, sa.ForeignKey("things.id", ondelete="CASCADE"), nullable=False),
    )


def downgrade():
    op.drop_table("places")
    op.drop_table("things")
