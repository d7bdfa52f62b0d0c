"""Where the provider is and what can be had there."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import paging
from ura.errors import NotFound
from ura.models import Audience, City, Coverage, Neighbourhood, Plan, PlanOffer
from ura.paging import Page

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


class CityName(NamedTuple):
    id: int
    name: str
    prompt_key: str


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


# -- reading: what a caller waits for is columns, not objects, and its statements are built once ----------------------

_PLACE = select(
    Neighbourhood.id,
    Neighbourhood.name,
    Neighbourhood.prompt_key,
    Neighbourhood.status,
    Neighbourhood.forecast_on,
    Neighbourhood.city_id,
)
_CITIES = select(City.id, City.name, City.prompt_key)
_SORTED = _PLACE.order_by(Neighbourhood.sort_name).limit(bindparam("most"))
_IN_CITY = _SORTED.where(Neighbourhood.city_id == bindparam("city_id"))
_BY_KEYS = _IN_CITY.where(Neighbourhood.t9.like(bindparam("pattern")))
_BY_CEP = _SORTED.where(Neighbourhood.cep_first <= bindparam("cep"), Neighbourhood.cep_last >= bindparam("cep"))
_BY_ID = _PLACE.where(Neighbourhood.id == bindparam("id"))
_VALID = and_(Plan.valid_from <= bindparam("today"), or_(Plan.valid_to.is_(None), Plan.valid_to >= bindparam("today")))
_OFFERS = (
    select(
        Plan.id, Plan.name, Plan.prompt_key, Plan.speed_mbps, Plan.price, Plan.setup_price, Plan.conditions_prompt_key
    )
    .join(PlanOffer, PlanOffer.plan_id == Plan.id)
    .where(PlanOffer.neighbourhood_id == bindparam("neighbourhood_id"), Plan.audience == bindparam("audience"), _VALID)
    .order_by(Plan.price, Plan.speed_mbps, Plan.id)
)


async def list_cities(session: AsyncSession) -> list[CityName]:
    """By name; sorted here, since each database sorts accents in its own way."""
    cities = [CityName(*row) for row in await session.execute(_CITIES)]
    return sorted(cities, key=lambda city: plain(city.name))


async def list_neighbourhoods(session: AsyncSession, *, city_id: int, limit: int = LONGEST_LIST) -> list[Place]:
    """By name."""
    return [Place(*row) for row in await session.execute(_IN_CITY, {"city_id": city_id, "most": limit})]


async def page_cities(session: AsyncSession, *, cursor: str = "", limit: int = 50) -> Page[City]:
    """By name, as the database sorts."""
    return await paging.fetch_by(session, City, (), by=City.name, cursor=cursor, limit=limit)


async def page_neighbourhoods(
    session: AsyncSession, *, city_id: int, cursor: str = "", limit: int = 50
) -> Page[Neighbourhood]:
    """All of a city, by name."""
    here = [Neighbourhood.city_id == city_id]
    return await paging.fetch_by(session, Neighbourhood, here, by=Neighbourhood.sort_name, cursor=cursor, limit=limit)


async def page_plans(
    session: AsyncSession, *, today: date | None = None, cursor: str = "", limit: int = 50
) -> Page[Plan]:
    """All, or those of a day, the newest last."""
    valid = [Plan.valid_from <= today, or_(Plan.valid_to.is_(None), Plan.valid_to >= today)] if today else []
    return await paging.fetch_by(session, Plan, valid, by=Plan.id, cursor=cursor, limit=limit)


async def find_by_keys(session: AsyncSession, *, city_id: int, keys: str, limit: int = LONGEST_LIST) -> list[Place]:
    """Any word of the name or of an alias begins with these keys: 527 finds "Jardim", 7256 "Palmeiras"."""
    if not (keys.isascii() and keys.isdigit()):
        return []
    values = {"city_id": city_id, "pattern": f"% {keys}%", "most": limit}
    return [Place(*row) for row in await session.execute(_BY_KEYS, values)]


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
    rows = await session.execute(_SORTED.where(Neighbourhood.id.in_(ids)), {"most": LONGEST_LIST})
    return [Place(*row) for row in rows]


async def find_by_cep(session: AsyncSession, cep: str) -> list[Place]:
    """Every neighbourhood whose range holds the CEP: none, one, or several where ranges overlap."""
    digits = re.sub(r"\D", "", cep)
    if len(digits) != 8:
        return []
    return [Place(*row) for row in await session.execute(_BY_CEP, {"cep": digits, "most": LONGEST_LIST})]


async def get_neighbourhood(session: AsyncSession, neighbourhood_id: int) -> Place:
    row = (await session.execute(_BY_ID, {"id": neighbourhood_id})).one_or_none()
    if row is None:
        raise NeighbourhoodNotFound("There is no such neighbourhood.")
    return Place(*row)


async def list_offers(session: AsyncSession, *, neighbourhood_id: int, audience: Audience, today: date) -> list[Offer]:
    """Plans that can be had there today, the cheapest first. `today` is the local day."""
    values = {"neighbourhood_id": neighbourhood_id, "audience": audience, "today": today}
    return [Offer(*row) for row in await session.execute(_OFFERS, values)]
