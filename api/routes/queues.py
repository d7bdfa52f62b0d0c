"""Where callers wait for a person, and how long at most."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, StrictInt
from sqlalchemy.ext.asyncio import AsyncSession

from api import etags
from api.deps import QueueReader, QueueWriter, RulesMayChange, SessionDep
from api.errors import described
from api.etags import IfMatch, tagged
from api.schemas import Answer
from ura import audit, queues
from ura.queues import LONGEST_WAIT_S, SHORTEST_WAIT_S, WaitLimits

router = APIRouter(prefix="/queues", tags=["queues"], dependencies=[RulesMayChange])

Key = Annotated[str, Path(max_length=64)]


class QueueAnswer(Answer):
    key: str
    title: str
    business_hours: str
    max_wait_s: int
    callers_per_attendant: int
    state_uf: str


class QueuePatch(BaseModel):
    """What is left out stays as it is."""

    max_wait_s: StrictInt | None = Field(None, ge=SHORTEST_WAIT_S, le=LONGEST_WAIT_S, description="Seconds.")
    callers_per_attendant: StrictInt | None = Field(None, ge=0, le=1000, description="0: any number.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"max_wait_s": 240}}}


@router.get("", summary="List queues", responses=described())
async def list_queues(_actor: QueueReader, session: SessionDep) -> list[QueueAnswer]:
    return [QueueAnswer.model_validate(queue) for queue in await queues.list_queues(session)]


@router.get("/{key}", summary="One queue", responses=described(404))
async def get_queue(_actor: QueueReader, session: SessionDep, response: Response, key: Key) -> QueueAnswer:
    return tagged(response, await _answer(session, key))


@router.patch("/{key}", summary="Change how long callers wait", responses=described(404, 412))
async def change_queue(
    actor: QueueWriter,
    session: SessionDep,
    response: Response,
    key: Key,
    patch: QueuePatch,
    if_match: IfMatch = None,
) -> QueueAnswer:
    """It holds from the next call on."""
    await etags.check(session, if_match, f"queue {key}", lambda: _answer(session, key))
    queue = await queues.get_queue(session, key)
    limits = WaitLimits(
        queue.max_wait_s if patch.max_wait_s is None else patch.max_wait_s,
        queue.callers_per_attendant if patch.callers_per_attendant is None else patch.callers_per_attendant,
    )
    await queues.change_wait_limits(session, key, limits)
    detail = patch.model_dump(exclude_none=True)
    await audit.record(session, actor=actor.name, action="queue.change", subject=key, detail=detail)
    return tagged(response, await _answer(session, key))


async def _answer(session: AsyncSession, key: str) -> QueueAnswer:
    return QueueAnswer.model_validate(await queues.get_queue(session, key))
