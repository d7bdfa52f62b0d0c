"""R53: lists as CSV that opens in a Brazilian Excel, with every cell a text or a figure and none a formula."""

import csv
import io
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api import csv as sheet
from api.csv import Column
from tests.api.conftest import Client
from tests.api.records import closed, left, moment, new_id, opened, record, walked, write
from ura.db import Sessions
from ura.models import AuditEntry, Role, Ticket
from ura.paging import Page

ZONE = ZoneInfo("America/Sao_Paulo")
HOSTILE = [
    *("=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "\u00a0=1+1", "＝1+1", "%0A=1", "|calc"),
    '=HYPERLINK("http://mau.example";"clique")',
    "=cmd|' /C calc'!A0",
    "\0=1+1",
    "\ufeff=1+1",
]
NAMES = ("calls", "tickets", "leads", "callbacks", "reports/flow")


def read(text: str) -> list[list[str]]:
    """As Excel does where the decimal sign is a comma."""
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=";"))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula_and_its_text_stays_whole(text: str) -> None:
    [row] = csv.reader(io.StringIO(sheet.line([sheet.cell(text, ZONE), "x"]), newline=""), delimiter=";")
    assert row == ["'" + text.replace("\0", ""), "x"]


@pytest.mark.parametrize("text", ["Sem sinal; desde ontem", 'Diz "não"', "duas\nlinhas", "a,b", "1-2", "São João"])
def test_what_is_no_formula_stays_as_it_is_with_its_separators(text: str) -> None:
    assert next(csv.reader(io.StringIO(sheet.line([sheet.cell(text, ZONE)]), newline=""), delimiter=";")) == [text]


def test_values_are_written_as_they_are_in_brazil() -> None:
    at = datetime(2026, 1, 2, 2, 30, tzinfo=UTC)
    values = [at, date(2026, 12, 3), Decimal("1234.50"), 4.25, 7, True, False, None]
    assert [sheet.cell(value, ZONE) for value in values] == [
        *("01/01/2026 23:30", "03/12/2026", "1234,50", "4,25", "7", "sim", "não", ""),
    ]


async def test_a_long_list_takes_no_memory_and_no_transaction_while_it_is_read(sessions: Sessions) -> None:
    """Ten thousand pages made of nothing: what is kept does not grow with them."""
    made = 0

    async def fetch(_session: AsyncSession, _cursor: str) -> Page[int]:
        nonlocal made
        made += 1
        return Page(range(100), "more" if made < 1000 else "")

    columns: list[Column[int]] = [Column("id", lambda number: f"linha {number} " + "x" * 80)]
    answer = await sheet.answer(sheet.pages(sessions, columns, fetch, ZONE), "lista")
    assert made == 1, "nothing is read ahead of the reader"
    tracemalloc.start()
    try:
        count = size = 0
        body: AsyncIterator[str] = answer.body_iterator  # type: ignore[assignment]  # what we give it is text
        async for part in body:
            count += part.count("\r\n")
            size += len(part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100_001
    assert size > 9_000_000
    assert peak < 2_500_000  # of more than nine


async def world(sessions: Sessions, *, summary: str = "Sem sinal") -> None:
    call_id = new_id()
    await write(
        sessions,
        opened(call_id, protocol="263260000174"),
        *walked(call_id),
        closed(call_id),
        *left(call_id, recording_id=new_id()),
        record("ticket_opened", call_id=call_id, ticket_id=new_id(), protocol="263260000174", category="support",
               summary=summary, phone="+5511933330002", queue="l1", at=moment()),
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_each_list_can_be_had_and_the_audit_says_who_took_it(
    sessions: Sessions, person: Client, name: str
) -> None:
    await world(sessions)
    async with person(Role.SUPERVISOR) as client:
        answer = await client.get(f"/api/v1/{name}/export.csv")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    short = name.removeprefix("reports/")
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{short}-20')
    rows = read(answer.text)
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}
    if "Telefone" in rows[0]:
        assert rows[1][rows[0].index("Telefone")] == "(11) 93333-0002"
    if "Protocolo" in rows[0]:
        assert rows[1][rows[0].index("Protocolo")] == "263 260 000 174"
    async with sessions() as session:
        lines = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "list.exported"))).all()
    assert [(line.actor, line.subject, line.detail) for line in lines] == [
        ("supervisor@provedor.test", short, {"phones": True})
    ]


async def test_every_page_of_a_list_is_in_it_once(sessions: Sessions, program: Client) -> None:
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        session.add_all(
            Ticket(
                id=f"{n:032x}", protocol=f"{n:012}", category="support", summary=f"n{n}", opened_at=now - timedelta(n)
            )
            for n in range(450)
        )
    async with program("tickets:read") as client:
        rows = read((await client.get("/api/v1/tickets/export.csv")).text)
        open_ones = read((await client.get("/api/v1/tickets/export.csv", params={"status": "closed"})).text)
    place = rows[0].index("Resumo")
    assert [row[place] for row in rows[1:]] == [f"n{n}" for n in range(450)]
    assert len(open_ones) == 1


async def test_who_sees_no_numbers_gets_none_not_even_in_what_somebody_typed(
    sessions: Sessions, person: Client
) -> None:
    await world(sessions, summary="=Ligar para (11) 93333-0002, CPF 862.883.667-57")
    async with person(Role.NETWORK) as client:
        rows = read((await client.get("/api/v1/tickets/export.csv")).text)
        assert (await client.get("/api/v1/leads/export.csv")).status_code == 403
        assert (await client.get("/api/v1/callbacks/export.csv")).status_code == 403
    told = " ".join(cell for row in rows for cell in row)
    assert "93333" not in told
    assert "883.667" in told
    assert "862" not in told
    assert "'=Ligar para ******0002" in told


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_wrong_is_told_as_a_problem_and_not_as_half_a_file(program: Client) -> None:
    async with program() as client:
        wrong = await client.get("/api/v1/calls/export.csv", params={"from": "2026-11-22T08:00:00"})
        unknown = await client.get("/api/v1/tickets/export.csv", params={"status": "lost"})
        outside = await client.get("/api/v1/reports/..%2f..%2fetc%2fpasswd/export.csv")
    assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
    assert unknown.status_code == 422
    assert outside.status_code == 404
