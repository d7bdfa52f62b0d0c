"""The second copy of an invoice as it may be sent: looked up when it goes out, and checked."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import structlog

from ura import billing, boleto, pix
from ura.boleto import BadLine
from ura.erp import Erp, InvoicePayload, Unsupported
from ura.errors import BadInput
from ura.messages import InvoiceToSend
from ura.pix import BadPix

log = structlog.get_logger(__name__)

OLDEST = ""  # an invoice's id in a message that was promised while nobody could say which are open


async def find_copy(erp: Erp, wanted: Mapping[str, Any], *, today: date) -> InvoiceToSend:
    """`wanted`: `contract_id` and `invoice_id`; OLDEST for the oldest that is open now. A line or PIX text that a
    bank would not take is left out.

    Raises BadInput when the invoice is no longer open (it was paid meanwhile) or nothing of it can be trusted;
    ErpUnavailable.
    """
    reply = await erp.open_invoices(str(wanted["contract_id"]))
    invoices = () if isinstance(reply, Unsupported) else reply.value
    meant = str(wanted["invoice_id"])
    found = next((each for each in billing.overdue_first(invoices) if meant in (each.id, OLDEST)), None)
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
