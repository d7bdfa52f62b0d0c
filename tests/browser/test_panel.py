"""The panel as people use it, in a real Chromium."""

import asyncio
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from sqlalchemy import select

from tests.api.records import (
    DID,
    closed,
    left,
    moment,
    new_id,
    opened,
    record,
    step,
    walked,
    write,
    write_line,
    write_sound,
)
from tests.browser.conftest import Panel
from ura import opt_outs, outbox
from ura.adapters.demo_inbox import DemoInbox
from ura.db import Sessions
from ura.erp import SendChannel
from ura.gateways import Attachment, Outgoing
from ura.journal import Journal
from ura.models import AuditEntry, Did, DidKind, Outcome, Problem, Role
from ura.settings import Settings


async def look(page: Page, name: str) -> None:
    """Keeps a picture when PROSA_SCREENSHOTS names a folder."""
    if folder := os.environ.get("PROSA_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def test_a_live_call_appears_moves_and_ends_without_a_reload(panel: Panel, sessions: Sessions) -> None:
    await write_line(sessions)
    page = await panel.log_in()
    await expect(page.locator("#live + .none")).to_be_visible()

    call_id = new_id()
    await write(sessions, opened(call_id, protocol="263260000174"))
    row = page.locator(f"#live #call-{call_id}")
    await expect(row).to_contain_text("(11) 93333-0002")
    await expect(row).to_contain_text("263 260 000 174")
    await expect(row.locator("time")).to_be_visible()
    await expect(page.get_by_role("link", name="1 ao vivo")).to_be_visible()

    await write(sessions, *walked(call_id))
    await expect(row.locator(".path li")).to_have_text(["greeting4 s", "maintecla 16 s", "audience"])
    await expect(row).to_contain_text("Na URA")
    await write(sessions, record("call_queued", call_id=call_id, queue="l1", at=moment()))
    await expect(row).to_contain_text("Na fila")
    await write(sessions, record("call_answered", call_id=call_id, attendant="Ana", at=moment()))
    await expect(row).to_contain_text("Em conversa")
    await look(page, "live")

    await write(sessions, closed(call_id))
    await expect(page.locator(f"#recent #call-{call_id}")).to_contain_text("Resolvida")
    await expect(row).to_have_count(0)
    await expect(page.locator(f"#call-{call_id}")).to_have_count(1)


async def test_an_event_is_on_the_screen_within_300_ms(panel: Panel, sessions: Sessions) -> None:
    page = await panel.log_in()
    took = []
    for _ in range(5):
        call_id = new_id()
        await write(sessions, opened(call_id))
        started = asyncio.get_running_loop().time()
        await page.wait_for_selector(f"#call-{call_id}", state="attached")
        took.append(asyncio.get_running_loop().time() - started)
    assert min(took) < 0.3, took  # the others may have waited for a processor


async def test_the_path_of_a_call_is_opened_by_keyboard_and_goes_on_by_itself(panel: Panel, sessions: Sessions) -> None:
    call_id = new_id()
    await write(sessions, opened(call_id), *walked(call_id))
    page = await panel.log_in()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(call_id))
    titles = page.locator(".way-title")
    await expect(titles).to_have_text(["greeting", "main", "audience"])
    await write(sessions, step(call_id, 4, "audience", "digits", to="neighbourhood", seconds_ago=1, keys="2"))
    await expect(titles).to_have_text(["greeting", "main", "audience", "neighbourhood"])
    await expect(page.locator(".way li").nth(2)).to_contain_text("apertou tecla 2")
    await look(page, "call")


async def test_what_a_call_leaves_is_on_its_page_while_it_lives(panel: Panel, sessions: Sessions) -> None:
    call_id, recording_id = new_id(), new_id()
    await write(sessions, opened(call_id), *walked(call_id))
    page = await panel.log_in()
    await page.goto(f"{panel.address}/panel/calls/{call_id}")
    here = page.locator("#left")
    await expect(here).to_contain_text("não deixou chamado")
    await write(sessions, *left(call_id, recording_id=recording_id), closed(call_id))
    await expect(here.get_by_role("heading")).to_have_text(
        [
            "Chamado: sem atendimento",
            "Pedido ao sistema do provedor",
            "Contato de vendas",
            "Gravação de 2 s",
            "Planos por SMS",
            "Retorno pedido",
            "Primeiros passos: no_signal",
            "Pesquisa: csat",
        ]
    )
    await expect(here).to_contain_text("O atendimento automático não respondeu.")
    await expect(here).to_contain_text("Na fila de envio")
    await expect(here).to_contain_text("power: sim")
    await expect(here).to_contain_text("assim que possível")
    assert "menu: down" not in await page.content()


async def test_a_recording_plays_on_the_page_and_is_kept_as_a_file(
    panel: Panel, sessions: Sessions, settings: Settings
) -> None:
    call_id, recording_id = new_id(), new_id()
    sound = write_sound(settings.recordings_dir, recording_id)
    await write(sessions, opened(call_id), *left(call_id, recording_id=recording_id), closed(call_id))
    page = await panel.log_in()
    await page.goto(f"{panel.address}/panel/calls/{call_id}")
    assert await page.locator("audio").evaluate(
        "audio => new Promise((done, failed) => {"
        " audio.onended = () => done(audio.duration); audio.onerror = () => failed(audio.error.message);"
        " audio.playbackRate = 4; audio.play().catch(failed); })"
    ) == pytest.approx(2.0, abs=0.1)
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="Baixar").click()
    assert Path(await (await saving.value).path()).read_bytes() == sound
    async with sessions() as session:
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert [action for action in actions if "recording" in action] == ["recording-heard", "recording-downloaded"]


async def test_a_technician_hears_nothing_and_sees_no_contact(panel: Panel, sessions: Sessions) -> None:
    call_id = new_id()
    await write(sessions, opened(call_id), *left(call_id, recording_id=new_id()), closed(call_id))
    page = await panel.log_in(Role.TECHNICIAN)
    await page.goto(f"{panel.address}/panel/calls/{call_id}")
    here = page.locator("#left")
    await expect(here).to_contain_text("Ouvir exige permissão")
    await expect(here).to_contain_text("Só quem cuida de vendas vê os detalhes")
    await expect(page.locator("audio")).to_have_count(0)
    assert "93333" not in await page.content()


async def test_a_browser_that_was_away_catches_up(panel: Panel, sessions: Sessions) -> None:
    page = await panel.log_in()
    await panel.context.set_offline(True)
    await page.evaluate("htmx.find('[sse-connect]')['htmx-internal-data'].sseEventSource.dispatchEvent(new Event('x'))")
    missed = new_id()
    await write(sessions, opened(missed))
    await panel.context.set_offline(False)
    await expect(page.locator(f"#live #call-{missed}")).to_have_count(1)


async def test_numbers_are_masked_for_technicians(panel: Panel, sessions: Sessions) -> None:
    await write(sessions, opened(new_id()))
    page = await panel.log_in(Role.TECHNICIAN)
    await expect(page.locator("#live")).to_contain_text("(11) •••••-0002")
    await write(sessions, opened(call_id := new_id()))
    await expect(page.locator(f"#call-{call_id}")).to_contain_text("(11) •••••-0002")
    assert "93333" not in await page.content()


async def test_a_filter_shows_what_fits_and_keeps_to_it(panel: Panel, sessions: Sessions) -> None:
    done, gone = new_id(), new_id()
    await write(sessions, opened(done), closed(done), opened(gone), closed(gone, "abandoned"))
    page = await panel.log_in()
    await page.keyboard.press("/")
    await page.get_by_label("Resultado").select_option("Desistiu")
    await page.get_by_role("button", name="Filtrar").click()
    await page.wait_for_selector("body[data-line=open]")
    await expect(page.locator("#recent > li")).to_have_count(1)
    later, other = new_id(), new_id()
    await write(sessions, opened(later), closed(later, "abandoned"), opened(other), closed(other))
    await expect(page.locator(f"#recent #call-{later}")).to_be_visible()
    await expect(page.locator("#recent > li")).to_have_count(2)
    await look(page, "filtered")


async def test_records_that_wait_are_told_and_shown(panel: Panel, settings: Settings) -> None:
    page = await panel.log_in()
    writer = Journal(settings.journal_dir, "agi")
    call_id = new_id()
    writer.append("call_opened", call_id, {"call_id": call_id})
    writer.append("call_step", f"{call_id}:1", {"call_id": call_id})
    await expect(page.get_by_role("link", name="2 registros aguardando")).to_be_visible()
    await look(page, "waiting")
    await page.get_by_role("link", name="2 registros aguardando").click()
    await expect(page.get_by_role("row")).to_have_count(3)
    writer.close()


CORPUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'-alert(1)-'",
    "{{7*7}}${7*7}",
    "</li><iframe src=//evil>",
    "javascript:alert(1)",
    "<a hx-on:click=alert(1) hx-get=//evil>x",
    "${SHELL(id)}",
    "=cmd|' /C calc'!A0",
]


async def test_what_callers_and_admins_write_is_shown_as_text(panel: Panel, sessions: Sessions) -> None:
    """R24, R52: no script runs, nothing is fetched, the policy has nothing to report, and the text is all there."""
    async with sessions.begin() as session:
        session.add(Did(number=DID, label="<b onclick=alert(1)>Fixo</b>", kind=DidKind.LANDLINE))
    page = await panel.log_in()
    page.on("dialog", lambda dialog: panel.complaints.append(f"dialog: {dialog.message}"))
    for text in CORPUS:
        live, ended = new_id(), new_id()
        for call_id in (live, ended):
            await write(
                sessions,
                opened(call_id, caller=text[:20]),
                step(call_id, 1, text, "digits", to=text + "!", seconds_ago=3, keys=text),
                record("call_answered", call_id=call_id, attendant=text, at=moment()),
            )
        await write(sessions, closed(ended))
        await expect(page.locator(f"#live #call-{live} .call-state")).to_contain_text(text)
        await expect(page.locator(f"#recent #call-{ended} kbd")).to_contain_text(text)
    await page.reload()
    await page.wait_for_selector("body[data-line=open]")
    await page.goto(f"{panel.address}/panel/calls/{live}")
    await expect(page.locator(".way-what kbd").first).to_contain_text(CORPUS[-1])
    assert await page.locator("main script, main iframe, main img[src=x], main b, main [onclick]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_are_accessible_and_fit_desk_and_pocket(
    panel: Panel, sessions: Sessions, settings: Settings, scheme: Literal["light", "dark"]
) -> None:
    await write_line(sessions)
    for outcome in Outcome:
        await write(sessions, opened(call_id := new_id()), *walked(call_id), closed(call_id, outcome))
    await write(sessions, opened(live := new_id()), *walked(live), opened(queued := new_id(), door="corporate"))
    await write(sessions, record("call_queued", call_id=queued, queue="corporate", at=moment()))
    await write(sessions, opened(served := new_id()), *walked(served), *left(served, recording_id=new_id()))
    writer = Journal(settings.journal_dir, "agi")
    writer.append("call_opened", live, {"call_id": live})

    page = await panel.page()
    await page.emulate_media(color_scheme=scheme)
    await page.goto(f"{panel.address}/panel/login")
    await assert_accessible(page)
    await page.get_by_label("Usuário ou e-mail").fill("ninguem")
    await page.get_by_label("Senha").fill("não é esta")
    await page.get_by_role("button", name="Entrar").click()
    await expect(page.get_by_role("alert")).to_contain_text("não conferem")
    await assert_accessible(page)
    await look(page, f"login-{scheme}")
    await page.close()
    page = await panel.log_in()
    await page.emulate_media(color_scheme=scheme)
    for name, path in {
        "calls": "/panel",
        "filter": "/panel?door=flow",
        "call": f"/panel/calls/{served}",
        "bare-call": f"/panel/calls/{live}",
        "journal": "/panel/journal",
        "lost": "/panel/nowhere",
    }.items():
        for width in (1280, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.goto(panel.address + path)
            await assert_accessible(page)
            await look(page, f"{name}-{scheme}-{width}")
    panel.complaints[:] = [said for said in panel.complaints if not re.search("401|404", said)]
    writer.close()


async def assert_accessible(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "the page is wider than the screen"
    )


async def test_the_outbox_is_read_by_everybody_and_used_with_the_keyboard(
    panel: Panel, sessions: Sessions, settings: Settings
) -> None:
    """Light and dark, wide and on a telephone: nothing runs out of the page, and no rule of access is broken."""
    now = datetime.now(UTC)
    text = (
        "Vale Verde: Fatura de R$ 119,90, vencimento 10/12/2026.\nBoleto: "
        + "9" * 47
        + "\nPIX copia e cola: "
        + "x" * 150
    )
    async with sessions.begin() as session:
        for number, kind in enumerate(("invoice", "protocol", "plans")):
            await outbox.enqueue(
                session, kind=kind, to="+5511933330002", payload={}, now=now, message_id=f"{number:032x}", call_id=None
            )
        first, second, _ = await outbox.claim(session, worker="w", now=now)
        await outbox.mark_sent(session, first, now=now, provider="demo", provider_id=first.id, text=text)
        await outbox.mark_failed(
            session, second, error="HTTP 400", now=now, problem=Problem.UNKNOWN_ADDRESS, text="Vale Verde: texto"
        )
        await opt_outs.opt_out(
            session, channel=SendChannel.EMAIL, target="helena.prado@casa.example", by=opt_outs.BY_REPLY, now=now
        )
    document = Attachment("fatura-2026-12-10.pdf", "application/pdf", b"%PDF-1.7 x")
    await DemoInbox(settings.inbox_dir).send(Outgoing(first.id, first.to, text, attachments=(document,)))
    page = await panel.log_in()
    await page.get_by_role("link", name="Caixa de saída").click()
    await expect(page.locator("#demo")).to_contain_text("Nada saiu desta casa.")
    for theme in ("light", "dark"):
        if theme == "dark":
            await page.get_by_role("button", name="Alternar tema").click()
        for width in (1280, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            inside = await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert inside, f"{theme} {width}"
            await look(page, f"messages-{theme}-{width}")
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
    again = page.get_by_role("button", name="Enviar de novo")
    await again.focus()
    await page.keyboard.press("Enter")
    await expect(again).to_have_count(0)
