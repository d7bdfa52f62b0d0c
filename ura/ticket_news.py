"""What other programs are told of a ticket: that something happened, and where it is now; never what was written."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import domain_events
from ura.models import EventKind, Ticket, TicketEventKind
from ura.upsert import Row

TOLD = {kind.value: told for kind in TicketEventKind for told in EventKind if told == f"ticket.{kind}"}


async def tell(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows of TicketEvent, after the ticket was changed. A line that was there already has been told already."""
    about = select(Ticket.id, Ticket.protocol, Ticket.category, Ticket.tier, Ticket.status, Ticket.incident_id)
    found = await session.execute(about.where(Ticket.id.in_({row["ticket_id"] for row in rows})))
    now = {
        ticket_id: {"protocol": protocol, "category": category, "tier": tier, "status": status, "incident_id": incident}
        for ticket_id, protocol, category, tier, status, incident in found
    }
    told = [
        domain_events.row(TOLD[row["kind"]], row["ticket_id"], now[row["ticket_id"]], now=row["at"], once=row["id"])
        for row in rows
        if row["kind"] in TOLD
    ]
    await domain_events.record_rows(session, told)
