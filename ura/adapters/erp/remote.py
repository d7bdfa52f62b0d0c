"""What the adapters of systems behind HTTP have in common: who answers, what they lack, what refusals mean."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import yaml

from ura.adapters.erp import reading
from ura.adapters.erp.http import ErpHttp
from ura.adapters.erp.reading import Record
from ura.erp import (
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

T = TypeVar("T")
LONGEST_TEXT = 2000
_KEY = re.compile(r"[0-9A-Za-z-]{8,64}")


class RemoteErp:
    """Everything is Unsupported until an adapter says otherwise: what one of them lacks is what it leaves out.

    `zone`: where the system's clocks hang. `clock`: now, aware.
    """

    name = "remote"

    def __init__(self, http: ErpHttp, *, zone: ZoneInfo, clock: Callable[[], datetime] | None = None) -> None:
        self.http = http
        self.zone = zone
        self._clock = clock or (lambda: datetime.now(UTC))

    async def close(self) -> None:
        await self.http.close()

    def now(self) -> datetime:
        return self._clock().astimezone(self.zone)

    def end_of(self, day: date) -> datetime:
        """An unlock holds until then."""
        return datetime.combine(day, time(23, 59), self.zone)

    def answer(self, value: T, as_of: datetime | None = None) -> Answer[T]:
        """`as_of`: when the system wrote it down, if that is known; never later than now."""
        now = self.now()
        return Answer(value, self.name, min(as_of, now) if as_of else now)

    @property
    def takes_promises(self) -> bool:
        return type(self).promise is not RemoteErp.promise

    @property
    def reboots_devices(self) -> bool:
        return type(self).reboot_cpe is not RemoteErp.reboot_cpe

    def unsupported(self, operation: str) -> Unsupported:
        return Unsupported(self.name, operation)

    async def find_by_document(self, document: str) -> Reply[Subscriber | None]:
        return self.unsupported("find_by_document")

    async def find_by_phone(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        return self.unsupported("find_by_phone")

    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]:
        return self.unsupported("find_by_contract")

    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        return self.unsupported("list_contracts")

    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        return self.unsupported("open_invoices")

    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        return self.unsupported("invoice_payload")

    async def send_invoice(
        self, invoice: Invoice, channel: SendChannel, to: str, *, key: str, again: bool = False
    ) -> Reply[bool]:
        return self.unsupported("send_invoice")

    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        return self.unsupported("may_unlock")

    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        return self.unsupported("trust_unlock")

    async def promise(self, contract_id: str, on: date, *, key: str, again: bool = False) -> Reply[Promised]:
        return self.unsupported("promise")

    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]:
        return self.unsupported("open_ticket")

    async def list_tickets(self, contract_id: str) -> Reply[tuple[ErpTicket, ...]]:
        return self.unsupported("list_tickets")

    async def add_note(self, reference: str, text: str, *, key: str, again: bool = False) -> Reply[Opened]:
        return self.unsupported("add_note")

    async def open_order(
        self, contract_id: str, *, subject: str, text: str, at: datetime | None, key: str, again: bool = False
    ) -> Reply[Opened]:
        return self.unsupported("open_order")

    async def connection(self, contract: Contract) -> Reply[Connection]:
        return self.unsupported("connection")

    async def optical(self, contract: Contract) -> Reply[Optical]:
        return self.unsupported("optical")

    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        return self.unsupported("reboot_cpe")

    async def outages(self, contract: Contract) -> Reply[tuple[OutageNotice, ...]]:
        return self.unsupported("outages")

    async def coverage(self, *, neighbourhood: str = "", cep: str = "") -> Reply[tuple[Served, ...]]:
        return self.unsupported("coverage")

    async def plans(self, neighbourhood: str) -> Reply[tuple[ErpPlan, ...]]:
        return self.unsupported("plans")

    async def open_lead(self, wish: LeadWish, *, key: str, again: bool = False) -> Reply[Opened]:
        return self.unsupported("open_lead")

    async def notify_attendant(self, extension: str, phone: str, text: str) -> Reply[bool]:
        return self.unsupported("notify_attendant")


def mark(key: str) -> str:
    """Written into whatever text a change leaves behind, so that the next try can find it."""
    if not _KEY.fullmatch(key):
        raise ErpUnavailable("a key that cannot be written down")
    return f"[prosa {key}]"


def marked(text: str, key: str) -> str:
    """Text for the system, without control characters, with the mark at the end."""
    clean = "".join(letter for letter in text if letter in "\n" or unicodedata.category(letter)[0] != "C")
    return f"{clean[:LONGEST_TEXT].strip()}\n{mark(key)}".strip()


def cannot_tell() -> ErpUnavailable:
    """An earlier try may have done it and this system offers no way to look: a person has to. Never done twice."""
    return ErpUnavailable("no way to see whether an earlier try has done it")


def refusal(message: str) -> Unlock:
    """A system's refusal to unlock, by what it says. Raises ErpUnavailable for a sentence that nobody knows."""
    for verdict, phrases in _phrases()["unlock"].items():
        if _says(message, phrases):
            return Unlock(UnlockVerdict(verdict))
    raise ErpUnavailable("a refusal in unknown words")


def says_nothing_found(message: str) -> bool:
    return _says(message, _phrases()["nothing_found"])


def speaks_of_debt(reason: str) -> bool:
    return _says(reason, _phrases()["debt"])


def speaks_of_promise(reason: str) -> bool:
    return _says(reason, _phrases()["promise"])


def plain(text: str) -> str:
    """Without accents, small."""
    split = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in split if not unicodedata.combining(letter)).casefold()


def _says(message: str, phrases: list[str]) -> bool:
    text = plain(message)
    return any(phrase in text for phrase in phrases)


@cache
def _phrases() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("phrases.yaml").read_text("utf-8"))
    return found


def speed_in(name: str) -> int:
    """ "Turbo 600 Mega", "1 GB" → Mbit/s; 0 when the plan's name does not say."""
    found = re.search(r"(\d+)\s*(g|m)", name.casefold())
    return 0 if not found else int(found[1]) * (1000 if found[2] == "g" else 1)


def by_due_date(invoices: dict[str, Invoice]) -> tuple[Invoice, ...]:
    """Overdue first, then as they fall due: that is the order of the days."""
    return tuple(sorted(invoices.values(), key=lambda invoice: (invoice.due_on, invoice.id)))


def by_status(status: ContractStatus) -> UnlockVerdict:
    """What a contract's status alone says to "may I?". How often and how long is for others to say."""
    match status:
        case ContractStatus.BLOCKED:
            return UnlockVerdict.ALLOWED
        case ContractStatus.UNLOCKED:
            return UnlockVerdict.ALREADY_ACTIVE
        case ContractStatus.ACTIVE:
            return UnlockVerdict.NOT_BLOCKED
        case _:
            return UnlockVerdict.BLOCKED_OTHER_REASON


def somebody(
    *, id: str, name: str, document: str, born: str = "", phones: Iterable[str] = (), emails: Iterable[str] = ()
) -> Subscriber:
    """From the system's own texts, as they stand there."""
    bare = reading.document(document)
    return Subscriber(
        id=id,
        name=name,
        document=bare,
        kind=reading.kind_of(bare),
        birth_year=reading.birth_year(born),
        phones=reading.phones(*phones),
        emails=tuple(dict.fromkeys(each for each in emails if each)),
    )


def living(rows: Iterable[Record], is_gone: Callable[[Record], bool]) -> Record | None:
    """Somebody may be registered twice: the first registration that is not over counts, else the first."""
    all_rows = list(rows)
    return next((row for row in all_rows if not is_gone(row)), all_rows[0] if all_rows else None)


def left_behind(rows: Iterable[Record], key: str, *fields: str) -> Record | None:
    """What an earlier try of this wish has written there."""
    return next((row for row in rows if mark(key) in row.text(*fields)), None)


def the_one(rows: Iterable[Record], asked_for: Callable[[Record], bool]) -> Record | None:
    """As `verified`, where there is one at the most."""
    return next(iter(verified(rows, asked_for)), None)


def verified(rows: Iterable[Record], asked_for: Callable[[Record], bool]) -> list[Record]:
    """The rows that were asked for, each once. Rows, but none of them asked for, answer another question: a version
    that does not know a filter lists everybody, and their debts are not this caller's. That is trouble, not "none"."""
    all_rows = list(rows)
    kept: list[Record] = []
    for row in all_rows:
        if asked_for(row) and row not in kept:
            kept.append(row)
    if all_rows and not kept:
        raise ErpUnavailable("an answer to another question")
    return kept


def local_number(phone: str) -> str:
    """As these systems want it: area code and number. Raises ErpUnavailable."""
    number = reading.national(phone)
    if not number:
        raise ErpUnavailable("no Brazilian telephone number")
    return number


def own_id(value: str) -> str:
    """An id that goes back into a question: digits, nothing else. Raises ErpUnavailable."""
    found = reading.digits(value)
    if not found:
        raise ErpUnavailable("not an id of this system")
    return found
