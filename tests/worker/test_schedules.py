"""By the clock: what fails once is done again at the next turn, and old log-ins are forgotten."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import func, select

from tests.factories import NOON, call_closed, call_opened, lead_saved, make_id, messages_by_state
from tests.ura.test_rendering import Tone
from ura import domain_events, leads, outbox, receipts, rendering, users, webhooks
from ura.adapters import demo_inbox, tts
from ura.adapters.demo_inbox import DemoInbox
from ura.db import Sessions
from ura.gateways import Outgoing
from ura.models import AttemptKind, EventKind, IdentificationAttempt, LeadStatus, LoginSession, OutboxState, Role
from ura.projection import apply_batch
from ura.prompts import PromptIndex
from ura.receipts import Receipt
from ura.settings import Settings
from worker import schedules
from worker.schedules import Housekeeping, every


def housekeeping(sessions: Sessions, inbox_dir: Path) -> Housekeeping:
    return Housekeeping(sessions, message_days=90, inbox_dir=inbox_dir)


async def test_a_turn_that_fails_does_not_end_the_schedule() -> None:
    turns: list[int] = []
    enough = asyncio.Event()

    def work() -> None:
        turns.append(1)
        if len(turns) == 3:
            enough.set()
        raise RuntimeError("a bad turn")

    running = asyncio.create_task(every(0.001, work))
    async with asyncio.timeout(5):
        await enough.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_other_programs_were_told_is_forgotten_after_its_time(sessions: Sessions, tmp_path: Path) -> None:
    rows = [domain_events.row(EventKind.CALL_OPENED, str(number), now=NOON) for number in range(30)]
    async with sessions.begin() as session:
        await domain_events.record_rows(session, rows)
        await webhooks.spread(session, now=NOON)
    keeper = housekeeping(sessions, tmp_path)
    for days, left in ((29, 30), (31, 1)):  # the newest stays: numbers go on from there
        await keeper.forget_events(NOON + timedelta(days=days))
        async with sessions() as session:
            assert len(await domain_events.list_since(session, 0)) == left


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_sale_whose_caller_has_gone_is_closed_within_the_minute(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(schedules, "MINUTE_S", 0.05)
    call_id, lead_id = make_id(), make_id()
    gone = datetime.now(UTC) - timedelta(minutes=3)
    async with sessions.begin() as session:
        await apply_batch(
            session,
            [
                call_opened(call_id, at=gone),
                lead_saved(lead_id, "interested", at=gone, call_id=call_id),
                call_closed(call_id, "dropped", at=gone, by="ami"),
            ],
        )
    running = asyncio.create_task(housekeeping(sessions, tmp_path).run())
    async with asyncio.timeout(10):
        while True:
            async with sessions() as session:
                if (await leads.get_lead(session, lead_id)).status is LeadStatus.ABANDONED:
                    break
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_log_ins_that_have_ended_are_forgotten(sessions: Sessions, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        user = await users.create_user(
            session, email="ana@example.com", name="Ana", role=Role.ADMIN, password="x" * 14, actor="test"
        )
        await session.flush()
        for number, age in enumerate((timedelta(0), timedelta(days=400))):
            session.add(
                LoginSession(
                    id=f"{number:064x}",
                    user_id=user.id,
                    created_at=now - age,
                    seen_at=now - age,
                    expires_at=now - age + timedelta(hours=1),
                )
            )
        for age in (timedelta(days=1), timedelta(days=400)):
            session.add(
                IdentificationAttempt(id=make_id(), caller="", at=now - age, kind=AttemptKind.DOCUMENT, hit=False)
            )
    await housekeeping(sessions, tmp_path).hourly(now)
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(LoginSession)) == 1
        assert await session.scalar(select(func.count()).select_from(IdentificationAttempt)) == 1


async def test_what_messages_said_is_deleted_after_its_days_and_their_receipts_stay(
    sessions: Sessions, tmp_path: Path
) -> None:
    old, new = make_id(), make_id()
    inbox = DemoInbox(tmp_path)
    for message_id, days in ((old, 91), (new, 89)):
        sent_at = NOON - timedelta(days=days)
        async with sessions.begin() as session:
            invoice = {"invoice_id": "300101"}
            to = "+5511955550101"
            await outbox.enqueue(session, kind="invoice", to=to, payload=invoice, now=sent_at, message_id=message_id)
            [message] = await outbox.claim(session, worker="w", now=sent_at)
            provider_id = await inbox.send(Outgoing(message_id, to, "Linha digitável: 846", subject="Sua fatura"))
            await outbox.mark_sent(
                session, message, now=sent_at, text="Linha digitável: 846", provider="demo", provider_id=provider_id
            )
            await receipts.apply(session, Receipt("demo", OutboxState.DELIVERED, provider_id), now=sent_at)
    await housekeeping(sessions, tmp_path).forget_messages(NOON)
    await housekeeping(sessions, tmp_path).forget_messages(NOON + timedelta(hours=1))
    async with sessions() as session:
        gone, kept = await outbox.get_message(session, old), await outbox.get_message(session, new)
        assert (gone.text, gone.payload, gone.forgotten_at) == ("", {}, NOON)
        assert (gone.state, gone.to) == (OutboxState.DELIVERED, "+5511955550101")
        assert gone.sent_at == gone.delivered_at == NOON - timedelta(days=91)
        assert (kept.text, kept.payload, kept.forgotten_at) == ("Linha digitável: 846", invoice, None)
        assert await messages_by_state(session) == {OutboxState.DELIVERED: 2}
    assert demo_inbox.subject_and_files(tmp_path, old) == ("", [])
    assert demo_inbox.subject_and_files(tmp_path, new) == ("Sua fatura", [])


def test_the_file_of_waiting_names_is_the_one_that_rendering_writes() -> None:
    assert (schedules.PENDING, schedules.NAMES) == (rendering.PENDING, rendering.NAMES)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_worker_renders_when_it_has_something_to_render(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its start: names that wait, and names that were spoken once; nothing of that costs no process."""
    programs: list[str] = []

    async def note(program: str) -> None:
        programs.append(program.split("rendering.")[1].split("(")[0])

    async def stop(_seconds: float) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(schedules, "_in_a_process_of_its_own", note)
    monkeypatch.setattr(asyncio, "sleep", stop)

    async def turn() -> list[str]:
        programs.clear()
        with pytest.raises(asyncio.CancelledError):
            await schedules.render_waiting_names(settings)
        return programs

    assert await turn() == []
    await rendering.leave_for_later(settings, ["Vila Nova"])
    assert await turn() == ["render_pending"]
    await rendering.render_pending(settings, voice=tts.Voice([Tone()]))
    assert await turn() == ["refresh_names"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_name_that_had_to_wait_is_spoken_as_soon_as_an_engine_works(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_works = settings.model_copy(update={"tts_engines": "recorded"})
    keys = await rendering.ensure_names(nothing_works, ["Vila Esperança"])
    assert (settings.rendered_dir / rendering.PENDING).exists()
    monkeypatch.setenv("PROSA_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("PROSA_TTS_ENGINES", "espeak")
    running = asyncio.create_task(schedules.render_waiting_names(settings))
    async with asyncio.timeout(30):
        while PromptIndex.load(settings).file(keys["Vila Esperança"]) is None:
            await asyncio.sleep(0.1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(("error", "level"), [(OSError("away"), "warning"), (KeyError("a defect"), "error")])
async def test_what_fails_is_told_and_comes_again_with_the_next_turn(error: Exception, level: str) -> None:
    done, turns = asyncio.Event(), []

    async def work() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise error
        done.set()

    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(schedules.repeat(0.01, work, put_off="it was put off"))
        async with asyncio.timeout(10):
            await done.wait()
        running.cancel()
    assert [(line["event"], line["log_level"]) for line in logs] == [("it was put off", level)]
