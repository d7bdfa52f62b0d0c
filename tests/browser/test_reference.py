"""The reference of the API in a real Chromium, for somebody who has not logged in.

Whatever the page complains about, and every request to anywhere else, fails the test (tests/browser/conftest.py).
"""

from typing import Literal

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Panel
from tests.browser.test_panel import assert_accessible, look


async def test_the_page_shows_and_leads_to_what_is_asked_for(panel: Panel) -> None:
    page = await panel.page()
    await page.goto(f"{panel.address}/api/v1/docs")
    await expect(page.get_by_role("heading", name="Prosa API")).to_be_visible()
    operation = page.locator("#open_ticket")
    await expect(operation.locator(".ref-inside")).to_be_hidden()
    await page.get_by_role("navigation").get_by_role("link", name="Open a ticket").click()
    await expect(operation.locator("summary").first).to_be_focused()
    await expect(operation).to_contain_text("Permission tickets:write")
    await expect(operation).to_contain_text("Idempotency-Key")
    await expect(operation.get_by_label("A request for a terminal")).to_contain_text("Sem sinal desde ontem")
    await operation.get_by_role("link", name="NewTicket").click()
    await expect(page.locator("#shape-NewTicket .ref-inside")).to_be_visible()

    await page.goto("about:blank")
    await page.goto(f"{panel.address}/api/v1/docs#get_call")
    await expect(page.locator("#get_call .ref-inside")).to_be_visible()


async def test_an_administrator_finds_it_from_the_panel(panel: Panel) -> None:
    page = await panel.log_in()
    await page.get_by_role("link", name="API").click()
    await expect(page.get_by_role("heading", name="Prosa API")).to_be_visible()


@pytest.mark.parametrize(("scheme", "widths"), [("light", (1280, 390)), ("dark", (390,))])
async def test_it_is_accessible_and_fits_desk_and_pocket(
    panel: Panel, scheme: Literal["light", "dark"], widths: tuple[int, ...]
) -> None:
    page = await panel.page()
    await page.emulate_media(color_scheme=scheme)
    for width in widths:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.goto("about:blank")
        await page.goto(f"{panel.address}/api/v1/docs")
        await look(page, f"reference-{scheme}-{width}")
        await page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        await assert_accessible(page)
        await page.goto("about:blank")
        await page.goto(f"{panel.address}/api/v1/docs#open_ticket")
        await look(page, f"reference-open-{scheme}-{width}")
