"""Somebody who asked for a plan: what the phone wrote, then what people make of it. No foreign keys, since the records
of a call may arrive in any order."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.plan import Audience
from ura.models.types import Phone, Uuid, word


class LeadStatus(StrEnum):
    """How far the sale came. The first two are of a call in progress: no lead stays there when its call is over. What
    people say of a sale, and in which order, is in ura.funnel."""

    NEW = "new"  # home or business
    INTERESTED = "interested"  # the neighbourhood is covered
    INFORMED = "informed"  # heard the plans, and said that this was all
    PROPOSAL = "proposal"  # wanted plans by message, or was sent an offer
    FORWARDED = "forwarded"  # handed to a person: queue, callback, message or ticket
    WAITING = "waiting"  # on the waiting list
    NOT_COVERED = "not_covered"  # we do not reach them, and they do not wait for us
    ABANDONED = "abandoned"  # hung up, or left the sale for something else, before any of these
    VISIT = "visit"  # somebody looks at the place, or installs
    CONTRACT = "contract"  # sold
    LOST = "lost"  # will not buy, for a reason


class LeadSource(StrEnum):
    """Where it came from; `source_ref` says which number or who."""

    PHONE = "phone"  # the number dialled
    PARTNER = "partner"
    OTHER = "other"


class LostReason(StrEnum):
    PRICE = "price"
    COMPETITOR = "competitor"
    NOT_COVERED = "not_covered"
    CREDIT = "credit"
    UNREACHABLE = "unreachable"
    GAVE_UP = "gave_up"
    OTHER = "other"


class Lead(Base):
    __tablename__ = "lead"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "status", "next_action_at"),
        Index(None, "phone", "created_at"),
    )

    id: Mapped[str] = mapped_column(Uuid, primary_key=True)
    call_id: Mapped[str | None] = mapped_column(Uuid, index=True)
    phone: Mapped[str] = mapped_column(Phone, default="")
    audience: Mapped[Audience | None] = mapped_column(word(Audience))
    city_id: Mapped[int | None]
    neighbourhood_id: Mapped[int | None]
    plan_id: Mapped[int | None]
    status: Mapped[LeadStatus] = mapped_column(word(LeadStatus))
    wants_message: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    owner: Mapped[str] = mapped_column(String(120), default="")  # a user's e-mail; "": nobody's yet
    source: Mapped[LeadSource] = mapped_column(word(LeadSource), default=LeadSource.PHONE)
    source_ref: Mapped[str] = mapped_column(String(80), default="")
    next_action_at: Mapped[datetime | None] = mapped_column(Moment)  # None: the call goes on, or the sale is over
    lost_reason: Mapped[LostReason | None] = mapped_column(word(LostReason))
    merged_into_id: Mapped[str | None] = mapped_column(Uuid, index=True)  # a later call's part of that lead
