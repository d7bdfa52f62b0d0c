"""What the provider's system is asked to change."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.claims import Claimable
from ura.db import Base, Moment
from ura.models.types import Json, Uuid, word


class Operation(StrEnum):
    TRUST_UNLOCK = "trust_unlock"
    PROMISE = "promise"
    OPEN_TICKET = "open_ticket"
    ADD_NOTE = "add_note"
    OPEN_ORDER = "open_order"
    REBOOT_CPE = "reboot_cpe"
    SESSION_RESET = "session_reset"
    SEND_INVOICE = "send_invoice"


class ErpRequestState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ErpRequest(Claimable, Base):
    """One wish, asked for in a call. `result` is what the ERP said, a refusal too; FAILED is: nobody could be asked.
    `maybe_done`: an earlier try may have arrived there."""

    __tablename__ = "erp_request"
    __table_args__ = (Index(None, "state", "next_at"),)

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    operation: Mapped[Operation] = mapped_column(word(Operation))
    args: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)
    state: Mapped[ErpRequestState] = mapped_column(word(ErpRequestState), default=ErpRequestState.QUEUED)
    maybe_done: Mapped[bool] = mapped_column(default=False)
    result: Mapped[dict[str, Json] | None] = mapped_column(JSON)
    protocol: Mapped[str] = mapped_column(String(12), default="")
    call_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    settled_at: Mapped[datetime | None] = mapped_column(Moment)
