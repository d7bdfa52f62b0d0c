"""The page of hours and holidays in a real Chromium: changed with the keyboard, and readable for everybody."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.conftest import Panel
from tests.browser.test_outages import look
from ura import demo, timetables
from ura.db import Sessions
from ura.settings import Settings


@pytest.fixture
async def provider(sessions: Sessions, settings: Settings) -> None:
    async with sessions.begin() as session:
        await demo.load_demo(session, settings)


@pytest.mark.usefixtures("provider")
async def test_a_lunch_break_and_a_holiday_are_entered(panel: Panel, sessions: Sessions) -> None:
    page = await panel.log_in()
    await page.get_by_role("link", name="Horários").click()
    monday = page.get_by_label("Segunda")
    await expect(monday).to_have_value("08:00-18:00")
    await monday.fill("08:00-12:00, 13:00-18:00")
    await page.get_by_role("button", name="Salvar").click()
    await expect(page.get_by_label("Segunda")).to_have_value("08:00-12:00, 13:00-18:00")
    await page.get_by_label("Dia").fill("2099-06-13")
    await page.get_by_label("Nome").fill("Santo Antônio")
    await page.get_by_label("Quem fecha").select_option("comercial")
    await page.get_by_role("button", name="Acrescentar").click()
    row = page.get_by_role("row", name="Santo Antônio")
    await expect(row).to_contain_text("13/06/2099")
    await expect(row).to_contain_text("comercial")
    found = await Axe().run(page)
    assert [broken["id"] for broken in found.response["violations"]] == []
    await look(page, "hours")
    await page.get_by_role("button", name="Retirar Santo Antônio").click()
    await expect(row).to_have_count(0)
    async with sessions() as session:
        [hours] = await timetables.list_hours(session)
    assert [f"{span.opens:%H}-{span.closes:%H}" for span in hours.spans if span.weekday == 0] == ["08-12", "13-18"]
