"""what messages said is deleted after its time; opt-outs have an id that tells nobody's address"""

from collections.abc import Sequence
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

from ura.db import Moment

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NOT_FORGOTTEN = sa.text("forgotten_at IS NULL")
OPT_OUT = sa.table("message_opt_out", sa.column("id"), sa.column("channel"), sa.column("target"))


def upgrade() -> None:
    op.add_column("outbox", sa.Column("forgotten_at", Moment(), nullable=True))
    op.create_index(
        "ix_outbox_to_forget", "outbox", ["created_at"], sqlite_where=NOT_FORGOTTEN, postgresql_where=NOT_FORGOTTEN
    )
    op.add_column("message_opt_out", sa.Column("id", sa.String(length=32), nullable=True))
    connection = op.get_bind()
    for channel, target in connection.execute(sa.select(OPT_OUT.c.channel, OPT_OUT.c.target)).all():
        row = (OPT_OUT.c.channel == channel) & (OPT_OUT.c.target == target)
        connection.execute(sa.update(OPT_OUT).where(row).values(id=uuid4().hex))
    with op.batch_alter_table("message_opt_out") as table:
        table.alter_column("id", existing_type=sa.String(length=32), nullable=False)
        table.create_unique_constraint(op.f("uq_message_opt_out_id"), ["id"])


def downgrade() -> None:
    with op.batch_alter_table("message_opt_out") as table:
        table.drop_constraint(op.f("uq_message_opt_out_id"), type_="unique")
        table.drop_column("id")
    op.drop_index("ix_outbox_to_forget", "outbox")
    op.drop_column("outbox", "forgotten_at")
