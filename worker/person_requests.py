"""Does what people ask for about their data: packs it, or erases what may go, and looks again at what had to stay."""

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import erasure, journal, legal_holds, people, person_package, person_requests
from ura.adapters import demo_inbox
from ura.crypto import Keyring
from ura.db import Sessions, database_is_away
from ura.erasure import Erased
from ura.erp import Erp, ErpUnavailable
from ura.models import JournalOffset, OutboxMessage, PersonRequest, PersonRequestKind
from ura.people import Person
from ura.person_requests import PACKAGE_KEPT, package_path
from ura.settings import Settings
from ura.shelves import SHELVES
from worker.schedules import repeat

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 5.0
CLAIM_HOLDS = timedelta(minutes=30)
_MESSAGES = next(shelf for shelf in SHELVES if shelf.model is OutboxMessage)


class TakenOver(Exception):
    """Another worker has the request: nothing of ours is committed."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class PersonRequests:
    def __init__(
        self, sessions: Sessions, erp: Erp, settings: Settings, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._sessions = sessions
        self._erp = erp
        self._settings = settings
        self._keyring = Keyring.of(settings)
        self._now = now
        self._name = f"{socket.gethostname()}-{os.getpid()}"[:64]

    async def run(self) -> None:
        await repeat(LOOK_EVERY_S, self.step, put_off="requests about people's data are looked at later")

    async def step(self) -> None:
        """All that is due now."""
        now = self._now()
        await self._drop_old_packages(now)
        async with self._sessions.begin() as session:
            await person_requests.release_stale(session, claimed_before=now - CLAIM_HOLDS, now=now)
        while await self._one():
            pass

    async def _one(self) -> bool:
        now = self._now()
        async with self._sessions() as session:
            if not await person_requests.is_due(session, now=now):
                return False
        async with self._sessions.begin() as session:
            request = await person_requests.claim(session, worker=self._name, now=now)
        if request is None:
            return False
        try:
            await self._do(request, now)
        except TakenOver:
            log.warning("another worker took this request over", request_id=request.id)
        except Exception as error:
            if database_is_away(error):
                raise
            if not isinstance(error, ErpUnavailable):
                log.exception("a request about a person's data failed", request_id=request.id)
            async with self._sessions.begin() as session:
                await person_requests.put_off(session, request, error=type(error).__name__, now=now)
        return True

    async def _do(self, request: PersonRequest, now: datetime) -> None:
        assert request.person is not None  # only what is over has none
        person = await people.known(people.unseal(self._keyring, request.person), self._erp)
        if request.kind is PersonRequestKind.PACKAGE:
            await self._pack(request, person, now)
        else:
            await self._erase(request, person, now)

    # -- a package

    async def _pack(self, request: PersonRequest, person: Person, now: datetime) -> None:
        async with self._sessions() as session:
            found = await person_package.gather(session, person, self._keyring)
        package = await asyncio.to_thread(
            person_package.write,
            found,
            person,
            to=package_path(self._settings.packages_dir, request.id),
            recordings_dir=self._settings.recordings_dir,
            provider=self._settings.provider_name,
            zone=self._settings.zone,
            now=now,
        )
        result = [Erased(table, rows).told() for table, rows in package.rows.items()]
        async with self._sessions.begin() as session:
            mine = await person_requests.answer(
                session,
                request,
                result=result,
                now=now,
                sha256=package.sha256,
                size_bytes=package.size_bytes,
                kept_until=now + PACKAGE_KEPT,
            )
            if not mine:
                raise TakenOver
        log.info("a person's data are packed", request_id=request.id, tables=len(package.rows))

    async def _drop_old_packages(self, now: datetime) -> None:
        async with self._sessions() as session:
            old = await person_requests.list_packages(session, kept_before=now)
        for request_id in old:
            package_path(self._settings.packages_dir, request_id).unlink(missing_ok=True)
        if old:
            async with self._sessions.begin() as session:
                await person_requests.forget_packages(session, old, now=now)

    # -- an erasure

    async def _erase(self, request: PersonRequest, person: Person, now: datetime) -> None:
        """Outside of the database first: a crash between leaves rows, which the next turn finds."""
        needles = await self._needles(person)
        async with self._sessions.begin() as session:
            held = await legal_holds.current(session, self._keyring, self._erp)
        if not held.holds(person):
            await self._clear_files(person, needles)
        async with self._sessions.begin() as session:
            person = await erasure.remembered(session, person)
            folder = self._settings.recordings_dir
            erased = await erasure.erase(session, person, held=held, folder=folder, now=now)
            result = [each.told() for each in erased]
            if any(each.kept and each.why != "wish" for each in erased):
                sealed = person.sealed(self._keyring)
                mine = await person_requests.look_again(session, request, result=result, now=now, person=sealed)
            else:
                mine = await person_requests.answer(session, request, result=result, now=now, person=None)
            if not mine:
                raise TakenOver
        log.info("a person's data are erased", request_id=request.id, kept=sum(each.kept for each in erased))

    async def _needles(self, person: Person) -> list[bytes]:
        """What tells a line of the journal to be theirs."""
        async with self._sessions() as session:
            calls = (await session.scalars(people.calls_of(person))).all()
        return [word.encode() for word in (*person.targets, *calls)]

    async def _clear_files(self, person: Person, needles: list[bytes]) -> None:
        """Packages, what the demo inbox got, and applied lines of the journal, whose rows the database has."""
        async with self._sessions() as session:
            packages = await person_requests.list_packages(session, about=person.abouts(self._keyring))
            messages = (await session.scalars(select(OutboxMessage.id).where(_MESSAGES.rows(person)))).all()
            offsets = await _offsets(session)
        for request_id in packages:
            package_path(self._settings.packages_dir, request_id).unlink(missing_ok=True)
        if packages:
            async with self._sessions.begin() as session:
                await person_requests.forget_packages(session, packages, now=self._now())
        await asyncio.to_thread(demo_inbox.forget, self._settings.inbox_dir, messages)
        if needles:
            for path in journal.files(self._settings.journal_dir):
                await asyncio.to_thread(journal.blank, path, offsets.get(path.name, 0), needles)
            for path in self._settings.journal_dir.glob("*.bad"):
                journal.blank(path, path.stat().st_size, needles)  # here: only this thread adds to them


async def _offsets(session: AsyncSession) -> dict[str, int]:
    return {file: offset for file, offset in await session.execute(select(JournalOffset.file, JournalOffset.offset))}
