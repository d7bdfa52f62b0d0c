"""who looked at which record of a person"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.String(length=16)  # of an enumeration: kept as text


def upgrade() -> None:
    op.create_table(
        "record_access",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("how", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_access")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_record_access_at"), "record_access", ["at"])
    op.create_index(op.f("ix_record_access_actor_at"), "record_access", ["actor", "at"])
    op.create_index(op.f("ix_record_access_kind_record_id"), "record_access", ["kind", "record_id"])


def downgrade() -> None:
    op.drop_table("record_access")
