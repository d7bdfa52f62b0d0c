"""The provider's own system, as we see it: what it can be asked, and the shape of its answers.

Adapters in `ura/adapters/erp/` speak to the real ones. Rules that hold for all of them:
* Every answer says where it comes from and from when it is. "This system cannot do that" is an answer: `Unsupported`.
* Trouble is `ErpUnavailable`, never an empty answer: an error is never "no debt".
* What changes something takes a `key`, the same for every try of the same wish, and `again`, true when an earlier try
  may have arrived: then the adapter looks before it does. A retry never unlocks, opens or sends twice.
* Ids are the ERP's own, as text; what they name is known to that adapter only.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Generic, Literal, Protocol, TypeVar

from ura.errors import Unavailable

T = TypeVar("T")


class ErpUnavailable(Unavailable):
    """It did not answer, or nothing that can be believed. `maybe_done`: a change may have been made nevertheless."""

    code = "erp-unavailable"

    def __init__(self, message: str = "", *, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`source`: the system that said so (`local`, `sgp`, …). `as_of`: when it was so; older than now for what was
    remembered, or what a system writes down only now and then."""

    value: T
    source: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Unsupported:
    """This system cannot do that; somebody else, or a person, has to."""

    source: str
    operation: str


Reply = Answer[T] | Unsupported


# -- who


class Kind(StrEnum):
    PERSON = "person"
    COMPANY = "company"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """`phones` in E.164. `birth_year` and the phones' last digits are second factors: never spoken, never logged."""

    id: str
    name: str = field(repr=False)
    document: str = field(repr=False)  # as stored: 11 digits, or 14 characters (a CNPJ may have letters since 2026)
    kind: Kind = Kind.PERSON
    birth_year: int | None = field(default=None, repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)


class ContractStatus(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"  # for debt
    UNLOCKED = "unlocked"  # blocked for debt, and unlocked in trust for now
    SUSPENDED = "suspended"  # for another reason: asked for by the subscriber, fraud, a court
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Access:
    """Where the line is in the network; "" for what the ERP does not know."""

    login: str = ""
    onu: str = ""
    olt: str = ""
    pon: str = ""
    cto: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """`number` is what stands on the bill; the caller may key it."""

    id: str
    subscriber_id: str
    number: str
    status: ContractStatus
    street: str = ""
    house: str = field(default="", repr=False)
    neighbourhood: str = ""
    city: str = ""
    plan: str = ""
    segment: Literal["home", "business"] = "home"
    access: Access = Access()


# -- money


@dataclass(frozen=True, slots=True)
class Invoice:
    """An open one. `amount`: to be paid today, as the ERP says it, fine and interest included if it adds them."""

    id: str
    contract_id: str
    due_on: date
    amount: Decimal
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class InvoicePayload:
    """`line`: 47 or 48 digits. `pix`: the copy-and-paste text. "" for what there is not. None of it is checked yet."""

    invoice_id: str
    line: str = field(default="", repr=False)
    pix: str = field(default="", repr=False)
    link: str = field(default="", repr=False)
    pdf: bytes = field(default=b"", repr=False)


class UnlockVerdict(StrEnum):
    """erp.md 4.3. `ALLOWED` is only ever the answer to "may I?"."""

    ALLOWED = "allowed"
    GRANTED = "granted"
    ALREADY_ACTIVE = "already_active"
    USED_THIS_PERIOD = "used_this_period"
    NOT_BLOCKED = "not_blocked"
    BLOCKED_OTHER_REASON = "blocked_other_reason"
    POLICY_REFUSED = "policy_refused"
    UNKNOWN_CONTRACT = "unknown_contract"


@dataclass(frozen=True, slots=True)
class Unlock:
    verdict: UnlockVerdict
    until: datetime | None = None
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Promised:
    """A promise of payment. `accepted` False: the policy says no, or the date is outside of it."""

    accepted: bool
    on: date
    reference: str = ""


class SendChannel(StrEnum):
    SMS = "sms"
    WHATSAPP = "whatsapp"
    EMAIL = "email"


# -- service


@dataclass(frozen=True, slots=True)
class Opened:
    """A ticket, note, order or lead now stands in the ERP under this reference."""

    reference: str


@dataclass(frozen=True, slots=True)
class ErpTicket:
    reference: str
    subject: str
    opened_at: datetime | None = None


class SessionState(StrEnum):
    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Connection:
    """`since`: of this session, or of its end."""

    state: SessionState
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Optical:
    """`rx_dbm`: what the subscriber's side receives; None when unknown. `los`: loss of signal; None when unknown."""

    rx_dbm: float | None = None
    los: bool | None = None


@dataclass(frozen=True, slots=True)
class OutageNotice:
    """An outage that the ERP itself knows to touch a contract."""

    reference: str
    text: str = ""
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """Is this place served? `status` as in our own coverage."""

    neighbourhood: str
    city: str
    status: Literal["covered", "planned", "none"]


@dataclass(frozen=True, slots=True)
class ErpPlan:
    id: str
    name: str
    speed_mbps: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class LeadWish:
    name: str = field(repr=False)
    phone: str = field(repr=False)
    neighbourhood: str
    city: str
    plan: str = ""


class Erp(Protocol):
    """One provider's system. Every method may raise ErpUnavailable, and nothing else that is expected."""

    @property
    def name(self) -> str: ...

    @property
    def takes_promises(self) -> bool:
        """Known without asking: nobody is offered days on which nothing can be agreed."""
        ...

    @property
    def reboots_devices(self) -> bool:
        """Known without asking, for the same reason."""
        ...

    async def find_by_document(self, document: str) -> Reply[Subscriber | None]: ...
    async def find_by_phone(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        """Everybody with this number. A hint who calls, never a proof."""
        ...

    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]: ...
    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]: ...

    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        """Overdue first, then by due date. Empty only when the system said, readably, that there are none."""
        ...

    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]: ...
    async def send_invoice(
        self, invoice: Invoice, channel: SendChannel, to: str, *, key: str, again: bool = False
    ) -> Reply[bool]:
        """True: the system says that it has sent it."""
        ...

    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        """ALLOWED, or why not. Changes nothing."""
        ...

    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]: ...
    async def promise(self, contract_id: str, on: date, *, key: str, again: bool = False) -> Reply[Promised]: ...

    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]: ...
    async def list_tickets(self, contract_id: str) -> Reply[tuple[ErpTicket, ...]]:
        """The open ones."""
        ...

    async def add_note(self, reference: str, text: str, *, key: str, again: bool = False) -> Reply[Opened]: ...
    async def open_order(
        self, contract_id: str, *, subject: str, text: str, at: datetime | None, key: str, again: bool = False
    ) -> Reply[Opened]:
        """A visit. `at`: the slot agreed on; None: to be agreed."""
        ...

    async def connection(self, contract: Contract) -> Reply[Connection]: ...
    async def optical(self, contract: Contract) -> Reply[Optical]: ...
    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]: ...
    async def outages(self, contract: Contract) -> Reply[tuple[OutageNotice, ...]]: ...

    async def coverage(self, *, neighbourhood: str = "", cep: str = "") -> Reply[tuple[Served, ...]]: ...
    async def plans(self, neighbourhood: str) -> Reply[tuple[ErpPlan, ...]]: ...
    async def open_lead(self, wish: LeadWish, *, key: str, again: bool = False) -> Reply[Opened]: ...
    async def notify_attendant(self, extension: str, phone: str, text: str) -> Reply[bool]:
        """Show who is ringing on the attendant's screen in the ERP."""
        ...
