"""What the panel reads: calls with names and paths, figures of the day, records that wait in the journal."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from api.call_views import CallView, Names, Stage, stage_of, views
from api.live import Figures, today_in
from ura import calls, events, health, journal, numbers, queues
from ura.calls import CallFilter
from ura.db import Sessions
from ura.errors import NotFound
from ura.flows import store
from ura.health import WaitingRecord
from ura.models import Call, Event, Outcome
from ura.settings import Settings

NAMES_KEPT_S = 10.0
VERSIONS_KEPT = 50
LAST = 100


class Reader:
    """One short transaction a question."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self._sessions = sessions
        self._settings = settings
        self._names = Names()
        self._names_at = 0.0
        self._offsets: dict[str, int] = {}
        self._nodes: dict[tuple[str, int | None], Mapping[str, str]] = {}

    async def last_bell(self) -> int:
        async with self._sessions() as session:
            return await events.last_id(session)

    async def bells(self, after: int) -> list[Event]:
        async with self._sessions() as session:
            return list(await events.list_since(session, after, limit=1000))

    async def calls(self, ids: Iterable[str]) -> list[CallView]:
        async with self._sessions() as session:
            found = await calls.list_by_ids(session, list(ids))
            return await self.view(session, found)

    async def live(self) -> list[CallView]:
        """Calls in progress, the newest first."""
        async with self._sessions() as session:
            found = list(await calls.list_live(session))
            return await self.view(session, found[::-1])

    async def last(self, wanted: CallFilter, stage: Stage | None, cursor: str = "") -> tuple[list[CallView], str]:
        """The last hundred that fit, the newest first, and the cursor of those before."""
        async with self._sessions() as session:
            if stage is None or stage is Stage.ENDED:
                page = await calls.list_calls(session, filters=wanted, cursor=cursor, limit=LAST)
                return await self.view(session, page.items), page.next_cursor
            page = await calls.list_calls(session, filters=wanted, limit=LAST)
            return await self.view(session, [call for call in page.items if stage_of(call) is stage]), ""

    async def figures(self) -> Figures:
        today = today_in(datetime.now(self._settings.zone))
        async with self._sessions() as session:
            live = await calls.list_live(session)
            return Figures(
                live=len(live),
                queued=sum(stage_of(call) is Stage.QUEUE for call in live),
                calls_today=await calls.count_calls(session, CallFilter(opened_from=today)),
                abandoned_today=await calls.count_calls(
                    session, CallFilter(opened_from=today, outcome=Outcome.ABANDONED)
                ),
                today=today.astimezone(self._settings.zone).date().isoformat(),
            )

    async def waiting(self) -> int:
        """Records the database does not have. With the database away, the last offsets known are good enough."""
        with suppress(SQLAlchemyError, OSError):
            async with self._sessions() as session:
                self._offsets = await health.journal_offsets(session)
        return await asyncio.to_thread(journal.waiting, self._settings.journal_dir, self._offsets)

    async def waiting_records(self) -> list[WaitingRecord]:
        """The oldest of them."""
        await self.waiting()
        return await asyncio.to_thread(health.waiting_records, self._settings.journal_dir, self._offsets)

    async def view(self, session: AsyncSession, found: Sequence[Call]) -> list[CallView]:
        return await views(session, found, await self.names(session, found), datetime.now(UTC))

    async def names(self, session: AsyncSession, found: Sequence[Call] = ()) -> Names:
        """Titles of lines and queues, read again every few seconds; of flow versions, which never change, once."""
        if time.monotonic() - self._names_at > NAMES_KEPT_S:
            self._names = Names(
                dids={did.number: did.label for did in await numbers.list_dids(session)},
                queues={queue.key: queue.title for queue in await queues.list_queues(session)},
                flows={flow.key: flow.title for flow in await numbers.list_flows(session)},
                nodes=self._nodes,
            )
            self._names_at = time.monotonic()
        for key, version in {(call.flow_key, call.flow_version) for call in found}:
            if version is not None and (key, version) not in self._nodes:
                await self._learn(session, key, version)
        return self._names

    async def _learn(self, session: AsyncSession, key: str, number: int) -> None:
        try:
            document = (await store.get_version(session, key, number)).document
        except NotFound:  # a flow that was only on disk: its nodes are shown by their keys
            return
        if len(self._nodes) >= VERSIONS_KEPT:
            self._nodes.pop(next(iter(self._nodes)))
        self._nodes[(key, number)] = titles_in(document)


def titles_in(document: Mapping[str, Any]) -> dict[str, str]:
    """Titles of nodes by key, and of the steps of guided lists by "node/step"."""
    titles: dict[str, str] = {}
    for node in document.get("nodes", []):
        if "key" in node:
            titles[str(node["key"])] = str(node.get("title") or "")
            for step in node.get("steps") or []:
                titles[f"{node['key']}/{step.get('key')}"] = str(step.get("title") or "")
    return titles
