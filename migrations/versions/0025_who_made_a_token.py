"""who made a token: only people do, and the list says so"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("api_token", sa.Column("made_by", sa.String(length=120), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("api_token", "made_by")
