"""How callers fare in a flow, in figures: no call, no number and no name is in them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query

from api.deps import ReportReader, SessionDep, WiredDep
from api.errors import described
from api.schemas import Answer, Day
from ura import reports
from ura.errors import BadInput

router = APIRouter(prefix="/reports", tags=["reports"])

USUAL_DAYS, MOST_DAYS = 7, 31


class NodeFiguresAnswer(Answer):
    node: str
    calls: int
    hung_up: int
    silences: int
    failures: int
    seconds_to_key: float | None
    keys: dict[str, int]


class VersionCallsAnswer(Answer):
    version: int
    calls: int


class FlowReport(Answer):
    flow_key: str
    version: int | None
    versions: list[VersionCallsAnswer]
    calls: int
    queued: int
    done: int
    abandoned: int
    nodes: list[NodeFiguresAnswer]


FirstDay = Annotated[Day | None, Query(description="The first day, local; seven days up to the last.")]
LastDay = Annotated[Day | None, Query(description="The last day, itself included; today when left out.")]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Left out: the newest that had calls then.")]


@router.get("/flow", summary="Where callers go in a flow, and where they give up", responses=described())
async def report_flow(
    _actor: ReportReader,
    session: SessionDep,
    things: WiredDep,
    flow_key: Annotated[str, Query(max_length=64)] = "provedor",
    version: Version = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> FlowReport:
    since, until = period(first, last, things.settings.zone)
    found = await reports.flow_figures(session, flow_key=flow_key, version=version, since=since, until=until)
    return FlowReport.model_validate(found)


def period(first: date | None, last: date | None, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Local days, both included → UTC moments, the second not included. Raises BadInput."""
    last = last or datetime.now(zone).date()
    try:
        first = first or last - timedelta(days=USUAL_DAYS - 1)
        if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
            raise BadInput(f"Ask for 1 to {MOST_DAYS} days: `first` and `last` are in.")
        moments = [datetime.combine(day, time(0), zone).astimezone(UTC) for day in (first, last + timedelta(days=1))]
    except OverflowError as error:
        raise BadInput("No calendar has these days.") from error
    return moments[0], moments[1]
