"""What happened, for other programs: in words that stay, without anybody's data."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.types import Json, RowId, Uuid


class EventKind(StrEnum):
    """Noun and past tense. Programs out there compare these words: none is changed, new ones may be added."""

    CALL_OPENED = "call.opened"
    CALL_QUEUED = "call.queued"
    CALL_ANSWERED = "call.answered"
    CALL_ENDED = "call.ended"
    LEAD_SAVED = "lead.saved"  # by a call
    LEAD_CHANGED = "lead.changed"  # by a person
    TICKET_OPENED = "ticket.opened"
    TICKET_COMMENTED = "ticket.commented"
    TICKET_MOVED = "ticket.moved"
    TICKET_TRIED = "ticket.tried"
    TICKET_ASSIGNED = "ticket.assigned"
    TICKET_CONTACTED = "ticket.contacted"
    TICKET_VISIT_BOOKED = "ticket.visit_booked"
    TICKET_VISIT_CHANGED = "ticket.visit_changed"
    TICKET_VISIT_ENDED = "ticket.visit_ended"
    TICKET_WAITING = "ticket.waiting"
    TICKET_RESUMED = "ticket.resumed"
    TICKET_WARNED = "ticket.warned"
    TICKET_BREACHED = "ticket.breached"
    TICKET_INCIDENT = "ticket.incident"
    TICKET_REPORTED = "ticket.reported"
    TICKET_CLOSED = "ticket.closed"
    TICKET_REOPENED = "ticket.reopened"
    CALLBACK_REQUESTED = "callback.requested"
    CALLBACK_SETTLED = "callback.settled"
    OUTAGE_OPENED = "outage.opened"
    OUTAGE_CHANGED = "outage.changed"
    OUTAGE_CLOSED = "outage.closed"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_UPDATED = "incident.updated"
    INCIDENT_CLOSED = "incident.closed"
    MESSAGE_FAILED = "message.failed"


class DomainEvent(Base):
    """Rows are added in the transaction of what happened, and deleted when they are old; never changed, but for their
    `number`: the worker gives it, in the order in which events came to be seen. (`id` cannot tell that: of two
    transactions the one that took its id first may end last, and who had read on would never see it.)"""

    __tablename__ = "domain_event"
    __table_args__ = (
        Index(
            "ix_domain_event_new",
            "id",
            sqlite_where=text("number IS NULL"),
            postgresql_where=text("number IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    key: Mapped[str] = mapped_column(Uuid, unique=True)  # told twice, it is one event; also the webhook-id
    number: Mapped[int | None] = mapped_column(RowId, unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(64))  # id of the call, ticket, …
    data: Mapped[dict[str, Json]] = mapped_column(JSON, default=dict)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
