"""The page of a flow's figures in a real Chromium."""

from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.conftest import Panel
from tests.browser.test_outages import look
from tests.factories import call_closed, call_opened, call_step, make_id
from ura import demo, prompts
from ura.db import Sessions
from ura.flows import store
from ura.projection import apply_batch
from ura.settings import Settings


@pytest.fixture
async def calls(sessions: Sessions, settings: Settings) -> None:
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        await demo.load_demo(session, settings)
        known = await store.known_here(session, prompts.load_all(settings.prompts_dir))
        await store.publish_shipped(session, now=now, known=known)
    for number in range(20):
        call_id, began = make_id(), now - timedelta(minutes=number + 1)
        told = [call_step(call_id, 1, node="greeting", event="played", detail={"to": "main"}, at=began)]
        key = began + timedelta(seconds=3 + number % 4)
        if number % 5:
            away = {"keys": str(1 + number % 3), "to": "sales"}
            told += [call_step(call_id, 2, node="main", event="digits", detail=away, at=key)]
        else:
            told += [call_step(call_id, 2, node="main", event="hung_up", detail={"to": "main"}, at=key)]
        outcome = "done" if number % 5 else "abandoned"
        end = call_closed(call_id, outcome, at=began + timedelta(seconds=30))
        async with sessions.begin() as session:
            await apply_batch(session, [call_opened(call_id, at=began), *told, end])


@pytest.mark.usefixtures("calls")
async def test_the_owner_sees_where_callers_give_up(panel: Panel) -> None:
    page = await panel.log_in()
    await page.get_by_role("link", name="Relatório").click()
    await expect(page.get_by_role("heading", name="Versão 1: 20 ligações")).to_be_visible()
    rows = page.get_by_role("region", name="Números de cada ponto do fluxo").get_by_role("row")
    await expect(rows).to_have_count(4)
    menu = rows.nth(2)
    await expect(menu).to_contain_text("20 (100%)")
    await expect(menu).to_contain_text("4 (20%)")
    await expect(menu).to_contain_text("4,5 s")
    for width, name in ((1280, "reports"), (390, "reports-narrow")):
        await page.set_viewport_size({"width": width, "height": 800})
        await look(page, name)
        assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), width
        found = await Axe().run(page)
        assert [broken["id"] for broken in found.response["violations"]] == [], width
