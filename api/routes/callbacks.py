"""Calls that we promised to return: which are due, and what came of each."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.call_views import phone_for
from api.deps import CallbackReader, CallbackWriter, SessionDep
from api.errors import described
from api.idempotency import Once
from api.routes.calls import CallbackAnswer, searched_phone
from api.schemas import Cursor, Limit, Listed
from ura import audit, queues
from ura.models import Callback, CallbackState
from ura.queues import CallbackFilter
from ura.users import Actor

router = APIRouter(prefix="/callbacks", tags=["callbacks"], route_class=Once)


class CallbackDetail(CallbackAnswer):
    call_id: str | None
    created_at: datetime


class Settled(BaseModel):
    result: Literal["done", "unreachable"] = Field(description="Spoken to, or given up after nobody answered.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"result": "done"}}}


@router.get("", summary="List calls to return: those due, or all", responses=described())
async def list_callbacks(
    actor: CallbackReader,
    session: SessionDep,
    due: Annotated[
        bool, Query(description="Only those that may be made now, the longest waiting first; else all, newest first.")
    ] = False,
    state: CallbackState | None = None,
    queue: Annotated[str, Query(max_length=64)] = "",
    phone: Annotated[str, Query(max_length=40, description="In any usual form. Needs phones:see.")] = "",
    call_id: Annotated[str, Query(max_length=32)] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[CallbackDetail]:
    wanted = CallbackFilter(
        due_at=datetime.now(UTC) if due else None,
        state=state,
        queue=queue,
        phone=searched_phone(actor, phone),
        call_id=call_id,
    )
    page = await queues.list_callbacks(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[_answer(actor, callback) for callback in page.items], next_cursor=page.next_cursor)


@router.get("/{callback_id}", summary="One call to return", responses=described(404))
async def get_callback(actor: CallbackReader, session: SessionDep, callback_id: str) -> CallbackDetail:
    return _answer(actor, await queues.get_callback(session, callback_id))


@router.post("/{callback_id}/settle", summary="Say what came of it", responses=described(404, 409))
async def settle_callback(
    actor: CallbackWriter, session: SessionDep, callback_id: str, settled: Settled
) -> CallbackDetail:
    """Said again, it changes nothing; somebody who says otherwise afterwards is refused."""
    await settle(session, actor, callback_id, CallbackState(settled.result))
    return _answer(actor, await queues.get_callback(session, callback_id))


async def settle(session: AsyncSession, actor: Actor, callback_id: str, state: CallbackState) -> None:
    """For the API and for the panel. Raises CallbackNotFound, CallbackAlreadySettled."""
    now = datetime.now(UTC)
    if await queues.settle_callback(session, callback_id, state=state, now=now):
        detail = {"result": state.value}
        await audit.record(
            session, actor=actor.name, action="callback.settle", subject=callback_id, detail=detail, at=now
        )


def _answer(actor: Actor, callback: Callback) -> CallbackDetail:
    return CallbackDetail.model_validate(callback).model_copy(update={"phone": phone_for(actor, callback.phone)})
