"""Where people wait for us to reach them: how many, and since when."""

from datetime import date, datetime

from fastapi import APIRouter

from api.deps import LeadReader, SessionDep
from api.errors import described
from api.schemas import Answer
from ura import waiting_list
from ura.models import Coverage

router = APIRouter(prefix="/waiting-list", tags=["leads"])


class DemandAnswer(Answer):
    neighbourhood_id: int
    neighbourhood: str
    city: str
    coverage: Coverage
    forecast_on: date | None
    waiting: int
    first_at: datetime


@router.get("", summary="Where people wait for us, the most wanted neighbourhood first", responses=described())
async def list_demand(_actor: LeadReader, session: SessionDep) -> list[DemandAnswer]:
    """Each number counts once in a neighbourhood. When it is covered, they become calls to return (`/callbacks`)."""
    return [DemandAnswer.model_validate(each) for each in await waiting_list.demand(session)]
