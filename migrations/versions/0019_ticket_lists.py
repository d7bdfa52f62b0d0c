"""pages of tickets, however they are filtered, off the end of an index"""

from collections.abc import Sequence

from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

FILTERS = (("status",), ("tier", "status"), ("category",), ("queue",), ("assignee_id",))


def upgrade() -> None:
    for columns in FILTERS:
        name = f"ix_ticket_{'_'.join(columns)}_opened_at_id"
        op.create_index(op.f(name), "ticket", [*columns, "opened_at", "id"])
    op.drop_index(op.f("ix_ticket_assignee_id"), "ticket")


def downgrade() -> None:
    op.create_index(op.f("ix_ticket_assignee_id"), "ticket", ["assignee_id"])
    for columns in FILTERS:
        op.drop_index(op.f(f"ix_ticket_{'_'.join(columns)}_opened_at_id"), "ticket")
