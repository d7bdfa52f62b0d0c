import codecs
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sqlalchemy import select

from prosa import importing
from tests.factories import make_city, make_neighbourhood, make_plan
from ura import imports
from ura.db import Sessions
from ura.imports import ImportKind, Preview
from ura.models import City, Coverage, Neighbourhood, Plan, PlanOffer
from ura.rendering import PENDING
from ura.settings import Settings

TODAY = date(2026, 11, 23)
NEIGHBOURHOODS = """\
Cidade;Bairro;Apelidos;Situação;Previsão;CEP inicial;CEP final
Vale Verde;São José;Vila São José|Zé;coberto;;13940-000;13942-999
Vale Verde;Chácara Flora;;previsto;01/03/2027;;
"""


async def preview(sessions: Sessions, data: bytes | str, kind: ImportKind = ImportKind.NEIGHBOURHOODS) -> Preview:
    async with sessions() as session:
        return await imports.preview(session, kind, data, today=TODAY)


def messages(made: Preview) -> list[tuple[int, str, str]]:
    return [(error.line, error.column, error.message) for error in made.errors]


ENCODINGS: dict[str, bytes] = {
    "utf-8": NEIGHBOURHOODS.encode(),
    "utf-8 with a mark": codecs.BOM_UTF8 + NEIGHBOURHOODS.encode(),
    "latin-1": NEIGHBOURHOODS.encode("latin-1"),
    "excel's unicode": NEIGHBOURHOODS.replace(";", "\t").encode("utf-16"),
    "commas": NEIGHBOURHOODS.replace(";", ",").encode(),
    "windows lines": NEIGHBOURHOODS.replace("\n", "\r\n").encode(),
    "a blank line and blanks": ("\n" + NEIGHBOURHOODS.replace(";", " ; ") + "\n;;;;;;\n").encode(),
}


@pytest.mark.parametrize("data", ENCODINGS.values(), ids=ENCODINGS.keys())
async def test_a_file_is_read_as_people_have_it(sessions: Sessions, data: bytes) -> None:
    made = await preview(sessions, data)
    assert messages(made) == []
    assert imports.names_of(made) == ["Vale Verde", "São José", "Chácara Flora"]
    async with sessions.begin() as session:
        keys = {name: f"name.{name}" for name in imports.names_of(made)}
        assert await imports.apply(session, made, keys) == 2
    async with sessions() as session:
        places = {place.name: place for place in await session.scalars(select(Neighbourhood))}
        assert [city.prompt_key for city in await session.scalars(select(City))] == ["name.Vale Verde"]
    first, second = places["São José"], places["Chácara Flora"]
    assert (first.status, first.cep_first, first.cep_last) == (Coverage.COVERED, "13940000", "13942999")
    assert (first.aliases, first.sort_name, first.prompt_key) == (["Vila São José", "Zé"], "sao jose", "name.São José")
    assert (second.status, second.forecast_on, second.aliases) == (Coverage.PLANNED, date(2027, 3, 1), [])


async def test_a_caller_can_hear_each_of_seven_hundred_neighbourhoods_some_day(
    sessions: Sessions, settings: Settings, tmp_path: Path
) -> None:
    """No engine works now: each has its key all the same, and waits to be spoken."""
    file = tmp_path / "bairros.csv"
    rows = "".join(f"Vale Verde;Bairro {number};coberto\n" for number in range(700))
    file.write_text(f"Cidade;Bairro;Situação\n{rows}")
    nothing_works = settings.model_copy(update={"tts_engines": "recorded"})
    said: list[str] = []
    await importing.run(nothing_works, "neighbourhoods", file, say=said.append, confirm=lambda: True)
    async with sessions() as session:
        keys = (await session.scalars(select(Neighbourhood.prompt_key))).all()
    waiting = json.loads((settings.rendered_dir / PENDING).read_text())
    assert len(set(keys)) == 700
    assert waiting.keys() == set(keys)  # the city is the demo's, and ships with its audio
    assert any(line.startswith("601 more names") for line in said)


async def test_nothing_is_written_by_a_preview_and_good_rows_go_in_beside_bad_ones(sessions: Sessions) -> None:
    made = await preview(sessions, NEIGHBOURHOODS + "Vale Verde;;;coberto;;;\nVale Verde;Centro;;talvez;;;\n")
    assert [error.line for error in made.errors] == [4, 5]
    async with sessions.begin() as session:
        assert (await session.scalars(select(City))).all() == []
        assert await imports.apply(session, made, {}) == 2


BAD_ROWS: dict[str, tuple[str, str, str]] = {
    ";Centro;;coberto;;;": ("cidade", "vazia", "no city"),
    "Vale Verde;;;coberto;;;": ("nome", "vazia", "no name"),
    "Vale Verde;Centro;;;;;": ("situação", "vazia", "no status"),
    "Vale Verde;Centro;;talvez;;;": ("situação", "“talvez” não serve na coluna situação. Use", "odd status"),
    "Vale Verde;Centro;;previsto;30/02/2027;;": ("previsão", "dia/mês/ano", "no such day"),
    "Vale Verde;Centro;;coberto;;1394;13942-999": ("cep_inicial", "oito números", "short cep"),
    "Vale Verde;Centro;;coberto;;13940-000;": ("cep_inicial", "nenhum dos dois", "half a range"),
    "Vale Verde;Centro;;coberto;;13942-999;13940-000": ("cep_inicial", "maior", "range backwards"),
    f"Vale Verde;{'x' * 81};;coberto;;;": ("nome", "mais de 80 letras", "long name"),
    "Vale Verde;***;;coberto;;;": ("nome", "falada", "nothing to speak"),
    'Vale Verde;"Cen\ntro";;coberto;;;': ("nome", "uma só linha", "two lines"),
    "Vale Verde;Centro;...;coberto;;;": ("apelidos", "falada", "alias without letters"),
    "Vale Verde;Centro;;coberto;;;;mais": ("", "mais colunas", "too many cells"),
    "vale verde;SAO JOSE;;coberto;;;": ("", "repete a linha 2", "doubled"),
}


@pytest.mark.parametrize("row", BAD_ROWS, ids=[name for _, _, name in BAD_ROWS.values()])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_each_bad_row_says_what_to_do(sessions: Sessions, row: str) -> None:
    column, words, _ = BAD_ROWS[row]
    made = await preview(sessions, NEIGHBOURHOODS + row + "\n")
    (error,) = made.errors
    assert (error.line, error.column) == (4, column)
    assert words in error.message
    assert len(made.rows) == 2


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "vazio"),
    "blank": (b"\n \n", "vazio"),
    "a column missing": (b"cidade;bairro\nA;B\n", "Falta a coluna situação"),
    "a column twice": (b"cidade;bairro;nome;status\n", "aparece duas vezes"),
    "a workbook": (b"PK\x03\x04\x00\x00", "Salvar como"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_bad_file_says_what_to_do(sessions: Sessions, name: str) -> None:
    data, words = BAD_FILES[name]
    made = await preview(sessions, data)
    assert made.rows == []
    assert [words in error.message for error in made.errors] == [True]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_file_without_end_is_refused_whole(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MOST_ROWS", 1)
    made = await preview(sessions, NEIGHBOURHOODS)
    assert made.rows == []
    assert "mais de 1 linhas" in made.errors[0].message


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@limits(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=200)
    | st.text(max_size=200)
    | st.text('áB;,"\n1/ ', max_size=80).map(NEIGHBOURHOODS.__add__)
)
async def test_garbage_gives_errors_never_an_exception(sessions: Sessions, data: bytes | str) -> None:
    made = await preview(sessions, data)
    assert made.errors or made.rows or isinstance(data, str)
    assert all(error.line >= 1 and error.message for error in made.errors)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("99,90", "99.90"),
        ("R$ 99,90", "99.90"),
        ("1.299,9", "1299.90"),
        ("99.90", "99.90"),
        ("99", "99.00"),
        ("0", "0.00"),
    ]
    + [(text, None) for text in ("1.299", "-1", "99,999", "grátis", "100000", "9 9", "1e3", "٩٩")],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_prices_are_read_as_brazilians_write_them(sessions: Sessions, text: str, price: str | None) -> None:
    made = await preview(sessions, f"publico;plano;velocidade;preco\ncasa;Turbo;600 mega;{text}\n", ImportKind.PLANS)
    if price is None:
        assert messages(made)[0][:2] == (2, "preço")
        assert "99,90" in made.errors[0].message
    else:
        assert made.rows[0].values["price"] == Decimal(price)


async def test_plans_are_brought_up_to_date_by_name_and_keep_what_the_file_does_not_tell(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await make_plan(session, "Turbo", setup_price=Decimal("50"), conditions="doze meses")
    made = await preview(
        sessions,
        'público,plano,velocidade,preço,fim\ncasa,TURBO,700,"129,90",31/12/2026\nempresa,Empresa,300,189.90,\n',
        ImportKind.PLANS,
    )
    assert messages(made) == []
    async with sessions.begin() as session:
        await imports.apply(session, made, {"TURBO": "name.turbo"})
    async with sessions() as session:
        turbo, business = await session.scalars(select(Plan).order_by(Plan.id))
    assert (turbo.name, turbo.speed_mbps, turbo.price) == ("TURBO", 700, Decimal("129.90"))
    assert (turbo.setup_price, turbo.conditions, turbo.valid_to) == (Decimal("50.00"), "doze meses", date(2026, 12, 31))
    assert (business.setup_price, business.valid_from, business.conditions) == (Decimal(0), TODAY, "")


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("casa;Turbo;0;99,90;;", "velocidade"),
        ("casa;Turbo;muito;99,90;;", "velocidade"),
        ("vizinho;Turbo;600;99,90;;", "público"),
        ("casa;Turbo;600;99,90;02/01/2027;01/01/2027", "fim"),
        ("casa;Turbo;600;99,90;;01/01/2026", "fim"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_bad_plan_is_refused(sessions: Sessions, row: str, column: str) -> None:
    made = await preview(sessions, f"publico;plano;velocidade;preco;inicio;fim\n{row}\n", ImportKind.PLANS)
    assert [error.column for error in made.errors] == [column]


async def test_offers_join_what_is_there_and_name_what_is_not(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        place = await make_neighbourhood(session, await make_city(session), "São José")
        plan = await make_plan(session, "Família 400")
    data = (
        "cidade;bairro;público;plano\nvale verde;Sao Jose;residencial;familia 400\n"
        "Vale Verde;Lua;casa;Família 400\nVale Verde;São José;empresa;Família 400\n"
    )
    made = await preview(sessions, data, ImportKind.OFFERS)
    assert [(line, column) for line, column, _ in messages(made)] == [(3, "bairro"), (4, "plano")]
    assert imports.names_of(made) == []
    for _ in range(2):
        async with sessions.begin() as session:
            assert await imports.apply(session, made, {}) == 1
    async with sessions() as session:
        offers: list[Any] = [(each.plan_id, each.neighbourhood_id) for each in await session.scalars(select(PlanOffer))]
    assert offers == [(plan.id, place.id)]
