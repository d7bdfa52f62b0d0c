"""Does Asterisk's own list of calls (CDR) say the same as ours? Each call that came in is in both, once.

Asterisk writes its list itself, when a call ends, whatever becomes of us; the journal is ours. A call that is in
Asterisk's list only was lost by us, or its caller went before we were asked. One that is in ours only was never there,
or the list was shortened meanwhile.
"""

import csv
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import phones
from ura.models import Call

TRUNK = "PJSIP/trunk-"  # asterisk_conf/pjsip.conf: whoever comes in; attendants' legs are not calls of their own
# Columns of cdr_csv with loguniqueid and loguserfield (asterisk_conf/cdr.conf). Moments are UTC.
SOURCE, CHANNEL, START, END, UNIQUEID, USERFIELD = 1, 5, 9, 11, 16, 17
NOT_RECORDED = "retorno:"  # dialplan/flow.conf, [note]
SETTLES = timedelta(minutes=1)  # so long a call's record may be on its way to the database
LONGEST = timedelta(hours=2)
AT_ONCE = 500
KEPT = timedelta(days=90)  # as the law has recordings kept: so long somebody may ask
LIST = "asterisk/log/cdr-csv/Master.csv"  # in the state folder
Ours = Row[str, str, datetime, str, str | None]  # id, uniqueid, opened_at, caller, protocol


class Difference(StrEnum):
    NOT_OURS = "only in Asterisk's list"
    TO_CALL_BACK = "only in Asterisk's list, and somebody is to call back"
    NOT_ASTERISKS = "only in our records"
    TWICE = "more than once in our records"


@dataclass(frozen=True, slots=True)
class Odd:
    """One call that is not in both lists once. `caller` is masked."""

    what: Difference
    at: datetime
    uniqueid: str
    caller: str
    protocol: str = ""

    def __str__(self) -> str:
        about = " ".join(each for each in (self.uniqueid, self.caller, self.protocol) if each)
        return f"{self.at:%Y-%m-%d %H:%M:%S} UTC  {about}: {self.what}"


@dataclass(slots=True)
class Compared:
    """`asterisks`, `ours`: how many calls each list has of the time asked for."""

    asterisks: int = 0
    ours: int = 0
    odd: list[Odd] = field(default_factory=list)
    unreadable: int = 0  # lines of Asterisk's list


@dataclass(frozen=True, slots=True)
class Cdr:
    uniqueid: str
    started_at: datetime
    ended_at: datetime
    caller: str = field(repr=False)
    note: str


async def compare(session: AsyncSession, file: Path, *, since: datetime, now: datetime) -> Compared:
    """Calls that began from `since` on and have been over for a minute. The file, and those of earlier days beside it,
    are read line by line; of each call its id is kept. Raises OSError when there is no such file."""
    found, known = Compared(), set[str]()
    until = now - SETTLES
    for some in _chunks(_incoming(_lists(file, since), found, since=since - LONGEST)):
        fresh = {
            each.uniqueid: each
            for each in some
            if each.uniqueid not in known and each.started_at >= since and each.ended_at < until
        }
        # Those at the edges, too: our moments are not quite theirs.
        known.update(each.uniqueid for each in some)
        found.asterisks += len(fresh)
        times = Counter(await session.scalars(select(Call.uniqueid).where(Call.uniqueid.in_(fresh))))
        for uniqueid, cdr in fresh.items():
            if times[uniqueid] != 1:
                found.odd.append(_odd(cdr, times[uniqueid]))
    async for row in _ours(session, since=since, until=until):
        found.ours += 1
        if row.uniqueid not in known:
            caller, at = phones.mask(row.caller), row.opened_at
            found.odd.append(Odd(Difference.NOT_ASTERISKS, at, row.uniqueid, caller, row.protocol or ""))
    found.odd.sort(key=lambda each: each.at)
    return found


async def _ours(session: AsyncSession, *, since: datetime, until: datetime) -> AsyncIterator[Ours]:
    over = select(Call.id, Call.uniqueid, Call.opened_at, Call.caller, Call.protocol).where(
        Call.opened_at >= since, Call.ended_at < until
    )
    rows: Sequence[Ours] = (await session.execute(over.order_by(Call.id).limit(AT_ONCE))).all()
    while rows:
        for row in rows:
            yield row
        after = over.where(Call.id > rows[-1].id)
        rows = (await session.execute(after.order_by(Call.id).limit(AT_ONCE))).all()


def _odd(cdr: Cdr, times: int) -> Odd:
    if times:
        what = Difference.TWICE
    else:
        what = Difference.TO_CALL_BACK if cdr.note.startswith(NOT_RECORDED) else Difference.NOT_OURS
    protocol = cdr.note.removeprefix(NOT_RECORDED)
    return Odd(what, cdr.started_at, cdr.uniqueid, phones.mask(cdr.caller), protocol)


def _lists(file: Path, since: datetime) -> list[Path]:
    earlier = sorted(each for each in _put_away(file) if each.stat().st_mtime >= since.timestamp())
    return [*earlier, file] if file.exists() or not earlier else earlier


def _put_away(file: Path) -> Iterator[Path]:
    return file.parent.glob(f"{file.stem}-????-??-??{file.suffix}")


def put_away(file: Path, *, today: date, now: datetime) -> int:
    """Once a day what Asterisk has written goes aside (it begins a new list with its next call), and what was put
    aside KEPT ago goes for good: it has callers' numbers. Returns how many lines are gone."""
    aside = file.with_name(f"{file.stem}-{today - timedelta(days=1)}{file.suffix}")
    if file.exists() and not aside.exists():
        file.rename(aside)
    gone = 0
    for old in _put_away(file):
        if old.stat().st_mtime < (now - KEPT).timestamp():
            with old.open("rb") as lines:
                gone += sum(1 for _ in lines)
            old.unlink()
    return gone


def _incoming(files: Iterable[Path], found: Compared, *, since: datetime) -> Iterator[Cdr]:
    """A call has a line for each leg; all have its id."""
    for file in files:
        with file.open(newline="", encoding="utf-8", errors="replace") as lines:
            yield from _calls(lines, found, since)


def _calls(lines: Iterable[str], found: Compared, since: datetime) -> Iterator[Cdr]:
    for row in csv.reader(lines):
        try:
            if not row[CHANNEL].startswith(TRUNK):
                continue
            moments = _moment(row[START]), _moment(row[END])
            cdr = Cdr(row[UNIQUEID], *moments, phones.to_e164(row[SOURCE]), row[USERFIELD])
        except (IndexError, ValueError):
            found.unreadable += 1
            continue
        if cdr.started_at >= since:
            yield cdr


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _chunks(cdrs: Iterable[Cdr]) -> Iterator[list[Cdr]]:
    some: list[Cdr] = []
    for cdr in cdrs:
        some.append(cdr)
        if len(some) == AT_ONCE:
            yield some
            some = []
    yield some
