"""Requests of people about their own data: a package of it all, or that it be erased, each with the day it is due.

History on request is due in five days (Decree 11.034 art. 12), every other answer in fifteen (LGPD art. 19 II). The
worker does the work (worker/person_requests.py); a package is kept for thirty days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, events, paging, upsert
from ura.claims import Claims
from ura.crypto import Keyring
from ura.errors import NotFound, Refused
from ura.models import PersonRequest, PersonRequestKind, PersonRequestState
from ura.paging import Page
from ura.people import Person

DUE_IN = {PersonRequestKind.PACKAGE: timedelta(days=5), PersonRequestKind.ERASE: timedelta(days=15)}
PACKAGE_KEPT = timedelta(days=30)
LOOK_AGAIN = timedelta(days=1)  # at what an erasure had to leave
MOST_ATTEMPTS = 20  # more than two weeks; then a person has to look
_S = PersonRequestState
_CLAIMS = Claims(PersonRequest, waiting=_S.QUEUED, taken=_S.RUNNING)


class PersonRequestNotFound(NotFound):
    code = "person-request-not-found"


class PackageNotReady(Refused):
    code = "package-not-ready"


class PackageGone(NotFound):
    code = "package-gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRequestFilter:
    kind: PersonRequestKind | None = None
    state: PersonRequestState | None = None
    about: Sequence[str] = ()  # keyed hashes, ura.people.Person.abouts
    answered: bool | None = None


def package_path(folder: Path, request_id: str) -> Path:
    return folder / f"{request_id}.zip"


async def ask(
    session: AsyncSession,
    *,
    request_id: str,
    kind: PersonRequestKind,
    person: Person,
    actor: str,
    keyring: Keyring,
    now: datetime,
) -> PersonRequest:
    """Asked again by the same id, the first stays."""
    row = {
        "id": request_id,
        "kind": kind,
        "state": _S.QUEUED,
        "person": person.sealed(keyring),
        "about": person.about(keyring),
        "asked_by": actor,
        "asked_at": now,
        "due_at": now + DUE_IN[kind],
        "next_at": now,
    }
    if await upsert.is_new(session, PersonRequest, row):
        await audit.record(session, actor=actor, action=f"person.{kind.value}", subject=request_id, detail={}, at=now)
        await _ring(session, request_id, now)
    return await get_request(session, request_id)


async def get_request(session: AsyncSession, request_id: str) -> PersonRequest:
    request = await session.get(PersonRequest, request_id)
    if request is None:
        raise PersonRequestNotFound("There is no such request.")
    return request


async def list_requests(
    session: AsyncSession, *, filters: PersonRequestFilter, cursor: str = "", limit: int = 50
) -> Page[PersonRequest]:
    """Newest first."""
    conditions = paging.equal(PersonRequest, filters, ("kind", "state"))
    if filters.about:
        conditions.append(PersonRequest.about.in_(filters.about))
    if filters.answered is not None:
        answered = PersonRequest.answered_at
        conditions.append(answered.is_not(None) if filters.answered else answered.is_(None))
    by = (PersonRequest.asked_at, PersonRequest.id)
    return await paging.fetch(session, PersonRequest, conditions, by=by, cursor=cursor, limit=limit)


async def download(session: AsyncSession, request: PersonRequest, *, folder: Path, actor: str, now: datetime) -> Path:
    """The zip, once the audit says that `actor` took it: each time. Raises PackageNotReady, PackageGone."""
    if request.kind is not PersonRequestKind.PACKAGE or request.state is not _S.DONE:
        raise PackageNotReady("There is no package of this request yet. Look at its `state`.")
    file = package_path(folder, request.id)
    if request.kept_until is None or now >= request.kept_until or not file.is_file():
        raise PackageGone("A package is kept for thirty days. Ask for a new one.")
    await audit.record(
        session, actor=actor, action="person.package-downloaded", subject=request.id, detail={"sha256": request.sha256},
        at=now,
    )  # fmt: skip
    return file


# -- for the worker --------------------------------------------------------------------------------------------------


async def is_due(session: AsyncSession, *, now: datetime) -> bool:
    due = select(PersonRequest.id).where(PersonRequest.state == _S.QUEUED, PersonRequest.next_at <= now).limit(1)
    return await session.scalar(due) is not None


async def claim(session: AsyncSession, *, worker: str, now: datetime) -> PersonRequest | None:
    """One that is due; commit before working on it."""
    found = await _CLAIMS.claim(session, worker=worker, now=now, limit=1)
    return found[0] if found else None


async def release_stale(session: AsyncSession, *, claimed_before: datetime, now: datetime) -> int:
    return await _CLAIMS.release_stale(session, claimed_before=claimed_before, now=now)


async def answer(
    session: AsyncSession, request: PersonRequest, *, result: list[dict[str, Any]], now: datetime, **values: Any
) -> bool:
    """Done, and what came of it. False: another worker has it meanwhile, and nothing of this may be committed."""
    done = {"state": _S.DONE, "answered_at": request.answered_at or now, "last_error": ""}
    mine = await _CLAIMS.settle(session, request, **{**done, "result": result, **values})
    if mine:
        rows = sum(each["rows"] for each in result)
        detail = {"rows": rows, "kept": sum(each["kept"] for each in result)}
        await audit.record(
            session,
            actor="worker",
            action=f"person.{request.kind.value}-done",
            subject=request.id,
            detail=detail,
            at=now,
        )
        await _ring(session, request.id, now)
    return mine


async def look_again(
    session: AsyncSession, request: PersonRequest, *, result: list[dict[str, Any]], now: datetime, **values: Any
) -> bool:
    """An erasure that had to leave something: it is answered, and goes on when the law or the hold lets it."""
    waits = {"state": _S.QUEUED, "next_at": now + LOOK_AGAIN, "attempts": 0}
    return await answer(session, request, result=result, now=now, **{**waits, **values})


async def put_off(session: AsyncSession, request: PersonRequest, *, error: str, now: datetime) -> bool:
    """`error` names what failed, and nobody."""
    if request.attempts >= MOST_ATTEMPTS:
        return await _CLAIMS.settle(session, request, state=_S.FAILED, last_error=error[:2000])
    return await _CLAIMS.try_later(session, request, error=error, now=now)


async def list_packages(
    session: AsyncSession, *, about: Sequence[str] = (), kept_before: datetime | None = None
) -> Sequence[str]:
    """Ids of packages that are still kept: those of a person, or those whose time is over."""
    kept = (PersonRequest.kind == PersonRequestKind.PACKAGE, PersonRequest.person.is_not(None))
    query = select(PersonRequest.id).where(*kept, PersonRequest.state == _S.DONE)
    if about:
        query = query.where(PersonRequest.about.in_(about))
    if kept_before:
        query = query.where(PersonRequest.kept_until < kept_before)
    return (await session.scalars(query)).all()


async def forget_packages(session: AsyncSession, request_ids: Sequence[str], *, now: datetime) -> None:
    """Their files are gone: who it was is not kept either."""
    change = update(PersonRequest).where(PersonRequest.id.in_(request_ids)).values(person=None, kept_until=now)
    await session.execute(change.execution_options(synchronize_session=False))


async def _ring(session: AsyncSession, request_id: str, now: datetime) -> None:
    await events.ring(session, {"person_requests": {"ids": [request_id]}}, now=now)
