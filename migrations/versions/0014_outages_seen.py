"""when the provider's system last told of an outage of its own: a contract to ask by may leave"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("noticed_outage", sa.Column("seen_at", Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column("noticed_outage", "seen_at")
