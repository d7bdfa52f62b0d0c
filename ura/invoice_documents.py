"""The document that goes with a second copy, for systems that make none. Apart from `invoice_copies`, which the phone
door needs too: what draws a page costs each process 36 MB."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from ura import boleto, contacts, invoice_pdf, pix
from ura.erp import Erp
from ura.invoice_pdf import SecondCopy
from ura.messages import InvoiceToSend


async def with_document(
    copy: InvoiceToSend, erp: Erp, wanted: Mapping[str, Any], *, payee: str, today: date
) -> InvoiceToSend:
    """For a system that makes no document itself: ours, from what was checked. Raises as `invoice_copies.find_copy`."""
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
