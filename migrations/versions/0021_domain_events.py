"""what happened, for other programs"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NEW = sa.text("number IS NULL")


def upgrade() -> None:
    op.create_table(
        "domain_event",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("number", NUMBER, nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domain_event")),
        sa.UniqueConstraint("key", name=op.f("uq_domain_event_key")),
        sa.UniqueConstraint("number", name=op.f("uq_domain_event_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_domain_event_at"), "domain_event", ["at"])
    op.create_index("ix_domain_event_new", "domain_event", ["id"], sqlite_where=NEW, postgresql_where=NEW)


def downgrade() -> None:
    op.drop_table("domain_event")
