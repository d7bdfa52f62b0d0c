"""The second copy of an invoice as it may be sent: looked up when it goes out, and checked."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import structlog

from ura import boleto, contacts, invoice_pdf, pix
from ura.boleto import BadLine
from ura.erp import Erp, InvoicePayload, Unsupported
from ura.errors import BadInput
from ura.invoice_pdf import SecondCopy
from ura.messages import InvoiceToSend
from ura.pix import BadPix

log = structlog.get_logger(__name__)


async def find_copy(erp: Erp, wanted: Mapping[str, Any], *, today: date) -> InvoiceToSend:
    """`wanted`: `contract_id` and `invoice_id`. A line or PIX text that a bank would not take is left out.

    Raises BadInput when the invoice is no longer open (it was paid meanwhile) or nothing of it can be trusted;
    ErpUnavailable.
    """
    reply = await erp.open_invoices(str(wanted["contract_id"]))
    invoices = () if isinstance(reply, Unsupported) else reply.value
    found = next((each for each in invoices if each.id == wanted["invoice_id"]), None)
    if found is None:
        raise BadInput("this invoice is no longer open")
    answer = await erp.invoice_payload(found)
    payload = InvoicePayload(found.id) if isinstance(answer, Unsupported) else answer.value
    copy = InvoiceToSend(
        amount=found.amount,
        due_on=found.due_on,
        line=_checked_line(payload, today),
        pix=_checked_pix(payload),
        link=payload.link if payload.link.startswith("https://") else "",
        pdf=payload.pdf if payload.pdf.startswith(b"%PDF-") else b"",
    )
    if not (copy.line or copy.pix or copy.link or copy.pdf):
        raise BadInput("there is no line, PIX, link or document of this invoice that can be trusted")
    return copy


async def with_document(
    copy: InvoiceToSend, erp: Erp, wanted: Mapping[str, Any], *, payee: str, today: date
) -> InvoiceToSend:
    """For a system that makes no document itself: ours, from what was checked. Raises as `find_copy`."""
    if copy.pdf or not (copy.line or copy.pix):
        return copy
    subscriber, contract = await contacts.find_holder(erp, wanted["contact"])
    page = SecondCopy(
        payee=payee,
        payer=subscriber.name,
        contract=contract.number,
        due_on=copy.due_on,
        amount=copy.amount,
        boleto=boleto.parse(copy.line, today=today) if copy.line else None,
        pix=pix.parse(copy.pix) if copy.pix else None,
    )
    return replace(copy, pdf=await asyncio.to_thread(invoice_pdf.make, page))


def _checked_line(payload: InvoicePayload, today: date) -> str:
    if not payload.line:
        return ""
    try:
        return boleto.parse(payload.line, today=today).line
    except BadLine as error:
        log.error("a boleto's line is not sent", invoice=payload.invoice_id, reason=error.message)
        return ""


def _checked_pix(payload: InvoicePayload) -> str:
    if not payload.pix:
        return ""
    try:
        return pix.parse(payload.pix).text
    except BadPix as error:
        log.error("a PIX text is not sent", invoice=payload.invoice_id, reason=error.message)
        return ""
