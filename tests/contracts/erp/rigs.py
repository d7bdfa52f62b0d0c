"""One system under the contract: its adapter, the simulator that it talks to, and what this system is able to do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import httpx

from prosa.erp_sim.world import ZONE
from ura.adapters.erp.http import DEADLINE_S
from ura.demo.subscribers import DemoContract, DemoSubscriber, DemoWorld
from ura.erp import (
    Contract,
    Erp,
    Invoice,
    LeadWish,
    Reply,
    SendChannel,
    Unlock,
    UnlockVerdict,
)

Ask = Callable[..., Awaitable[Reply[Any]]]
HURRY_S = 2.0
PLACE = {"neighbourhood": "Centro"}
WISH = LeadWish("Joana Prado", "+5511955550199", "Centro", "Vale Verde", "Turbo 600 Mega")
READS = {
    "find_by_document", "find_by_phone", "find_by_contract", "list_contracts", "open_invoices", "invoice_payload",
    "may_unlock", "list_tickets", "connection", "optical", "outages", "coverage", "plans",
}  # fmt: skip
CHANGES = {
    "send_invoice", "trust_unlock", "promise", "open_ticket", "add_note", "open_order", "reboot_cpe", "open_lead",
    "notify_attendant",
}  # fmt: skip
# What each system cannot do (erp.md 4.1), and what nothing says enough about to try.
LACKS: dict[str, set[str]] = {
    "local": {"send_invoice", "reboot_cpe", "outages", "notify_attendant"},
    "sgp": {"add_note", "notify_attendant"},
    "hubsoft": {"promise", "coverage"},
    "ixc": {"promise", "reboot_cpe", "outages", "coverage", "plans", "notify_attendant"},
    "mkauth": {
        "find_by_phone", "send_invoice", "promise", "add_note", "open_order", "connection", "optical", "reboot_cpe",
        "outages", "coverage", "open_lead", "notify_attendant",
    },
}  # fmt: skip
# The request that does it, and what the simulator counts it under.
CHANGE_PATH: dict[str, dict[str, tuple[str, str]]] = {
    "sgp": {
        "send_invoice": ("enviafatura", "sends"),
        "trust_unlock": ("liberacaopromessa", "unlocks"),
        "promise": ("liberacaopromessa", "promises"),
        "open_ticket": ("chamado", "tickets"),
        "open_order": ("chamado", "orders"),
        "reboot_cpe": ("command/boot", "reboots"),
        "open_lead": ("precadastro", "leads"),
    },
    "hubsoft": {
        "send_invoice": ("enviar_email", "sends"),
        "trust_unlock": ("desbloqueio_confianca", "unlocks"),
        "open_ticket": ("integracao/atendimento", "tickets"),
        "open_order": ("integracao/atendimento", "orders"),
        "add_note": ("atendimento/adicionar_mensagem", "notes"),
        "reboot_cpe": ("reiniciar_cpe", "reboots"),
        "open_lead": ("integracao/prospecto", "leads"),
        "notify_attendant": ("pbx", "notices"),
    },
    "ixc": {
        "send_invoice": ("get_boleto", "sends"),
        "trust_unlock": ("desbloqueio_confianca", "unlocks"),
        "open_ticket": ("su_ticket", "tickets"),
        "open_order": ("su_oss_chamado", "orders"),
        "add_note": ("su_mensagens", "notes"),
        "open_lead": ("contato", "leads"),
    },
    "mkauth": {
        "trust_unlock": ("cliente/editar", "unlocks"),
        "open_ticket": ("chamado/inserir", "tickets"),
    },
}
# Where nothing is left behind that could be looked for, a second try does nothing at all.
CANNOT_LOOK: dict[str, set[str]] = {
    "local": set(),
    "sgp": {"reboot_cpe", "open_lead"},
    "hubsoft": {"send_invoice", "add_note", "reboot_cpe"},
    "ixc": {"send_invoice"},
    "mkauth": set(),
}


@dataclass
class FakeLedger:
    """Our own book of trust unlocks, in memory: once a month, no debt older than 60 days."""

    world: DemoWorld
    written: dict[str, tuple[str, Unlock]] = field(default_factory=dict)

    async def may(self, contract_id: str) -> Unlock:
        now = datetime.now(ZONE)
        for owner, unlock in self.written.values():
            if owner == contract_id:
                active = unlock.until and unlock.until > now
                return Unlock(UnlockVerdict.ALREADY_ACTIVE if active else UnlockVerdict.USED_THIS_PERIOD, unlock.until)
        demo = next((each for each in self.world.contracts() if each.contract.number == contract_id), None)
        if demo is None:  # a second contract that the simulator added
            return Unlock(UnlockVerdict.ALLOWED)
        if demo.unlock:
            return Unlock(UnlockVerdict.USED_THIS_PERIOD)
        too_old = any(now.date() - invoice.due_on > timedelta(days=60) for invoice in demo.open_invoices)
        return Unlock(UnlockVerdict.POLICY_REFUSED if too_old else UnlockVerdict.ALLOWED)

    async def running(self, contract_id: str) -> datetime | None:
        held = [unlock.until for owner, unlock in self.written.values() if owner == contract_id]
        return next((until for until in held if until and until > datetime.now(ZONE)), None)

    async def find(self, key: str) -> Unlock | None:
        return self.written[key][1] if key in self.written else None

    async def write(self, contract_id: str, key: str) -> Unlock:
        unlock = Unlock(UnlockVerdict.GRANTED, datetime.now(ZONE) + timedelta(days=3))
        return self.written.setdefault(key, (contract_id, unlock))[1]

    async def strike(self, key: str) -> None:
        self.written.pop(key, None)


@dataclass
class Rig:
    """`control`: speaks to the simulator's other port; None for our own tables."""

    name: str
    erp: Erp
    control: httpx.Client | None
    world: DemoWorld

    @property
    def can(self) -> set[str]:
        return (READS | CHANGES) - LACKS[self.name]

    def fault(self, kind: str, **more: Any) -> None:
        assert self.control
        self.control.post("/_sim/fault", json={"fault": kind, **more}).raise_for_status()

    def hurry(self) -> float:
        """From here on each operation has so many seconds."""
        self.erp.http.deadline_s = self.erp.http.change_deadline_s = HURRY_S
        return HURRY_S

    def well(self) -> None:
        """No fault and no hurry any more; what was done stays."""
        self.erp.http.deadline_s = self.erp.http.change_deadline_s = DEADLINE_S
        self.fault("none")

    def done(self, what: str) -> list[Any]:
        assert self.control
        found: list[Any] = self.control.get("/_sim/state").json()[what]
        return found

    def reset(self) -> None:
        """As new; nothing has been done."""
        assert self.control
        self.control.post("/_sim/reset").raise_for_status()

    async def contracts(self, subscriber: DemoSubscriber) -> list[Contract]:
        found = await value(self.erp.find_by_document(subscriber.subscriber.document))
        return list(await value(self.erp.list_contracts(found.id)))

    async def contract(self, story: str) -> Contract:
        """The (first) contract of a story, as this system tells it."""
        subscriber = self.world.story(story)
        return self.like(await self.contracts(subscriber), subscriber.contracts[0])

    def like(self, contracts: list[Contract], demo: DemoContract) -> Contract:
        """Ids are each system's own: the place tells which is which."""
        return next(each for each in contracts if (each.street, each.house) == place_of(demo))

    async def invoice(self, story: str) -> Invoice:
        contract = await self.contract(story)
        found: Invoice = (await value(self.erp.open_invoices(contract.id)))[0]
        return found

    async def asks(self) -> dict[str, Ask]:
        """Every operation with arguments that make sense; those that change something take `again`."""
        erp, demo = self.erp, self.world.story("in_order").subscriber
        line, blocked, owing = await self.contract("los"), await self.contract("blocked"), await self.invoice("overdue")
        in_a_week = datetime.now(ZONE) + timedelta(days=7)
        mail = self.world.story("overdue").subscriber.emails[0]
        waiting = await self.contract("open_ticket")
        note_on = (await value(erp.list_tickets(waiting.id)))[0].reference
        ticket = {"subject": "Sem conexão", "text": "Luz vermelha"}
        return {
            "find_by_document": lambda: erp.find_by_document(demo.document),
            "find_by_phone": lambda: erp.find_by_phone(demo.phones[0]),
            "find_by_contract": lambda: erp.find_by_contract(line.number),
            "list_contracts": lambda: erp.list_contracts(line.subscriber_id),
            "open_invoices": lambda: erp.open_invoices(blocked.id),
            "invoice_payload": lambda: erp.invoice_payload(owing),
            "send_invoice": lambda again=False: erp.send_invoice(
                owing, SendChannel.EMAIL, mail, key=wish("send_invoice"), again=again
            ),
            "may_unlock": lambda: erp.may_unlock(blocked.id),
            "trust_unlock": lambda again=False: erp.trust_unlock(blocked.id, key=wish("trust_unlock"), again=again),
            "promise": lambda again=False: erp.promise(blocked.id, in_a_week.date(), key=wish("promise"), again=again),
            "open_ticket": lambda again=False: erp.open_ticket(
                line.id, **ticket, protocol="263270000017", key=wish("open_ticket"), again=again
            ),
            "list_tickets": lambda: erp.list_tickets(line.id),
            "add_note": lambda again=False: erp.add_note(note_on, "Cliente ligou", key=wish("add_note"), again=again),
            "open_order": lambda again=False: erp.open_order(
                line.id, **ticket, at=in_a_week, key=wish("open_order"), again=again
            ),
            "connection": lambda: erp.connection(line),
            "optical": lambda: erp.optical(line),
            "reboot_cpe": lambda again=False: erp.reboot_cpe(line, key=wish("reboot_cpe"), again=again),
            "outages": lambda: erp.outages(line),
            "coverage": lambda: erp.coverage(**PLACE),
            "plans": lambda: erp.plans("Centro"),
            "open_lead": lambda again=False: erp.open_lead(WISH, key=wish("open_lead"), again=again),
            "notify_attendant": lambda again=False: erp.notify_attendant("101", demo.phones[0], "Liga de novo"),
        }


async def value(asking: Awaitable[Reply[Any]]) -> Any:
    """What was answered; an Unsupported here is a mistake of the test."""
    reply = await asking
    return reply.value


def place_of(demo: DemoContract) -> tuple[str, str]:
    return demo.contract.street, demo.contract.house


def wish(operation: str) -> str:
    """The key of the wish for this, the same for every try."""
    return uuid5(NAMESPACE_OID, operation).hex
