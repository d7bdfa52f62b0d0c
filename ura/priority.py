"""Which numbers go straight to the companies' queue: a table that people keep. (Who has only business contracts goes
there as well, without standing in it: ura/caller_lookups/arrival.py.)"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, phones, upsert
from ura.errors import BadInput, NotFound
from ura.models import PriorityNumber

MOST_LINES = 5000
LONGEST_NOTE = 120


class NumberNotFound(NotFound):
    code = "priority-number-not-found"


@dataclass(frozen=True, slots=True)
class Written:
    """What a table says: number → note, the last line of a number counts; `bad`: lines with no number, from 1."""

    numbers: dict[str, str] = field(default_factory=dict, repr=False)
    bad: tuple[int, ...] = ()


def read(text: str, *, area_code: str = "") -> Written:
    """CSV with `;` or `,`: number, note. A heading and empty lines are passed over. Raises BadInput."""
    lines = text.removeprefix("\ufeff").splitlines()
    if len(lines) > MOST_LINES:
        raise BadInput(f"At most {MOST_LINES} lines at once.")
    numbers, bad = {}, []
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in next(csv.reader(io.StringIO(line), delimiter=_delimiter(line)), [])]
        if not any(cells):
            continue
        if phone := phones.to_e164(cells[0], area_code):
            numbers[phone] = " ".join(cell for cell in cells[1:] if cell)[:LONGEST_NOTE]
        elif number > 1 or any(sign.isdigit() for sign in cells[0]):
            bad.append(number)
    return Written(numbers, tuple(bad))


async def add(session: AsyncSession, numbers: dict[str, str], *, by: str, now: datetime) -> int:
    """Numbers in E.164, with their notes; a known one gets the new note. Returns how many. In the audit, masked."""
    insert = upsert.insert(upsert.dialect(session), PriorityNumber)
    statement = insert.on_conflict_do_update(index_elements=["phone"], set_={"note": insert.excluded.note})
    rows = [{"phone": phone, "note": note, "added_by": by, "added_at": now} for phone, note in numbers.items()]
    await upsert.execute(session, statement, rows)
    for phone in numbers:
        await audit.record(session, actor=by, action="priority.add", subject=phones.mask(phone), detail={}, at=now)
    return len(rows)


async def remove(session: AsyncSession, phone: str, *, by: str, now: datetime) -> None:
    """Raises NumberNotFound."""
    gone = delete(PriorityNumber).where(PriorityNumber.phone == phone).returning(PriorityNumber.phone)
    if await session.scalar(gone) is None:
        raise NumberNotFound("This number is not in the table.")
    await audit.record(session, actor=by, action="priority.remove", subject=phones.mask(phone), detail={}, at=now)


async def list_numbers(session: AsyncSession) -> Sequence[PriorityNumber]:
    """All of them, the newest first."""
    query = select(PriorityNumber).order_by(PriorityNumber.added_at.desc(), PriorityNumber.phone)
    return (await session.scalars(query)).all()


async def is_any(session: AsyncSession) -> bool:
    return await session.scalar(select(PriorityNumber.phone).limit(1)) is not None


async def has(session: AsyncSession, phone: str) -> bool:
    return await session.scalar(select(PriorityNumber.phone).where(PriorityNumber.phone == phone)) is not None


def _delimiter(line: str) -> str:
    return ";" if ";" in line else ","
