"""Which flow does a call on this number follow, now, whatever state the database is in?

The versions in force are read every few seconds, off the call path, and copied to local disk. A flow that cannot run is
not taken: calls go on with the last good copy, else with the flow that ships with Prosa.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ura.db import Sessions
from ura.errors import UraError
from ura.flows import documents
from ura.flows.engine import CompiledFlow, compile_flow
from ura.flows.mistakes import FlowInvalid, FlowMistake, TargetMissing
from ura.flows.validation import STOPPERS, Known, find_mistakes, parse
from ura.models import Did, FlowState, FlowVersion

log = structlog.get_logger(__name__)

Json = Any
DEFAULT_FLOW = "provedor"
VERSIONS_KEPT = 5
READ_WITHIN_S = 2.0


def compile_document(
    document: Mapping[str, Json], others: Mapping[str, Mapping[str, Json]], *, number: int = 0
) -> CompiledFlow:
    """A flow that can run. Raises FlowInvalid. What publishing refuses for other reasons (the law, a prompt that has
    gone) runs all the same: a call that is answered is better than none."""
    return replace(_compile(json.dumps([document, others], sort_keys=True)), number=number)


@lru_cache(maxsize=8)
def _compile(text: str) -> CompiledFlow:
    """By what is in it: what a process compiled before it forked, its children share."""
    document, others = json.loads(text)
    flow, parsed = parse(document), {key: parse(other) for key, other in others.items()}
    found = find_mistakes(flow, known=Known(), others=parsed)
    fatal: list[FlowMistake] = [mistake for mistake in found if isinstance(mistake, (*STOPPERS, TargetMissing))]
    if fatal:
        raise FlowInvalid(fatal)
    return compile_flow(flow, parsed)


@cache
def shipped_flow() -> CompiledFlow:
    """The flow of last resort. Reading it takes a tenth of a second: a process that forks calls this before."""
    return compile_document(documents.shipped(DEFAULT_FLOW), {})


@dataclass(frozen=True, slots=True)
class Number:
    """A number that callers dial. `kind`: landline, mobile or corporate."""

    number: str
    kind: str
    label: str
    flow_key: str


class _Head(NamedTuple):
    """What tells one version in force from another, without its document."""

    key: str
    number: int
    checksum: str


@dataclass(frozen=True, slots=True)
class _Version:
    """One version with everything it needs to run, as it is kept on disk."""

    key: str
    number: int
    checksum: str
    document: dict[str, Json]
    others: dict[str, dict[str, Json]]


class PublishedFlows:
    """Ask `get` in a call; keep `run` going beside it. Never raises and never waits in `get`."""

    def __init__(self, sessions: Sessions, folder: Path, *, every_s: float = 3.0, copy: bool = True) -> None:
        self._sessions = sessions
        self._folder = folder
        self._every_s = every_s
        self._copy = copy  # keep the copy on disk up to date
        self._numbers: dict[str, Number] = {}
        self._current: dict[str, CompiledFlow] = {}
        self._earlier: dict[tuple[str, int], CompiledFlow] = {}
        self._seen: set[_Head] = set()
        self._database_away = False
        self._shipped = shipped_flow()
        self._read_disk()

    def get(self, did: str) -> CompiledFlow:
        """The flow that a new call to `did` follows. A number we do not know follows the default flow."""
        number = self._numbers.get(did)
        key = number.flow_key if number else DEFAULT_FLOW
        return self._current.get(key) or self._current.get(DEFAULT_FLOW) or self._shipped

    def find_current(self, flow_key: str) -> CompiledFlow | None:
        """The version of this flow that is in force."""
        return self._current.get(flow_key)

    def find(self, flow_key: str, number: int) -> CompiledFlow | None:
        """The very version that a call began with, to go on with after a restart. None when it is kept nowhere."""
        for flow in (self._current.get(flow_key), self._earlier.get((flow_key, number)), self._shipped):
            if flow and flow.flow.key == flow_key and flow.number == number:
                return flow
        version = self._read_version(flow_key, number)
        return self._compiled(version) if version else None

    def find_number(self, did: str) -> Number | None:
        return self._numbers.get(did)

    async def run(self) -> None:
        """Refresh for ever. Cancel to stop."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._every_s)

    async def refresh(self) -> bool:
        """Take over what was published since. False: the database is away, and everything stays as it was."""
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                numbers, heads, versions = await self._read_database()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            if not self._database_away:
                log.warning("database away: calls follow the last published flows on disk", error=type(error).__name__)
            self._database_away = True
            return False
        if self._database_away:
            log.info("database back: published flows are read again")
        self._database_away = False
        taken = [version for version in versions if self._take(version)]
        self._seen = heads
        news = bool(taken) or numbers != self._numbers
        self._numbers = numbers
        if news and self._copy:
            await asyncio.to_thread(self._write_disk, taken)
        return True

    # -- the database

    async def _read_database(self) -> tuple[dict[str, Number], set[_Head], list[_Version]]:
        """The numbers, what is in force, and those versions; none of them when they are the ones we saw before."""
        async with self._sessions() as session:
            rows = await session.execute(select(Did.number, Did.kind, Did.label, Did.flow_key))
            numbers = {row.number: Number(row.number, row.kind, row.label, row.flow_key or "") for row in rows}
            columns = (FlowVersion.flow_key, FlowVersion.number, FlowVersion.checksum)
            in_force = FlowVersion.state == FlowState.PUBLISHED
            heads = {_Head(*row) for row in await session.execute(select(*columns).where(in_force))}
            if heads == self._seen:
                return numbers, heads, []
            read = {head: await _read_document(session, head) for head in heads}
        documents = {head.key: document for head, document in read.items() if document is not None}
        versions = [
            _Version(*head, document, _without(documents, head.key))
            for head, document in read.items()
            if document is not None
        ]
        return numbers, heads, versions

    def _take(self, version: _Version) -> bool:
        flow = self._compiled(version)
        if flow is None:
            return False
        former = self._current.get(version.key)
        if former and former.number != version.number:
            self._earlier[version.key, former.number] = former
            for old in [at for at in self._earlier if at[0] == version.key][:-VERSIONS_KEPT]:
                del self._earlier[old]
        self._current[version.key] = flow
        return True

    def _compiled(self, version: _Version) -> CompiledFlow | None:
        try:
            return compile_document(version.document, version.others, number=version.number)
        except (UraError, ValueError, TypeError) as error:
            log.error(
                "published flow cannot run; calls follow the last good copy",
                flow=version.key,
                version=version.number,
                reason=str(error).splitlines()[0][:200],
            )
            return None

    # -- the copy on disk

    def _index(self) -> Path:
        return self._folder / "published.json"

    def _file(self, key: str, number: int) -> Path:
        return self._folder / f"{key}-{number}.json"

    def _write_disk(self, taken: list[_Version]) -> None:
        """New versions first, then the index that names them: whoever reads sees the one or the other, whole."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for version in taken:
                _write(self._file(version.key, version.number), asdict(version))
            current = {key: flow.number for key, flow in self._current.items()}
            _write(self._index(), {"numbers": [asdict(each) for each in self._numbers.values()], "flows": current})
            for key, number in current.items():
                self._forget_old(key, number)
        except OSError as error:
            log.error("published flows could not be copied to disk; calls go on from memory", error=str(error))

    def _forget_old(self, key: str, current: int) -> None:
        kept = sorted((_number(file) for file in self._folder.glob(f"{key}-*.json")), reverse=True)[VERSIONS_KEPT:]
        for number in kept:
            if 0 <= number != current:
                self._file(key, number).unlink(missing_ok=True)

    def _read_disk(self) -> None:
        if not self._index().exists():
            return
        try:
            index = json.loads(self._index().read_text(encoding="utf-8"))
            numbers = {each["number"]: Number(**each) for each in index["numbers"]}
            wanted = [(str(key), int(number)) for key, number in index["flows"].items()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("the copy of the published flows cannot be read; calls follow the shipped flow", error=str(error))
            return
        self._numbers = numbers
        for key, number in wanted:
            version = self._read_version(key, number)
            if version and (flow := self._compiled(version)):
                self._current[key] = flow

    def _read_version(self, key: str, number: int) -> _Version | None:
        file = self._file(key, number)
        try:
            return _Version(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            log.error("a copy of a published flow cannot be read", file=file.name, error=str(error))
            return None


async def _read_document(session: AsyncSession, head: _Head) -> dict[str, Json] | None:
    """None when what is stored is no JSON: one damaged row must not cost the other flows."""
    query = select(FlowVersion.document).where(FlowVersion.flow_key == head.key, FlowVersion.number == head.number)
    try:
        document: dict[str, Json] | None = await session.scalar(query)
    except ValueError as error:
        log.error(
            "published flow cannot be read; calls follow the last good copy",
            flow=head.key,
            version=head.number,
            reason=str(error)[:200],
        )
        return None
    return document


def _without(documents: Mapping[str, dict[str, Json]], key: str) -> dict[str, dict[str, Json]]:
    return {other: document for other, document in documents.items() if other != key}


def _number(file: Path) -> int:
    number = file.stem.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def _write(file: Path, content: Json) -> None:
    """Whole or not at all, also when two processes write at once or the power goes."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, suffix=".new", delete=False) as made:
        json.dump(content, made, ensure_ascii=False)
        made.flush()
        os.fsync(made.fileno())
    Path(made.name).replace(file)
