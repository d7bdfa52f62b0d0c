"""The page of people's own data as whoever obeys the law uses it, in a real Chromium."""

import os
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser.conftest import Panel
from tests.factories import call_opened, make_id
from tests.fake_erp import FakeErp
from ura import person_requests
from ura.db import Sessions
from ura.models import Role
from ura.projection import apply
from ura.settings import Settings
from worker.person_requests import PersonRequests

PHONE = "(11) 93333-0002"


async def look(page: Page, name: str) -> None:
    if folder := os.environ.get("PROSA_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def test_a_package_is_asked_for_with_one_click_and_taken_when_it_is_there(
    panel: Panel, sessions: Sessions, settings: Settings
) -> None:
    async with sessions.begin() as session:
        await apply(session, call_opened(make_id(), caller="+5511933330002", at=datetime.now(UTC)))
    page = await panel.log_in()
    await page.get_by_role("link", name="Dados de pessoas").click()
    await expect(page.get_by_text("Ninguém pediu nada ainda.")).to_be_visible()
    await page.wait_for_selector("body[data-line=open]")
    new = page.get_by_role("region", name="Novo pedido")
    await new.get_by_label("Telefone").fill("12")
    await new.get_by_role("button").click()
    await expect(page.get_by_role("alert")).to_contain_text("com DDD")
    assert ["422" in said for said in panel.complaints] == [True]
    panel.complaints.clear()
    await new.get_by_label("Telefone").fill(PHONE)
    await new.get_by_role("button").click()
    asked = page.get_by_role("region", name="Pedidos de pessoas")
    await expect(asked).to_contain_text("Na fila")
    await expect(asked).not_to_contain_text("93333")  # enough to know which it is, no more
    await page.wait_for_selector("body[data-line=open]")
    await PersonRequests(sessions, FakeErp(), settings).step()
    await expect(asked).to_contain_text("Pronto")
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate(f"document.documentElement.dataset.bsTheme = '{scheme}'")
            await look(page, f"privacy-{scheme}-{width}")
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), width
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
    async with page.expect_download() as coming:
        await asked.get_by_role("link", name="Baixar").click()
    with ZipFile(await (await coming.value).path()) as package:
        assert any(b"933330002" in package.read(name) for name in package.namelist())


async def test_what_is_erased_is_confirmed_and_what_a_lawsuit_holds_stays(
    panel: Panel, sessions: Sessions, settings: Settings
) -> None:
    async with sessions.begin() as session:
        await apply(session, call_opened(make_id(), caller="+5511933330002", at=datetime.now(UTC)))
    page = await panel.log_in()
    await page.get_by_role("link", name="Dados de pessoas").click()
    held = page.get_by_role("region", name="Guardas por processo")
    await held.get_by_label("Telefone").fill(PHONE)
    await held.get_by_role("button", name="Guardar").click()
    await expect(page.get_by_role("alert")).to_contain_text("pelo número")
    await held.get_by_label("Processo ou reclamação").fill("Processo 0001234-56.2027.8.26.0100")
    await held.get_by_role("button", name="Guardar").click()
    await expect(held.get_by_role("listitem")).to_contain_text("0001234-56")
    new = page.get_by_role("region", name="Novo pedido")
    await new.get_by_label("Telefone").fill(PHONE)
    await new.get_by_label("O que a pessoa quer").select_option("erase")
    await new.get_by_role("button").click()
    await expect(page.get_by_role("alert")).to_contain_text("não volta")
    await new.get_by_label("Para apagar").check()
    await new.get_by_role("button").click()
    asked = page.get_by_role("region", name="Pedidos de pessoas")
    await expect(asked).to_contain_text("Apagar os dados")
    async with sessions() as session:
        wanted = person_requests.PersonRequestFilter()
        [request] = (await person_requests.list_requests(session, filters=wanted)).items
        assert request.asked_by == f"{Role.ADMIN}@provedor.test"
    await PersonRequests(sessions, FakeErp(), settings).step()
    await expect(asked).to_contain_text("Respondido; o resto espera")
    await expect(asked).to_contain_text("1 ficam: há uma guarda por processo")
    await look(page, "privacy-held")
    await held.get_by_role("button", name="Retirar").click()
    await expect(held.get_by_role("listitem")).to_have_count(0)
    panel.complaints.clear()  # the refusals
