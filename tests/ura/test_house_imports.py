"""Hours, holidays, queues, numbers and attendants from spreadsheets: what each row says, and what is wrong with it."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from prosa.asterisk_config import Attendant as Phone
from prosa.asterisk_config import Did as Number
from prosa.asterisk_config import render
from ura import imports, numbers, queues
from ura.db import Sessions
from ura.imports import ImportKind
from ura.models import Attendant, DidKind, Queue
from ura.settings import Settings

TODAY = date(2026, 11, 23)
ZONE = ZoneInfo("America/Sao_Paulo")
HOURS = "Horário;Dia;Abre;Fecha\nfilial;segunda-feira;8h;12:00\nfilial;Segunda;13:00;18:00\nfilial;sábado;18;24:00\n"
HOLIDAYS = "Data;Feriado;Horário\n24/11/2026;Aniversário da cidade;filial\n25/11/2026;Padroeira;\n"
QUEUES = (
    "Fila;Nome;Horário;Espera máxima;UF;Por atendente\nsuporte_mg;Suporte Minas;filial;120;mg;3\nnoite;Plantão;;;;\n"
)
NUMBERS = (
    "Número;Tipo;Nome;Fluxo;Fila\n(31) 3333-0001;fixo;Minas;provedor;\n31933330002;empresas;Empresas;;suporte_mg\n"
)
ATTENDANTS = "Nome;Ramal;Filas;Ativo\nCarla Dias;301;suporte_mg|noite;sim\nDavi Reis;302;noite;não\n"
ALL = {
    ImportKind.HOURS: HOURS,
    ImportKind.HOLIDAYS: HOLIDAYS,
    ImportKind.QUEUES: QUEUES,
    ImportKind.NUMBERS: NUMBERS,
    ImportKind.ATTENDANTS: ATTENDANTS,
}


async def load(sessions: Sessions, kind: ImportKind, text: str) -> list[str]:
    """The messages of the bad rows; the good ones are stored."""
    async with sessions.begin() as session:
        made = await imports.preview(session, kind, text, today=TODAY)
        assert imports.names_of(made) == []  # nothing here is spoken
        await imports.apply(session, made, {})
    return [f"{error.line} {error.column}: {error.message}" for error in made.errors]


@pytest.fixture
async def house(sessions: Sessions) -> Sessions:
    for kind, text in ALL.items():
        assert await load(sessions, kind, text) == []
    return sessions


async def test_the_branch_is_open_by_its_spreadsheet(house: Sessions) -> None:
    async def is_open(moment: str) -> bool:
        now = datetime.fromisoformat(moment).replace(tzinfo=ZONE)
        async with house() as session:
            return (await queues.opening(session, "suporte_mg", now, zone=ZONE, state_uf="SP")).open

    assert await is_open("2026-11-23T11:59")
    assert not await is_open("2026-11-23T12:30")
    assert await is_open("2026-11-28T23:59")
    assert not await is_open("2026-12-25T10:00")
    assert await load(house, ImportKind.HOLIDAYS, "Data;Feriado\n23/11/2026;Luto\n") == []
    assert not await is_open("2026-11-23T11:59")


async def test_hours_that_are_loaded_again_take_the_place_of_the_old_ones(house: Sessions) -> None:
    assert await load(house, ImportKind.HOURS, "horario;dia;abre;fecha\nfilial;domingo;10:00;11:00\n") == []
    async with house() as session:
        found = await queues.timetable(session, "suporte_mg", first=TODAY, last=TODAY, state_uf="SP")
    assert found.spans is not None
    assert [span.weekday for span in found.spans] == [6]


async def test_numbers_queues_and_attendants_are_what_the_sheets_say(house: Sessions, settings: Settings) -> None:
    async with house() as session:
        dids = {did.number: (did.kind, did.label, did.flow_key, did.queue) for did in await numbers.list_dids(session)}
        team = await queues.list_attendants(session)
        longest = {
            queue.key: (queue.title, queue.max_wait_s, queue.callers_per_attendant, queue.state_uf)
            for queue in await queues.list_queues(session)
        }
    assert dids == {
        "553133330001": (DidKind.LANDLINE, "Minas", "provedor", None),
        "5531933330002": (DidKind.CORPORATE, "Empresas", None, "suporte_mg"),
    }
    assert [(each.name, each.extension, each.queues) for each in team] == [
        ("Carla Dias", "301", ["suporte_mg", "noite"])
    ]
    assert longest == {"suporte_mg": ("Suporte Minas", 120, 3, "MG"), "noite": ("Plantão", 300, 5, "")}
    phones = [Phone(each.extension, tuple(each.queues)) for each in team]
    etc = render(settings, dids=[Number(number, kind) for number, (kind, *_) in dids.items()], attendants=phones)
    assert "[suporte_mg](every-queue)\nmember => PJSIP/ramal-301,0,301" in (etc / "queues.conf").read_text()
    assert "553133330001" in (etc / "dids.conf").read_text()


async def test_what_a_sheet_does_not_tell_stays(house: Sessions) -> None:
    assert await load(house, ImportKind.QUEUES, "fila;nome\nsuporte_mg;Suporte\n") == []
    assert await load(house, ImportKind.ATTENDANTS, "nome;ramal;filas\nCarla D.;301;noite\nDavi Reis;302;noite\n") == []
    assert await load(house, ImportKind.NUMBERS, "numero;tipo\n553133330001;celular\n") == []
    async with house() as session:
        queue = await session.get_one(Queue, "suporte_mg")
        assert (queue.title, queue.business_hours, queue.max_wait_s) == ("Suporte", "filial", 120)
        team = {each.extension: (each.name, each.active) for each in await session.scalars(select(Attendant))}
        assert team == {"301": ("Carla D.", True), "302": ("Davi Reis", False)}
        [minas] = [did for did in await numbers.list_dids(session) if did.number == "553133330001"]
        assert (minas.kind, minas.label, minas.flow_key) == (DidKind.MOBILE, "Minas", "provedor")


WRONG = {
    (ImportKind.HOURS, "filial;amanhã;8:00;9:00"): "dia: “amanhã” não serve",
    (ImportKind.HOURS, "filial;terça;25:00;9:00"): "abre: “25:00” não é uma hora",
    (ImportKind.HOURS, "filial;terça;24:00;24:00"): "abre: “24:00” não é uma hora",
    (ImportKind.HOURS, "filial;terça;22:00;6:00"): "fecha: A hora de fechar vem antes",
    (ImportKind.HOURS, "filial;segunda;11:59;12:30"): "abre: Este turno começa antes",
    (ImportKind.HOURS, "filial;segunda;7:00;24:00"): "abre: Este turno começa antes",
    (ImportKind.HOURS, "Filial Sul;terça;8:00;9:00"): "horário: “Filial Sul” não serve",
    (ImportKind.HOLIDAYS, "31/02/2027;Nada;"): "data: “31/02/2027” não é uma data",
    (ImportKind.HOLIDAYS, "24/06/2027;;"): "feriado: A coluna feriado está vazia",
    (ImportKind.HOLIDAYS, "24/06/2027;São João;fillial"): "horário: O horário “fillial” não está cadastrado",
    (ImportKind.HOLIDAYS, "24/11/2026;Outra vez;filial"): ": Esta linha repete a linha 2",
    (ImportKind.QUEUES, "Suporte;Suporte;;;"): "fila: “Suporte” não serve",
    (ImportKind.QUEUES, "suporte;Suporte;fillial;;"): "horário: O horário “fillial”",
    (
        ImportKind.QUEUES,
        "suporte;Suporte;;4000;",
    ): "espera_máxima: “4000” não é uma espera. Escreva os segundos, de 1 a 3600",
    (ImportKind.QUEUES, "suporte;Suporte;;;XX"): "uf: “XX” não é um estado",
    (ImportKind.QUEUES, "suporte;Suporte;;;;101"): "por_atendente: “101” não serve",
    (ImportKind.NUMBERS, "123;fixo;;;"): "número: “123” não é um telefone",
    (ImportKind.NUMBERS, "3133330009;0800;;;"): "tipo: “0800” não serve",
    (ImportKind.NUMBERS, "3133330009;fixo;;outro;"): "fluxo: O fluxo “outro” não existe",
    (ImportKind.NUMBERS, "3133330009;fixo;;;suport"): "fila: A fila “suport” não está",
    (ImportKind.NUMBERS, "3133330009;empresas;;;"): "fila: Um número de empresas vai direto",
    (ImportKind.ATTENDANTS, "Eva;30a;noite;"): "ramal: “30a” não é um ramal",
    (ImportKind.ATTENDANTS, "Eva;303;noite|dia;"): "filas: A fila “dia” não está",
    (ImportKind.ATTENDANTS, "Eva;303;;"): "filas: A coluna filas está vazia",
    (ImportKind.ATTENDANTS, "Eva;303;noite;talvez"): "ativo: “talvez” não serve",
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("kind", "row"), WRONG)
async def test_each_bad_row_says_what_to_do(house: Sessions, kind: ImportKind, row: str) -> None:
    [said] = await load(house, kind, ALL[kind] + row + "\n")
    assert said.split(" ", 1)[1].startswith(WRONG[kind, row])
