"""Rows and records for tests: everything has a default, name only what the story is about."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import coverage, ticket_moves
from ura.journal import Record
from ura.models import Audience, City, Coverage, Neighbourhood, OutboxMessage, OutboxState, Plan, PlanOffer, Ticket
from ura.ticket_rules import Close

NOON = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # a Monday, noon in São Paulo
_numbers = count(1)
Row = TypeVar("Row")


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def make_id() -> str:
    return uuid4().hex


def make_record(kind: str, /, **data: Any) -> Record:
    """A journal record as the phone writes it; moments may be given as datetime."""
    written = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in data.items()}
    return Record(kind, make_id(), NOON.isoformat(), written)


def call_opened(call_id: str, *, at: datetime = NOON, **data: Any) -> Record:
    number = next(_numbers)
    defaults = {
        "uniqueid": f"1732371600.{number}",
        "linkedid": f"1732371600.{number}",
        "protocol": f"263270{number:06d}",
        "caller": "+5511987654321",
        "did": "551133330001",
        "door": "flow",
        "flow_key": "provedor",
        "flow_version": 1,
    }
    return make_record("call_opened", call_id=call_id, opened_at=at, **{**defaults, **data})


def call_step(call_id: str, seq: int, *, node: str = "main", at: datetime = NOON, **data: Any) -> Record:
    defaults = {"event": "digits", "detail": {"keys": "1"}}
    return make_record("call_step", call_id=call_id, seq=seq, node=node, at=at, **{**defaults, **data})


def call_closed(call_id: str, outcome: str = "done", *, at: datetime = NOON, **data: Any) -> Record:
    return make_record("call_closed", call_id=call_id, outcome=outcome, ended_at=at, **{"last_node": "bye", **data})


def lead_saved(lead_id: str, status: str = "new", *, at: datetime = NOON, **data: Any) -> Record:
    defaults = {
        "call_id": None,
        "phone": "+5511987654321",
        "audience": None,
        "city_id": None,
        "neighbourhood_id": None,
        "plan_id": None,
        "wants_message": False,
    }
    return make_record("lead_saved", lead_id=lead_id, status=status, at=at, **{**defaults, **data})


def ticket_opened(ticket_id: str, *, at: datetime = NOON, **data: Any) -> Record:
    defaults = {
        "call_id": None,
        "protocol": "263270000017",
        "category": "complaint",
        "summary": "Reclamação",
        "phone": "+5511987654321",
        "queue": "l1",
    }
    return make_record("ticket_opened", ticket_id=ticket_id, at=at, **{**defaults, **data})


async def make_city(session: AsyncSession, name: str = "Vale Verde") -> City:
    return await _added(session, City(name=name, prompt_key="name.city"))


async def make_neighbourhood(session: AsyncSession, city: City, name: str, **values: Any) -> Neighbourhood:
    defaults = {"status": Coverage.COVERED, "prompt_key": "name.neighbourhood", "aliases": []}
    place = Neighbourhood(city_id=city.id, name=name, sort_name=coverage.plain(name), **{**defaults, **values})
    place.t9 = coverage.keypad([name, *place.aliases])
    return await _added(session, place)


async def make_plan(session: AsyncSession, name: str = "Turbo", **values: Any) -> Plan:
    defaults = {
        "audience": Audience.HOME,
        "speed_mbps": 600,
        "price": Decimal("119.90"),
        "setup_price": Decimal(0),
        "valid_from": date(2026, 1, 1),
        "prompt_key": "name.plan",
    }
    return await _added(session, Plan(name=name, **{**defaults, **values}))


async def make_offer(session: AsyncSession, plan: Plan, place: Neighbourhood) -> None:
    await _added(session, PlanOffer(plan_id=plan.id, neighbourhood_id=place.id))


async def close_ticket(session: AsyncSession, ticket: Ticket, *, at: datetime = NOON, text: str = "") -> None:
    """By somebody who may."""
    await ticket_moves.move(session, ticket, Close(text=text), actor=ticket_moves.the_house("bia"), now=at)


async def _added(session: AsyncSession, row: Row) -> Row:
    session.add(row)
    await session.flush()
    return row


async def messages_by_state(session: AsyncSession) -> dict[OutboxState, int]:
    return Counter(await session.scalars(select(OutboxMessage.state)))
