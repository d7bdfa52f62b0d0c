"""Where the provider is and what can be had there."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura.errors import NotFound
from ura.models import Audience, City, Coverage, Neighbourhood, Plan, PlanOffer

KEYPAD = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
LONGEST_LIST = 500  # a caller cannot listen to more; letters and CEP find every neighbourhood


class Place(NamedTuple):
    """A neighbourhood as a caller hears it."""

    id: int
    name: str
    prompt_key: str
    status: Coverage
    forecast_on: date | None
    city_id: int


class Offer(NamedTuple):
    id: int
    name: str
    prompt_key: str
    speed_mbps: int
    price: Decimal
    setup_price: Decimal
    conditions_prompt_key: str


class NeighbourhoodNotFound(NotFound):
    code = "neighbourhood-not-found"


def plain(name: str) -> str:
    """Small letters without accents, one blank between words: what names are sorted and compared by."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", letters))


def keypad(names: Iterable[str]) -> str:
    """The keys of each word of each name, and of the name written as one word, each after a blank."""
    words: dict[str, None] = {}
    for name in map(plain, names):
        words.update(dict.fromkeys(name.split()))
        words[name.replace(" ", "")] = None
    return "".join(f" {word.translate(KEYPAD)}" for word in words if word)


async def save_city(session: AsyncSession, *, name: str, prompt_key: str) -> City:
    """Insert or update, by name."""
    city = await session.scalar(select(City).where(City.name == name)) or City(name=name)
    city.prompt_key = prompt_key
    session.add(city)
    await session.flush()
    return city


async def save_neighbourhood(session: AsyncSession, *, city_id: int, name: str, **values: Any) -> Neighbourhood:
    """Insert or update, by city and name (accents and capitals do not make it another one)."""
    sort_name = plain(name)
    query = select(Neighbourhood).where(Neighbourhood.city_id == city_id, Neighbourhood.sort_name == sort_name)
    found = await session.scalar(query) or Neighbourhood(city_id=city_id, sort_name=sort_name, aliases=[])
    found.name = name
    for column, value in values.items():
        setattr(found, column, value)
    found.t9 = keypad([name, *found.aliases])
    session.add(found)
    await session.flush()
    return found


async def save_plan(session: AsyncSession, *, audience: Audience, name: str, **values: Any) -> Plan:
    """Insert or update, by audience and name."""
    query = select(Plan).where(Plan.audience == audience, Plan.name == name)
    plan = await session.scalar(query) or Plan(audience=audience, name=name)
    for column, value in values.items():
        setattr(plan, column, value)
    session.add(plan)
    await session.flush()
    return plan


async def offer(session: AsyncSession, *, plan_id: int, neighbourhood_id: int) -> None:
    await session.merge(PlanOffer(plan_id=plan_id, neighbourhood_id=neighbourhood_id))
    await session.flush()


# -- reading: columns, not objects, since a caller waits for it ------------------------------------------------------


async def list_cities(session: AsyncSession) -> Sequence[City]:
    return (await session.scalars(select(City).order_by(City.name))).all()


async def list_neighbourhoods(session: AsyncSession, *, city_id: int, limit: int = LONGEST_LIST) -> list[Place]:
    """By name."""
    return await _places(session, [Neighbourhood.city_id == city_id], limit)


async def find_by_keys(session: AsyncSession, *, city_id: int, keys: str, limit: int = LONGEST_LIST) -> list[Place]:
    """Any word of the name or of an alias begins with these keys: 527 finds "Jardim", 7256 "das Palmeiras"."""
    if not (keys.isascii() and keys.isdigit()):
        return []
    return await _places(session, [Neighbourhood.city_id == city_id, Neighbourhood.t9.like(f"% {keys}%")], limit)


async def find_by_name(session: AsyncSession, *, name: str, city_id: int | None = None) -> list[Place]:
    """The name, or an alias, begins with this; accents, capitals and blanks do not matter."""
    wanted = plain(name).replace(" ", "")
    if not wanted:
        return []
    # t9 holds the keys of each name and alias written as one word: the database narrows, the names decide.
    query = select(Neighbourhood.id, Neighbourhood.name, Neighbourhood.aliases)
    query = query.where(Neighbourhood.t9.like(f"% {wanted.translate(KEYPAD)}%"))
    if city_id is not None:
        query = query.where(Neighbourhood.city_id == city_id)
    ids = [
        place_id
        for place_id, own_name, aliases in await session.execute(query)
        if any(plain(each).replace(" ", "").startswith(wanted) for each in (own_name, *aliases))
    ]
    return await _places(session, [Neighbourhood.id.in_(ids)], LONGEST_LIST)


async def find_by_cep(session: AsyncSession, cep: str) -> list[Place]:
    """Every neighbourhood whose range holds the CEP: none, one, or several where ranges overlap."""
    digits = re.sub(r"\D", "", cep)
    if len(digits) != 8:
        return []
    return await _places(session, [Neighbourhood.cep_first <= digits, Neighbourhood.cep_last >= digits], LONGEST_LIST)


async def get_neighbourhood(session: AsyncSession, neighbourhood_id: int) -> Place:
    found = await _places(session, [Neighbourhood.id == neighbourhood_id], 1)
    if not found:
        raise NeighbourhoodNotFound("There is no such neighbourhood.")
    return found[0]


async def list_offers(session: AsyncSession, *, neighbourhood_id: int, audience: Audience, today: date) -> list[Offer]:
    """Plans that can be had there today, the cheapest first. `today` is the local day."""
    query = (
        select(
            Plan.id,
            Plan.name,
            Plan.prompt_key,
            Plan.speed_mbps,
            Plan.price,
            Plan.setup_price,
            Plan.conditions_prompt_key,
        )
        .join(PlanOffer, PlanOffer.plan_id == Plan.id)
        .where(PlanOffer.neighbourhood_id == neighbourhood_id, Plan.audience == audience, *_valid(today))
        .order_by(Plan.price, Plan.speed_mbps, Plan.id)
    )
    return [Offer(*row) for row in await session.execute(query)]


async def list_plans(session: AsyncSession, *, today: date | None = None) -> Sequence[Plan]:
    """All plans, or those of a day."""
    query = select(Plan).order_by(Plan.audience, Plan.price, Plan.id)
    return (await session.scalars(query.where(*_valid(today)) if today else query)).all()


async def _places(session: AsyncSession, conditions: Sequence[ColumnElement[bool]], limit: int) -> list[Place]:
    query = select(
        Neighbourhood.id,
        Neighbourhood.name,
        Neighbourhood.prompt_key,
        Neighbourhood.status,
        Neighbourhood.forecast_on,
        Neighbourhood.city_id,
    )
    rows = await session.execute(query.where(*conditions).order_by(Neighbourhood.sort_name).limit(limit))
    return [Place(*row) for row in rows]


def _valid(today: date) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Plan.valid_from <= today, or_(Plan.valid_to.is_(None), Plan.valid_to >= today)
