"""Whose is it? A person as the numbers, contracts and addresses by which rows of ours can be theirs.

Somebody is named by a telephone number or by a document, and neither proves anything else: by the number alone only
what is under that number is found, never the subscriber whose it may be; by the document the provider's system says
which numbers and contracts are the subscriber's, and a number that somebody else has too is left out.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from ura import documents, phones
from ura.crypto import Keyring, Sealed
from ura.erp import Answer, Erp
from ura.errors import BadInput
from ura.models import Call, LegalHold, OutageCall, PersonRequest, Ticket


@dataclass(frozen=True, slots=True)
class Person:
    """`known`: the provider's system was asked, or need not be. `shared`: numbers left out since others have them."""

    asked_phone: str = field(default="", repr=False)
    asked_document: str = field(default="", repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    contracts: tuple[str, ...] = ()  # the ERP's own ids
    calls: tuple[str, ...] = ()  # found by a row that is gone now
    subscriber: str = ""  # the ERP's own id
    source: str = ""  # which ERP that is
    shared: int = 0
    known: bool = False

    def sealed(self, keyring: Keyring) -> Sealed:
        return keyring.seal(json.dumps(asdict(self)))

    def about(self, keyring: Keyring) -> str:
        """A keyed hash of what was asked by: the same person named the same way."""
        return keyring.index(f"person:{self.asked_document or self.asked_phone}")

    def abouts(self, keyring: Keyring) -> list[str]:
        """Under every secret."""
        return keyring.indexes(f"person:{self.asked_document or self.asked_phone}")

    @property
    def masked(self) -> str:
        return documents.mask(self.asked_document) if self.asked_document else phones.mask(self.asked_phone)

    @property
    def targets(self) -> tuple[str, ...]:
        """Where messages to them go."""
        return (*self.phones, *self.emails)


def unseal(keyring: Keyring, sealed: Sealed) -> Person:
    """Raises CannotOpen."""
    told: dict[str, Any] = json.loads(keyring.open(sealed))
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return Person(**values)


def named(*, phone: str = "", document: str = "") -> Person:
    """Exactly one of both, as people write them. Raises BadInput, which never repeats what was written."""
    if bool(phone) == bool(document):
        raise BadInput("Give either `phone` or `document`.")
    if document:
        return Person(asked_document=documents.parse(document))
    number = phones.to_e164(phone)
    if not number:
        raise BadInput("`phone` is no telephone number. Write it with its area code, as 11933330002.")
    return Person(asked_phone=number, phones=(number,), known=True)


async def known(person: Person, erp: Erp) -> Person:
    """With what the provider's system knows of a document; one that nobody has leads to nothing. Raises
    ErpUnavailable."""
    if person.known:
        return person
    found = await erp.find_by_document(person.asked_document)
    if not isinstance(found, Answer) or found.value is None:
        return replace(person, known=True)
    subscriber = found.value
    contracts = await erp.list_contracts(subscriber.id)
    own = [phone for phone in subscriber.phones if await _is_alone(erp, phone)]
    return replace(
        person,
        phones=tuple(own),
        emails=tuple(address.lower() for address in subscriber.emails),
        contracts=tuple(each.id for each in contracts.value) if isinstance(contracts, Answer) else (),
        subscriber=subscriber.id,
        source=found.source,
        shared=len(subscriber.phones) - len(own),
        known=True,
    )


async def _is_alone(erp: Erp, phone: str) -> bool:
    reply = await erp.find_by_phone(phone)
    return isinstance(reply, Answer) and len(reply.value) == 1


async def reseal(session: AsyncSession, keyring: Keyring) -> int:
    """After a change of the secret: those of requests and holds, of which there are few. Returns how many."""
    changed = 0
    models: tuple[Any, ...] = (PersonRequest, LegalHold)
    for model in models:
        for row in await session.scalars(select(model).where(model.person.is_not(None)).with_for_update()):
            if row.person is not None and not keyring.is_current(row.person):
                row.person = keyring.seal(keyring.open(row.person))
                changed += 1
    await session.flush()
    return changed


# -- which rows are theirs -------------------------------------------------------------------------------------------


def calls_of(person: Person) -> Select[str]:
    """Ids: calls from their numbers, and those from elsewhere that were about a contract of theirs."""
    about_contract = select(Ticket.call_id).where(
        Ticket.contract_ref.in_(person.contracts), Ticket.call_id.is_not(None)
    )
    told = select(OutageCall.call_id).where(OutageCall.contract_id.in_(person.contracts))
    theirs = select(Call.id).where(or_(Call.caller.in_(person.phones), Call.id.in_(person.calls)))
    all_of_them = union(theirs, about_contract, told).subquery()
    return select(all_of_them.c.id)


def is_call_of(person: Person) -> ColumnElement[bool]:
    return Call.id.in_(calls_of(person))


def is_ticket_of(person: Person) -> ColumnElement[bool]:
    return or_(
        Ticket.phone.in_(person.phones),
        Ticket.contract_ref.in_(person.contracts),
        Ticket.call_id.in_(calls_of(person)),
    )
