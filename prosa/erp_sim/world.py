"""What a simulated system knows and what has been done to it: the demo's subscribers, changed by whoever asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from itertools import count
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from ura.demo.subscribers import DemoContract, DemoInvoice, DemoSubscriber, demo_world
from ura.erp import ContractStatus, UnlockVerdict

ZONE = ZoneInfo("America/Sao_Paulo")
UNLOCK_DAYS = 3
OLDEST_DEBT = timedelta(days=60)
SECOND_CONTRACT = 5000  # added to the number of a contract: its cancelled twin under `two_contracts`

T = TypeVar("T")


@dataclass
class Case:
    """A ticket or a visit. `number` is its protocol. `trace`: what another act leaves behind, no ticket."""

    number: str
    contract_id: str
    kind: str
    text: str
    opened_at: datetime
    order: bool = False
    trace: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass
class Line:
    """A contract as it is now."""

    subscriber: DemoSubscriber
    demo: DemoContract
    status: ContractStatus
    unlocked_until: datetime | None = None
    unlocks: int = 0

    @property
    def id(self) -> str:
        return self.demo.contract.id

    @property
    def number(self) -> str:
        return self.demo.contract.number

    def open_invoices(self) -> list[DemoInvoice]:
        return [each for each in self.demo.invoices if not each.paid]

    def overdue(self, today: datetime) -> list[DemoInvoice]:
        return [each for each in self.open_invoices() if each.invoice.due_on < today.date()]


class World:
    """One system's memory; `reset` forgets what was done. `oddities` are switched on and off while it runs."""

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(ZONE))
        self.oddities: set[str] = set()
        self.reset()

    def now(self) -> datetime:
        return self._clock()

    def reset(self) -> None:
        self.demo = demo_world(self.now())
        self.lines: dict[str, Line] = {}
        for subscriber in self.demo.subscribers:
            for demo in subscriber.contracts:
                used = 1 if demo.unlock else 0
                self.lines[demo.contract.id] = Line(subscriber, demo, demo.contract.status, unlocks=used)
        self._numbers = count(1)
        self.cases: list[Case] = []
        for line in list(self.lines.values()):
            for ticket in line.demo.tickets:
                opened_at = ticket.opened_at or self.now()
                self.cases.append(Case(ticket.reference, line.id, ticket.subject, ticket.subject, opened_at))
        self._shipped_cases = len(self.cases)
        self.done: dict[str, list[Any]] = {
            name: [] for name in ("unlocks", "promises", "sends", "notes", "leads", "reboots", "notices", "logins")
        }

    # -- looking

    def number(self, phone: str) -> str:
        """+5511955550101 → 11955550101; with `old_phones`, as before the ninth digit, another one: 1185550101."""
        number = phone[3:]
        if "old_phones" in self.oddities and len(number) == 11:
            return f"{number[:2]}8{number[4:]}"
        return number

    def subscribers(self) -> list[DemoSubscriber]:
        return list(self.demo.subscribers)

    def lines_of(self, subscriber: DemoSubscriber) -> list[Line]:
        own = [self.lines[each.contract.id] for each in subscriber.contracts]
        if "two_contracts" in self.oddities:
            own += [_twin(line) for line in own]
        return own

    def by_number(self, number: str) -> Line | None:
        for subscriber in self.demo.subscribers:
            for line in self.lines_of(subscriber):
                if line.number == number:
                    return line
        return None

    def by_id(self, contract_id: str) -> Line | None:
        for subscriber in self.demo.subscribers:
            for line in self.lines_of(subscriber):
                if line.id == contract_id:
                    return line
        return None

    def invoice(self, invoice_id: str) -> tuple[Line, DemoInvoice] | None:
        for line in self.lines.values():
            for each in line.open_invoices():
                if each.invoice.id == invoice_id:
                    return line, each
        return None

    def cases_of(self, contract_id: str) -> list[Case]:
        return [case for case in self.cases if case.contract_id == contract_id]

    def listed(self, rows: Sequence[T]) -> list[T]:
        """Rows as this system lists them: each twice under `duplicate_rows`."""
        return [row for row in rows for _ in range(2 if "duplicate_rows" in self.oddities else 1)]

    # -- doing

    def judge(self, line: Line | None) -> UnlockVerdict:
        """The system's own rule: once a month, no debt older than 60 days."""
        if line is None:
            return UnlockVerdict.UNKNOWN_CONTRACT
        match line.status:
            case ContractStatus.UNLOCKED:
                return UnlockVerdict.ALREADY_ACTIVE
            case ContractStatus.ACTIVE:
                return UnlockVerdict.NOT_BLOCKED
            case ContractStatus.SUSPENDED | ContractStatus.CANCELLED:
                return UnlockVerdict.BLOCKED_OTHER_REASON
        if line.unlocks:
            return UnlockVerdict.USED_THIS_PERIOD
        oldest = min((each.invoice.due_on for each in line.open_invoices()), default=self.now().date())
        if self.now().date() - oldest > OLDEST_DEBT:
            return UnlockVerdict.POLICY_REFUSED
        return UnlockVerdict.GRANTED

    def unlock(self, line: Line, days: int = UNLOCK_DAYS, *, limited: bool = True) -> UnlockVerdict:
        """`limited` False: by somebody who just edits the flag."""
        verdict = self.judge(line) if limited else UnlockVerdict.GRANTED
        if verdict is UnlockVerdict.GRANTED:
            line.status = ContractStatus.UNLOCKED
            last = self.now().date() + timedelta(days=days)
            line.unlocked_until = datetime.combine(last, time(23, 59), ZONE)
            line.unlocks += 1
            self.done["unlocks"].append(line.number)
        return verdict

    def open_case(self, line: Line, kind: str, text: str, *, order: bool = False, trace: bool = False) -> Case:
        number = f"{self.now():%Y%m%d}{next(self._numbers):05d}"
        case = Case(number, line.id, kind, text, self.now(), order, trace)
        self.cases.append(case)
        return case

    def state(self) -> dict[str, Any]:
        """What was done since the start or the last reset."""
        made = [case for case in self.cases[self._shipped_cases :] if not case.trace]
        return {
            **self.done,
            "tickets": [case.number for case in made if not case.order],
            "orders": [case.number for case in made if case.order],
            "texts": [case.text for case in made],
            "oddities": sorted(self.oddities),
        }


def _twin(line: Line) -> Line:
    contract = line.demo.contract
    other = replace(
        contract,
        id=str(int(contract.id) + SECOND_CONTRACT),
        number=str(int(contract.number) + SECOND_CONTRACT),
        status=ContractStatus.CANCELLED,
        street=f"{contract.street} (fundos)",
        access=replace(contract.access, login=f"{contract.access.login}.2"),
    )
    return Line(line.subscriber, replace(line.demo, contract=other, invoices=(), tickets=()), ContractStatus.CANCELLED)
