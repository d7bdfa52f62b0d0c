"""no priority of a queue: the flow's node says who comes first"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.drop_column("queue", "priority")


def downgrade() -> None:
    op.add_column("queue", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
