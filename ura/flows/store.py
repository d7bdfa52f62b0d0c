"""Which version of a flow is the published one, and how does it become so?

Draft → published → retired. A draft can be saved again and may be wrong; a published version never changes. Rolling
back publishes the document of an earlier version again, under a number of its own. Nothing here commits.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from typing import Any

import yaml
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura.errors import Refused
from ura.flows import documents
from ura.flows import nodes as flow_nodes
from ura.flows.documents import FlowNotFound
from ura.flows.mistakes import FlowInvalid, FlowMistake
from ura.flows.published import PublishedFlows
from ura.flows.validation import Known, check_document, parse
from ura.models import Flow, FlowState, FlowVersion, Prompt, Queue

__all__ = [
    "Change",
    "FlowInvalid",
    "FlowNotFound",
    "Known",
    "NothingToPublish",
    "PublishedFlows",
    "checksum",
    "diff",
    "find_draft",
    "find_mistakes",
    "find_published",
    "get_version",
    "known_here",
    "list_versions",
    "publish",
    "publish_shipped",
    "roll_back",
    "save_draft",
]

Json = Any
Document = Mapping[str, Json]


class NothingToPublish(Refused):
    code = "nothing-to-publish"


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one node, or to a field of the flow itself (`flow.title`)."""

    what: str  # added | removed | changed
    where: str
    lines: tuple[str, ...] = ()  # of a unified diff, in YAML


def checksum(document: Document) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def save_draft(session: AsyncSession, *, document: Document, author: str, now: datetime) -> FlowVersion:
    """Keep `document` as the flow's draft, in the place of the draft before. It may have mistakes, but not in `key`."""
    key, title = documents.name_of(document)
    await _lock(session, key, title)
    draft = await find_draft(session, key)
    if draft is None:
        number = await _last_number(session, key) + 1
        draft = FlowVersion(flow_key=key, number=number, state=FlowState.DRAFT)
        session.add(draft)
    draft.document, draft.checksum = dict(document), checksum(document)
    draft.author, draft.created_at = author, now
    await session.flush()
    return draft


async def publish(session: AsyncSession, *, flow_key: str, author: str, now: datetime, known: Known) -> FlowVersion:
    """Make the draft the version that new calls follow. Raises FlowInvalid with remedies, NothingToPublish."""
    await _lock(session, flow_key)
    draft = await find_draft(session, flow_key)
    if draft is None:
        raise NothingToPublish(f"Flow '{flow_key}' has no draft. Save one first.")
    return await _put_in_force(session, draft, author=author, now=now, known=known)


async def roll_back(
    session: AsyncSession, *, flow_key: str, number: int, author: str, now: datetime, known: Known
) -> FlowVersion:
    """Publish version `number` again, as a new version. A draft in work is left alone."""
    await _lock(session, flow_key)
    earlier = await get_version(session, flow_key, number)
    if earlier.published_at is None:
        raise Refused(f"Version {number} of flow '{flow_key}' was never published. Publish the draft instead.")
    again = FlowVersion(
        flow_key=flow_key,
        number=await _last_number(session, flow_key) + 1,
        state=FlowState.DRAFT,
        document=earlier.document,
        checksum=earlier.checksum,
        created_at=now,
    )
    session.add(again)
    return await _put_in_force(session, again, author=author, now=now, known=known)


async def publish_shipped(session: AsyncSession, *, now: datetime, known: Known) -> list[FlowVersion]:
    """Publish the flows that come with Prosa and that this installation never had. Safe to repeat."""
    made = []
    for key in documents.shipped_keys():
        if await session.get(Flow, key) is None:
            await save_draft(session, document=documents.shipped(key), author="prosa", now=now)
            made.append(await publish(session, flow_key=key, author="prosa", now=now, known=known))
    return made


async def find_draft(session: AsyncSession, flow_key: str) -> FlowVersion | None:
    return await session.scalar(
        select(FlowVersion).where(FlowVersion.flow_key == flow_key, FlowVersion.state == FlowState.DRAFT)
    )


async def find_published(session: AsyncSession, flow_key: str) -> FlowVersion | None:
    return await session.scalar(
        select(FlowVersion).where(FlowVersion.flow_key == flow_key, FlowVersion.state == FlowState.PUBLISHED)
    )


async def get_version(session: AsyncSession, flow_key: str, number: int) -> FlowVersion:
    version = await session.scalar(
        select(FlowVersion).where(FlowVersion.flow_key == flow_key, FlowVersion.number == number)
    )
    if version is None:
        raise FlowNotFound(f"Flow '{flow_key}' has no version {number}.")
    return version


async def list_versions(session: AsyncSession, flow_key: str) -> list[FlowVersion]:
    """Newest first."""
    found = await session.scalars(
        select(FlowVersion).where(FlowVersion.flow_key == flow_key).order_by(FlowVersion.number.desc())
    )
    return list(found)


async def known_here(session: AsyncSession, prompts: Collection[str]) -> Known:
    """What this installation has: the prompts that ship (`ura.prompts.load_all`), those typed here, and its queues."""
    typed = (await session.scalars(select(Prompt.key))).all()
    queues = (await session.scalars(select(Queue.key))).all()
    return Known(prompts={*prompts, *typed}, queues=set(queues))


async def find_mistakes(session: AsyncSession, document: Document, *, known: Known) -> list[FlowMistake]:
    """What keeps `document` from being published, each with its remedy; the legal check included."""
    return check_document(document, known=known, others=await _others(session, str(document.get("key"))))


def diff(before: Document, after: Document) -> list[Change]:
    """What changed, node by node, in the order of `after`; a node is known by its key."""
    changes: list[Change] = []
    old_nodes, new_nodes = _by_key(before), _by_key(after)
    for field in sorted((before.keys() | after.keys()) - {"nodes"}):
        _compare(changes, f"flow.{field}", before.get(field), after.get(field))
    for key in [*new_nodes, *(key for key in old_nodes if key not in new_nodes)]:
        _compare(changes, key, old_nodes.get(key), new_nodes.get(key))
    return changes


def _compare(changes: list[Change], where: str, old: Json, new: Json) -> None:
    if old == new:
        return
    what = "added" if old is None else "removed" if new is None else "changed"
    lines = list(unified_diff(_lines(old), _lines(new), n=1, lineterm=""))[2:]
    changes.append(Change(what, where, tuple(line for line in lines if not line.startswith("@@"))))


def _lines(value: Json) -> list[str]:
    return [] if value is None else yaml.safe_dump(value, sort_keys=False, allow_unicode=True).splitlines()


def _by_key(document: Document) -> dict[str, Json]:
    return {str(node.get("key")): node for node in document.get("nodes", []) if isinstance(node, dict)}


async def _lock(session: AsyncSession, key: str, title: str = "") -> Flow:
    """One publisher of a flow at a time: the row is locked on PostgreSQL; SQLite has one writer anyway."""
    flow = await session.scalar(select(Flow).where(Flow.key == key).with_for_update())
    if flow is None:
        if not title:
            raise FlowNotFound(f"There is no flow '{key}'.")
        flow = Flow(key=key, title=title)
        session.add(flow)
    elif title:
        flow.title = title
    await session.flush()
    return flow


async def _last_number(session: AsyncSession, flow_key: str) -> int:
    return await session.scalar(select(func.max(FlowVersion.number)).where(FlowVersion.flow_key == flow_key)) or 0


async def _put_in_force(
    session: AsyncSession, version: FlowVersion, *, author: str, now: datetime, known: Known
) -> FlowVersion:
    if found := await find_mistakes(session, version.document, known=known):
        raise FlowInvalid(found)
    await session.execute(
        update(FlowVersion)
        .where(FlowVersion.flow_key == version.flow_key, FlowVersion.state == FlowState.PUBLISHED)
        .values(state=FlowState.RETIRED)
    )
    version.state, version.published_at, version.author = FlowState.PUBLISHED, now, author
    await session.flush()
    return version


async def _others(session: AsyncSession, but: str) -> dict[str, flow_nodes.Flow]:
    """The other flows in force, which this one may call."""
    found = await session.execute(
        select(FlowVersion.flow_key, FlowVersion.document).where(
            FlowVersion.state == FlowState.PUBLISHED, FlowVersion.flow_key != but
        )
    )
    return {key: parse(document) for key, document in found}
