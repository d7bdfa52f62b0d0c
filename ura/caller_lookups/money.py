"""What is owed, how can it be paid, and what do we owe the caller first?"""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from ura import billing, boleto, invoice_copies, network, outages
from ura.caller_lookups.callers import Args, Callers, Json
from ura.erp import Contract, ErpUnavailable, SessionState, Unsupported
from ura.errors import Unavailable


async def open_invoices(callers: Callers, args: Args) -> dict[str, Json]:
    contract_id = str(args["contract_id"])
    reply = await callers.house.erp.open_invoices(contract_id)
    if isinstance(reply, Unsupported):
        return {"unsupported": True}
    async with callers.house.sessions() as session:
        refs = await billing.disputed(session, source=reply.source, contract_ref=contract_id)
    today = callers.today()
    rows = [
        {
            "id": one.id,
            "due_on": one.due_on.isoformat(),
            "amount": f"{one.amount:.2f}",
            "overdue": billing.is_overdue(one, today=today),
            "disputed": one.disputed,
        }
        for one in billing.overdue_first(billing.mark_disputed(reply.value, refs))
    ]
    return {"invoices": rows}


async def invoice_line(callers: Callers, args: Args) -> dict[str, Json]:
    """In blocks as they are read aloud. A line with a wrong check digit is not read at all."""
    copy = await invoice_copies.find_copy(callers.house.erp, args, today=callers.today())
    if not copy.line:
        raise Unavailable("there is no line that a bank would take")
    return {"blocks": boleto.groups(copy.line)}


async def may_unlock(callers: Callers, args: Args) -> dict[str, Json]:
    reply = await callers.house.erp.may_unlock(str(args["contract_id"]))
    if isinstance(reply, Unsupported):
        return {"unsupported": True}
    return {"verdict": reply.value.verdict.value, "until": callers.local(reply.value.until)}


async def promise_days(callers: Callers, args: Args) -> dict[str, Json]:
    async with callers.house.sessions() as session:
        may = await _may_promise(callers, session, str(args["contract_id"]))
    if not may:
        return {"unsupported": True, "days": []}
    return {"days": [day.isoformat() for day in billing.promise_days(callers.today(), callers.house.policy)]}


async def _may_promise(callers: Callers, session: AsyncSession, contract_id: str) -> bool:
    erp, policy = callers.house.erp, callers.house.policy
    return erp.takes_promises and await billing.may_promise(
        session, source=erp.name, contract_ref=contract_id, today=callers.today(), policy=policy
    )


async def service_first(callers: Callers, args: Args) -> dict[str, Json]:
    """What of ours to speak of before the caller's debt; "" when nothing is. `promises`: can a day be agreed on?"""
    _, contract = await callers.get_contract(args)
    now = callers.now()
    erp_tickets, noticed = await asyncio.gather(_open_tickets(callers, contract.id), _is_noticed(callers, contract))
    async with callers.house.sessions() as session:
        found = await billing.service_matters(
            session,
            contract_ref=contract.id,
            phone=str(args.get("caller") or ""),
            outage=noticed or await outages.find_for(session, contract, now=now) is not None,
            erp_tickets=erp_tickets,
            now=now,
            but_call=str(args.get("call_id") or ""),
        )
        promises = await _may_promise(callers, session, contract.id)
    return {"matter": found[0].value if found else "", "promises": promises}


async def _open_tickets(callers: Callers, contract_id: str) -> int:
    """0 when the system cannot say: our own tickets and outages are reason enough to speak of."""
    try:
        reply = await callers.house.erp.list_tickets(contract_id)
    except ErpUnavailable:
        return 0
    return 0 if isinstance(reply, Unsupported) else len(reply.value)


async def _is_noticed(callers: Callers, contract: Contract) -> bool:
    """Does the provider's system tell of an outage that explains this line? Not when it cannot say."""
    erp = callers.house.erp
    try:
        reply, line = await asyncio.gather(erp.outages(contract), erp.connection(contract))
    except ErpUnavailable:
        return False
    if isinstance(reply, Unsupported):
        return False
    online = not isinstance(line, Unsupported) and line.value.state is SessionState.ONLINE
    return network.in_force(reply.value, online=online, now=callers.now()) is not None
