"""Deadlines: by which policies tickets are due, and every interval of one ticket's deadline."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, JsonValue, StrictBool, StrictFloat, StrictInt
from sqlalchemy.ext.asyncio import AsyncSession

from api import etags
from api.deps import RulesMayChange, SessionDep, TicketReader, TicketSetter
from api.errors import described
from api.etags import IfMatch, tagged
from api.schemas import Answer, Words
from ura import audit, sla_policies, ticket_clock, tickets, timetables
from ura.models import CountedBy, Tier
from ura.sla_clock import Why
from ura.ticket_clock import By

router = APIRouter(tags=["sla"], dependencies=[RulesMayChange])

Key = Annotated[str, Path(max_length=64, pattern=timetables.KEY.pattern)]
EXAMPLE: dict[str, JsonValue] = {
    "title": "Empresas no N2",
    "tier": "l2",
    "segment": "business",
    "hours": 4,
    "counted_by": "queue",
}


class SlaPolicyAnswer(Answer):
    key: str
    title: str
    tier: Tier | Literal[""] = Field(description="Empty: any.")
    category: str = Field(description="Empty: any.")
    segment: str = Field(description="Empty: any.")
    hours: float
    counted_by: CountedBy
    timetable: str = Field(description="The one that counts; empty unless `counted_by` says so.")
    warn_hours: float | None
    warn_percent: int | None
    pausable: bool


class NewSlaPolicy(BaseModel):
    """All of it: what is left out is as it is here."""

    title: Words = Field(min_length=1, max_length=sla_policies.LONGEST_TITLE)
    tier: Tier | Literal[""] = Field(default="", description="Empty: any.")
    category: Words = Field(default="", max_length=64, description="Empty: any.")
    segment: Words = Field(default="", max_length=sla_policies.LONGEST_SEGMENT, description="Empty: any.")
    hours: StrictFloat = Field(ge=0, le=sla_policies.LONGEST_H, allow_inf_nan=False)
    counted_by: CountedBy = CountedBy.QUEUE
    timetable: Words = Field(default="", max_length=64, description="The one that counts, when `counted_by` says so.")
    warn_hours: StrictFloat | None = Field(default=None, ge=0, le=sla_policies.LONGEST_H, allow_inf_nan=False)
    warn_percent: StrictInt | None = Field(default=None, ge=0, le=100)
    pausable: StrictBool = True
    model_config = {"extra": "forbid", "json_schema_extra": {"example": EXAMPLE}}


class IntervalAnswer(Answer):
    from_at: datetime = Field(description="When it begins.")
    to_at: datetime = Field(description="When it ends; the moment itself belongs to the next one.")
    why: Why = Field(description="Counted; or why not.")
    name: str = Field(description="The holiday's, or what was waited for; empty otherwise.")


class ClockAnswer(Answer):
    by: By = Field(description="The terms of where the ticket is, or the law's for the whole ticket.")
    policy: str = Field(description="The policy that the terms came from; empty for the law's.")
    hours: float
    from_at: datetime = Field(description="Since when its hours are counted.")
    due_at: datetime | None = Field(description="Null while the ticket waits, or when nobody works.")
    worked_s: float = Field(description="Seconds that were counted until now.")
    left_s: float = Field(description="Seconds that are left; 0 when it is over.")
    intervals: list[IntervalAnswer] = Field(description="Without a gap, from its beginning to `due_at`, or to now.")


class DeadlineAnswer(Answer):
    due_at: datetime | None = Field(description="The first of the clocks; null when there is none.")
    warn_at: datetime | None = Field(description="When somebody is warned; null: never.")
    warned_at: datetime | None = Field(description="When somebody was; null: not yet.")
    breached_at: datetime | None
    told_deadline_at: datetime | None
    priority: int = Field(description="One more with each deadline that was missed.")
    clocks: list[ClockAnswer] = Field(description="Whichever ends first is the deadline.")


@router.get("/sla-policies", summary="List the policies of deadlines", responses=described())
async def list_sla_policies(_actor: TicketReader, session: SessionDep) -> list[SlaPolicyAnswer]:
    return [SlaPolicyAnswer.model_validate(each) for each in await sla_policies.list_policies(session)]


@router.get("/sla-policies/{key}", summary="One policy of deadlines", responses=described(404))
async def get_sla_policy(_actor: TicketReader, session: SessionDep, response: Response, key: Key) -> SlaPolicyAnswer:
    return tagged(response, await _policy(session, key))


@router.put(
    "/sla-policies/{key}", summary="Set a policy of deadlines, new or known", responses=described(404, 409, 412)
)
async def set_sla_policy(
    actor: TicketSetter,
    session: SessionDep,
    response: Response,
    key: Key,
    wanted: NewSlaPolicy,
    if_match: IfMatch = None,
) -> SlaPolicyAnswer:
    """It holds from the next ticket or move on. The one that names the most of what a ticket is wins; a tie is refused,
    and so is more time than the law gives."""
    await etags.check(session, if_match, sla_policies.TURN, lambda: _policy(session, key))
    saved = await sla_policies.save(session, sla_policies.make(key=key, **wanted.model_dump()))
    answer = SlaPolicyAnswer.model_validate(saved)
    detail = answer.model_dump(mode="json", exclude={"key", "title"})
    await audit.record(session, actor=actor.name, action="sla-policy.set", subject=key, detail=detail)
    return tagged(response, answer)


@router.delete("/sla-policies/{key}", summary="Remove a policy of deadlines", responses=described(404, 409))
async def remove_sla_policy(actor: TicketSetter, session: SessionDep, key: Key) -> SlaPolicyAnswer:
    """The answer is what was removed. Tickets keep the terms that they have. One for any ticket has to stay."""
    gone = SlaPolicyAnswer.model_validate(await sla_policies.remove(session, key))
    await audit.record(session, actor=actor.name, action="sla-policy.remove", subject=key, detail={})
    return gone


@router.get("/tickets/{ticket_id}/deadline", summary="Explain a ticket's deadline", responses=described(404))
async def explain_deadline(_actor: TicketReader, session: SessionDep, ticket_id: str) -> DeadlineAnswer:
    """Every interval: counted, or why not. By the calendars as they are now."""
    ticket = await tickets.get_ticket(session, ticket_id)
    found = await ticket_clock.explain(session, ticket, now=datetime.now(UTC))
    clocks = [
        ClockAnswer(
            by=each.by,
            policy=each.policy,
            hours=each.hours,
            from_at=each.from_at,
            due_at=each.due_at,
            worked_s=each.worked.total_seconds(),
            left_s=each.left.total_seconds(),
            intervals=[IntervalAnswer.model_validate(line) for line in each.intervals],
        )
        for each in found.clocks
    ]
    return DeadlineAnswer(
        due_at=found.due_at,
        warn_at=found.warn_at,
        warned_at=ticket.warned_at,
        breached_at=ticket.breached_at,
        told_deadline_at=ticket.told_deadline_at,
        priority=ticket.priority,
        clocks=clocks,
    )


async def _policy(session: AsyncSession, key: str) -> SlaPolicyAnswer:
    return SlaPolicyAnswer.model_validate(await sla_policies.get_policy(session, key))
