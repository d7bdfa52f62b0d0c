"""What people read: right, short, and nothing in it that is not needed."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.factories import NOON, later
from tests.sms import ONE_MESSAGE, septets
from ura import messages
from ura.db import Sessions
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.gateways import Outgoing
from ura.messages import InvoiceToSend, Writer
from ura.models import Call, Cause, Outage, OutboxMessage
from ura.settings import ROOT

LINE = "99991234567890123456789012345678901239999000009990"[:47]
PIX = "00020126330014br.gov.bcb.pix0111pix@exemplo5204000053039865802BR5907EXEMPLO6009SAO PAULO62070503***6304ABCD"
INVOICE = InvoiceToSend(Decimal("119.90"), date(2026, 12, 10), line=LINE, pix=PIX, pdf=b"%PDF-1.7 ")
PROTOCOL = "263260000179"


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The words do not depend on the database."""
    file = tmp_path / "prosa.db"
    shutil.copyfile(sqlite_template, file)
    return f"sqlite+aiosqlite:///{file}"


def writer(
    sessions: Sessions, invoice: InvoiceToSend = INVOICE, link: Callable[[str, datetime], str] = messages.no_link
) -> Writer:
    async def contact(_: Any) -> str:
        return "+5511955550103"

    async def find(_: Any) -> InvoiceToSend:
        return invoice

    async def owed(reminder: Any) -> bool:
        return not reminder.get("paid")

    zone = ZoneInfo("America/Sao_Paulo")
    return Writer(
        sessions,
        zone=zone,
        provider="Vale Verde",
        contact=contact,
        invoice=find,
        link=link,
        owed=owed,
        now=lambda: NOON,
    )


async def write(
    sessions: Sessions, kind: str, payload: dict[str, Any], channel: SendChannel = SendChannel.SMS, **invoice: Any
) -> Outgoing:
    message = OutboxMessage(id="d" * 32, kind=kind, channel=channel, to="+5511955550103", payload=payload)
    return await writer(sessions, **invoice)(message)


def erp_result(operation: str, result: Any) -> dict[str, Any]:
    return {"operation": operation, "result": result, "protocol": PROTOCOL}


UNTIL = "2026-11-26T15:00:00+00:00"
SHORT: dict[str, tuple[str, dict[str, Any]]] = {
    "cancelled": ("proof", {"category": "cancellation", "protocol": PROTOCOL, "at": "2026-11-23T12:00-03:00"}),
    "other": ("proof", {"category": "complaint", "protocol": PROTOCOL, "at": "2026-11-23T12:00-03:00"}),
    "protocol": ("protocol", {"protocol": PROTOCOL}),
    "dropped": ("dropped", {"protocol": PROTOCOL}),
    "granted": ("erp_result", erp_result("trust_unlock", {"verdict": "granted", "until": UNTIL})),
    "granted now": ("erp_result", erp_result("trust_unlock", {"verdict": "granted", "until": None})),
    "promise": ("erp_result", erp_result("promise", {"accepted": True, "on": "2026-12-01"})),
    "no promise": ("erp_result", erp_result("promise", {"accepted": False, "on": "2026-12-01"})),
    "reminder": ("promise_reminder", {"on": "2026-11-23", "protocol": PROTOCOL}),
    "ticket": ("erp_result", erp_result("open_ticket", {"reference": "OS-123456"})),
    "note": ("erp_result", erp_result("add_note", {"reference": "OS-123456"})),
    "order": ("erp_result", erp_result("open_order", {"reference": "OS-123456"})),
    "failed": ("erp_result", erp_result("trust_unlock", None)),
    "cannot": ("erp_result", erp_result("open_order", {"unsupported": True})),
    **{
        f"{operation} {ok}": ("erp_result", erp_result(operation, {"ok": ok}))
        for operation in ("reboot_cpe", "session_reset", "send_invoice")
        for ok in (True, False)
    },
    **{
        verdict: ("erp_result", erp_result("trust_unlock", {"verdict": verdict, "until": None}))
        for verdict in (
            "already_active",
            "used_this_period",
            "not_blocked",
            "blocked_other_reason",
            "policy_refused",
            "unknown_contract",
        )
    },
}


@pytest.mark.parametrize("what", SHORT)
async def test_it_fits_into_one_sms_and_says_who_writes_and_the_protocol(sessions: Sessions, what: str) -> None:
    kind, payload = SHORT[what]
    text = (await write(sessions, kind, payload)).text
    places = septets(text)
    assert places is not None, text
    assert places <= ONE_MESSAGE, (places, text)
    assert text.startswith("Vale Verde: ")
    assert PROTOCOL in text
    assert "{" not in text


async def outage(sessions: Sessions, **state: Any) -> dict[str, str]:
    async with sessions.begin() as session:
        moments = {"started_at": NOON, "created_at": NOON, "opened_by": "ana"}
        session.add(Outage(id="0" * 32, cause=Cause.UPSTREAM, **moments, **state))
    return {"outage_id": "0" * 32}


@pytest.mark.parametrize(
    ("kind", "state", "told"),
    [
        ("outage_fixed", {"closed_at": later(60)}, "foi resolvida"),
        ("outage_known", {"ends_at": later(7200)}, "Previsao de retorno: 23/11/2026 às 14:00"),
        ("outage_known", {"ends_at": later(-60)}, "Ainda nao ha previsao"),
        ("outage_known", {}, "Ainda nao ha previsao"),
    ],
)
async def test_an_outage_is_told_as_it_is_now_in_one_sms(
    sessions: Sessions, kind: str, state: dict[str, Any], told: str
) -> None:
    text = (await write(sessions, kind, await outage(sessions, **state))).text
    assert told in text
    assert (septets(text) or 999) <= ONE_MESSAGE, text


@pytest.mark.parametrize(("kind", "state"), [("outage_fixed", {}), ("outage_known", {"closed_at": later(60)})])
async def test_what_is_no_longer_so_of_an_outage_is_not_told(
    sessions: Sessions, kind: str, state: dict[str, Any]
) -> None:
    with pytest.raises(BadInput):
        await write(sessions, kind, await outage(sessions, **state))


async def test_moments_are_local(sessions: Sessions) -> None:
    assert "26/11/2026 às 12:00" in (await write(sessions, *SHORT["granted"])).text


async def test_an_invoice_by_sms_has_everything_to_pay_it_with_each_on_a_line_of_its_own(sessions: Sessions) -> None:
    sent = await write(sessions, "invoice", {})
    assert sent.text.split("\n") == [
        "Vale Verde: Fatura de R$ 119,90, vencimento 10/12/2026.",
        f"Boleto: {LINE}",
        f"PIX copia e cola: {PIX}",
    ]
    assert septets(sent.text) is not None
    short = InvoiceToSend(Decimal("119.90"), date(2026, 12, 10), line=LINE)
    assert (septets((await write(sessions, "invoice", {}, invoice=short)).text) or 999) <= ONE_MESSAGE


async def test_a_pix_text_is_sent_as_it_is_whatever_its_signs(sessions: Sessions) -> None:
    """Its check sum is over every sign: without its accents no bank takes it."""
    strange = InvoiceToSend(Decimal(1), date(2026, 12, 10), pix=PIX.replace("EXEMPLO", "JOÃO"))
    assert "5907JOÃO6009" in (await write(sessions, "invoice", {}, invoice=strange)).text


async def test_an_invoice_by_whatsapp_is_an_approved_template_with_the_document(sessions: Sessions) -> None:
    sent = await write(sessions, "invoice", {}, SendChannel.WHATSAPP)
    assert sent.template == "prosa_invoice_pdf"
    assert sent.parameters == ("R$ 119,90", "10/12/2026", LINE, PIX)
    [document] = sent.attachments
    assert (document.name, document.content_type) == ("fatura-2026-12-10.pdf", "application/pdf")
    assert LINE in sent.text


async def test_without_a_document_the_template_has_the_link_and_no_parameter_is_empty(sessions: Sessions) -> None:
    linked = InvoiceToSend(Decimal("119.90"), date(2026, 12, 10), link="https://erp.example/2via/1")
    sent = await write(sessions, "invoice", {}, SendChannel.WHATSAPP, invoice=linked)
    assert sent.template == "prosa_invoice_link"
    assert sent.parameters == ("R$ 119,90", "10/12/2026", "não há", "não há", "https://erp.example/2via/1")


OURS, THEIRS = "https://ura.example/2via/1", "https://erp.example/2via/1"


@pytest.mark.parametrize(
    ("channel", "invoice", "linked"),
    [
        (SendChannel.SMS, INVOICE, OURS),
        (SendChannel.SMS, replace(INVOICE, link=THEIRS), THEIRS),
        (SendChannel.EMAIL, INVOICE, ""),
        (SendChannel.EMAIL, replace(INVOICE, pdf=b""), OURS),
        (SendChannel.WHATSAPP, INVOICE, ""),
        (SendChannel.WHATSAPP, replace(INVOICE, pdf=b""), OURS),
    ],
)
async def test_what_carries_no_document_has_a_link_to_ours_unless_the_system_has_one(
    sessions: Sessions, channel: SendChannel, invoice: InvoiceToSend, linked: str
) -> None:
    sent = await write(sessions, "invoice", {}, channel, invoice=invoice, link=lambda _id, _now: OURS)
    assert [link for link in (OURS, THEIRS) if link in sent.text] == ([linked] if linked else [])


async def test_an_invoice_by_mail_has_a_subject_and_the_document(sessions: Sessions) -> None:
    sent = await write(sessions, "invoice", {}, SendChannel.EMAIL)
    assert sent.subject == "Vale Verde: sua fatura com vencimento em 10/12/2026"
    assert "O boleto em PDF está em anexo." in sent.text
    assert len(sent.attachments) == 1


async def test_a_contact_is_looked_up_only_when_the_message_names_no_address(sessions: Sessions) -> None:
    registered = OutboxMessage(id="d" * 32, kind="invoice", channel=SendChannel.SMS, to="", payload={"contact": {}})
    assert (await writer(sessions)(registered)).to == "+5511955550103"


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("gossip", {}),
        ("plans", {"plan_ids": [1]}),
        ("outage_known", {"outage_id": "f" * 32}),
        ("proof", {"category": "cancellation"}),
        ("proof", {"category": "cancellation", "protocol": "1", "at": "noon"}),
        ("protocol", {}),
        ("promise_reminder", {"on": "2026-11-22", "protocol": PROTOCOL}),  # the day is over
        ("promise_reminder", {"on": "2026-11-27", "protocol": PROTOCOL, "paid": True}),
        ("erp_result", {"operation": "dance", "result": {"ok": True}, "protocol": "1"}),
        ("erp_result", {"operation": "trust_unlock", "result": {"verdict": "perhaps"}, "protocol": "1"}),
    ],
)
async def test_what_nobody_can_tell_is_refused(sessions: Sessions, kind: str, payload: dict[str, Any]) -> None:
    async with sessions.begin() as session:
        session.add(Call(id="c" * 32, protocol=PROTOCOL, opened_at=NOON))
    with pytest.raises(BadInput):
        await write(sessions, kind, payload)


def test_templates_are_the_texts_with_numbered_slots() -> None:
    made = messages.templates()
    assert (
        made["prosa_protocol"] == "Seu atendimento foi registrado. Protocolo {{1}}. Guarde este número para acompanhar."
    )
    assert "prosa_invoice" not in made
    for name, body in made.items():  # Meta's rules for a body
        assert len(body) <= 1024, name
        assert not body.startswith("{{"), name
        assert not body.endswith("}}"), name
        assert "}}{{" not in body.replace(" ", ""), name


def test_the_installers_page_has_every_template_as_it_is_entered_at_meta() -> None:
    page = (ROOT / "docs" / "mensagens.md").read_text()
    written = dict(re.findall(r"^\| `(prosa_[a-z_]+)` \| (.*) \|$", page, re.MULTILINE))
    assert written == messages.templates()
