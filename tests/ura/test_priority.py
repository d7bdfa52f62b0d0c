"""The table of numbers that go straight to the companies' queue."""

import pytest
from sqlalchemy import select

from tests.factories import NOON, later
from ura import priority
from ura.db import Sessions
from ura.errors import BadInput
from ura.models import AuditEntry
from ura.priority import NumberNotFound

MARKET, CLINIC = "+551133334444", "+5511987654321"


@pytest.mark.parametrize(
    "text",
    [
        "telefone;de quem\n(11) 3333-4444;Mercado Sol\n\n11987654321;Clínica\n",
        "\ufeff+55 11 3333-4444,Mercado Sol\r\n5511987654321,Clínica",
        "1133334444;Outro\n1133334444;Mercado Sol\n011987654321;Clínica\n",
    ],
)
def test_a_spreadsheet_is_read_as_people_write_it(text: str) -> None:
    assert priority.read(text) == priority.Written({MARKET: "Mercado Sol", CLINIC: "Clínica"})


def test_a_line_with_no_number_is_told_and_holds_nothing_else_up() -> None:
    found = priority.read("1133334444;Mercado\nClínica;11987654321\n123;Curto\n", area_code="")
    assert (list(found.numbers), found.bad) == ([MARKET], (2, 3))
    assert priority.read("123;Curto").bad == (1,)  # no heading: it has digits
    assert priority.read("33334444;Sem código", area_code="11").numbers == {MARKET: "Sem código"}
    assert priority.read("1133334444;" + "x" * 500).numbers == {MARKET: "x" * priority.LONGEST_NOTE}
    with pytest.raises(BadInput):
        priority.read("\n" * (priority.MOST_LINES + 1))


async def test_numbers_are_added_once_and_removed_with_a_line_each_in_the_audit(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        assert not await priority.is_any(session)
        await priority.add(session, {MARKET: "Mercado"}, by="ana", now=NOON)
        assert await priority.add(session, {MARKET: "Mercado Sol", CLINIC: ""}, by="bia", now=later(60)) == 2
    async with sessions.begin() as session:
        found = await priority.list_numbers(session)
        assert [(row.phone, row.note, row.added_by) for row in found] == [
            (CLINIC, "", "bia"),
            (MARKET, "Mercado Sol", "ana"),
        ]
        assert await priority.has(session, MARKET)
        assert not await priority.has(session, "")
        await priority.remove(session, MARKET, by="ana", now=later(120))
        with pytest.raises(NumberNotFound):
            await priority.remove(session, MARKET, by="ana", now=later(120))
        assert not await priority.has(session, MARKET)
        lines = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [line.action for line in lines] == ["priority.add"] * 3 + ["priority.remove"]
    assert {line.subject for line in lines} == {"+5511****4444", "+5511*****4321"}
