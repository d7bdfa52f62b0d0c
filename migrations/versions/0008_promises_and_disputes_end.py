"""a promise is over with its day, a dispute with its complaint: no states of their own, which nobody ever changed"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.drop_index(op.f("ix_payment_promise_state_on_day"), "payment_promise")
    op.drop_column("payment_promise", "state")
    op.drop_column("dispute", "closed_at")


def downgrade() -> None:
    op.add_column("dispute", sa.Column("closed_at", Moment(), nullable=True))
    op.add_column("payment_promise", sa.Column("state", sa.String(length=16), server_default="open", nullable=False))
    op.create_index(op.f("ix_payment_promise_state_on_day"), "payment_promise", ["state", "on_day"])
