"""Published flows, to read."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter

from api.deps import FlowReader, SessionDep
from api.errors import described
from api.schemas import Answer
from ura import numbers
from ura.flows import store

router = APIRouter(prefix="/flows", tags=["flows"])


class FlowAnswer(Answer):
    key: str
    title: str


class FlowVersionAnswer(Answer):
    flow_key: str
    number: int
    checksum: str
    published_at: datetime | None
    author: str
    document: dict[str, Any]


@router.get("", summary="List flows", responses=described())
async def list_flows(_actor: FlowReader, session: SessionDep) -> list[FlowAnswer]:
    return [FlowAnswer.model_validate(flow) for flow in await numbers.list_flows(session)]


@router.get("/{flow_key}", summary="The version that new calls follow", responses=described(404))
async def get_published(_actor: FlowReader, session: SessionDep, flow_key: str) -> FlowVersionAnswer:
    version = await store.find_published(session, flow_key)
    if version is None:
        raise store.FlowNotFound(f"There is no published flow '{flow_key}'. /api/v1/flows lists the flows.")
    return FlowVersionAnswer.model_validate(version)
