"""when the gateway told that a message went out, and not only that it had accepted it"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("confirmed_at", Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column("outbox", "confirmed_at")
