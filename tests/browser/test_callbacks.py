"""The page of calls to return as attendants work it off, in a real Chromium."""

from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.conftest import Panel
from ura import demo, queues
from ura.db import Sessions
from ura.models import CallbackState
from ura.settings import Settings

FIRST, SECOND, TOMORROW = "1" * 32, "2" * 32, "3" * 32


@pytest.fixture
async def three(sessions: Sessions, settings: Settings) -> None:
    now = datetime.now(UTC)
    rows = [
        {"id": FIRST, "phone": "+5511987654321", "queue": "vendas", "not_before_at": now - timedelta(hours=3)},
        {"id": SECOND, "phone": "+551133334444", "queue": "l1", "not_before_at": now - timedelta(hours=1)},
        {"id": TOMORROW, "phone": "+5511955550103", "queue": "l1", "not_before_at": now + timedelta(days=2)},
    ]
    async with sessions.begin() as session:
        await demo.load_demo(session, settings)
        asked = {"call_id": None, "created_at": now - timedelta(hours=4)}
        await queues.request_callbacks(session, [asked | row for row in rows])


@pytest.mark.usefixtures("three")
async def test_calls_to_return_are_worked_off(panel: Panel, sessions: Sessions) -> None:
    page = await panel.log_in()
    await page.get_by_role("link", name="Retornos").click()
    now = page.get_by_role("region", name="Retornos para agora").get_by_role("row")
    later = page.get_by_role("region", name="Retornos para mais tarde").get_by_role("row")
    await expect(now).to_have_count(3)  # with the heading
    await expect(now.nth(1)).to_contain_text("(11) 98765-4321")
    await expect(now.nth(1)).to_contain_text("Vendas")
    await expect(later.nth(1)).to_contain_text("(11) 95555-0103")
    await expect(later.get_by_role("button", name="Não atendeu")).to_have_count(0)
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate(f"document.documentElement.dataset.bsTheme = '{scheme}'")
            overflow = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not overflow, width
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()

    await now.nth(1).get_by_role("button", name="Não atendeu").click()
    await expect(now).to_have_count(2)
    await now.nth(1).get_by_role("button", name="Feito").click()
    await expect(page.get_by_text("Ninguém espera um retorno neste momento.")).to_be_visible()
    await later.nth(1).get_by_role("button", name="Feito").click()
    await expect(later).to_have_count(0)
    async with sessions() as session:
        states = [(await queues.get_callback(session, one)).state for one in (FIRST, SECOND, TOMORROW)]
    assert states == [CallbackState.UNREACHABLE, CallbackState.DONE, CallbackState.DONE]
