"""A real uvicorn on a free port and a real Chromium, with everything the pages complain about written down."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from api.main import make_server
from tests.api.conftest import CHEAP, PASSWORD
from ura import users
from ura.db import Sessions
from ura.models import Role
from ura.settings import Settings

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Panel:
    """`complaints` of the pages must be empty at the end: errors, CSP reports, requests to anywhere else."""

    address: str
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    def _note(self, said: ConsoleMessage) -> None:
        """Information only is no complaint: on a page loaded again, its first field was in focus already."""
        if said.type != "info":
            self.complaints.append(f"{said.type}: {said.text}")

    async def page(self) -> Page:
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._note)
        page.on(
            "request",
            lambda asked: None if asked.url.startswith((self.address, "data:")) else self.complaints.append(asked.url),
        )
        await page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.sample))"
        )
        return page

    async def log_in(self, role: Role = Role.ADMIN) -> Page:
        page = await self.page()
        await page.goto(self.address)
        await page.get_by_label("Usuário ou e-mail").fill(f"{role}@provedor.test")
        await page.get_by_label("Senha").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("body[data-line=open]")
        return page


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The pages do not know which database is behind them: SQLite is enough."""
    file = tmp_path / "prosa.db"
    shutil.copyfile(sqlite_template, file)
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture
async def server(settings: Settings, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The browser door on its port, as api.main serves it. (As a process it is in tests/api/test_live.py.)"""
    monkeypatch.setattr(users, "_hasher", CHEAP)
    async with sessions.begin() as session:
        for role in (Role.ADMIN, Role.TECHNICIAN):
            email = f"{role}@provedor.test"
            await users.create_user(session, email=email, name=email, role=role, password=PASSWORD, actor="test")
    door = make_server(settings)
    serving = asyncio.create_task(door.serve())
    async with asyncio.timeout(30):
        while not door.started:
            assert not serving.done(), "the server did not start"
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{settings.http_port}"
    door.should_exit = True
    async with asyncio.timeout(10):
        await serving


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def panel(server: str, browser: Browser) -> AsyncIterator[Panel]:
    # Without motion: a colour that is looked at half-way from one theme to the other is nobody's colour.
    context = await browser.new_context(
        locale="pt-BR", viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    panel = Panel(server, context)
    yield panel
    await context.close()
    assert panel.complaints == []
