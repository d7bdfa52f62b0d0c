"""Messages that must leave the house once each."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ura.claims import Claimable
from ura.db import Base, Moment
from ura.erp import SendChannel
from ura.models.types import Json, Uuid, word


class OutboxState(StrEnum):
    """`SENT`: the gateway has it. `DELIVERED` and `READ`: the gateway's receipts."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class Problem(StrEnum):
    """Why a message failed, for whoever decides what to do now. The other side's own words are in `last_error`."""

    OPTED_OUT = "opted_out"
    UNKNOWN_ADDRESS = "unknown_address"
    REFUSED = "refused"
    UNDELIVERED = "undelivered"  # the gateway took it, and could not deliver
    OUT_OF_DATE = "out_of_date"  # what it would tell is no longer true, or no longer there
    GAVE_UP = "gave_up"


class OutboxMessage(Claimable, Base):
    """Written in the transaction of whatever caused it. What it tells is written when it is sent: `text`."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(None, "state", "next_at"),
        Index(None, "created_at", "id"),
        # The gateway's own id, by which receipts come; most rows have one for a short time only or never.
        Index(
            "ix_outbox_provider_id",
            "provider_id",
            sqlite_where=text("provider_id <> ''"),
            postgresql_where=text("provider_id <> ''"),
        ),
        Index(
            "ix_outbox_to_forget",
            "created_at",
            sqlite_where=text("forgotten_at IS NULL"),
            postgresql_where=text("forgotten_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    channel: Mapped[SendChannel] = mapped_column(word(SendChannel), default=SendChannel.SMS)
    kind: Mapped[str] = mapped_column(String(40))
    # E.164 or an e-mail address; "" as long as only the payload's `contact` says whose it is.
    to: Mapped[str] = mapped_column(String(120))
    payload: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)
    text: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[OutboxState] = mapped_column(word(OutboxState), default=OutboxState.QUEUED)
    problem: Mapped[Problem | None] = mapped_column(word(Problem))
    urgent_until: Mapped[datetime | None] = mapped_column(Moment)  # somebody waits for it: at any hour, before others
    provider: Mapped[str] = mapped_column(String(16), default="")
    provider_id: Mapped[str] = mapped_column(String(200), default="")
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    confirmed_at: Mapped[datetime | None] = mapped_column(Moment)  # the first receipt: it went out, not only accepted
    delivered_at: Mapped[datetime | None] = mapped_column(Moment)
    read_at: Mapped[datetime | None] = mapped_column(Moment)
    call_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    forgotten_at: Mapped[datetime | None] = mapped_column(Moment)  # text and payload were deleted then
