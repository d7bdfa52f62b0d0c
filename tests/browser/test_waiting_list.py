"""The page of demand by neighbourhood, in a real Chromium."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect
from sqlalchemy import select

from tests.browser.conftest import Panel
from tests.browser.test_outages import look
from tests.factories import later, make_id, make_record
from ura import demo
from ura.db import Sessions
from ura.models import Coverage, Neighbourhood
from ura.projection import apply_batch
from ura.settings import Settings


@pytest.fixture
async def wanted(sessions: Sessions, settings: Settings) -> None:
    """Five wait in one neighbourhood of the demo, two in the next, one in a third."""
    async with sessions.begin() as session:
        await demo.load_demo(session, settings)
        places = (
            await session.scalars(
                select(Neighbourhood.id).where(Neighbourhood.status != Coverage.COVERED).order_by(Neighbourhood.id)
            )
        ).all()
        asked = [place for place, people in zip(places, (2, 5, 1), strict=False) for _ in range(people)]
        await apply_batch(
            session,
            [
                make_record(
                    "waiting_list_joined",
                    entry_id=make_id(),
                    call_id=None,
                    phone=f"+55119{number:08}",
                    neighbourhood_id=place,
                    at=later(number),
                )
                for number, place in enumerate(asked)
            ],
        )


@pytest.mark.usefixtures("wanted")
async def test_the_neighbourhoods_that_people_want_most_come_first(panel: Panel) -> None:
    page = await panel.log_in()
    await page.goto(f"{panel.address}/panel/waiting-list")
    rows = page.get_by_role("region", name="Bairros por procura").get_by_role("row")
    await expect(rows).to_have_count(4)  # with the heading
    for row, people in zip((1, 2, 3), (5, 2, 1), strict=True):
        await expect(rows.nth(row).get_by_role("cell").nth(2)).to_have_text(str(people))
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate(f"document.documentElement.dataset.bsTheme = '{scheme}'")
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), width
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            await look(page, f"waiting-list-{scheme}-{width}")
