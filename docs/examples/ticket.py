"""Opens a ticket, sends it to L2 and closes it there: all that a program of somebody else's needs.

    make client
    PYTHONPATH=build PROSA_URL=http://127.0.0.1:8000 PROSA_TOKEN=… python docs/examples/ticket.py

The token (made by an administrator, page Tokens) has the scopes tickets:read, tickets:write, tickets:l1 and tickets:l2.
"""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import uuid4

from prosa_client import AuthenticatedClient
from prosa_client.api.tickets import comment_on_ticket, get_ticket, move_ticket, open_ticket
from prosa_client.models.close_body import CloseBody
from prosa_client.models.new_ticket import NewTicket
from prosa_client.models.problem_details import ProblemDetails
from prosa_client.models.remark import Remark
from prosa_client.models.ticket_detail import TicketDetail
from prosa_client.models.to_l2_body import ToL2Body
from prosa_client.models.try_body import TryBody

T = TypeVar("T")


def answered(answer: T | ProblemDetails | None) -> T:
    """An answer, or the problem that the server tells instead of it (RFC 9457)."""
    if answer is None or isinstance(answer, ProblemDetails):
        raise RuntimeError(
            f"{answer.code}: {answer.detail}" if answer else "an answer that the reference does not know"
        )
    return answer


async def report_no_signal(client: AuthenticatedClient, phone: str) -> TicketDetail:
    """The closed ticket. Each step has a key: sent again after a network that failed, nothing is done twice."""
    told = datetime.now(UTC) + timedelta(hours=2)
    wanted = NewTicket(category="support", summary="Sem sinal desde ontem", phone=phone)
    opened = answered(await open_ticket.asyncio(client=client, body=wanted, idempotency_key=str(uuid4())))
    print("opened, protocol", opened.protocol)

    to_l2 = ToL2Body(type_="to_l2", report="Luz vermelha na ONU, cabos conferidos", told_deadline_at=told)
    answered(await move_ticket.asyncio(opened.id, client=client, body=to_l2, idempotency_key=str(uuid4())))
    remark = Remark(text="Potência caiu às 14h")
    answered(await comment_on_ticket.asyncio(opened.id, client=client, body=remark, idempotency_key=str(uuid4())))
    tried = TryBody(type_="try", text="Porta da OLT reiniciada, sinal voltou")
    answered(await move_ticket.asyncio(opened.id, client=client, body=tried, idempotency_key=str(uuid4())))
    done = CloseBody(type_="close", text="Resolvido à distância")
    answered(await move_ticket.asyncio(opened.id, client=client, body=done, idempotency_key=str(uuid4())))
    closed = answered(await get_ticket.asyncio(opened.id, client=client))
    print("now", closed.status)
    return closed


async def main() -> None:
    async with AuthenticatedClient(base_url=os.environ["PROSA_URL"], token=os.environ["PROSA_TOKEN"]) as client:
        await report_no_signal(client, "11933330002")


if __name__ == "__main__":
    asyncio.run(main())
