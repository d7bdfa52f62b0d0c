"""The second copy that a caller was promised while the provider's system was away: what if it can never go out?"""

from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from ura import invoice_copies, summaries, tickets
from ura.models import Call, Category, OutboxMessage

NAMESPACE = UUID("7a7c2b1e-0c0d-4f57-9b35-6a3d5b7b8f10")
QUEUE, OPENED_BY = "l1", "worker"


async def hand_to_a_person(session: AsyncSession, message: OutboxMessage, *, now: datetime) -> None:
    """A ticket under the call's protocol, once a message, in the transaction that gives the message up. Of an invoice
    that the caller chose while on the phone there is none: its message tells by itself that it failed."""
    if message.kind != "invoice" or message.payload.get("invoice_id") != invoice_copies.OLDEST:
        return
    call = await session.get(Call, message.call_id) if message.call_id else None
    await tickets.open_ticket(
        session,
        ticket_id=uuid5(NAMESPACE, message.id).hex,
        protocol=(call.protocol if call else "") or "",
        category=Category.BILLING,
        summary=summaries.promised_copy(),
        phone=call.caller if call else "",
        queue=QUEUE,
        opened_by=OPENED_BY,
        now=now,
        call_id=message.call_id,
        contract_ref=str(message.payload.get("contract_id") or ""),
    )
