"""What came of a call: the tickets, wishes, contact, recordings, messages and answers that it left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from ura.models import (
    Callback,
    City,
    ErpRequest,
    Lead,
    Neighbourhood,
    OutboxMessage,
    PaymentPromise,
    Plan,
    Recording,
    StepAnswer,
    SurveyAnswer,
    Ticket,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """In the order in which they came about. `promises`: what became of the wishes that were accepted promises, by the
    wish. `lead_place` and `lead_plan` are names, "" when nothing was chosen."""

    tickets: Sequence[Ticket] = ()
    requests: Sequence[ErpRequest] = ()
    promises: Mapping[str, PaymentPromise] = field(default_factory=dict)
    lead: Lead | None = None
    lead_place: str = ""
    lead_plan: str = ""
    recordings: Sequence[Recording] = ()
    messages: Sequence[OutboxMessage] = ()
    callbacks: Sequence[Callback] = ()
    step_answers: Sequence[StepAnswer] = ()
    survey_answers: Sequence[SurveyAnswer] = ()

    def __bool__(self) -> bool:
        return any(
            (
                self.tickets,
                self.requests,
                self.lead,
                self.recordings,
                self.messages,
                self.callbacks,
                self.step_answers,
                self.survey_answers,
            )
        )


async def of_call(session: AsyncSession, call_id: str) -> Aftermath:
    """A call that left nothing, or that is not there, has none of them."""

    async def found(table: Any, *order: InstrumentedAttribute[Any]) -> Sequence[Any]:
        return (await session.scalars(select(table).where(table.call_id == call_id).order_by(*order))).all()

    leads = await found(Lead, Lead.created_at)
    requests = await found(ErpRequest, ErpRequest.created_at, ErpRequest.id)
    made = select(PaymentPromise).where(PaymentPromise.id.in_([request.id for request in requests]))
    place, plan = await _chosen(session, leads[0]) if leads else ("", "")
    return Aftermath(
        tickets=await found(Ticket, Ticket.opened_at, Ticket.id),
        requests=requests,
        promises={promise.id: promise for promise in await session.scalars(made)} if requests else {},
        lead=leads[0] if leads else None,
        lead_place=place,
        lead_plan=plan,
        recordings=await found(Recording, Recording.at, Recording.id),
        messages=await found(OutboxMessage, OutboxMessage.created_at, OutboxMessage.id),
        callbacks=await found(Callback, Callback.created_at, Callback.id),
        step_answers=await found(StepAnswer, StepAnswer.at, StepAnswer.node, StepAnswer.step),
        survey_answers=await found(SurveyAnswer, SurveyAnswer.at, SurveyAnswer.id),
    )


async def _chosen(session: AsyncSession, lead: Lead) -> tuple[str, str]:
    """ "Jardim das Palmeiras, Campo Belo" and the plan's name; a city alone when no neighbourhood was chosen."""
    place = await session.get(Neighbourhood, lead.neighbourhood_id) if lead.neighbourhood_id else None
    city_id = place.city_id if place else lead.city_id
    city = await session.get(City, city_id) if city_id else None
    plan = await session.get(Plan, lead.plan_id) if lead.plan_id else None
    return ", ".join(each.name for each in (place, city) if each), plan.name if plan else ""
