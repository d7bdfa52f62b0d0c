"""200 tickets a second through the API on PostgreSQL, also while it is killed with -9; how soon one is in a browser.

What is killed is the API of a whole `prosa run`, which starts it again. The client sends each ticket with a key of its
own, again and again until it is answered. The browser is a Chromium with the panel's list of tickets open.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from playwright.async_api import Page, async_playwright
from sqlalchemy import select

from prosa import setup
from tests.bench.figures import Figure
from tests.bench.measure import percentile
from tests.bench.stack import Service, make_settings
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.factories import call_opened
from ura.db import make_engine, make_sessions
from ura.journal import Journal
from ura.models import Ticket
from ura.settings import Settings

PER_SECOND, SECONDS = 200, 30
KILLED_AT_S = (5.0, 12.0, 20.0)
AT_ONCE = 16  # connections; those who wait do so before httpx, whose pool looks at all of them for each request
NEWS = 100
NEWS_EVERY_S = (1.2, 1.6)  # a page reads its list once a second at the most; each of these is the first of its second
WARMING_UP = 5
USER, PASSWORD = "bench@bench.test", "a-bench-of-its-own"
TIRELESS = {"api_requests_per_minute": 0, "source_requests_per_minute": 0}


@dataclass
class Asked:
    """What a client was told: key → id and protocol of the ticket; seconds from the first sending to the answer."""

    told: dict[str, tuple[str, str]] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)  # by the monotonic clock
    seconds: float = 0.0
    sent_again: int = 0


def measure(folder: Path, *, quick: bool, say: Callable[[str], None], database_url: str) -> list[Figure]:
    folder.mkdir()
    settings = make_settings(folder, database_url=database_url, **TIRELESS)
    with Service.running(settings, folder.with_suffix(".log")) as service:
        return asyncio.run(_measure(settings, service, seconds=5 if quick else SECONDS, quick=quick, say=say))


async def _measure(
    settings: Settings, service: Service, *, seconds: int, quick: bool, say: Callable[[str], None]
) -> list[Figure]:
    token = await setup.create_token(settings, name="bench", scopes=["tickets:write", "tickets:read"], days=1)
    await setup.add_user(settings, email=USER, role="admin", name="Bench", password=PASSWORD)
    address = f"http://{settings.http_host}:{settings.http_port}"
    found, how_many = [], 10 if quick else NEWS
    for name, news_ms in (
        ("ticket opened → in the list of a browser", await _news_of_tickets(address, token, how_many)),
        ("call recorded → on the page of live calls", await _news_of_calls(settings, address, how_many)),
    ):
        worst = percentile(news_ms, 0.99)
        say(f"{name}: median {percentile(news_ms, 0.5):.0f} ms, 99 % {worst:.0f} ms")
        found.append(Figure(f"{name}, 99 %", worst, "ms", "≤ 300", worst <= 300))
    calm = await open_many(address, token, seconds)
    say(f"calm: {len(calm.told)} in {calm.seconds:.1f} s, 99 % {1000 * percentile(calm.took_s, 0.99):.0f} ms")
    killing = asyncio.create_task(_kill(service, [at for at in KILLED_AT_S if at < seconds]))
    killed = await open_many(address, token, seconds)
    await killing
    say(f"killed: {len(killed.told)} in {killed.seconds:.1f} s, {killed.sent_again} sent again")
    lost, doubled = await missing(settings, calm.told | killed.told)
    rate, slowest = len(calm.told) / calm.seconds, 1000 * percentile(calm.took_s, 0.99)
    return [
        *found,
        Figure("tickets opened through the API on PostgreSQL", rate, "a second", "≥ 200", rate >= 0.99 * PER_SECOND),
        Figure("  99 % of them answered in", slowest, "ms"),
        Figure("API killed with -9 under that load: times", len([at for at in KILLED_AT_S if at < seconds]), ""),
        Figure("  requests sent again", killed.sent_again, ""),
        Figure("  tickets lost", lost, "", "0", lost == 0),
        Figure("  tickets doubled", doubled, "", "0", doubled == 0),
    ]


async def open_many(address: str, token: str, seconds: int, *, per_second: int = PER_SECOND) -> Asked:
    """Each begins at its own moment, whatever became of those before."""
    asked, gate = Asked(), asyncio.Semaphore(AT_ONCE)
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, limits=limits, timeout=20) as client:
        began = time.monotonic()
        work = []
        for number in range(per_second * seconds):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            work.append(asyncio.create_task(_open_one(client, gate, asked)))
        await asyncio.gather(*work)
        asked.seconds = time.monotonic() - began
    return asked


async def _open_one(client: httpx.AsyncClient, gate: asyncio.Semaphore, asked: Asked) -> None:
    key, began = uuid4().hex, time.monotonic()
    body = {"category": "support", "summary": f"Sem sinal {key}", "phone": "11933330002"}
    while True:
        pause_s = 0.2
        with suppress(httpx.TransportError):
            async with gate:
                answer = await client.post("/api/v1/tickets", json=body, headers={"Idempotency-Key": key})
            if answer.status_code == httpx.codes.CREATED:
                asked.told[key] = answer.json()["id"], answer.json()["protocol"]
                asked.answered_at.append(time.monotonic())
                asked.took_s.append(asked.answered_at[-1] - began)
                return
            if answer.status_code not in (409, 503):  # still at work; the database is away
                raise RuntimeError(answer.text)
            pause_s = float(answer.headers.get("Retry-After", pause_s))
        asked.sent_again += 1
        await asyncio.sleep(pause_s)


async def _kill(service: Service, moments: list[float]) -> None:
    began = time.monotonic()
    for at in moments:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        os.kill(service.groups()["api"][0], signal.SIGKILL)


async def missing(settings: Settings, told: dict[str, tuple[str, str]]) -> tuple[int, int]:
    """How many of those that were answered are not there as told, and how many there are besides them."""
    engine = make_engine(settings.db_url)
    async with make_sessions(engine)() as session:
        rows = await session.execute(
            select(Ticket.summary, Ticket.id, Ticket.protocol).where(Ticket.summary.like("Sem sinal %"))
        )
        kept = [(summary.rpartition(" ")[2], (ticket_id, protocol)) for summary, ticket_id, protocol in rows]
    await engine.dispose()
    there = dict(kept)
    lost = sum(there.get(key) != each for key, each in told.items())
    return lost, len(kept) - len(there) + len({*there} - {*told})


# When a row is there: the page looks at itself.
WATCH = """prefix => {
  window.seen = {};
  new MutationObserver(() => {
    for (const row of document.querySelectorAll(`[id^="${prefix}"]`)) seen[row.id.slice(prefix.length)] ??= Date.now();
  }).observe(document.querySelector('main'), {childList: true, subtree: true});
}"""


@asynccontextmanager
async def _looking(address: str) -> AsyncIterator[Callable[[str, str], Awaitable[Page]]]:
    """`await open_page("/panel/tickets", "t-")`: a live page that writes down when each row came."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = await browser.new_context()

        async def open_page(path: str, prefix: str) -> Page:
            page = await context.new_page()
            await page.goto(f"{address}{path}")
            if await page.get_by_label("Senha").count():
                await page.get_by_label("Usuário ou e-mail").fill(USER)
                await page.get_by_label("Senha").fill(PASSWORD)
                await page.keyboard.press("Enter")
                await page.wait_for_selector("body[data-line=open]")
                await page.goto(f"{address}{path}")
            await page.wait_for_selector("body[data-line=open]")
            await page.evaluate(WATCH, prefix)
            return page

        try:
            yield open_page
        finally:
            await browser.close()


async def _news_of_tickets(address: str, token: str, how_many: int) -> list[float]:
    """Milliseconds from the moment that a ticket has to its row in the list of a browser."""
    opened: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {token}"}
    async with _looking(address) as open_page, httpx.AsyncClient(base_url=address, headers=headers) as client:
        page = await open_page("/panel/tickets", "t-")
        for number in range(how_many + WARMING_UP):
            body: dict[str, Any] = {"category": "support", "summary": f"Aviso {number}", "phone": "11933330002"}
            answer = await client.post("/api/v1/tickets", json=body, headers={"Idempotency-Key": uuid4().hex})
            ticket = answer.raise_for_status().json()
            opened[ticket["id"]] = 1000 * datetime.fromisoformat(ticket["opened_at"]).timestamp()
            await asyncio.sleep(random.uniform(*NEWS_EVERY_S))  # at any moment of whoever polls
        return await _took(page, opened)


async def _news_of_calls(settings: Settings, address: str, how_many: int) -> list[float]:
    """Milliseconds from a call's record in the journal to its row on the page of live calls."""
    opened: dict[str, float] = {}
    writer = Journal(settings.journal_dir, "bench")
    async with _looking(address) as open_page:
        page = await open_page("/panel", "call-")
        for _ in range(how_many + WARMING_UP):
            record = call_opened(uuid4().hex, at=datetime.now(UTC))
            opened[record.data["call_id"]] = 1000 * time.time()
            writer.append(record.kind, record.key, record.data)
            await writer.sync()
            await asyncio.sleep(random.uniform(*NEWS_EVERY_S))
        writer.close()
        return await _took(page, opened)


async def _took(page: Page, opened: dict[str, float]) -> list[float]:
    seen: dict[str, float] = await page.evaluate("window.seen")
    return [seen.get(each, float("inf")) - at for each, at in opened.items()][WARMING_UP:]
