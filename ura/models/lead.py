"""Somebody who asked for a plan. Written by the phone: no foreign keys, since its records may arrive in any order."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base, Moment
from ura.models.plan import Audience
from ura.models.types import Phone, Uuid, word


class LeadStatus(StrEnum):
    """How far the sale came. The first two are of a call in progress: no lead stays there when its call is over."""

    NEW = "new"  # home or business
    INTERESTED = "interested"  # the neighbourhood is covered
    INFORMED = "informed"  # heard the plans, and said that this was all
    PROPOSAL = "proposal"  # wanted plans by message
    FORWARDED = "forwarded"  # handed to a person: queue, callback, message or ticket
    WAITING = "waiting"  # on the waiting list
    NOT_COVERED = "not_covered"  # we do not reach them, and they do not wait for us
    ABANDONED = "abandoned"  # hung up, or left the sale for something else, before any of these


class Lead(Base):
    __tablename__ = "lead"
    __table_args__ = (Index(None, "created_at", "id"),)

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
