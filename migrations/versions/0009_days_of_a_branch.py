"""a branch keeps its own days: municipal holidays of one timetable, and a state of a queue"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("queue", sa.Column("state_uf", sa.String(length=2), server_default="", nullable=False))
    days = _days("")
    op.drop_table("holiday")
    table = op.create_table(
        "holiday",
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("timetable", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("on_day", "timetable", name=op.f("pk_holiday")),
    )
    op.bulk_insert(table, [{"on_day": day, "timetable": "", "name": name} for day, name in days])


def downgrade() -> None:
    """A day of one branch only would close all of them: it goes."""
    days = _days(" WHERE timetable = ''")
    op.drop_table("holiday")
    table = op.create_table(
        "holiday",
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("on_day", name=op.f("pk_holiday")),
    )
    op.bulk_insert(table, [{"on_day": day, "name": name, "scope": "municipal"} for day, name in days])
    op.drop_column("queue", "state_uf")


def _days(where: str) -> Sequence[sa.Row[tuple[object, ...]]]:
    """Read before the table goes: its primary key changes, which neither database does in place under one name."""
    wanted = sa.text(f"SELECT on_day, name FROM holiday{where}").columns(on_day=sa.Date())  # noqa: S608 - our words
    return op.get_bind().execute(wanted).all()
