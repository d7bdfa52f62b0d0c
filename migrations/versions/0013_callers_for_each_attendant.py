"""callers for each attendant: a queue says how many may wait for one"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("queue", sa.Column("callers_per_attendant", sa.Integer(), server_default="5", nullable=False))


def downgrade() -> None:
    op.drop_column("queue", "callers_per_attendant")
