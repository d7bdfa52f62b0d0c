"""When somebody answers: the hours of each timetable, and the days that only a town keeps."""

import re
from datetime import date, datetime, time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, Field, StrictInt, WithJsonSchema
from sqlalchemy.ext.asyncio import AsyncSession

from api import etags
from api.deps import HoursReader, HoursWriter, RulesMayChange, SessionDep, WiredDep
from api.errors import described
from api.etags import IfMatch, tagged
from api.idempotency import Once
from api.schemas import Answer, Day
from ura import audit, timetables
from ura.queues import Span
from ura.timetables import Hours
from ura.users import Actor

router = APIRouter(tags=["hours"], dependencies=[RulesMayChange], route_class=Once)

Timetable = Annotated[str, Query(max_length=64, description="The branch that keeps it; empty: all of them.")]

Name = Annotated[str, Path(max_length=64)]


LOCAL_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"


def _local(moment: Any) -> Any:
    if isinstance(moment, time) or (isinstance(moment, str) and re.fullmatch(LOCAL_TIME, moment)):
        return moment
    raise ValueError("hours are local: send HH:MM or HH:MM:SS, no time zone")


# JSON Schema's own `format: time` wants a time zone (RFC 3339).
LocalTime = Annotated[time, BeforeValidator(_local), WithJsonSchema({"type": "string", "pattern": LOCAL_TIME})]


class SpanBody(BaseModel):
    weekday: StrictInt = Field(ge=0, le=6, description="0 is Monday.")
    opens: LocalTime
    closes: LocalTime
    model_config = {"extra": "forbid", "from_attributes": True}


class HoursAnswer(Answer):
    timetable: str
    spans: list[SpanBody]
    queues: list[str]


class NewHours(BaseModel):
    spans: list[SpanBody] = Field(max_length=timetables.MOST_SPANS)
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"spans": [{"weekday": 0, "opens": "08:00:00", "closes": "18:00:00"}]}},
    }


class HolidayAnswer(Answer):
    on_day: date
    timetable: str
    name: str


class NewHoliday(BaseModel):
    on_day: Day
    name: str = Field(min_length=1, max_length=timetables.LONGEST_NAME)
    timetable: str = Field(default="", max_length=64)
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"on_day": "2027-06-24", "name": "São João", "timetable": ""}},
    }


@router.get("/hours", summary="List timetables", responses=described())
async def list_hours(_actor: HoursReader, session: SessionDep) -> list[HoursAnswer]:
    return [HoursAnswer.model_validate(each) for each in await timetables.list_hours(session)]


@router.get("/hours/{timetable}", summary="One timetable", responses=described(404))
async def get_hours(_actor: HoursReader, session: SessionDep, response: Response, timetable: Name) -> HoursAnswer:
    return tagged(response, await _answer(session, timetable))


@router.put("/hours/{timetable}", summary="Set the week of a timetable", responses=described(412))
async def set_hours(
    actor: HoursWriter,
    session: SessionDep,
    response: Response,
    timetable: Name,
    wanted: NewHours,
    if_match: IfMatch = None,
) -> HoursAnswer:
    """All of it: what is left out is closed. It holds from the next call on."""
    await etags.check(session, if_match, f"hours {timetable}", lambda: _answer(session, timetable))
    spans = [Span(each.weekday, each.opens, each.closes) for each in wanted.spans]
    await change_hours(session, actor, timetable, spans)
    after = {each.timetable: each for each in await timetables.list_hours(session)}
    # Never open, and kept by no queue: then there is none any more.
    return tagged(response, HoursAnswer.model_validate(after.get(timetable, Hours(timetable, (), ()))))


@router.get("/holidays", summary="List the days that only a town keeps, the nearest first", responses=described())
async def list_holidays(
    _actor: HoursReader,
    session: SessionDep,
    things: WiredDep,
    first: Annotated[Day | None, Query(description="From this day on; today when left out.")] = None,
) -> list[HolidayAnswer]:
    found = await timetables.list_holidays(session, first=first or datetime.now(things.settings.zone).date())
    return [HolidayAnswer.model_validate(holiday) for holiday in found]


@router.post("/holidays", status_code=201, summary="Close on a day", responses=described(404, 409))
async def add_holiday(actor: HoursWriter, session: SessionDep, wanted: NewHoliday) -> HolidayAnswer:
    """National holidays and those of the state are known; these are the town's own. It holds from the next call on."""
    return await add(session, actor, wanted.on_day, wanted.name, wanted.timetable)


@router.delete("/holidays/{on_day}", summary="Open on that day again", responses=described(404))
async def remove_holiday(
    actor: HoursWriter, session: SessionDep, on_day: Day, timetable: Timetable = ""
) -> HolidayAnswer:
    """The answer is what was removed."""
    return await remove(session, actor, on_day, timetable)


# -- the panel's page does the same ----------------------------------------------------------------------------------


async def change_hours(session: AsyncSession, actor: Actor, timetable: str, spans: list[Span]) -> None:
    await timetables.set_hours(session, timetable, spans)
    week = [f"{span.weekday} {span.opens:%H:%M}-{span.closes:%H:%M}" for span in spans]
    await _note(session, actor, "hours.set", timetable, {"spans": week})


async def add(session: AsyncSession, actor: Actor, on_day: date, name: str, timetable: str) -> HolidayAnswer:
    made = await timetables.add_holiday(session, on_day=on_day, name=name, timetable=timetable)
    await _note(session, actor, "holiday.add", on_day.isoformat(), {"name": made.name, "timetable": timetable})
    return HolidayAnswer.model_validate(made)


async def remove(session: AsyncSession, actor: Actor, on_day: date, timetable: str) -> HolidayAnswer:
    gone = HolidayAnswer.model_validate(await timetables.remove_holiday(session, on_day=on_day, timetable=timetable))
    await _note(session, actor, "holiday.remove", on_day.isoformat(), {"name": gone.name, "timetable": timetable})
    return gone


async def _answer(session: AsyncSession, timetable: str) -> HoursAnswer:
    return HoursAnswer.model_validate(await timetables.get_hours(session, timetable))


async def _note(session: AsyncSession, actor: Actor, what: str, subject: str, detail: dict[str, Any]) -> None:
    await audit.record(session, actor=actor.name, action=what, subject=subject, detail=detail)
