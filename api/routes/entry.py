"""Who comes in and how: numbers with priority, callers blocked for a while, the emergency that all hear of."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, status
from pydantic import BaseModel, Field, StrictBool, StrictInt
from sqlalchemy.ext.asyncio import AsyncSession

from api.call_views import phone_for
from api.deps import Blocker, EntryReader, EntryWriter, SessionDep, WiredDep
from api.errors import described
from api.idempotency import Once
from api.schemas import Answer, Cursor, Limit, Listed
from ura import blocks, calls, emergency, phones, priority
from ura.errors import BadInput
from ura.models import CallerBlock, Emergency
from ura.settings import Settings
from ura.users import Actor

router = APIRouter(tags=["entry"], route_class=Once)

MOST_MINUTES = 24 * 60
Minutes = Annotated[StrictInt, Field(ge=1, le=MOST_MINUTES)]


class PriorityAnswer(Answer):
    phone: str
    note: str
    added_by: str
    added_at: datetime


class PriorityNumbers(BaseModel):
    csv: str = Field(
        max_length=400_000, description="A number a line, then `;` or `,` and whose it is. In any usual form."
    )
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"csv": "1133334444;Mercado Sol"}}}


class Added(BaseModel):
    added: int
    bad_lines: list[int] = Field(description="Lines with no telephone number, counted from 1; the others are saved.")


class BlockAnswer(Answer):
    id: str
    phone: str
    reason: str
    call_id: str | None
    blocked_by: str
    blocked_at: datetime
    until_at: datetime


class NewBlock(BaseModel):
    """One of `call_id` (whoever made this call) and `phone`."""

    call_id: str = Field(default="", max_length=32)
    phone: str = Field(default="", max_length=40, description="In any usual form.")
    minutes: Minutes = 30
    reason: str = Field(default="", max_length=200)
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"phone": "11987654321", "reason": "trote"}}}


class EmergencyAnswer(Answer):
    id: str
    text: str = Field(description="Empty: the shipped sentence is heard.")
    to_person: bool
    began_by: str
    began_at: datetime
    until_at: datetime


class NewEmergency(BaseModel):
    text: str = Field(
        default="", max_length=emergency.LONGEST_TEXT, description="What callers hear; empty for the shipped sentence."
    )
    to_person: StrictBool = Field(default=False, description="After it to a person; else on to the menu.")
    minutes: Minutes | None = Field(default=None, description="PROSA_EMERGENCY_MINUTES when missing.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"text": "", "to_person": False}}}


class Pin(BaseModel):
    pin: str = Field(max_length=12, description="4 to 12 digits; empty takes it away.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"pin": "407119"}}}


@router.get("/priority-numbers", summary="List numbers with priority", responses=described())
async def list_priority_numbers(actor: EntryReader, session: SessionDep) -> list[PriorityAnswer]:
    found = [PriorityAnswer.model_validate(row) for row in await priority.list_numbers(session)]
    return [row.model_copy(update={"phone": phone_for(actor, row.phone)}) for row in found]


@router.post("/priority-numbers", summary="Add numbers with priority", responses=described())
async def add_priority_numbers(actor: EntryWriter, session: SessionDep, numbers: PriorityNumbers) -> Added:
    return await add_numbers(session, actor, numbers.csv)


@router.delete(
    "/priority-numbers/{phone}",
    summary="Take a number's priority away",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=described(404),
)
async def remove_priority_number(
    actor: EntryWriter,
    session: SessionDep,
    phone: Annotated[str, Path(max_length=40, description="In any usual form.")],
) -> None:
    await priority.remove(session, phones.to_e164(phone), by=actor.name, now=datetime.now(UTC))


@router.get("/blocks", summary="List numbers blocked now", responses=described())
async def list_blocks(
    actor: EntryReader, session: SessionDep, cursor: Cursor = "", limit: Limit = 50
) -> Listed[BlockAnswer]:
    page = await blocks.page_current(session, now=datetime.now(UTC), cursor=cursor, limit=limit)
    return Listed(items=[_block(actor, row) for row in page.items], next_cursor=page.next_cursor)


@router.post(
    "/blocks", summary="Block a caller for a while", status_code=status.HTTP_201_CREATED, responses=described(404)
)
async def block_caller(actor: Blocker, session: SessionDep, wanted: NewBlock) -> BlockAnswer:
    """Complaint and cancellation stay open to whoever is blocked. Blocked again, the number gets the new end."""
    return _block(actor, await block(session, actor, wanted))


@router.delete(
    "/blocks/{block_id}", summary="Lift a block", status_code=status.HTTP_204_NO_CONTENT, responses=described(404)
)
async def lift_block(actor: Blocker, session: SessionDep, block_id: str) -> None:
    await blocks.lift(session, block_id, by=actor.name, now=datetime.now(UTC))


@router.get("/emergency", summary="The emergency that is on, or null", responses=described())
async def get_emergency(_actor: EntryReader, session: SessionDep) -> EmergencyAnswer | None:
    found = await emergency.find_current(session, now=datetime.now(UTC))
    return EmergencyAnswer.model_validate(found) if found else None


@router.put("/emergency", summary="Begin an emergency, or change it", responses=described())
async def begin_emergency(
    actor: EntryWriter, session: SessionDep, things: WiredDep, wanted: NewEmergency
) -> EmergencyAnswer:
    """Every caller hears of it from a second later on, whatever number they dialled; corporate numbers do not."""
    return EmergencyAnswer.model_validate(await begin(session, actor, things.settings, wanted))


@router.delete("/emergency", summary="End the emergency", status_code=status.HTTP_204_NO_CONTENT, responses=described())
async def end_emergency(actor: EntryWriter, session: SessionDep) -> None:
    await emergency.end(session, by=actor.name, now=datetime.now(UTC))


@router.put(
    "/emergency/pin",
    summary="Set the PIN that begins and ends it by telephone",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=described(),
)
async def set_emergency_pin(actor: EntryWriter, session: SessionDep, wanted: Pin) -> None:
    await emergency.set_pin(session, wanted.pin, by=actor.name, now=datetime.now(UTC))


# -- for the API and for the panel ------------------------------------------------------------------------------------


async def add_numbers(session: AsyncSession, actor: Actor, csv: str) -> Added:
    written = priority.read(csv)
    added = await priority.add(session, written.numbers, by=actor.name, now=datetime.now(UTC))
    return Added(added=added, bad_lines=list(written.bad))


async def block(session: AsyncSession, actor: Actor, wanted: NewBlock) -> CallerBlock:
    """Raises BadInput, NobodyToBlock, CallNotFound."""
    if bool(wanted.call_id) == bool(wanted.phone):
        raise BadInput("Send one of call_id and phone.")
    if wanted.call_id:
        phone = (await calls.get_call(session, wanted.call_id)).caller
    elif not (phone := phones.to_e164(wanted.phone)):
        raise BadInput("This is no telephone number. Write it with its area code, as 11933330002.")
    return await blocks.block(
        session,
        phone,
        by=actor.name,
        now=datetime.now(UTC),
        lasts=timedelta(minutes=wanted.minutes),
        reason=wanted.reason,
        call_id=wanted.call_id or None,
    )


async def begin(session: AsyncSession, actor: Actor, settings: Settings, wanted: NewEmergency) -> Emergency:
    """Its words are rendered within seconds, by the worker; the shipped sentence is heard until then."""
    lasts = timedelta(minutes=wanted.minutes or settings.emergency_minutes)
    return await emergency.begin(
        session,
        by=actor.name,
        now=datetime.now(UTC),
        lasts=lasts,
        text=wanted.text,
        to_person=wanted.to_person,
    )


def _block(actor: Actor, row: CallerBlock) -> BlockAnswer:
    return BlockAnswer.model_validate(row).model_copy(update={"phone": phone_for(actor, row.phone)})
