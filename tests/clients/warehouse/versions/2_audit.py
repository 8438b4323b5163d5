# warehouse/versions/2_audit.py
from alembic import op

revision, down_revision = "2", "1"


def upgrade():
    op.execute("SELECT audit.enable_tracking('things', exclude => '{secret}')")
    op.execute("SELECT audit.enable_tracking('places')")


def downgrade():
    op.execute("SELECT audit.disable_tracking('places', 'migrated back')")
    op.execute("SELECT audit.disable_tracking('things', 'migrated back')")
