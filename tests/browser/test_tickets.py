"""Tickets and visits as those who work with them use their pages, in a real Chromium."""

import os
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser.conftest import Panel
from tests.factories import make_id, make_record
from ura import sla_policies, technicians, tickets, timetables, users, visits
from ura.db import Sessions
from ura.models import Role, Ticket, TicketStatus, Tier, Visit, VisitKind
from ura.projection import apply_batch
from ura.queues import Span
from ura.users import GRANTS, Actor

CLIPPED = "[...document.querySelectorAll('.top-nav')].some(nav => nav.scrollWidth > nav.clientWidth)"


async def look(page: Page, name: str) -> None:
    """Nothing sticks out, no link of the top is cut off, and axe finds nothing, in both schemes and widths."""
    for scheme in ("light", "dark"):
        await page.evaluate(f"document.documentElement.dataset.bsTheme = '{scheme}'")
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            if folder := os.environ.get("PROSA_SCREENSHOTS"):
                await page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), (name, width)
            assert not await page.evaluate(CLIPPED), (name, width)
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


async def open_one(sessions: Sessions, summary: str, *, minutes: int = 0, **row: Any) -> str:
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        ticket = await tickets.open_ticket(
            session,
            ticket_id=make_id(),
            protocol="263270000017",
            category="support",
            summary=summary,
            phone="+5511933330002",
            queue="l1",
            opened_by="ana",
            now=now - timedelta(minutes=minutes),
        )
        for name, value in row.items():
            setattr(ticket, name, value)
        return ticket.id


async def comment(sessions: Sessions, ticket_id: str, text: str) -> None:
    async with sessions.begin() as session:
        ticket = await session.get_one(Ticket, ticket_id)
        await tickets.comment(session, ticket, text=text, actor="bia", now=datetime.now(UTC))


async def test_tickets_are_found_by_keys_and_worked_on_while_others_work(panel: Panel, sessions: Sessions) -> None:
    now, hour = datetime.now(UTC), timedelta(hours=1)
    async with sessions.begin() as session:
        await sla_policies.install_shipped(session)
    await open_one(sessions, "Sem sinal desde ontem", minutes=9, due_at=now - hour, report="LOS vermelha", priority=1)
    await open_one(sessions, "Lenta à noite", minutes=8, due_at=now + hour, warn_at=now - hour)
    await open_one(sessions, "Espera a ONU", minutes=7, status=TicketStatus.WAITING, due_at=None, tier=Tier.L2)
    page = await panel.log_in()
    await page.get_by_role("link", name="Chamados").click()
    await page.wait_for_selector("body[data-line=open]")
    rows = page.get_by_role("list", name="Todos os chamados").get_by_role("listitem")
    await expect(rows).to_have_count(3)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(rows.nth(1).get_by_role("link")).to_be_focused()
    await open_one(sessions, "Acabou de chegar")
    await expect(rows.nth(0)).to_contain_text("Acabou de chegar")
    await expect(rows.nth(2).get_by_role("link")).to_be_focused()  # the same ticket, one row further down
    await expect(page.get_by_role("alert")).to_be_empty()
    late = await open_one(sessions, "Espera há dias", minutes=3 * 24 * 60, due_at=None)
    said = {"event_id": make_id(), "call_id": make_id(), "at": datetime.now(UTC)}
    async with sessions.begin() as session:
        await apply_batch(session, [make_record("ticket_reported", ticket_id=late, said="delay", **said)])
    await expect(page.get_by_role("alert")).to_contain_text("Reclamou da demora")
    await look(page, "tickets")

    await page.keyboard.press("/")
    await expect(page.get_by_label("Protocolo ou telefone")).to_be_focused()
    await page.get_by_label("Prazo").select_option("soon")
    await page.get_by_role("button", name="Filtrar").click()
    await page.get_by_label("Guardar este filtro como").fill("Para hoje")
    await page.get_by_role("button", name="Guardar").click()
    await page.get_by_role("link", name="Limpar filtro").click()
    await page.get_by_role("link", name="Para hoje").click()
    rows = page.get_by_role("list", name="Chamados encontrados").get_by_role("listitem")
    await expect(rows.nth(0)).to_contain_text("Fora do prazo")
    await expect(rows.nth(1)).to_contain_text("Perto do prazo")
    await look(page, "tickets-filtered")

    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("body[data-line=open]")
    ticket_id = page.url.rpartition("/")[2]
    await page.get_by_role("button", name="Assumir").click()
    await expect(page.locator("#facts")).to_contain_text("admin@provedor.test")
    await page.wait_for_selector("body[data-line=open]")
    await page.locator("summary", has_text="Pôr em espera").click()
    await page.get_by_label("Nota").fill("Chega quinta")
    await comment(sessions, ticket_id, "A pessoa ligou de novo")
    await expect(page.locator("#history")).to_contain_text("A pessoa ligou de novo")
    await expect(page.get_by_label("Nota")).to_have_value("Chega quinta")
    await look(page, "ticket")
    await page.get_by_label("Espera o quê").select_option("parts")
    await page.locator("form").get_by_role("button", name="Pôr em espera").click()
    await expect(page.locator("#history")).to_contain_text("Em espera: peças")
    await expect(page.locator("#history")).to_contain_text("Chega quinta")
    await expect(page.get_by_role("region", name="Prazo")).to_contain_text("N1: 8 h")
    await look(page, "ticket-waits")


async def visit_today(sessions: Sessions) -> str:
    """Of the panel's technician; it has begun."""
    begun = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    async with sessions.begin() as session:
        me = await users.get_user(session, email=f"{Role.TECHNICIAN}@provedor.test")
        await timetables.set_hours(session, "sempre", [Span(weekday, time(0), time(0)) for weekday in range(7)])
        await technicians.save(session, me, timetable="sempre", slot_min=120, active=True)
    ticket_id = await open_one(sessions, "Sem sinal", tier=Tier.L2)
    async with sessions.begin() as session:
        visit = Visit(id=make_id(), ticket_id=ticket_id, kind=VisitKind.VISIT, technician_id=me.id, starts_at=begun)
        visit.ends_at, visit.address = begun + timedelta(hours=2), "Rua das Flores 12"
        visit.booked_by, visit.booked_at = "ana", begun
        session.add(visit)
        return visit.id


async def test_the_agenda_follows_what_others_do(panel: Panel, sessions: Sessions) -> None:
    visit_id = await visit_today(sessions)
    page = await panel.log_in(Role.TECHNICIAN)
    await page.get_by_role("link", name="Agenda").click()
    visits_of = page.get_by_role("list", name="Visitas de technician@provedor.test")
    await expect(visits_of).to_contain_text("Marcada")
    await page.wait_for_selector("body[data-line=open]")
    async with sessions.begin() as session:
        me = await users.get_user(session, email=f"{Role.TECHNICIAN}@provedor.test")
        actor = Actor(me.email, GRANTS[Role.TECHNICIAN], Role.TECHNICIAN, user_id=me.id)
        visit = await visits.get_visit(session, visit_id)
        await visits.confirm(session, visit, actor=actor, now=datetime.now(UTC))
    await expect(visits_of).to_contain_text("Confirmada")


async def test_a_technician_says_what_came_of_a_visit(panel: Panel, sessions: Sessions) -> None:
    await visit_today(sessions)
    page = await panel.log_in(Role.TECHNICIAN)
    await page.get_by_role("link", name="Agenda").click()
    agenda = page.get_by_role("list", name="Visitas de technician@provedor.test").get_by_role("listitem")
    await expect(agenda).to_contain_text("Rua das Flores 12")
    await page.get_by_role("button", name="Confirmar").click()
    await expect(agenda).to_contain_text("Confirmada")
    await page.locator("summary", has_text="Feita").click()
    await look(page, "agenda")
    await page.get_by_label("O que foi feito").fill("Conector trocado")
    await page.get_by_role("button", name="Feita").click()
    await expect(agenda).to_contain_text("Conector trocado")
