"""outages that the provider's system told of: where to ask whether they are over"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "noticed_outage",
        sa.Column("outage_id", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("subscriber_ref", sa.String(length=64), nullable=False),
        sa.Column("contract_ref", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("outage_id", name=op.f("pk_noticed_outage")),
    )


def downgrade() -> None:
    op.drop_table("noticed_outage")
