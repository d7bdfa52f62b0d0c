"""Calls, and the path of each through its flow."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.call_views import CallView, Stage, address_for, phone_for, stage_of, text_for
from api.deps import CallReader, SessionDep, WiredDep
from api.errors import Forbidden, described
from api.records import opened
from api.schemas import Answer, Cursor, Limit, Listed, Moment
from ura import aftermath, calls, phones, summaries
from ura.aftermath import Aftermath
from ura.calls import CallFilter
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.models import (
    Call,
    CallbackState,
    Door,
    ErpRequestState,
    LeadStatus,
    Operation,
    OutboxState,
    Outcome,
    Problem,
    PromiseOutcome,
    RecordKind,
    StepResult,
    TicketStatus,
)
from ura.users import Actor, Permission

router = APIRouter(prefix="/calls", tags=["calls"])


class CallSummary(Answer):
    id: str
    protocol: str | None
    caller: str
    did: str
    door: Door
    stage: Stage
    flow_key: str
    flow_version: int | None
    opened_at: datetime
    queue: str
    queued_at: datetime | None
    answered_at: datetime | None
    attendant: str
    ended_at: datetime | None
    outcome: Outcome | None
    last_node: str


class StepAnswer(Answer):
    seq: int
    node: str
    event: str
    detail: dict[str, Any]
    at: datetime


class StopAnswer(Answer):
    """One visit to one node, as a person reads it."""

    node: str
    title: str
    at: datetime
    keys: list[str]
    seconds: int | None


class Link(Answer):
    id: str
    href: str


class TicketLink(Link):
    category: str
    status: TicketStatus
    summary: str


class LeadLink(Link):
    status: LeadStatus


class RecordingLink(Link):
    """`href` is the sound; it takes the permission recordings:hear."""

    seconds: float
    at: datetime


class MessageAnswer(Answer):
    id: str
    kind: str
    channel: SendChannel
    to: str
    state: OutboxState
    problem: Problem | None
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None


class CallbackAnswer(Answer):
    id: str
    queue: str
    phone: str
    state: CallbackState
    not_before_at: datetime
    done_at: datetime | None


class PromiseAnswer(Answer):
    on_day: date
    reminded_at: datetime | None
    outcome: PromiseOutcome | None


class WishAnswer(Answer):
    """What the provider's system was asked to do for the caller."""

    id: str
    operation: Operation
    state: ErpRequestState
    attempts: int
    maybe_done: bool
    created_at: datetime
    settled_at: datetime | None
    promise: PromiseAnswer | None = None


class FirstAidAnswer(Answer):
    node: str
    step: str
    answer: StepResult


class SurveyReply(Answer):
    question: str
    value: str


class CallDetail(CallSummary):
    """`lead` is null when there is none, and when you may not read leads (leads:read)."""

    path: list[StopAnswer]
    steps: list[StepAnswer]
    tickets: list[TicketLink]
    requests: list[WishAnswer]
    lead: LeadLink | None
    recordings: list[RecordingLink]
    messages: list[MessageAnswer]
    callbacks: list[CallbackAnswer]
    first_aid: list[FirstAidAnswer]
    survey: list[SurveyReply]


@router.get("", summary="List calls, newest first", responses=described())
async def list_calls(
    actor: CallReader,
    session: SessionDep,
    did: Annotated[str, Query(max_length=20, description="The number dialled, digits only.")] = "",
    caller: Annotated[str, Query(max_length=40, description="In any usual form. Needs phones:see.")] = "",
    protocol: Annotated[str, Query(max_length=12)] = "",
    outcome: Outcome | None = None,
    door: Door | None = None,
    live: Annotated[bool | None, Query(description="true: in progress, false: ended.")] = None,
    opened_from: Annotated[Moment | None, Query(alias="from", description="With a time zone; inclusive.")] = None,
    opened_before: Annotated[Moment | None, Query(alias="to", description="With a time zone; exclusive.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[CallSummary]:
    wanted = CallFilter(
        did=did,
        caller=searched_phone(actor, caller),
        protocol=protocol,
        outcome=outcome,
        door=door,
        live=live,
        opened_from=opened_from,
        opened_before=opened_before,
    )
    page = await calls.list_calls(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[_summary(actor, call) for call in page.items], next_cursor=page.next_cursor)


@router.get("/{call_id}", summary="One call with its steps and all that came of it", responses=described(404))
async def get_call(actor: CallReader, session: SessionDep, things: WiredDep, call_id: str) -> CallDetail:
    call = await calls.get_call(session, call_id)
    await opened(session, things, actor, RecordKind.CALL, call.id)
    steps = (await calls.list_steps(session, [call.id]))[call.id]
    view: CallView = (await things.reader.view(session, [call]))[0]
    return CallDetail(
        **_summary(actor, call).model_dump(),
        path=[StopAnswer.model_validate(stop) for stop in view.stops],
        steps=[StepAnswer.model_validate(step) for step in steps],
        **_left(actor, await aftermath.of_call(session, call.id)),
    )


def searched_phone(actor: Actor, written: str) -> str:
    """The number to look for. Whoever may not see numbers may not find one out by asking for it either."""
    if not written:
        return ""
    if not actor.may(Permission.PHONES_SEE):
        raise Forbidden("Searching by telephone number needs the permission phones:see.")
    found = phones.to_e164(written)
    if not found:
        raise BadInput("This is no telephone number. Write it with its area code, as 11933330002.")
    return found


def _left(actor: Actor, left: Aftermath) -> dict[str, Any]:
    return {
        "tickets": [
            TicketLink(
                id=ticket.id,
                href=f"/api/v1/tickets/{ticket.id}",
                category=ticket.category,
                status=ticket.status,
                summary=text_for(actor, summaries.told(ticket)),
            )
            for ticket in left.tickets
        ],
        "requests": [
            WishAnswer.model_validate(each).model_copy(update={"promise": _promise(left, each.id)})
            for each in left.requests
        ],
        "lead": LeadLink(id=left.lead.id, href=f"/api/v1/leads/{left.lead.id}", status=left.lead.status)
        if left.lead and actor.may(Permission.LEADS_READ)
        else None,
        "recordings": [
            RecordingLink(id=each.id, href=audio_of(each.id), seconds=each.seconds, at=each.at)
            for each in left.recordings
        ],
        "messages": [
            MessageAnswer.model_validate(message).model_copy(update={"to": address_for(actor, message.to)})
            for message in left.messages
        ],
        "callbacks": [
            CallbackAnswer.model_validate(callback).model_copy(update={"phone": phone_for(actor, callback.phone)})
            for callback in left.callbacks
        ],
        "first_aid": [FirstAidAnswer.model_validate(answer) for answer in left.step_answers],
        "survey": [SurveyReply.model_validate(answer) for answer in left.survey_answers],
    }


def _promise(left: Aftermath, request_id: str) -> PromiseAnswer | None:
    found = left.promises.get(request_id)
    return PromiseAnswer.model_validate(found) if found else None


def audio_of(recording_id: str) -> str:
    return f"/api/v1/recordings/{recording_id}/audio"


def _summary(actor: Actor, call: Call) -> CallSummary:
    return CallSummary(
        **{name: getattr(call, name) for name in CallSummary.model_fields if name not in ("caller", "stage")},
        caller=phone_for(actor, call.caller),
        stage=stage_of(call),
    )
