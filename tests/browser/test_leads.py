"""The page of leads as sales use it, in a real Chromium."""

from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect
from sqlalchemy import select

from tests.browser.conftest import Panel
from tests.browser.test_outages import look
from tests.factories import lead_saved, make_id
from ura import demo, funnel, leads
from ura.db import Sessions
from ura.funnel import LeadChange
from ura.models import Lead, LeadStatus, LostReason, Neighbourhood, Plan
from ura.projection import apply_batch
from ura.settings import Settings


@pytest.fixture
async def three(sessions: Sessions, settings: Settings) -> list[str]:
    """One due since yesterday, one for tomorrow, one lost."""
    now, ids = datetime.now(UTC), [make_id() for _ in range(3)]
    async with sessions.begin() as session:
        await demo.load_demo(session, settings)
        place = await session.scalar(select(Neighbourhood.id).order_by(Neighbourhood.id))
        plan = await session.scalar(select(Plan.id).order_by(Plan.id))
        wish = {"neighbourhood_id": place, "plan_id": plan, "audience": "home", "call_id": None}
        told = [
            lead_saved(lead_id, status, at=now - timedelta(days=2), phone=f"+551198765432{place}", **wish)
            for place, (lead_id, status) in enumerate(zip(ids, ("proposal", "informed", "abandoned"), strict=True))
        ]
        await apply_batch(session, told)
        lost = LeadChange(status=LeadStatus.LOST, lost_reason=LostReason.COMPETITOR)
        await funnel.change_lead(session, ids[2], lost, now=now)
    async with sessions.begin() as session:
        for lead_id, days in zip(ids, (-1, 1), strict=False):
            (await session.get_one(Lead, lead_id)).next_action_at = now + timedelta(days=days)
    return ids


async def test_sales_see_what_is_due_and_take_it_further(panel: Panel, sessions: Sessions, three: list[str]) -> None:
    page = await panel.log_in()
    await page.get_by_role("link", name="Vendas").click()
    rows = page.get_by_role("list", name="Contatos").get_by_role("listitem")
    await expect(rows).to_have_count(3)
    await expect(page.get_by_text("Vencida")).to_have_count(1)
    first = page.locator(f"#lead-{three[0]}")
    await first.get_by_text("Mudar").click()
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate(f"document.documentElement.dataset.bsTheme = '{scheme}'")
            await look(page, f"leads-{scheme}-{width}")
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), width
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
    await first.get_by_label("Situação").select_option("visit")
    await first.get_by_label("Próxima ação").fill("2100-01-02T09:30")
    await first.get_by_label("Responsável").select_option("admin@provedor.test")
    await first.get_by_role("button", name="Guardar").click()
    await expect(first.get_by_text("02/01/2100")).to_be_visible()
    await expect(page.get_by_text("Vencida")).to_have_count(0)
    async with sessions() as session:
        lead = await leads.get_lead(session, three[0])
    assert (lead.status, lead.owner) == (LeadStatus.VISIT, "admin@provedor.test")
