"""Where the provider is: cities, neighbourhoods, "is this covered?", and the plans."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import CoverageReader, PlanReader, SessionDep, WiredDep
from api.errors import described
from api.schemas import Answer, Cursor, Day, Limit, Listed
from ura import coverage
from ura.errors import BadInput
from ura.models import Audience, Coverage

router = APIRouter()

Id = Annotated[int, Query(ge=1, le=2**31 - 1)]


class CityAnswer(Answer):
    id: int
    name: str


class NeighbourhoodAnswer(Answer):
    id: int
    city_id: int
    name: str
    status: Coverage
    forecast_on: date | None


class PlanAnswer(Answer):
    id: int
    audience: Audience
    name: str
    speed_mbps: int
    price: Decimal
    setup_price: Decimal
    conditions: str
    valid_from: date
    valid_to: date | None


class OfferAnswer(Answer):
    id: int
    name: str
    speed_mbps: int
    price: Decimal
    setup_price: Decimal


class CheckAnswer(Answer):
    """`covered` is true when at least one neighbourhood that fits is covered today."""

    covered: bool
    neighbourhoods: list[NeighbourhoodAnswer]


@router.get("/coverage/cities", tags=["coverage"], summary="List cities", responses=described())
async def list_cities(
    _actor: CoverageReader, session: SessionDep, cursor: Cursor = "", limit: Limit = 50
) -> Listed[CityAnswer]:
    page = await coverage.page_cities(session, cursor=cursor, limit=limit)
    return Listed(items=[CityAnswer.model_validate(city) for city in page.items], next_cursor=page.next_cursor)


@router.get(
    "/coverage/neighbourhoods", tags=["coverage"], summary="List the neighbourhoods of a city", responses=described()
)
async def list_neighbourhoods(
    _actor: CoverageReader, session: SessionDep, city_id: Id, cursor: Cursor = "", limit: Limit = 50
) -> Listed[NeighbourhoodAnswer]:
    page = await coverage.page_neighbourhoods(session, city_id=city_id, cursor=cursor, limit=limit)
    places = [NeighbourhoodAnswer.model_validate(place) for place in page.items]
    return Listed(items=places, next_cursor=page.next_cursor)


@router.get("/coverage/check", tags=["coverage"], summary="Is this covered? By CEP or by name", responses=described())
async def check_coverage(
    _actor: CoverageReader,
    session: SessionDep,
    cep: Annotated[str, Query(max_length=10, description="8 digits, with or without the hyphen.")] = "",
    name: Annotated[str, Query(max_length=80, description="The beginning of a name or of an alias.")] = "",
    city_id: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> CheckAnswer:
    if bool(cep) == bool(name):
        raise BadInput("Send either `cep` or `name`.")
    if cep and len("".join(filter(str.isdigit, cep))) != 8:
        raise BadInput("A CEP has 8 digits. Correct `cep` and send again.")
    if cep:
        found = await coverage.find_by_cep(session, cep)
    else:
        found = await coverage.find_by_name(session, name=name, city_id=city_id)
    return CheckAnswer(
        covered=any(place.status is Coverage.COVERED for place in found),
        neighbourhoods=[NeighbourhoodAnswer.model_validate(place) for place in found],
    )


@router.get(
    "/coverage/neighbourhoods/{neighbourhood_id}/plans",
    tags=["coverage"],
    summary="What can be had there today",
    responses=described(404),
)
async def list_offers(
    _actor: CoverageReader, session: SessionDep, things: WiredDep, neighbourhood_id: int, audience: Audience
) -> list[OfferAnswer]:
    place = await coverage.get_neighbourhood(session, neighbourhood_id)
    today = datetime.now(things.settings.zone).date()
    offers = await coverage.list_offers(session, neighbourhood_id=place.id, audience=audience, today=today)
    return [OfferAnswer.model_validate(offer) for offer in offers]


@router.get("/plans", tags=["plans"], summary="List plans", responses=described())
async def list_plans(
    _actor: PlanReader,
    session: SessionDep,
    on: Annotated[Day | None, Query(description="Only those sold on this day.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[PlanAnswer]:
    page = await coverage.page_plans(session, today=on, cursor=cursor, limit=limit)
    return Listed(items=[PlanAnswer.model_validate(plan) for plan in page.items], next_cursor=page.next_cursor)
