"""A provider without another system: our own tables are the ERP. Fed by CSV import (`prosa import`), or the demo.

Each operation is one short transaction of its own. What is unlocked, promised or opened twice with the same key is done
once. Tickets and leads are those of the house: what a call has written down already is not opened a second time.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ura import billing, coverage, registry, tickets
from ura.billing import Policy
from ura.crypto import CannotOpen, Keyring
from ura.db import Sessions
from ura.erp import (
    Access,
    Answer,
    Connection,
    Contract,
    ContractStatus,
    ErpPlan,
    ErpTicket,
    ErpUnavailable,
    Invoice,
    InvoicePayload,
    LeadWish,
    Opened,
    Optical,
    OutageNotice,
    Promised,
    Reply,
    SendChannel,
    Served,
    Subscriber,
    Unlock,
    UnlockVerdict,
    Unsupported,
)
from ura.errors import Unavailable
from ura.models import Access as AccessRow
from ura.models import (
    Audience,
    Call,
    Category,
    ErpRequest,
    InvoiceStatus,
    Lead,
    LeadStatus,
    PaymentPromise,
    SubscriberPhone,
    Ticket,
    TicketEvent,
    TicketStatus,
    Tier,
)
from ura.models import Contract as ContractRow
from ura.models import Invoice as InvoiceRow
from ura.models import Subscriber as SubscriberRow

log = structlog.get_logger(__name__)

T = TypeVar("T")
NAME = "local"
ACTOR = "erp local"
MOST_WITH_ONE_NUMBER = 20
LONGEST_SUMMARY = 500

# Statements are built once: building one takes longer than running it.
_SUBSCRIBER = select(
    SubscriberRow.id,
    SubscriberRow.name,
    SubscriberRow.document,
    SubscriberRow.kind,
    SubscriberRow.birth_year,
    SubscriberRow.emails,
)
_BY_PHONE = (
    _SUBSCRIBER.join(SubscriberPhone, SubscriberPhone.subscriber_id == SubscriberRow.id)
    .where(SubscriberPhone.phone == bindparam("phone"))
    .order_by(SubscriberRow.id)
    .limit(MOST_WITH_ONE_NUMBER)
)
_BY_DOCUMENT = _SUBSCRIBER.where(SubscriberRow.document_hash.in_(bindparam("hashes", expanding=True)))
_BY_CONTRACT = (
    _SUBSCRIBER.add_columns(ContractRow.number)
    .join(ContractRow, ContractRow.subscriber_id == SubscriberRow.id)
    .where(ContractRow.keys == bindparam("keys"))
    .limit(2)
)
_PHONES = (
    select(SubscriberPhone.subscriber_id, SubscriberPhone.phone)
    .where(SubscriberPhone.subscriber_id.in_(bindparam("ids", expanding=True)))
    .order_by(SubscriberPhone.place, SubscriberPhone.phone)
)
_CONTRACT = select(ContractRow, AccessRow).outerjoin(AccessRow, AccessRow.contract_id == ContractRow.id)
_CONTRACTS = _CONTRACT.where(ContractRow.subscriber_id == bindparam("subscriber_id")).order_by(ContractRow.id)
_ONE_CONTRACT = _CONTRACT.where(ContractRow.id == bindparam("contract_id"))
_OPEN_INVOICES = (
    select(InvoiceRow.id, InvoiceRow.contract_id, InvoiceRow.due_on, InvoiceRow.amount)
    .where(InvoiceRow.contract_id == bindparam("contract_id"), InvoiceRow.status == InvoiceStatus.OPEN)
    .order_by(InvoiceRow.due_on, InvoiceRow.id)
)


@dataclass(frozen=True, slots=True)
class _Moment:
    now: datetime
    today: date


class LocalErp:
    """`zone`: where a day and a month begin."""

    name = NAME
    takes_promises = True
    reboots_devices = False

    def __init__(
        self,
        sessions: Sessions,
        keyring: Keyring,
        policy: Policy,
        *,
        zone: ZoneInfo,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._policy = policy
        self._zone = zone
        self._clock = clock or (lambda: datetime.now(UTC))

    async def close(self) -> None:
        """Holds nothing of its own."""

    # -- who

    async def find_by_document(self, document: str) -> Reply[Subscriber | None]:
        return await self._find(_BY_DOCUMENT, {"hashes": self._keyring.indexes(document)})

    async def find_by_phone(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        async with self._reading() as session:
            rows = (await session.execute(_BY_PHONE, {"phone": phone})).all()
            return self._answer(await self._subscribers(session, rows))

    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]:
        """By its digits; two contracts with the same digits are told apart by the number as it is written, or not."""
        async with self._reading() as session:
            keys = registry.keys_of(number)
            rows = (await session.execute(_BY_CONTRACT, {"keys": keys})).all() if keys else []
            exact = [row for row in rows if row.number == number]
            found = exact or (rows if len(rows) == 1 else [])
            return self._answer(next(iter(await self._subscribers(session, found)), None))

    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        async with self._reading() as session:
            rows = (await session.execute(_CONTRACTS, {"subscriber_id": _own_id(subscriber_id)})).all()
            return self._answer(tuple([await self._contract(session, *row) for row in rows]))

    # -- money

    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        async with self._reading() as session:
            return self._answer(tuple(await self._invoices(session, contract_id)))

    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        """Without a PDF: whoever sends the invoice makes it (ura/invoice_pdf.py)."""
        async with self._reading() as session:
            row = await session.get(InvoiceRow, _own_id(invoice.id))
            payload = InvoicePayload(invoice.id, line=row.line, pix=row.pix, link=row.link) if row else None
            return self._answer(payload or InvoicePayload(invoice.id))

    async def send_invoice(
        self, invoice: Invoice, channel: SendChannel, to: str, *, key: str, again: bool = False
    ) -> Reply[bool]:
        return Unsupported(NAME, "send_invoice")  # our own outbox does

    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        async with self._reading() as session:
            return self._answer(await self._may_unlock(session, contract_id))

    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        """1. what this wish has become already; 2. our rules; 3. write it down: the ledger takes one a month."""
        async with self._changing() as session:
            done = await billing.find_wish(session, key)
            if done is None:
                may = await self._may_unlock(session, contract_id)
                if may.verdict is not UnlockVerdict.ALLOWED:
                    return self._answer(may)
                when = self._when()
                done = await billing.write_unlock(
                    session,
                    wish=key,
                    source=NAME,
                    contract_ref=contract_id,
                    now=when.now,
                    today=when.today,
                    policy=self._policy,
                )
            verdict = UnlockVerdict.GRANTED if done.wish == key else UnlockVerdict.ALREADY_ACTIVE
            return self._answer(Unlock(verdict, done.until, done.protocol))

    async def promise(self, contract_id: str, on: date, *, key: str, again: bool = False) -> Reply[Promised]:
        async with self._changing() as session:
            made = await session.get(PaymentPromise, key)
            if made:
                return self._answer(Promised(accepted=True, on=made.on_day, reference=made.reference))
            when = self._when()
            others = await billing.open_promises(session, source=NAME, contract_ref=contract_id, today=when.today)
            fault = billing.promise_fault(on, today=when.today, policy=self._policy, others=others)
            if fault or not await self._invoices(session, contract_id):
                return self._answer(Promised(accepted=False, on=on))
            row = {"id": key, "source": NAME, "contract_ref": contract_id, "on_day": on, "made_at": when.now}
            await billing.add_promises(session, [row])
            return self._answer(Promised(accepted=True, on=on))

    # -- service

    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]:
        """The ticket that the call wrote down under this protocol is meant, if there is one that nobody meant yet."""
        async with self._changing() as session:
            event = await session.get(TicketEvent, key)
            if event:
                return self._answer(Opened(event.ticket_id))
            ticket = await _unmeant(session, protocol, contract_id)
            if ticket is None:
                ticket = await self._open(session, contract_id, subject, text, protocol=protocol, key=key)
            else:
                ticket.contract_ref = contract_id
                words = f"{subject}\n{text}"
                now = self._clock()
                await tickets.comment(session, ticket, text=words, actor=ACTOR, now=now, event_id=key)
            return self._answer(Opened(ticket.id))

    async def list_tickets(self, contract_id: str) -> Reply[tuple[ErpTicket, ...]]:
        query = select(Ticket.id, Ticket.summary, Ticket.opened_at).where(
            Ticket.contract_ref == contract_id, Ticket.status != TicketStatus.CLOSED
        )
        async with self._reading() as session:
            rows = await session.execute(query.order_by(Ticket.opened_at, Ticket.id))
            return self._answer(tuple(ErpTicket(*row) for row in rows))

    async def add_note(self, reference: str, text: str, *, key: str, again: bool = False) -> Reply[Opened]:
        async with self._changing() as session:
            ticket = await tickets.find_ticket(session, reference)
            if ticket is None:
                raise ErpUnavailable("there is no such ticket")
            event = await tickets.comment(session, ticket, text=text, actor=ACTOR, now=self._clock(), event_id=key)
            return self._answer(Opened(event.id))

    async def open_order(
        self, contract_id: str, *, subject: str, text: str, at: datetime | None, key: str, again: bool = False
    ) -> Reply[Opened]:
        """A visit is a ticket; the slot stands in it. With a slot, which the caller was told, it is L2's; without one
        L1 has to tell the caller a time first."""
        slot = f"{at.astimezone(self._zone):%d/%m/%Y %H:%M}" if at else ""
        words = "\n".join(each for each in (slot, text) if each)
        async with self._changing() as session:
            wish = await session.get(ErpRequest, key)  # of the call, whose protocol goes on
            protocol = wish.protocol if wish else ""
            ticket = await self._open(session, contract_id, subject, words, protocol=protocol, key=key, told=at)
            return self._answer(Opened(ticket.id))

    async def connection(self, contract: Contract) -> Reply[Connection]:
        row = await self._line(contract)
        if row is None or row.session_state is None:
            return Unsupported(NAME, "connection")
        return self._answer(Connection(row.session_state, row.session_since))

    async def optical(self, contract: Contract) -> Reply[Optical]:
        row = await self._line(contract)
        if row is None or (row.rx_dbm is None and row.los is None):
            return Unsupported(NAME, "optical")
        return self._answer(Optical(row.rx_dbm, row.los))

    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        return Unsupported(NAME, "reboot_cpe")

    async def outages(self, contract: Contract) -> Reply[tuple[OutageNotice, ...]]:
        return Unsupported(NAME, "outages")  # those of the house are asked for apart (ura/outages.py)

    async def coverage(self, *, neighbourhood: str = "", cep: str = "") -> Reply[tuple[Served, ...]]:
        async with self._reading() as session:
            cities = {city.id: city.name for city in await coverage.list_cities(session)}
            places = await (
                coverage.find_by_cep(session, cep) if cep else coverage.find_by_name(session, name=neighbourhood)
            )
            return self._answer(
                tuple(Served(place.name, cities[place.city_id], place.status.value) for place in places)
            )

    async def plans(self, neighbourhood: str) -> Reply[tuple[ErpPlan, ...]]:
        async with self._reading() as session:
            places = await coverage.find_by_name(session, name=neighbourhood)
            offers = [
                offer
                for place in places[:1]
                for audience in Audience
                for offer in await coverage.list_offers(
                    session, neighbourhood_id=place.id, audience=audience, today=self._when().today
                )
            ]
            return self._answer(
                tuple(ErpPlan(str(offer.id), offer.name, offer.speed_mbps, offer.price) for offer in offers)
            )

    async def open_lead(self, wish: LeadWish, *, key: str, again: bool = False) -> Reply[Opened]:
        async with self._changing() as session:
            if await session.get(Lead, key) is None:
                places = await coverage.find_by_name(session, name=wish.neighbourhood)
                now = self._clock()
                session.add(
                    Lead(
                        id=key,
                        phone=wish.phone,
                        neighbourhood_id=places[0].id if places else None,
                        city_id=places[0].city_id if places else None,
                        status=LeadStatus.INTERESTED,
                        created_at=now,
                        updated_at=now,
                    )
                )
            return self._answer(Opened(key))

    async def notify_attendant(self, extension: str, phone: str, text: str) -> Reply[bool]:
        return Unsupported(NAME, "notify_attendant")  # the attendant's panel shows the card

    # -- transactions

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        async with _honest(changes=False), self._sessions() as session:
            yield session

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[AsyncSession]:
        async with _honest(changes=True), self._sessions.begin() as session:
            yield session

    def _answer(self, value: T) -> Answer[T]:
        return Answer(value, NAME, self._clock())

    def _when(self) -> _Moment:
        now = self._clock().astimezone(self._zone)
        return _Moment(now, now.date())

    # -- reading

    async def _find(self, query: Any, values: dict[str, Any]) -> Reply[Subscriber | None]:
        async with self._reading() as session:
            rows = (await session.execute(query, values)).all()
            return self._answer(next(iter(await self._subscribers(session, rows)), None))

    async def _subscribers(self, session: AsyncSession, rows: Sequence[Any]) -> tuple[Subscriber, ...]:
        if not rows:
            return ()
        phones: dict[int, list[str]] = {}
        for subscriber_id, phone in await session.execute(_PHONES, {"ids": [row.id for row in rows]}):
            phones.setdefault(subscriber_id, []).append(phone)
        return tuple(
            Subscriber(
                id=str(row.id),
                name=row.name,
                document=self._keyring.open(row.document),
                kind=row.kind,
                birth_year=row.birth_year,
                phones=tuple(phones.get(row.id, ())),
                emails=tuple(row.emails),
            )
            for row in rows
        )

    async def _contract(self, session: AsyncSession, row: ContractRow, access: AccessRow | None) -> Contract:
        contract = Contract(
            id=str(row.id),
            subscriber_id=str(row.subscriber_id),
            number=row.number,
            status=row.status,
            street=row.street,
            house=row.house,
            neighbourhood=row.neighbourhood,
            city=row.city,
            plan=row.plan,
            segment=row.segment.value,
            access=Access(access.login, access.onu, access.olt, access.pon, access.cto) if access else Access(),
        )
        if row.status is not ContractStatus.BLOCKED:
            return contract
        unlock = await billing.running_unlock(session, source=NAME, contract_ref=contract.id, now=self._clock())
        return replace(contract, status=ContractStatus.UNLOCKED) if unlock else contract

    async def _invoices(self, session: AsyncSession, contract_id: str) -> list[Invoice]:
        rows = await session.execute(_OPEN_INVOICES, {"contract_id": _own_id(contract_id)})
        invoices = [Invoice(str(row.id), str(row.contract_id), row.due_on, row.amount) for row in rows]
        refs = await billing.disputed(session, source=NAME, contract_ref=contract_id)
        return billing.mark_disputed(invoices, refs)

    async def _may_unlock(self, session: AsyncSession, contract_id: str) -> Unlock:
        when = self._when()
        row = (await session.execute(_ONE_CONTRACT, {"contract_id": _own_id(contract_id)})).one_or_none()
        contract = await self._contract(session, *row) if row else None
        running = await billing.running_unlock(session, source=NAME, contract_ref=contract_id, now=when.now)
        used = running or await billing.find_unlock(
            session, source=NAME, contract_ref=contract_id, period=billing.period_of(when.today)
        )
        invoices = await self._invoices(session, contract_id)
        return billing.unlock_verdict(
            contract, invoices, used=used, now=when.now, today=when.today, policy=self._policy
        )

    async def _line(self, contract: Contract) -> AccessRow | None:
        async with self._reading() as session:
            return await session.get(AccessRow, _own_id(contract.id))

    async def _open(
        self,
        session: AsyncSession,
        contract_id: str,
        subject: str,
        text: str,
        *,
        protocol: str,
        key: str,
        told: datetime | None = None,
    ) -> Ticket:
        words = f"{subject}\n{text}".strip()
        call = await _call_of(session, key)  # whoever rings again with its number is known by this ticket
        return await tickets.open_ticket(
            session,
            ticket_id=key,
            protocol=protocol,
            category=Category.SUPPORT,
            summary=words[:LONGEST_SUMMARY],
            phone=call.caller if call else "",
            queue="",
            opened_by=ACTOR,
            now=self._clock(),
            call_id=call.id if call else None,
            contract_ref=contract_id,
            tier=Tier.L2 if told else Tier.L1,
            report=words if told else "",
            told_deadline_at=told,
        )


async def _call_of(session: AsyncSession, key: str) -> Call | None:
    """In which this was wished for; None: people did, at the desk."""
    wish = await session.get(ErpRequest, key)
    return await session.get(Call, wish.call_id) if wish and wish.call_id else None


@asynccontextmanager
async def _honest(*, changes: bool) -> AsyncIterator[None]:
    """The database's troubles are this system's troubles. `maybe_done`: the commit may have arrived."""
    try:
        yield
    except CannotOpen as error:
        log.error("a subscriber's document cannot be opened; callers hear that the system is away", reason=str(error))
        raise ErpUnavailable("a document cannot be opened") from error
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise ErpUnavailable(f"the database did not answer: {type(error).__name__}", maybe_done=changes) from error
    except ErpUnavailable:
        raise
    except Unavailable as error:
        raise ErpUnavailable(error.message) from error


async def _unmeant(session: AsyncSession, protocol: str, contract_id: str) -> Ticket | None:
    """The oldest open ticket of this call that was not yet opened "in the ERP"."""
    if not protocol:
        return None
    meant = select(TicketEvent.ticket_id).where(TicketEvent.ticket_id == Ticket.id, TicketEvent.actor == ACTOR)
    query = (
        select(Ticket)
        .where(
            Ticket.protocol == protocol,
            Ticket.status != TicketStatus.CLOSED,
            Ticket.contract_ref.in_(("", contract_id)),
            ~meant.exists(),
        )
        .order_by(Ticket.opened_at, Ticket.id)
        .limit(1)
    )
    found: Ticket | None = await session.scalar(query)
    return found


def _own_id(text: str) -> int:
    """Our ids are numbers; what is none is nobody's, which is what 0 finds."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
