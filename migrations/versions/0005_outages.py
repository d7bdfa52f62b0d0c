"""outages, and who rang because of them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

WAITING = sa.text("wants_news IS TRUE AND told_at IS NULL")
WAITING_SQLITE = sa.text("wants_news IS 1 AND told_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "outage",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("opened_by", sa.String(length=120), nullable=False),
        sa.Column("closed_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage")),
    )
    op.create_index(
        "ix_outage_open",
        "outage",
        ["started_at"],
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "outage_scope",
        sa.Column("outage_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outage.id"], name=op.f("fk_outage_scope_outage_id")),
        sa.PrimaryKeyConstraint("outage_id", "key", name=op.f("pk_outage_scope")),
    )
    op.create_index(op.f("ix_outage_scope_key"), "outage_scope", ["key"])
    op.create_table(
        "outage_call",
        sa.Column("outage_id", sa.String(length=32), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("contract_id", sa.String(length=64), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("wants_news", sa.Boolean(), nullable=False),
        sa.Column("told_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("outage_id", "call_id", name=op.f("pk_outage_call")),
    )
    op.create_index(
        "ix_outage_call_waiting",
        "outage_call",
        ["outage_id"],
        sqlite_where=WAITING_SQLITE,
        postgresql_where=WAITING,
    )


def downgrade() -> None:
    for table in ("outage_call", "outage_scope", "outage"):
        op.drop_table(table)
