"""By the clock: what fails once is done again at the next turn, and old log-ins are forgotten."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from tests.factories import call_closed, call_opened, lead_saved, make_id
from ura import leads, rendering, users
from ura.db import Sessions
from ura.models import AttemptKind, IdentificationAttempt, LeadStatus, LoginSession, Role
from ura.projection import apply_batch
from ura.prompts import PromptIndex
from ura.settings import Settings
from worker import schedules
from worker.schedules import Housekeeping, every


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
async def test_a_sale_whose_caller_has_gone_is_closed_within_the_minute(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
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
    running = asyncio.create_task(Housekeeping(sessions).run())
    async with asyncio.timeout(10):
        while True:
            async with sessions() as session:
                if (await leads.get_lead(session, lead_id)).status is LeadStatus.ABANDONED:
                    break
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_log_ins_that_have_ended_are_forgotten(sessions: Sessions) -> None:
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
    await Housekeeping(sessions).hourly(now)
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(LoginSession)) == 1
        assert await session.scalar(select(func.count()).select_from(IdentificationAttempt)) == 1


def test_the_file_of_waiting_names_is_the_one_that_rendering_writes() -> None:
    assert schedules.PENDING == rendering.PENDING


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
