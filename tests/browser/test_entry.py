"""The page of who comes in and how, in a real Chromium: used from top to bottom, and readable for everybody."""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.conftest import Panel
from tests.browser.test_outages import look


async def test_an_emergency_a_block_and_a_company_are_entered(panel: Panel) -> None:
    page = await panel.log_in()
    await page.get_by_role("link", name="Entrada").click()
    await expect(page.get_by_text("Ninguém está bloqueado.")).to_be_visible()
    await look(page, "entry-empty")

    await page.get_by_role("button", name="Ligar a emergência").click()
    await expect(page.get_by_text("Ligada", exact=True)).to_be_visible()
    await page.get_by_label("Telefone", exact=True).fill("11 98765-4321")
    await page.get_by_label("Motivo").fill("Trote")
    await page.get_by_role("button", name="Bloquear").click()
    blocked = page.get_by_role("region", name="Números bloqueados").get_by_role("row")
    await expect(blocked).to_have_count(2)
    await expect(blocked.nth(1)).to_contain_text("Trote")
    await page.get_by_label("Um por linha").fill("11 3333-4444; Mercado Sol")
    await page.get_by_role("button", name="Acrescentar").click()
    company = page.get_by_role("row", name="Mercado Sol")
    await expect(company).to_be_visible()
    await page.get_by_text("Senha do telefone").click()
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate(f"document.documentElement.dataset.bsTheme = '{scheme}'")
            await look(page, f"entry-{scheme}-{width}")
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), width
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()

    await blocked.get_by_role("button", name="Liberar").click()
    await expect(page.get_by_text("Ninguém está bloqueado.")).to_be_visible()
    await company.get_by_role("button", name="Tirar").click()
    await expect(company).to_have_count(0)
    await page.get_by_role("button", name="Desligar").click()
    await expect(page.get_by_role("button", name="Ligar a emergência")).to_be_visible()
