"""The page of outages as the NOC uses it, in a real Chromium."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser.conftest import Panel
from tests.factories import make_id, make_record
from ura import demo, incidents, outages
from ura.db import Sessions
from ura.models import Cause, Role
from ura.outages import Scope
from ura.projection import apply
from ura.settings import Settings


@pytest.fixture
async def provider(sessions: Sessions, settings: Settings) -> None:
    """The demo without its own outage."""
    async with sessions.begin() as session:
        await demo.load_demo(session, settings)
    async with sessions.begin() as session:
        for outage in await outages.list_outages(session, over=False):
            await outages.close_outage(session, outage, closed_by="test", now=datetime.now(UTC))


async def look(page: Page, name: str) -> None:
    if folder := os.environ.get("PROSA_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.usefixtures("provider")
async def test_an_outage_is_opened_changed_and_closed(panel: Panel, sessions: Sessions, settings: Settings) -> None:
    page = await panel.log_in(Role.TECHNICIAN)
    await page.get_by_role("link", name="Quedas").click()
    await expect(page.get_by_text("Nenhuma queda neste momento.")).to_be_visible()
    await look(page, "outages-none")

    await page.get_by_text("Abrir uma queda").click()
    await page.get_by_label("O que houve").select_option("power")
    await page.get_by_label("Nota para a equipe").fill("Poste caído na avenida")
    await page.get_by_role("button", name="Abrir a queda").click()
    await expect(page.get_by_role("alert")).to_contain_text("Diga onde")
    assert ["422" in said for said in panel.complaints] == [True]  # Chromium tells of the refusal, and of nothing else
    panel.complaints.clear()
    await expect(page.get_by_label("O que houve")).to_have_value("power")
    await expect(page.get_by_label("Nota para a equipe")).to_have_value("Poste caído na avenida")
    await page.get_by_label("O que houve").select_option("fibre_cut")
    await page.get_by_label("Jardim das Palmeiras").check()
    await page.get_by_label("CTO").fill("CTO-CEN-01")
    await look(page, "outages-form")
    await page.get_by_role("button", name="Abrir a queda").click()

    card = page.locator("article.outage")
    await expect(card).to_contain_text("Rompimento de fibra")
    await expect(card).to_contain_text("Jardim das Palmeiras, Vale Verde")
    await expect(card).to_contain_text("sem previsão")
    async with sessions.begin() as session:
        [outage] = await outages.list_outages(session, over=False)
        heard = {"outage_id": outage.id, "call_id": make_id(), "phone": "+5511987650001", "wants_news": True}
        await apply(session, make_record("outage_heard", **heard, at=outage.started_at))
    later = datetime.now(settings.zone) + timedelta(days=2)
    await card.get_by_label("Nova previsão").fill(later.strftime("%Y-%m-%dT%H:%M"))
    await card.get_by_role("button", name="Mudar").click()
    await expect(card).to_contain_text(later.strftime("previsão %d/%m/%Y, %H:%M"))
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate(f"document.documentElement.dataset.bsTheme = '{scheme}'")
            await look(page, f"outages-{scheme}-{width}")
            overflow = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not overflow, width
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()

    await card.get_by_role("button", name="Encerrar e avisar 1").click()
    await expect(page.get_by_text("Nenhuma queda neste momento.")).to_be_visible()
    await expect(page.get_by_role("region", name="Quedas encerradas")).to_contain_text("Rompimento de fibra")


@pytest.mark.usefixtures("provider")
async def test_the_board_follows_and_interrupts_nobody_who_writes(panel: Panel, sessions: Sessions) -> None:
    page = await panel.log_in(Role.TECHNICIAN)
    await page.get_by_role("link", name="Quedas").click()
    await expect(page.get_by_text("Nenhuma queda neste momento.")).to_be_visible()
    await page.wait_for_selector("body[data-line=open]")
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        outage = await incidents.open_incident(
            session,
            cause=Cause.POWER,
            scopes=[Scope(olt="olt-1")],
            started_at=now,
            ends_at=None,
            opened_by="noc",
            now=now,
        )
    card = page.locator("article.outage")
    await expect(card).to_contain_text("olt-1")
    await page.locator("summary", has_text="Dar notícia").click()
    await page.get_by_label("Notícia").fill("Gerador a cam")
    await tell(sessions, outage.id, "A energia voltou na rua.")
    await expect(page.get_by_role("status").filter(has_text="Há novidades")).to_be_visible()
    await look(page, "outages-news")
    await expect(page.get_by_label("Notícia")).to_have_value("Gerador a cam")
    await page.get_by_role("link", name="Ver agora, sem enviar").click()
    await expect(card).to_contain_text("A energia voltou na rua.")
    await page.wait_for_selector("body[data-line=open]")
    await tell(sessions, outage.id, "Falta pouco.")
    await expect(card).to_contain_text("Falta pouco.")


async def tell(sessions: Sessions, outage_id: str, text: str) -> None:
    async with sessions.begin() as session:
        outage = await outages.get_outage(session, outage_id)
        await incidents.tell(session, outage, text=text, ends_at=None, actor="noc", now=datetime.now(UTC))
