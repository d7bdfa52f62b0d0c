"""Which outage touches this line? Who wants to know when it is over?

An outage is opened for places or parts of the fibre, and plays to exactly the callers whose contract hangs on one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4, uuid5

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import domain_events, events, outbox, paging, phones, queues, upsert
from ura.coverage import plain
from ura.erp import Contract, SendChannel
from ura.errors import BadInput, NotFound, Refused
from ura.models import Cause, EventKind, IncidentUpdate, NoticedOutage, Outage, OutageCall, OutageScope
from ura.paging import Page
from ura.phones import PhoneKind
from ura.upsert import Row

NEWS = UUID("2f1c8f0a-7f6b-4c53-9d21-0d9f4cf6f2a1")
CALLBACK_QUEUE = "l1"
MOST_SCOPES = 500
NOBODY = ""  # closed an outage that is over as far as anybody can tell, and of which nobody saw the end


class OutageNotFound(NotFound):
    code = "outage-not-found"


class OutageIsOver(Refused):
    code = "outage-is-over"


@dataclass(frozen=True, slots=True)
class Scope:
    """One thing that is touched. A neighbourhood is named with its city; a PON with its OLT."""

    neighbourhood: str = ""
    city: str = ""
    olt: str = ""
    pon: str = ""
    cto: str = ""

    def key(self) -> str:
        """Raises BadInput when it names nothing, or two things."""
        if self.neighbourhood and self.city and not (self.olt or self.pon or self.cto):
            return f"neighbourhood:{plain(self.city)}/{plain(self.neighbourhood)}"[:200]
        if self.cto and not (self.neighbourhood or self.pon):
            return f"cto:{self.cto.strip().upper()}"[:200]
        if self.olt and not (self.neighbourhood or self.cto):
            olt, pon = self.olt.strip().upper(), self.pon.strip().upper()
            return (f"pon:{olt} {pon}" if pon else f"olt:{olt}")[:200]
        raise BadInput("name a neighbourhood with its city, an OLT, a PON with its OLT, or a CTO")

    def name(self) -> str:
        """As people write it."""
        parts = [self.neighbourhood, self.city] if self.neighbourhood else [self.cto or self.olt, self.pon]
        return ", ".join(part.strip() for part in parts if part.strip())[:200]


def scope_keys(contract: Contract) -> list[str]:
    """Everything this contract hangs on, as far as its ERP knows."""
    access = contract.access
    scopes = (
        Scope(neighbourhood=contract.neighbourhood, city=contract.city),
        Scope(olt=access.olt),
        Scope(olt=access.olt, pon=access.pon),
        Scope(cto=access.cto),
    )
    keys = []
    for scope in scopes:
        try:
            keys.append(scope.key())
        except BadInput:
            continue
    return list(dict.fromkeys(keys))


async def open_outage(
    session: AsyncSession,
    *,
    cause: Cause,
    scopes: Iterable[Scope],
    started_at: datetime,
    ends_at: datetime | None,
    opened_by: str,
    now: datetime,
    note: str = "",
    outage_id: str = "",
) -> Outage:
    """Callers hear it from their next question on. By its id: asked twice, the first stays and is given back."""
    if outage_id and (known := await session.get(Outage, outage_id)) is not None:
        return known
    touched = _touched(scopes)
    _check_estimate(started_at, ends_at)
    outage = Outage(
        id=outage_id or uuid4().hex,
        cause=cause,
        note=note.strip(),
        started_at=started_at,
        ends_at=ends_at,
        opened_by=opened_by,
        created_at=now,
    )
    session.add(outage)
    await session.flush()
    session.add_all(OutageScope(outage_id=outage.id, key=key, name=name) for key, name in touched.items())
    await session.flush()
    await _ring(session, outage, now)
    await domain_events.record(session, EventKind.OUTAGE_OPENED, outage.id, _told(outage), now=now, once="")
    return outage


async def change_outage(
    session: AsyncSession,
    outage: Outage,
    *,
    cause: Cause,
    ends_at: datetime | None,
    note: str,
    scopes: Iterable[Scope] | None = None,
    now: datetime | None = None,
) -> None:
    """What callers hear from now on. `scopes` None: as they were. `now` None: the present moment."""
    if outage.closed_at is not None:
        raise OutageIsOver("this outage is over; open a new one")
    _check_estimate(outage.started_at, ends_at)
    outage.cause, outage.ends_at, outage.note = cause, ends_at, note.strip()
    if scopes is not None:
        touched = _touched(scopes)
        await session.execute(delete(OutageScope).where(OutageScope.outage_id == outage.id))
        session.add_all(OutageScope(outage_id=outage.id, key=key, name=name) for key, name in touched.items())
    await session.flush()
    at = now or datetime.now(UTC)
    await _ring(session, outage, at)
    await domain_events.record(session, EventKind.OUTAGE_CHANGED, outage.id, _told(outage), now=at)


async def close_outage(
    session: AsyncSession, outage: Outage, *, closed_by: str, now: datetime, by: SendChannel = SendChannel.SMS
) -> int:
    """It is over. Who asked is told, once; returns how many that were. Closing again changes nothing."""
    await end_outage(session, outage, closed_by=closed_by, now=now)
    return await tell_who_waits(session, now=now, by=by)


async def end_outage(session: AsyncSession, outage: Outage, *, closed_by: str, now: datetime) -> bool:
    """Callers hear nothing of it any more. False: it was over already, perhaps by somebody who was faster."""
    change = (
        update(Outage)
        .where(Outage.id == outage.id, Outage.closed_at.is_(None))
        .values(closed_at=now, closed_by=closed_by)
        .returning(Outage.id)
        .execution_options(synchronize_session=False)
    )
    ended = await session.scalar(change) is not None
    await session.refresh(outage)
    if ended:
        await _ring(session, outage, now)
        await domain_events.record(session, EventKind.OUTAGE_CLOSED, outage.id, {"cause": outage.cause}, now=now)
    return ended


async def _ring(session: AsyncSession, outage: Outage, now: datetime) -> None:
    await events.ring(session, {"outages": {"ids": [outage.id]}}, now=now)


async def get_outage(session: AsyncSession, outage_id: str) -> Outage:
    outage = await session.get(Outage, outage_id)
    if outage is None:
        raise OutageNotFound(f"there is no outage {outage_id}")
    return outage


async def list_outages(session: AsyncSession, *, over: bool | None = None, limit: int = 100) -> Sequence[Outage]:
    """Newest first. `over` False: those in progress only."""
    return (await page_outages(session, over=over, limit=limit)).items


async def page_outages(
    session: AsyncSession, *, over: bool | None = None, cursor: str = "", limit: int = 100
) -> Page[Outage]:
    """The same, page by page."""
    conditions = [] if over is None else [Outage.closed_at.is_not(None) if over else Outage.closed_at.is_(None)]
    by = (Outage.started_at, Outage.id)
    return await paging.fetch(session, Outage, conditions, by=by, cursor=cursor, limit=limit)


async def scopes_of(session: AsyncSession, outage_ids: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Outage → what it touches: kind (`neighbourhood`, `olt`, `pon`, `cto`) and name."""
    rows = await session.execute(
        select(OutageScope.outage_id, OutageScope.key, OutageScope.name)
        .where(OutageScope.outage_id.in_(list(outage_ids)))
        .order_by(OutageScope.key)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for outage_id, key, name in rows:
        found.setdefault(outage_id, []).append((key.partition(":")[0], name))
    return found


async def is_any_open(session: AsyncSession, *, now: datetime) -> bool:
    """Quick: most of the time there is none, and nobody need be looked up."""
    query = select(Outage.id).where(Outage.closed_at.is_(None), Outage.started_at <= now).limit(1)
    return await session.scalar(query) is not None


async def find_for(session: AsyncSession, contract: Contract, *, now: datetime) -> Outage | None:
    """The outage in progress that touches this contract; of several the one that lasts longest as far as is known."""
    keys = scope_keys(contract)
    if not keys:
        return None
    touched = select(OutageScope.outage_id).where(OutageScope.key.in_(keys))
    query = (
        select(Outage)
        .where(Outage.closed_at.is_(None), Outage.started_at <= now, Outage.id.in_(touched))
        .order_by(Outage.ends_at.desc().nulls_last(), Outage.started_at)
        .limit(1)
    )
    return await session.scalar(query)


async def texts(session: AsyncSession, outage_ids: Iterable[str]) -> dict[str, str]:
    """Outage → what was said of it last; none without words."""
    said = select(IncidentUpdate.incident_id, IncidentUpdate.text).where(
        IncidentUpdate.incident_id.in_(list(outage_ids)), IncidentUpdate.text != ""
    )
    rows = await session.execute(said.order_by(IncidentUpdate.at, IncidentUpdate.id))
    return {outage_id: text for outage_id, text in rows}


async def list_words(session: AsyncSession) -> list[str]:
    """What callers are to hear of the outages that are not over, beside their causes."""
    current = select(Outage.id).where(Outage.closed_at.is_(None))
    return sorted((await texts(session, await session.scalars(current))).values())


# -- those that only the provider's system knows of


async def learn_notices(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with the columns of NoticedOutage but `seen_at`, and `text`, `ends_at`, `at`. One that is in progress stays
    as it is, and is asked for by its newest caller's contract from now on; one that was over before has come back."""
    insert = upsert.insert(upsert.dialect(session), NoticedOutage)
    newest = {name: insert.excluded[name] for name in ("subscriber_ref", "contract_ref", "seen_at")}
    later = NoticedOutage.seen_at.is_(None) | (NoticedOutage.seen_at < insert.excluded.seen_at)
    noticed = insert.on_conflict_do_update(index_elements=["outage_id"], set_=newest, where=later)
    for row in rows:
        known = {name: row[name] for name in ("outage_id", "source", "reference", "subscriber_ref", "contract_ref")}
        outage = {
            "id": row["outage_id"],
            "cause": Cause.OTHER,
            "note": row["text"],
            "started_at": row["at"],
            "ends_at": row["ends_at"],
            "closed_at": None,
            "opened_by": row["source"],
            "closed_by": "",
            "created_at": row["at"],
        }
        await upsert.add_new(session, Outage, [outage])
        data = {"cause": Cause.OTHER}
        await domain_events.record(session, EventKind.OUTAGE_OPENED, row["outage_id"], data, now=row["at"], once="")
        await upsert.execute(session, noticed, [known | {"seen_at": row["at"]}])
        back = {"closed_at": None, "closed_by": "", "ends_at": row["ends_at"]}
        over = update(Outage).where(Outage.id == row["outage_id"], Outage.closed_at < row["at"])
        await session.execute(over.values(**back).execution_options(synchronize_session=False))


async def list_noticed(session: AsyncSession, *, source: str) -> Sequence[NoticedOutage]:
    """Those of this system that are in progress, as far as we know."""
    in_progress = select(Outage.id).where(Outage.closed_at.is_(None))
    query = select(NoticedOutage).where(NoticedOutage.source == source, NoticedOutage.outage_id.in_(in_progress))
    return (await session.scalars(query.order_by(NoticedOutage.outage_id))).all()


# -- who rang because of it


async def add_calls(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `outage_id`, `call_id`, `contract_id`, `phone`, `wants_news`, `created_at`. A wish is never taken back
    by a record that does not know of it."""
    insert = upsert.insert(upsert.dialect(session), OutageCall)
    kept = insert.on_conflict_do_update(
        index_elements=["outage_id", "call_id"],
        set_={
            "wants_news": OutageCall.wants_news | insert.excluded.wants_news,
            "phone": func.coalesce(func.nullif(insert.excluded.phone, ""), OutageCall.phone),
            "contract_id": func.coalesce(func.nullif(insert.excluded.contract_id, ""), OutageCall.contract_id),
        },
    )
    await upsert.execute(session, kept, rows)


async def count_calls(session: AsyncSession, outage_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Outage → calls that were told of it, people who want news of it."""
    rows = await session.execute(
        select(
            OutageCall.outage_id,
            func.count(),
            func.count(func.distinct(func.nullif(OutageCall.phone, ""))).filter(OutageCall.wants_news.is_(True)),
        )
        .where(OutageCall.outage_id.in_(list(outage_ids)))
        .group_by(OutageCall.outage_id)
    )
    return {outage_id: (calls, waiting) for outage_id, calls, waiting in rows}


async def tell_who_waits(session: AsyncSession, *, now: datetime, by: SendChannel = SendChannel.SMS) -> int:
    """Of outages that are over: a message to a mobile, a call back to any other line, once a number and outage; a call
    back to each when nobody saw the end, since no message can tell it. `by`: the way to a mobile
    (ura.gateways.phone_channel).

    Also called by the clock: a wish may come out of the journal after the outage was closed.
    """
    closed = select(Outage.id).where(Outage.closed_at.is_not(None))
    waiting = (
        update(OutageCall)
        .where(OutageCall.wants_news.is_(True), OutageCall.told_at.is_(None), OutageCall.outage_id.in_(closed))
        .values(told_at=now)
        .returning(OutageCall.outage_id, OutageCall.phone, OutageCall.call_id)
        .execution_options(synchronize_session=False)
    )
    news = {(outage_id, phone): call_id for outage_id, phone, call_id in await session.execute(waiting) if phone}
    ends = select(Outage.id, Outage.closed_at, Outage.closed_by)
    ends = ends.where(Outage.id.in_({outage_id for outage_id, _ in news}))
    ended = {outage_id: (closed_at, closed_by) for outage_id, closed_at, closed_by in await session.execute(ends)}
    messages, calls = [], []
    for (outage_id, phone), call_id in sorted(news.items()):
        closed_at, closed_by = ended[outage_id]
        news_id = uuid5(NEWS, f"{outage_id}:{phone}:{closed_at}").hex  # it may come back, and end
        row = {"id": news_id, "call_id": call_id, "created_at": now}
        if closed_by != NOBODY and phones.kind(phone) is PhoneKind.MOBILE:
            payload = {"outage_id": outage_id}
            messages.append({**row, "kind": "outage_fixed", "to": phone, "payload": payload, "channel": by})
        else:
            calls.append({**row, "phone": phone, "queue": CALLBACK_QUEUE, "not_before_at": now})
    await outbox.enqueue_rows(session, messages)
    await queues.request_callbacks(session, calls)
    return len(news)


def _touched(scopes: Iterable[Scope]) -> dict[str, str]:
    """Key → name, each once."""
    touched = {scope.key(): scope.name() for scope in scopes}
    if not 0 < len(touched) <= MOST_SCOPES:
        raise BadInput(f"an outage touches 1 to {MOST_SCOPES} places or parts of the network, not {len(touched)}")
    return touched


def _told(outage: Outage) -> dict[str, str | None]:
    return {"cause": outage.cause, "ends_at": outage.ends_at.isoformat() if outage.ends_at else None}


def _check_estimate(started_at: datetime, ends_at: datetime | None) -> None:
    if ends_at is not None and ends_at <= started_at:
        raise BadInput("an outage cannot end before it began")
