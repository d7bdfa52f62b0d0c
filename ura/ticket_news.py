"""What other programs are told of a ticket: that something happened, and where it is now; never what was written."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import domain_events
from ura.models import EventKind, Ticket, TicketEventKind
from ura.upsert import Row

SAID = ("protocol", "category", "tier", "status", "incident_id")
TOLD = {kind.value: told for kind in TicketEventKind for told in EventKind if told == f"ticket.{kind}"}


async def tell(session: AsyncSession, rows: Sequence[Row], *, tickets: Sequence[Row] = ()) -> None:
    """Rows of TicketEvent, after the ticket was changed. A line that was there already has been told already.
    `tickets`: rows of those that have just been made; others are read."""
    new = {row["id"]: {name: row.get(name) for name in SAID} for row in tickets}
    now = new | await _read(session, {row["ticket_id"] for row in rows} - new.keys())
    told = [
        domain_events.row(TOLD[row["kind"]], row["ticket_id"], now[row["ticket_id"]], now=row["at"], once=row["id"])
        for row in rows
        if row["kind"] in TOLD
    ]
    await domain_events.record_rows(session, told)


async def _read(session: AsyncSession, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    if not ids:
        return {}
    about = select(Ticket.id, *(getattr(Ticket, name) for name in SAID)).where(Ticket.id.in_(ids))
    return {ticket_id: dict(zip(SAID, said, strict=True)) for ticket_id, *said in await session.execute(about)}
