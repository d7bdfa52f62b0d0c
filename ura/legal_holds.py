"""What must not be erased or purged, since somebody needs it: set with a reason, kept until it is lifted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, false, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from ura import audit, paging, people, upsert
from ura.crypto import Keyring
from ura.erp import Erp
from ura.errors import BadInput, NotFound
from ura.models import Call, HoldKind, LegalHold, Recording, Ticket
from ura.paging import Page
from ura.people import Person


class HoldNotFound(NotFound):
    code = "legal-hold-not-found"


class HoldWithoutReason(BadInput):
    code = "legal-hold-without-reason"


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that is held now."""

    tickets: frozenset[str] = frozenset()
    recordings: frozenset[str] = frozenset()
    people: tuple[Person, ...] = ()

    def holds(self, person: Person) -> bool:
        """Is anybody held with a number, contract or document of this person's?"""
        for held in self.people:
            same = set(held.phones) & set(person.phones) or set(held.contracts) & set(person.contracts)
            if same or (held.asked_document and held.asked_document == person.asked_document):
                return True
        return False

    @property
    def is_call(self) -> ColumnElement[bool]:
        """A call of somebody who is held, or that led to what is held: it is what explains it."""
        of_tickets = select(Ticket.call_id).where(Ticket.id.in_(self.tickets), Ticket.call_id.is_not(None))
        of_recordings = select(Recording.call_id).where(Recording.id.in_(self.recordings))
        theirs = [people.is_call_of(person) for person in self.people]
        return or_(Call.id.in_(of_tickets), Call.id.in_(of_recordings), *theirs)

    @property
    def is_ticket(self) -> ColumnElement[bool]:
        return or_(Ticket.id.in_(self.tickets), *(people.is_ticket_of(person) for person in self.people))

    @property
    def is_recording(self) -> ColumnElement[bool]:
        calls = select(Call.id).where(self.is_call)
        return or_(Recording.id.in_(self.recordings), Recording.call_id.in_(calls))

    @property
    def phones(self) -> frozenset[str]:
        return frozenset(phone for person in self.people for phone in person.phones)

    def is_number(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        return column.in_(self.phones) if self.phones else false()


async def set_hold(
    session: AsyncSession,
    *,
    hold_id: str,
    kind: HoldKind,
    subject: str = "",
    person: Person | None = None,
    reason: str,
    actor: str,
    keyring: Keyring,
    now: datetime,
) -> LegalHold:
    """`subject`: the id of a ticket or recording; a person is given as `person`. Set again by the same id, the first
    stays. Raises HoldWithoutReason, and BadInput for what is not there."""
    if not reason.strip():
        raise HoldWithoutReason("Say why it is held: the lawsuit or the complaint, by its number.")
    row = {"id": hold_id, "kind": kind, "subject": subject, "reason": reason.strip(), "set_by": actor, "set_at": now}
    if kind is HoldKind.PERSON:
        if person is None:
            raise BadInput("Say whose data are held, by `phone` or `document`.")
        row |= {"subject": person.about(keyring), "person": person.sealed(keyring)}
    else:
        model = Ticket if kind is HoldKind.TICKET else Recording
        if await session.get(model, subject) is None:
            raise BadInput(f"There is no such {kind}.")
    if await upsert.is_new(session, LegalHold, row):
        detail = {"kind": kind.value}
        await audit.record(session, actor=actor, action="hold.set", subject=hold_id, detail=detail, at=now)
    return await get_hold(session, hold_id)


async def lift(session: AsyncSession, hold: LegalHold, *, actor: str, now: datetime) -> bool:
    """False: it was lifted already."""
    change = (
        update(LegalHold)
        .where(LegalHold.id == hold.id, LegalHold.lifted_at.is_(None))
        .values(lifted_at=now, lifted_by=actor)
        .returning(LegalHold.id)
        .execution_options(synchronize_session=False)
    )
    if await session.scalar(change) is None:
        return False
    await session.refresh(hold)
    await audit.record(session, actor=actor, action="hold.lift", subject=hold.id, detail={}, at=now)
    return True


async def get_hold(session: AsyncSession, hold_id: str) -> LegalHold:
    hold = await session.get(LegalHold, hold_id)
    if hold is None:
        raise HoldNotFound("There is no such hold.")
    return hold


async def list_holds(
    session: AsyncSession, *, lifted: bool | None, cursor: str = "", limit: int = 50
) -> Page[LegalHold]:
    """Newest first."""
    conditions = []
    if lifted is not None:
        conditions.append(LegalHold.lifted_at.is_not(None) if lifted else LegalHold.lifted_at.is_(None))
    by = (LegalHold.set_at, LegalHold.id)
    return await paging.fetch(session, LegalHold, conditions, by=by, cursor=cursor, limit=limit)


async def current(session: AsyncSession, keyring: Keyring, erp: Erp) -> Held:
    """What is held now. A person named by a document is looked up once, and kept with what was found: what the ERP
    forgets meanwhile stays held. Raises ErpUnavailable: then nothing may be deleted."""
    query = select(LegalHold).where(LegalHold.lifted_at.is_(None)).order_by(LegalHold.set_at, LegalHold.id)
    holds: Sequence[LegalHold] = (await session.scalars(query)).all()
    held_people = []
    for hold in holds:
        if hold.person is not None:
            person = people.unseal(keyring, hold.person)
            if not person.known:
                person = await people.known(person, erp)
                hold.person = person.sealed(keyring)
            held_people.append(person)
    await session.flush()
    return Held(
        tickets=frozenset(hold.subject for hold in holds if hold.kind is HoldKind.TICKET),
        recordings=frozenset(hold.subject for hold in holds if hold.kind is HoldKind.RECORDING),
        people=tuple(held_people),
    )
