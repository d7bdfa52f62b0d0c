"""who comes in and how: priority numbers, blocked callers, calls whose line failed, the emergency that all hear of"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OPEN = sa.text("recovery IS NULL")


def upgrade() -> None:
    op.create_table(
        "priority_number",
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("note", sa.String(length=120), nullable=False),
        sa.Column("added_by", sa.String(length=120), nullable=False),
        sa.Column("added_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("phone", name=op.f("pk_priority_number")),
    )
    op.create_table(
        "dropped_call",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("recovery", sa.String(length=16), nullable=True),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_dropped_call")),
    )
    op.create_index(op.f("ix_dropped_call_phone_settled_at"), "dropped_call", ["phone", "settled_at"])
    op.create_index("ix_dropped_call_open", "dropped_call", ["at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "caller_block",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=True),
        sa.Column("blocked_by", sa.String(length=120), nullable=False),
        sa.Column("blocked_at", Moment(), nullable=False),
        sa.Column("until_at", Moment(), nullable=False),
        sa.Column("lifted_by", sa.String(length=120), nullable=False),
        sa.Column("lifted_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caller_block")),
    )
    op.create_index(op.f("ix_caller_block_phone_until_at"), "caller_block", ["phone", "until_at"])
    op.create_index(op.f("ix_caller_block_until_at"), "caller_block", ["until_at"])
    op.create_table(
        "emergency",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("text", sa.String(length=400), nullable=False),
        sa.Column("prompt_key", sa.String(length=200), nullable=False),
        sa.Column("to_person", sa.Boolean(), nullable=False),
        sa.Column("began_by", sa.String(length=120), nullable=False),
        sa.Column("began_at", Moment(), nullable=False),
        sa.Column("until_at", Moment(), nullable=False),
        sa.Column("ended_by", sa.String(length=120), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency")),
    )
    op.create_index(op.f("ix_emergency_until_at"), "emergency", ["until_at"])
    op.create_table(
        "emergency_pin",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hashed", sa.String(length=200), nullable=False),
        sa.Column("set_by", sa.String(length=120), nullable=False),
        sa.Column("set_at", Moment(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("locked_until", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency_pin")),
    )


def downgrade() -> None:
    for table in ("emergency_pin", "emergency", "caller_block", "dropped_call", "priority_number"):
        op.drop_table(table)
