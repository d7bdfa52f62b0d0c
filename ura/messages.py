"""The words of a message, made when it is sent: what it tells is what is true then."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import yaml
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import gsm7, incident_news
from ura.db import Sessions
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.gateways import Attachment, Outgoing
from ura.models import Call, IncidentUpdate, Outage, OutboxMessage, Plan

Payload = Mapping[str, Any]
TEMPLATE_PREFIX = "prosa_"
TO_BE_COPIED = frozenset({"line", "pix", "link"})  # every sign of them counts
# ERP operation → its texts for a plain yes and no.
YES_OR_NO = {
    "reboot_cpe": ("reboot_done", "reboot_refused"),
    "session_reset": ("reset_done", "reset_refused"),
    "send_invoice": ("invoice_sent", "invoice_not_sent"),
}
WITH_REFERENCE = {"open_ticket": "ticket_opened", "add_note": "note_added", "open_order": "order_opened"}


@dataclass(frozen=True, slots=True)
class InvoiceToSend:
    """What was checked and may go out. "" and b"" for what there is not; of line, PIX, link and PDF one is there."""

    amount: Decimal
    due_on: date
    line: str = field(default="", repr=False)
    pix: str = field(default="", repr=False)
    link: str = field(default="", repr=False)
    pdf: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class _Told:
    """One text with its slots. `lines`: what SMS and e-mail say after it, where WhatsApp has no such choice."""

    text: str
    slots: Mapping[str, str]
    lines: tuple[str, ...] = ()
    whatsapp: str = ""
    attachments: tuple[Attachment, ...] = ()


def utc_now() -> datetime:
    return datetime.now(UTC)


async def _nobody(_contact: Payload) -> str:
    raise BadInput("nobody here can look a contact up")


async def _nothing(_payload: Payload) -> InvoiceToSend:
    raise BadInput("nobody here can look an invoice up")


async def _never(_payload: Payload) -> bool:
    return False


def no_link(_message_id: str, _now: datetime) -> str:
    """For an installation that browsers do not reach."""
    return ""


class Writer:
    """`contact`: the address that a payload's `contact` means, for messages that do not name theirs; `invoice`: what a
    payload of kind `invoice` means. Both may raise BadInput (it is no longer there) or Unavailable (ask again).
    `link`: where the document of a message with that id can be opened; "" where it cannot. `owed`: is what the payload
    of a reminder speaks of still to be paid? It may raise Unavailable, too."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        zone: tzinfo,
        provider: str,
        contact: Callable[[Payload], Awaitable[str]] = _nobody,
        invoice: Callable[[Payload], Awaitable[InvoiceToSend]] = _nothing,
        link: Callable[[str, datetime], str] = no_link,
        owed: Callable[[Payload], Awaitable[bool]] = _never,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._sessions = sessions
        self._zone = zone
        self._provider = provider
        self._contact = contact
        self._invoice = invoice
        self._link = link
        self._owed = owed
        self._now = now

    async def __call__(self, message: OutboxMessage) -> Outgoing:
        """Raises BadInput for a kind that nobody writes, or when nothing true is left to tell; Unavailable."""
        try:
            to = message.to or await self._contact(message.payload["contact"])
            told = await self._tell(message)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"this {message.kind} does not say what to tell: {error!r}") from error
        return self._outgoing(message, to, told)

    async def _tell(self, message: OutboxMessage) -> _Told:
        match message.kind:
            case "plans":
                async with self._sessions() as session:
                    return await _plans(session, message)
            case "proof":
                return _proof(message.payload)
            case "protocol" | "dropped":
                return _Told(message.kind, {"protocol": message.payload["protocol"]})
            case "outage_fixed" | "outage_known":
                async with self._sessions() as session:
                    outage = await session.get(Outage, message.payload["outage_id"])
                return _outage(message.kind, outage, self._zone, self._now())
            case "incident_update":
                async with self._sessions() as session:
                    return await _incident_update(session, message.payload, self._zone, self._now())
            case "erp_result":
                return _erp_result(message.payload, self._zone)
            case "promise_reminder":
                return await self._reminder(message.payload)
            case "invoice":
                return _invoice(self._linked(message, await self._invoice(message.payload)))
            case _:
                raise BadInput(f"no text for messages of kind {message.kind!r}")

    async def _reminder(self, payload: Payload) -> _Told:
        on = date.fromisoformat(payload["on"])
        if self._now().astimezone(self._zone).date() > on or not await self._owed(payload):
            raise BadInput("there is nothing to remind of any more")
        return _Told("promise_reminder", {"on": on.strftime(_yaml()["day"]), "protocol": payload["protocol"]})

    def _linked(self, message: OutboxMessage, invoice: InvoiceToSend) -> InvoiceToSend:
        """A text message carries no document: it gets a link to ours where the system has none of its own."""
        carried = invoice.pdf and message.channel is not SendChannel.SMS
        if invoice.link or carried:
            return invoice
        return replace(invoice, link=self._link(message.id, self._now()))

    def _outgoing(self, message: OutboxMessage, to: str, told: _Told) -> Outgoing:
        texts, lines = _yaml()["texts"], _yaml()["invoice_lines"]
        slots = {name: value or _yaml()["missing"] for name, value in told.slots.items()}
        match message.channel:
            case SendChannel.SMS:
                body = [_yaml()["sms_from"] + texts[told.text], *(lines[name] for name in told.lines if name != "pdf")]
                text = _fill(gsm7.plain("\n".join(body)), _without_accents({**slots, "provider": self._provider}))
                return Outgoing(message.id, to, text)
            case SendChannel.WHATSAPP:
                name = told.whatsapp or told.text
                return Outgoing(
                    message.id,
                    to,
                    _fill(texts[name], slots),
                    template=TEMPLATE_PREFIX + name,
                    parameters=tuple(_one_line(slots[slot]) for slot in slots_of(texts[name])),
                    attachments=told.attachments,
                )
            case SendChannel.EMAIL:
                body = [texts[told.text], *(lines[name] for name in told.lines), self._provider]
                subject = _yaml()["subjects"][message.kind].format(provider=self._provider, **slots)
                text = "\n\n".join(_fill(line, slots) for line in body)
                return Outgoing(message.id, to, text, subject=_one_line(subject), attachments=told.attachments)


# -- one kind each


async def _plans(session: AsyncSession, message: OutboxMessage) -> _Told:
    ids = message.payload.get("plan_ids", [])
    plans = (await session.scalars(select(Plan).where(Plan.id.in_(ids)).order_by(Plan.price))).all()
    if not plans:
        raise BadInput("the plans of this message are no longer offered")
    protocol = await session.scalar(select(Call.protocol).where(Call.id == message.call_id))
    lines = [
        _yaml()["plan"].format(
            name=plan.name, speed=plan.speed_mbps, price=reais(plan.price), setup=reais(plan.setup_price)
        )
        for plan in plans
    ]
    return _Told("plans", {"plans": "; ".join(lines), "protocol": protocol or ""})


def _proof(payload: Payload) -> _Told:
    """What was registered and when: that stays true whatever happens to the ticket later. `at` is local."""
    moment = datetime.fromisoformat(payload["at"]).strftime(_yaml()["moment"])
    text = f"proof_{payload['category']}"
    known = text if text in _yaml()["texts"] else "proof_other"
    return _Told(known, {"moment": moment, "protocol": payload["protocol"]})


def _outage(kind: str, outage: Outage | None, zone: tzinfo, now: datetime) -> _Told:
    """Only what is so now: neither "fixed" of one that was opened again, nor "down" of one that is over."""
    if outage is None or (outage.closed_at is None) != (kind == "outage_known"):
        raise BadInput("the outage is not in the state that this message tells")
    if kind == "outage_fixed":
        return _Told("outage_fixed", {})
    cause = _yaml()["causes"][outage.cause.value]
    if outage.ends_at is None or outage.ends_at <= now:  # an estimate that has passed is none
        return _Told("outage_known_open", {"cause": cause})
    until = outage.ends_at.astimezone(zone).strftime(_yaml()["moment"])
    return _Told("outage_known", {"cause": cause, "until": until})


async def _incident_update(session: AsyncSession, payload: Payload, zone: tzinfo, now: datetime) -> _Told:
    news = await session.get(IncidentUpdate, payload["update_id"])
    if news is None or not await incident_news.is_newest(session, news):
        raise BadInput("something newer was said of this incident, or it is over")
    if news.ends_at is None or news.ends_at <= now:
        return _Told("incident_update_open", {"text": news.text})
    until = news.ends_at.astimezone(zone).strftime(_yaml()["moment"])
    return _Told("incident_update", {"text": news.text, "until": until})


def _erp_result(payload: Payload, zone: tzinfo) -> _Told:
    """What ura/erp_requests.py got for an answer. None, or "this system cannot": a person has to."""
    operation, result = payload["operation"], payload["result"]
    slots = {"protocol": payload["protocol"]}
    if result is None or result.get("unsupported"):
        return _Told("erp_failed", slots)
    if operation == "trust_unlock":
        until = result.get("until")
        if result["verdict"] == "granted" and not until:
            return _Told("unlock_granted_now", slots)
        told = datetime.fromisoformat(until).astimezone(zone).strftime(_yaml()["moment"]) if until else ""
        return _Told(_known(f"unlock_{result['verdict']}"), {**slots, "until": told})
    if operation == "promise":
        text = "promise_accepted" if result["accepted"] else "promise_refused"
        return _Told(text, {**slots, "on": date.fromisoformat(result["on"]).strftime(_yaml()["day"])})
    if operation in WITH_REFERENCE:
        return _Told(WITH_REFERENCE[operation], {**slots, "reference": result["reference"]})
    yes, no = YES_OR_NO[operation]
    return _Told(yes if result["ok"] else no, slots)


def _invoice(invoice: InvoiceToSend) -> _Told:
    parts = {"line": invoice.line, "pix": invoice.pix, "link": invoice.link}
    due = invoice.due_on.strftime(_yaml()["day"])
    files: tuple[Attachment, ...] = ()
    if invoice.pdf:
        files = (Attachment(pdf_name(invoice.due_on), "application/pdf", invoice.pdf),)
    return _Told(
        "invoice",
        {"amount": reais(invoice.amount), "due": due, **parts},
        lines=(*(name for name, part in parts.items() if part), *(["pdf"] if files else [])),
        whatsapp="invoice_pdf" if files else "invoice_link",
        attachments=files,
    )


# -- words


@cache
def _yaml() -> dict[str, Any]:
    texts: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return texts


def stop_words() -> list[str]:
    return list(_yaml()["stop_words"])


def start_words() -> list[str]:
    return list(_yaml()["start_words"])


def templates() -> dict[str, str]:
    """WhatsApp's templates as they are entered at Meta: name → body with `{{1}}`, `{{2}}` …"""
    made = {}
    for name, text in _yaml()["texts"].items():
        if name != "invoice":  # of which WhatsApp has two others
            numbers = {slot: f"{{{{{number}}}}}" for number, slot in enumerate(slots_of(text), 1)}
            made[TEMPLATE_PREFIX + name] = text.format(**numbers)
    return made


def pdf_name(due_on: date) -> str:
    return str(_yaml()["pdf_name"].format(due=due_on.isoformat()))


def slots_of(text: str) -> list[str]:
    """In the order in which they first appear."""
    return list(dict.fromkeys(slot for _, slot, _, _ in Formatter().parse(text) if slot))


def reais(amount: Decimal) -> str:
    """`R$ 1.234,50`; nothing to pay is said in a word."""
    if amount == 0:
        return str(_yaml()["free"])
    return "R$ " + f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def _known(text: str) -> str:
    if text not in _yaml()["texts"]:
        raise BadInput(f"there is no text {text!r}")
    return text


def _fill(text: str, slots: Mapping[str, str]) -> str:
    return text.format(**slots)


def _without_accents(slots: Mapping[str, str]) -> dict[str, str]:
    return {name: value if name in TO_BE_COPIED else gsm7.plain(value) for name, value in slots.items()}


def _one_line(text: str) -> str:
    """Meta refuses parameters with line breaks, tabs or many blanks; a mail's subject is one line."""
    return re.sub(r"\s+", " ", text).strip()
