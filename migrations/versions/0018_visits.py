"""visits to customers, and who makes them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

WORDS = sa.String(length=16)  # of an enumeration: kept as text
TO_COME = sa.text("status IN ('booked', 'confirmed')")


def upgrade() -> None:
    op.create_table(
        "technician",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("timetable", sa.String(length=64), nullable=False),
        sa.Column("slot_min", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("bookings", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_technician_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_technician")),
    )
    op.create_table(
        "visit",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("ticket_id", sa.String(length=32), nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("technician_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("customer_changes", sa.Integer(), nullable=False),
        sa.Column("booked_by", sa.String(length=120), nullable=False),
        sa.Column("booked_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("erp_reference", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_visit_ticket_id")),
        sa.ForeignKeyConstraint(["technician_id"], ["user.id"], name=op.f("fk_visit_technician_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit")),
    )
    op.create_index(op.f("ix_visit_ticket_id"), "visit", ["ticket_id"])
    op.create_index(op.f("ix_visit_starts_at_id"), "visit", ["starts_at", "id"])
    op.create_index(op.f("ix_visit_technician_id_starts_at"), "visit", ["technician_id", "starts_at"])
    op.create_index(
        "ix_visit_to_come", "visit", ["ticket_id"], unique=True, sqlite_where=TO_COME, postgresql_where=TO_COME
    )


def downgrade() -> None:
    op.drop_table("visit")
    op.drop_table("technician")
