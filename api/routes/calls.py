"""Calls, and the path of each through its flow."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.call_views import CallView, Stage, phone_for, stage_of
from api.deps import CallReader, SessionDep, WiredDep
from api.errors import Forbidden, described
from api.schemas import Answer, Cursor, Limit, Listed
from ura import calls, phones
from ura.calls import CallFilter
from ura.errors import BadInput
from ura.models import Call, Door, Outcome
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


class CallDetail(CallSummary):
    path: list[StopAnswer]
    steps: list[StepAnswer]


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
    opened_from: Annotated[datetime | None, Query(alias="from", description="With a time zone; inclusive.")] = None,
    opened_before: Annotated[datetime | None, Query(alias="to", description="With a time zone; exclusive.")] = None,
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
        opened_from=zoned(opened_from, "from"),
        opened_before=zoned(opened_before, "to"),
    )
    page = await calls.list_calls(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[_summary(actor, call) for call in page.items], next_cursor=page.next_cursor)


@router.get("/{call_id}", summary="One call with its steps", responses=described(404))
async def get_call(actor: CallReader, session: SessionDep, things: WiredDep, call_id: str) -> CallDetail:
    call = await calls.get_call(session, call_id)
    steps = (await calls.list_steps(session, [call.id]))[call.id]
    view: CallView = (await things.reader.view(session, [call]))[0]
    return CallDetail(
        **_summary(actor, call).model_dump(),
        path=[StopAnswer.model_validate(stop) for stop in view.stops],
        steps=[StepAnswer.model_validate(step) for step in steps],
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


def zoned(moment: datetime | None, name: str) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise BadInput(f"`{name}` needs a time zone: write 2026-11-22T08:00:00-03:00 or end it with Z.")
    return moment.astimezone(UTC) if moment else None


def _summary(actor: Actor, call: Call) -> CallSummary:
    return CallSummary(
        **{name: getattr(call, name) for name in CallSummary.model_fields if name not in ("caller", "stage")},
        caller=phone_for(actor, call.caller),
        stage=stage_of(call),
    )
