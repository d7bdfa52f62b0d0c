"""Somebody rings up again about an open ticket, on the real thing."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from prosa.caller import Caller
from tests.factories import make_id
from tests.live.conftest import House, eventually
from tests.live.test_stories import LANDLINE, recorded, spoken_digits
from ura import tickets
from ura.models import Ticket, TicketEvent, TicketEventKind

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

WHO, PROTOCOL = "+5519987650071", "263260000025"


async def test_who_waits_hears_of_the_ticket_with_the_greeting_and_complains_of_the_delay(
    house: House, caller: Caller
) -> None:
    now, ticket_id = datetime.now(UTC), make_id()
    async with house.sessions() as session:
        await tickets.open_ticket(
            session,
            ticket_id=ticket_id,
            protocol=PROTOCOL,
            category="support",
            summary="Sem sinal",
            phone=WHO,
            queue="l1",
            opened_by="ana",
            now=now - timedelta(days=2),
            told_deadline_at=now - timedelta(days=1),
        )
        await session.commit()
    call = await caller.dial(LANDLINE, from_=WHO)
    await call.answered()
    asked = await call.heard("ticket.open.support")
    assert call.moment(asked.started_s) - (call.answered_at or 0) <= 8  # right behind the greeting
    await call.press("6")
    await call.heard("ticket.protocol")
    for prompt in ("ticket.status.l1", "ticket.deadline.was", "ticket.deadline.late"):
        await call.heard(prompt, timeout_s=20)
    assert spoken_digits(call, "ticket.protocol") == PROTOCOL
    await call.heard("ticket.menu")
    await call.press("2")
    await call.heard("ticket.complained")
    await call.hang_up()
    assert "protocol.intro" not in [one.key for one in call.hearings()]

    record = await recorded(house, WHO)

    async def complained() -> int | None:
        async with house.sessions() as session:
            lines = select(TicketEvent).where(TicketEvent.ticket_id == ticket_id)
            said = await session.scalars(lines.where(TicketEvent.kind == TicketEventKind.REPORTED))
            found = {(line.detail["said"], line.detail["call_id"]) for line in said}
            ticket = await session.get_one(Ticket, ticket_id)
            return ticket.priority if found == {("called", record.id), ("delay", record.id)} else None

    # A ticket whose deadline was missed is one priority up already when the worker has looked before us.
    assert await eventually(complained) in (1, 2)
