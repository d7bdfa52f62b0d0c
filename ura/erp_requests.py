"""What callers want changed in the provider's system: written with the call, asked by one worker, tried again.

A wish is the same wish for ever (its id is the ERP's `key`), so trying again never does it twice. A call waits a few
seconds for the result; who did not hear it in the call gets it by message. What nobody could ask for becomes a ticket:
the caller was told that it is noted.

Tickets and visits of our own are such wishes, too, where the provider's system has its own (`mirror_tickets`): its
protocol lands beside ours. There a person has the ticket already.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol, assert_never
from uuid import UUID, uuid5

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import billing, outbox, summaries, ticket_categories, tickets, upsert
from ura.claims import Claims
from ura.erp import Contract, Erp, ErpUnavailable, Invoice, Reply, SendChannel, UnlockVerdict, Unsupported
from ura.errors import BadInput
from ura.models import (
    Call,
    Category,
    ErpRequest,
    ErpRequestState,
    Operation,
    Ticket,
    TicketEventKind,
    Visit,
)
from ura.upsert import Row

Json = Any
MOST_ATTEMPTS = 12  # the last about seventeen hours after the first; then a person has to
CALL_WAITS = timedelta(seconds=9)  # after that no call waits for a result any more
# They cut the line for a moment, with the consent of who is on the phone now: asked for once, and at once or never.
ONCE = frozenset({Operation.SESSION_RESET, Operation.REBOOT_CPE})
UNFINISHED = UUID("b0d1c8a4-6a52-4f0e-8c8e-7c1c1c5f2f6b")
MIRRORED = UUID("5f0f4c5e-6f0e-4a75-9c39-2d8a86c1b3d7")
TICKET_QUEUE, OPENED_BY = "l1", "worker"
OF_BILLING = frozenset({Operation.TRUST_UNLOCK, Operation.PROMISE, Operation.SEND_INVOICE})

_CLAIMS = Claims(ErpRequest, waiting=ErpRequestState.QUEUED, taken=ErpRequestState.RUNNING)
_DUE = (
    select(ErpRequest.id)
    .where(ErpRequest.state == ErpRequestState.QUEUED, ErpRequest.next_at <= bindparam("now"))
    .limit(1)
)


class SessionReset(Protocol):
    """Ends a subscriber's session in the network, so that the router dials in anew."""

    async def reset(self, contract: Contract, *, key: str) -> Reply[bool]: ...


async def add_requests(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rows with `id`, `operation`, `args`, `protocol`, `call_id`, `created_at`. One that is there stays as it is."""
    blank = {"state": ErpRequestState.QUEUED, "attempts": 0, "claimed_by": "", "last_error": "", "maybe_done": False}
    await upsert.add_new(session, ErpRequest, [{**blank, "next_at": row["created_at"], **row} for row in rows])


async def mirror_tickets(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Tickets that were just opened, as `tickets.open_tickets` takes them: those of a known contract are to stand in
    the provider's own system, too. In the transaction that opens them."""
    known = [row for row in rows if row.get("contract_ref")]
    titles = await ticket_categories.titles(session, {row["category"] for row in known})
    wishes = [
        {
            "id": mirrored_id(row["id"]),
            "operation": Operation.OPEN_TICKET,
            "args": {
                "contract_id": row["contract_ref"],
                "subject": titles.get(row["category"], row["category"]),
                "text": row["summary"],
                "ticket_id": row["id"],
            },
            "protocol": row["protocol"],
            "call_id": None,
            "created_at": row["opened_at"],
        }
        for row in known
    ]
    await add_requests(session, wishes)


async def mirror_ticket(session: AsyncSession, ticket: Ticket) -> None:
    """The same of one."""
    names = ("id", "contract_ref", "category", "summary", "protocol", "opened_at")
    await mirror_tickets(session, [{name: getattr(ticket, name) for name in names}])


async def mirror_visit(session: AsyncSession, ticket: Ticket, visit: Visit) -> None:
    """The same of a visit that was just booked."""
    if not ticket.contract_ref:
        return
    titles = await ticket_categories.titles(session, {visit.kind.value})
    args = {
        "contract_id": ticket.contract_ref,
        "subject": titles.get(visit.kind.value, visit.kind.value),
        "text": visit.note,
        "at": visit.starts_at.isoformat(),
        "ticket_id": ticket.id,
        "visit_id": visit.id,
    }
    row = {"id": mirrored_id(visit.id), "operation": Operation.OPEN_ORDER, "args": args, "protocol": ticket.protocol}
    await add_requests(session, [{**row, "call_id": None, "created_at": visit.booked_at}])


def mirrored_id(own_id: str) -> str:
    """Of the wish that our ticket or visit stands in the provider's system."""
    return uuid5(MIRRORED, own_id).hex


async def is_due(session: AsyncSession, *, now: datetime) -> bool:
    """Read only, so that looking for work holds nobody up."""
    return await session.scalar(_DUE, {"now": now}) is not None


async def claim(session: AsyncSession, *, worker: str, now: datetime, limit: int) -> Sequence[ErpRequest]:
    """Take requests that are due; commit before asking."""
    return await _CLAIMS.claim(session, worker=worker, now=now, limit=limit)


async def release_stale(session: AsyncSession, *, claimed_before: datetime, now: datetime) -> int:
    """Of a worker that died: what it had asked may have been done, so whoever takes it over looks first."""
    return await _CLAIMS.release_stale(session, claimed_before=claimed_before, now=now)


async def settle(
    session: AsyncSession, request: ErpRequest, result: dict[str, Json], *, now: datetime, source: str
) -> bool:
    """The ERP, `source`, has spoken. In the call that is heard; afterwards that it cannot do this at all is work for a
    person, and so is a refusal that no message can tell."""
    mine = await _CLAIMS.settle(
        session, request, state=ErpRequestState.DONE, result=result, settled_at=now, last_error=""
    )
    if mine and _is_mirror(request):
        await _mirrored(session, request, result)
    elif mine:
        await _tell(session, request, result, now=now)
        if request.operation is Operation.PROMISE and result.get("accepted"):
            await _keep_promise(session, request, result, source=source)
        if now - request.created_at >= CALL_WAITS:
            if result.get("unsupported"):
                await _hand_to_a_person(session, request, summaries.unfinished(request, maybe_done=False), now=now)
            elif not request.args.get("tell") and _refused(request.operation, result):
                await _hand_to_a_person(session, request, summaries.refused(request), now=now)
    return mine


async def put_off(session: AsyncSession, request: ErpRequest, trouble: ErpUnavailable, *, now: datetime) -> bool:
    """The ERP did not answer. After MOST_ATTEMPTS a person has to."""
    maybe = request.maybe_done or trouble.maybe_done
    if request.attempts < MOST_ATTEMPTS and request.operation not in ONCE:
        return await _CLAIMS.try_later(session, request, error=trouble.message, now=now, maybe_done=maybe)
    return await fail(session, request, error=trouble.message, now=now, maybe_done=maybe)


async def fail(
    session: AsyncSession, request: ErpRequest, *, error: str, now: datetime, maybe_done: bool = False
) -> bool:
    """Nobody will ask again. What the caller was told is noted becomes a ticket, in the same transaction."""
    mine = await _CLAIMS.settle(
        session,
        request,
        state=ErpRequestState.FAILED,
        settled_at=now,
        last_error=error[:2000],
        maybe_done=maybe_done,
    )
    if mine and _is_mirror(request):
        await _say_not_mirrored(session, request, now=now)
    elif mine:
        await _tell(session, request, None, now=now)
        if request.operation not in ONCE:  # the call itself goes on to a person
            await _hand_to_a_person(session, request, summaries.unfinished(request, maybe_done=maybe_done), now=now)
    return mine


def _is_mirror(request: ErpRequest) -> bool:
    return "ticket_id" in request.args


async def _mirrored(session: AsyncSession, request: ErpRequest, result: dict[str, Json]) -> None:
    """Nobody has to know that a system has none. No new `version`: nobody's decision hangs on it."""
    reference = str(result.get("reference") or "")[:64]
    if not reference:
        return
    if visit_id := request.args.get("visit_id"):
        await session.execute(update(Visit).where(Visit.id == visit_id).values(erp_reference=reference))
    else:
        own = update(Ticket).where(Ticket.id == request.args["ticket_id"])
        await session.execute(own.values(erp_protocol=reference))


async def _say_not_mirrored(session: AsyncSession, request: ErpRequest, *, now: datetime) -> None:
    ticket = await tickets.find_ticket(session, request.args["ticket_id"])
    if ticket is not None:
        await tickets.add_event(
            session,
            ticket,
            kind=TicketEventKind.COMMENTED,
            text=summaries.not_mirrored(request),
            internal=True,
            actor=OPENED_BY,
            now=now,
            event_id=request.id,
        )


async def _keep_promise(session: AsyncSession, request: ErpRequest, result: dict[str, Json], *, source: str) -> None:
    """Whichever system accepted it: ura/promises.py reminds of it and sees whether it was kept."""
    row = {
        "id": request.id,
        "source": source,
        "contract_ref": str(request.args["contract_id"]),
        "on_day": date.fromisoformat(result["on"]),
        "made_at": request.created_at,
        "reference": str(result.get("reference") or "")[:40],
    }
    await billing.add_promises(session, [row])


def _refused(operation: Operation, result: dict[str, Json]) -> bool:
    if operation is Operation.TRUST_UNLOCK:
        return result["verdict"] not in (UnlockVerdict.GRANTED, UnlockVerdict.ALREADY_ACTIVE)
    return result.get("accepted") is False or result.get("ok") is False


async def _hand_to_a_person(session: AsyncSession, request: ErpRequest, summary: str, *, now: datetime) -> None:
    call = await session.get(Call, request.call_id) if request.call_id else None
    await tickets.open_ticket(
        session,
        ticket_id=uuid5(UNFINISHED, request.id).hex,
        protocol=request.protocol,
        category=Category.BILLING if request.operation in OF_BILLING else Category.SUPPORT,
        summary=summary,
        phone=str(request.args.get("tell") or (call.caller if call else "")),
        queue=TICKET_QUEUE,
        opened_by=OPENED_BY,
        now=now,
        call_id=request.call_id,
        contract_ref=str(request.args.get("contract_id") or ""),
    )


async def find_result(session: AsyncSession, request_id: str) -> dict[str, Json]:
    """`{"state": "queued" | "done" | "failed", "result": {…} | None}`; a wish still on its way here is queued."""
    request = await session.get(ErpRequest, request_id, populate_existing=True)
    if request is None or request.state in (ErpRequestState.QUEUED, ErpRequestState.RUNNING):
        return {"state": "queued", "result": None}
    return {"state": request.state.value, "result": request.result}


async def heard(session: AsyncSession, request_id: str) -> None:
    """The call has this result: no message need tell it."""
    for settled in (ErpRequestState.DONE, ErpRequestState.FAILED):
        await outbox.withdraw(session, _message_id(request_id, settled))


async def _tell(session: AsyncSession, request: ErpRequest, result: dict[str, Json] | None, *, now: datetime) -> None:
    """By message, as soon as no call can wait for it any more; a call that hears it withdraws the message."""
    phone = str(request.args.get("tell") or "")
    if not phone:
        return
    settled = ErpRequestState.FAILED if result is None else ErpRequestState.DONE
    await outbox.enqueue(
        session,
        kind="erp_result",
        to=phone,
        payload={"operation": request.operation.value, "result": result, "protocol": request.protocol},
        now=now,
        not_before=request.created_at + CALL_WAITS,
        message_id=_message_id(request.id, settled),
        call_id=request.call_id,
    )


def _message_id(request_id: str, settled: ErpRequestState) -> str:
    return f"{request_id[:24]}{'f' if settled is ErpRequestState.FAILED else 'd'}".ljust(32, "0")


# -- asking


async def perform(erp: Erp, resets: SessionReset, request: ErpRequest, *, now: datetime) -> dict[str, Json]:
    """Ask once → what was answered, as JSON; `{"unsupported": true}` when this ERP cannot.

    Raises ErpUnavailable (try again later) or BadInput (never).
    """
    if request.operation in ONCE:
        if request.attempts > 1:  # the first may have cut the line, and a new session is on it now
            raise BadInput(f"{request.operation} is not asked for twice")
        if now - request.created_at > CALL_WAITS:
            raise BadInput(f"{request.operation} was agreed to too long ago")
    try:
        reply = await _ask(erp, resets, request)
    except (KeyError, ValueError, TypeError) as error:
        raise BadInput(f"{request.operation} has arguments that nobody can use: {error!r}") from error
    if isinstance(reply, Unsupported):
        return {"unsupported": True}
    return reply_json(reply.value)


async def _ask(erp: Erp, resets: SessionReset, request: ErpRequest) -> Reply[Any]:
    key, operation, args = request.id, request.operation, request.args
    again = request.maybe_done or request.attempts > 1  # a worker that died may have asked without saying so
    contract_id = str(args["contract_id"]) if operation is not Operation.ADD_NOTE else ""
    match operation:
        case Operation.TRUST_UNLOCK:
            return await erp.trust_unlock(contract_id, key=key, again=again)
        case Operation.PROMISE:
            return await erp.promise(contract_id, date.fromisoformat(args["on"]), key=key, again=again)
        case Operation.OPEN_TICKET:
            subject, text = str(args["subject"]), str(args.get("text", ""))
            return await erp.open_ticket(
                contract_id, subject=subject, text=text, protocol=request.protocol, key=key, again=again
            )
        case Operation.ADD_NOTE:
            return await erp.add_note(str(args["reference"]), str(args["text"]), key=key, again=again)
        case Operation.OPEN_ORDER:
            at = datetime.fromisoformat(args["at"]) if args.get("at") else None
            subject, text = str(args["subject"]), str(args.get("text", ""))
            return await erp.open_order(contract_id, subject=subject, text=text, at=at, key=key, again=again)
        case Operation.REBOOT_CPE:
            contract = await _contract(erp, args)
            return (
                contract if isinstance(contract, Unsupported) else await erp.reboot_cpe(contract, key=key, again=again)
            )
        case Operation.SESSION_RESET:
            contract = await _contract(erp, args)
            if isinstance(contract, Unsupported):
                return contract
            return await resets.reset(contract, key=key)
        case Operation.SEND_INVOICE:
            invoice = await _invoice(erp, args)
            if isinstance(invoice, Unsupported):
                return invoice
            return await erp.send_invoice(invoice, SendChannel(args["channel"]), str(args["to"]), key=key, again=again)
        case _:
            assert_never(operation)


async def _contract(erp: Erp, args: dict[str, Json]) -> Contract | Unsupported:
    reply = await erp.list_contracts(str(args["subscriber_id"]))
    if isinstance(reply, Unsupported):
        return reply
    found = [contract for contract in reply.value if contract.id == str(args["contract_id"])]
    if not found:
        raise BadInput("this contract is no longer there")
    return found[0]


async def _invoice(erp: Erp, args: dict[str, Json]) -> Invoice | Unsupported:
    reply = await erp.open_invoices(str(args["contract_id"]))
    if isinstance(reply, Unsupported):
        return reply
    found = [invoice for invoice in reply.value if invoice.id == str(args["invoice_id"])]
    if not found:
        raise BadInput("this invoice is no longer open")
    return found[0]


def reply_json(value: Any) -> dict[str, Json]:
    """An answer's value as JSON: a dataclass by its fields, a truth as `{"ok": …}`."""
    if isinstance(value, bool):
        return {"ok": value}
    return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}


def _plain(value: Any) -> Json:
    return value.isoformat() if isinstance(value, date) else value
