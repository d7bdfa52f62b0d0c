"""The words of a message, made when it is sent: what it tells is what is true then."""

from decimal import Decimal
from functools import cache
from pathlib import Path

import yaml
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.errors import BadInput
from ura.models import Call, OutboxMessage, Plan


@cache
def _texts() -> dict[str, str]:
    texts: dict[str, str] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return texts


async def text_of(session: AsyncSession, message: OutboxMessage) -> str:
    """Raises BadInput for a kind that nobody writes, or when nothing is left to tell."""
    match message.kind:
        case "plans":
            return await _plans(session, message)
        case _:
            raise BadInput(f"no text for messages of kind {message.kind!r}")


async def _plans(session: AsyncSession, message: OutboxMessage) -> str:
    ids = message.payload.get("plan_ids", [])
    plans = (await session.scalars(select(Plan).where(Plan.id.in_(ids)).order_by(Plan.price))).all()
    if not plans:
        raise BadInput("the plans of this message are no longer offered")
    protocol = await session.scalar(select(Call.protocol).where(Call.id == message.call_id))
    lines = [
        _texts()["plan"].format(
            name=plan.name, speed=plan.speed_mbps, price=reais(plan.price), setup=reais(plan.setup_price)
        )
        for plan in plans
    ]
    return _texts()["plans"].format(plans="; ".join(lines), protocol=protocol or "")


def reais(amount: Decimal) -> str:
    """`R$ 1.234,50`; nothing to pay is said in a word."""
    if amount == 0:
        return _texts()["free"]
    return "R$ " + f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))
