from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import make_city, make_neighbourhood, make_offer, make_plan
from ura import coverage
from ura.coverage import NeighbourhoodNotFound, keypad, plain
from ura.db import Sessions
from ura.models import Audience

TODAY = date(2026, 11, 23)


async def test_neighbourhoods_are_listed_as_a_brazilian_sorts_them(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        city, other = await make_city(session), await make_city(session, "Água Clara")
        for name in ("Vila Nova", "Água Branca", "Centro", "Chácara Flora"):
            await make_neighbourhood(session, city, name)
        await make_neighbourhood(session, other, "Bela Vista")
    async with sessions() as session:
        assert [each.name for each in await coverage.list_cities(session)] == ["Água Clara", "Vale Verde"]
        places = await coverage.list_neighbourhoods(session, city_id=city.id)
        assert [place.name for place in places] == ["Água Branca", "Centro", "Chácara Flora", "Vila Nova"]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("527346", ["Jardim das Palmeiras"]),  # JARDIM
        ("725", ["Jardim das Palmeiras"]),  # PALmeiras
        ("5273463", ["Jardim das Palmeiras"]),  # JARDIMD: written as one word
        ("2636", ["Jardim das Palmeiras"]),  # the alias COEM…
        ("2482", ["Água Branca"]),  # AGUA, accent or not
        ("10", ["Setor 10"]),
        ("526", ["Jamaica"]),
        ("52", ["Jamaica", "Jardim das Palmeiras"]),
        ("1", ["Setor 10"]),
        ("99", []),
        ("", []),
        ("5%", []),
        ("٥٢", []),
    ],
)
async def test_first_letters_on_the_keypad_find_any_word(sessions: Sessions, keys: str, found: list[str]) -> None:
    async with sessions.begin() as session:
        city = await make_city(session)
        await make_neighbourhood(session, city, "Jardim das Palmeiras", aliases=["Coemdo"])
        for name in ("Água Branca", "Setor 10", "Jamaica"):
            await make_neighbourhood(session, city, name)
    async with sessions() as session:
        places = await coverage.find_by_keys(session, city_id=city.id, keys=keys)
        assert [place.name for place in places] == found
        assert await coverage.find_by_keys(session, city_id=city.id + 1, keys=keys) == []


@given(st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=80))
def test_every_word_of_a_name_can_be_typed(name: str) -> None:
    typed = keypad([name])
    assert all(f" {keypad([word]).strip()}" in typed for word in plain(name).split())
    assert typed.replace(" ", "").isdigit() or plain(name) == ""


async def test_a_cep_finds_every_range_that_holds_it(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        city = await make_city(session)
        await make_neighbourhood(session, city, "Centro", cep_first="13910000", cep_last="13914999")
        await make_neighbourhood(session, city, "Bela Vista", cep_first="13914000", cep_last="13916999")
        await make_neighbourhood(session, city, "Zona Rural")
    async with sessions() as session:

        async def names(cep: str) -> list[str]:
            return [place.name for place in await coverage.find_by_cep(session, cep)]

        assert await names("13910-000") == ["Centro"]
        assert await names("13914500") == ["Bela Vista", "Centro"]
        assert await names("13.916-999") == ["Bela Vista"]
        assert await names("13917-000") == []
        assert await names("1391") == []


async def test_only_plans_of_today_for_this_place_and_audience_are_offered(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        city = await make_city(session)
        here, there = [await make_neighbourhood(session, city, name) for name in ("Centro", "Bela Vista")]
        wanted = await make_plan(session, "Turbo", price=Decimal("119.90"))
        cheap = await make_plan(session, "Essencial", price=Decimal("79.90"), valid_to=TODAY)
        for plan in (
            wanted,
            cheap,
            await make_plan(session, "Antigo", valid_to=date(2026, 11, 22)),
            await make_plan(session, "Futuro", valid_from=date(2026, 11, 24)),
            await make_plan(session, "Empresa", audience=Audience.BUSINESS),
        ):
            await make_offer(session, plan, here)
        await make_plan(session, "Alheio")
    async with sessions() as session:
        offers = await coverage.list_offers(session, neighbourhood_id=here.id, audience=Audience.HOME, today=TODAY)
        assert [(offer.name, offer.price) for offer in offers] == [
            ("Essencial", Decimal("79.90")),
            ("Turbo", Decimal("119.90")),
        ]
        assert await coverage.list_offers(session, neighbourhood_id=there.id, audience=Audience.HOME, today=TODAY) == []
        assert len((await coverage.page_plans(session)).items) == 6
        names = [plan.name for plan in (await coverage.page_plans(session, today=TODAY)).items]
        assert sorted(names) == ["Alheio", "Empresa", "Essencial", "Turbo"]


async def test_a_neighbourhood_that_is_not_there_is_said_not_to_be(sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(NeighbourhoodNotFound):
            await coverage.get_neighbourhood(session, 999)
