"""incidents: what an outage explains, what was said of it, and who says that it still does not work"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0026"
down_revision: str | None = "0025"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "incident_ticket",
        sa.Column("incident_id", sa.String(length=32), nullable=False),
        sa.Column("ticket_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["outage.id"], name=op.f("fk_incident_ticket_incident_id")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_incident_ticket_ticket_id")),
        sa.PrimaryKeyConstraint("incident_id", "ticket_id", name=op.f("pk_incident_ticket")),
    )
    op.create_index(op.f("ix_incident_ticket_ticket_id"), "incident_ticket", ["ticket_id"])
    op.create_index(op.f("ix_incident_ticket_incident_id_state"), "incident_ticket", ["incident_id", "state"])
    op.create_table(
        "incident_update",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("incident_id", sa.String(length=32), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("ends_at", Moment(), nullable=True),
        sa.Column("closes", sa.Boolean(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("batches", sa.Integer(), nullable=False),
        sa.Column("told_ticket", sa.String(length=32), nullable=False),
        sa.Column("told_call", sa.String(length=32), nullable=False),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["outage.id"], name=op.f("fk_incident_update_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_update")),
    )
    op.create_index(op.f("ix_incident_update_incident_id_at_id"), "incident_update", ["incident_id", "at", "id"])
    op.create_index(
        "ix_incident_update_unsettled",
        "incident_update",
        ["at"],
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_table(
        "incident_complaint",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("incident_id", sa.String(length=32), nullable=False),
        sa.Column("ticket_id", sa.String(length=32), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=True),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["outage.id"], name=op.f("fk_incident_complaint_incident_id")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_incident_complaint_ticket_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_complaint")),
    )
    op.create_index(op.f("ix_incident_complaint_incident_id"), "incident_complaint", ["incident_id"])
    op.create_index(op.f("ix_incident_complaint_ticket_id"), "incident_complaint", ["ticket_id"])


def downgrade() -> None:
    op.drop_table("incident_complaint")
    op.drop_table("incident_update")
    op.drop_table("incident_ticket")
