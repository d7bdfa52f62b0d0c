"""what became of a promise of payment: reminded of the day before, kept or broken"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("payment_promise", sa.Column("outcome", sa.String(length=16), nullable=True))
    op.add_column("payment_promise", sa.Column("reminded_at", Moment(), nullable=True))
    op.add_column("payment_promise", sa.Column("settled_at", Moment(), nullable=True))
    op.create_index(op.f("ix_payment_promise_outcome_on_day"), "payment_promise", ["outcome", "on_day"])


def downgrade() -> None:
    op.drop_index(op.f("ix_payment_promise_outcome_on_day"), "payment_promise")
    op.drop_column("payment_promise", "settled_at")
    op.drop_column("payment_promise", "reminded_at")
    op.drop_column("payment_promise", "outcome")
