"""subscribers, their contracts and invoices; who tried to be recognised"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from ura.crypto import SealedText
from ura.db import Moment

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "subscriber",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("document", SealedText(), nullable=False),
        sa.Column("document_hash", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("birth_year", sa.Integer(), nullable=True),
        sa.Column("emails", sa.JSON(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber")),
        sa.UniqueConstraint("document_hash", name=op.f("uq_subscriber_document_hash")),
    )
    op.create_table(
        "subscriber_phone",
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("subscriber_id", ROW_ID, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_subscriber_phone_subscriber_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("phone", "subscriber_id", name=op.f("pk_subscriber_phone")),
    )
    op.create_index(op.f("ix_subscriber_phone_subscriber_id"), "subscriber_phone", ["subscriber_id"])
    op.create_table(
        "contract",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("subscriber_id", ROW_ID, nullable=False),
        sa.Column("number", sa.String(length=30), nullable=False),
        sa.Column("keys", sa.String(length=30), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("street", sa.String(length=80), nullable=False),
        sa.Column("house", sa.String(length=40), nullable=False),
        sa.Column("neighbourhood", sa.String(length=80), nullable=False),
        sa.Column("city", sa.String(length=80), nullable=False),
        sa.Column("plan", sa.String(length=80), nullable=False),
        sa.Column("segment", sa.String(length=16), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscriber.id"], name=op.f("fk_contract_subscriber_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract")),
        sa.UniqueConstraint("number", name=op.f("uq_contract_number")),
    )
    op.create_index(op.f("ix_contract_city_neighbourhood"), "contract", ["city", "neighbourhood"])
    op.create_index(op.f("ix_contract_keys"), "contract", ["keys"])
    op.create_index(op.f("ix_contract_subscriber_id"), "contract", ["subscriber_id"])
    op.create_table(
        "access",
        sa.Column("contract_id", ROW_ID, nullable=False),
        sa.Column("login", sa.String(length=80), nullable=False),
        sa.Column("onu", sa.String(length=40), nullable=False),
        sa.Column("olt", sa.String(length=40), nullable=False),
        sa.Column("pon", sa.String(length=40), nullable=False),
        sa.Column("cto", sa.String(length=40), nullable=False),
        sa.Column("session_state", sa.String(length=16), nullable=True),
        sa.Column("session_since", Moment(), nullable=True),
        sa.Column("rx_dbm", sa.Double(), nullable=True),
        sa.Column("los", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contract.id"], name=op.f("fk_access_contract_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("contract_id", name=op.f("pk_access")),
    )
    op.create_index(op.f("ix_access_cto"), "access", ["cto"])
    op.create_index(op.f("ix_access_login"), "access", ["login"])
    op.create_index(op.f("ix_access_olt_pon"), "access", ["olt", "pon"])
    op.create_table(
        "invoice",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("contract_id", ROW_ID, nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=10, scale=2), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("line", sa.String(length=48), nullable=False),
        sa.Column("pix", sa.Text(), nullable=False),
        sa.Column("link", sa.String(length=500), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_invoice_contract_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_number")),
    )
    op.create_index(op.f("ix_invoice_contract_id_status_due_on"), "invoice", ["contract_id", "status", "due_on"])
    op.create_table(
        "trust_unlock",
        sa.Column("wish", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("contract_ref", sa.String(length=64), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("granted_at", Moment(), nullable=False),
        sa.Column("until", Moment(), nullable=False),
        sa.Column("protocol", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("wish", name=op.f("pk_trust_unlock")),
        sa.UniqueConstraint(
            "source", "contract_ref", "period", name=op.f("uq_trust_unlock_source_contract_ref_period")
        ),
    )
    op.create_table(
        "payment_promise",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("contract_ref", sa.String(length=64), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("reference", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_promise")),
    )
    op.create_index(op.f("ix_payment_promise_source_contract_ref"), "payment_promise", ["source", "contract_ref"])
    op.create_index(op.f("ix_payment_promise_state_on_day"), "payment_promise", ["state", "on_day"])
    op.create_table(
        "dispute",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("contract_ref", sa.String(length=64), nullable=False),
        sa.Column("invoice_ref", sa.String(length=64), nullable=False),
        sa.Column("ticket_id", sa.String(length=32), nullable=True),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
    )
    op.create_index(op.f("ix_dispute_source_contract_ref"), "dispute", ["source", "contract_ref"])
    op.create_index(op.f("ix_dispute_source_invoice_ref"), "dispute", ["source", "invoice_ref"])
    op.create_index(op.f("ix_dispute_ticket_id"), "dispute", ["ticket_id"])
    op.create_table(
        "identification_attempt",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("caller", sa.String(length=20), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("hit", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identification_attempt")),
    )
    op.create_index(op.f("ix_identification_attempt_at"), "identification_attempt", ["at"])
    op.create_index(op.f("ix_identification_attempt_caller_at"), "identification_attempt", ["caller", "at"])
    op.create_index(op.f("ix_identification_attempt_subject_at"), "identification_attempt", ["subject", "at"])
    op.add_column("ticket", sa.Column("contract_ref", sa.String(length=64), server_default="", nullable=False))
    op.create_index(op.f("ix_ticket_contract_ref"), "ticket", ["contract_ref"])
    op.create_index(op.f("ix_ticket_phone"), "ticket", ["phone"])


def downgrade() -> None:
    op.drop_index(op.f("ix_ticket_phone"), "ticket")
    op.drop_index(op.f("ix_ticket_contract_ref"), "ticket")
    op.drop_column("ticket", "contract_ref")
    for table in (
        "identification_attempt",
        "dispute",
        "payment_promise",
        "trust_unlock",
        "invoice",
        "access",
        "contract",
        "subscriber_phone",
        "subscriber",
    ):
        op.drop_table(table)
