"""What happens by the clock: heartbeats, forgetting what nobody needs any more, telling what somebody waits for."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import structlog

from ura import access_log, answered, domain_events, leads, outages, outbox, subscribers, users, wanted_names, webhooks
from ura.adapters import demo_inbox
from ura.db import Sessions, database_is_away
from ura.erp import SendChannel
from ura.settings import Settings

log = structlog.get_logger(__name__)

MINUTE_S, HOUR_S = 60.0, 3600.0
RENDER_EVERY_S = 300.0
REFRESH_EVERY = 288  # turns: a day
PENDING, NAMES = "pending.json", "names.json"  # as in ura.rendering, whose module would bring the audio libraries along


async def every(seconds: float, work: Callable[[], None]) -> None:
    """For ever. What `work` raises is logged; the next turn comes all the same."""
    while True:
        try:
            work()
        except Exception:
            log.exception("a scheduled task failed")
        await asyncio.sleep(seconds)


async def repeat(seconds: float, work: Callable[[], Awaitable[object]], *, put_off: str) -> None:
    """For ever. What `work` raises holds nothing else up and comes again with the next turn: a database that is away
    in one line, anything else, which is a defect, with where it was. `put_off`: what did not happen."""
    while True:
        try:
            await work()
        except Exception as error:
            if database_is_away(error):
                log.warning(put_off, for_s=seconds, reason=type(error).__name__)
            else:
                log.exception(put_off, for_s=seconds)
        await asyncio.sleep(seconds)


class Housekeeping:
    """In the database: each hour log-ins that have ended, old tries to be recognised, old answers to requests, what old
    messages said and what other programs were told long ago; each minute news for who waits for the end of an outage,
    and the sales that calls left open. What fails holds nothing else up."""

    def __init__(
        self, sessions: Sessions, *, message_days: int, inbox_dir: Path, news_by: SendChannel = SendChannel.SMS
    ) -> None:
        self._sessions = sessions
        self._message_days = timedelta(days=message_days)
        self._inbox_dir = inbox_dir
        self._news_by = news_by

    async def run(self) -> None:
        await asyncio.gather(
            self._repeat(HOUR_S, self.hourly),
            self._repeat(HOUR_S, self.forget_messages),
            self._repeat(HOUR_S, self.forget_events),
            self._repeat(MINUTE_S, self.minutely),
            self._repeat(MINUTE_S, self.close_leads),
        )

    async def _repeat(self, seconds: float, work: Callable[[datetime], Awaitable[None]]) -> None:
        await repeat(seconds, lambda: work(datetime.now(UTC)), put_off="housekeeping put off")

    async def hourly(self, now: datetime) -> None:
        async with self._sessions.begin() as session:
            await users.forget_old_sessions(session, now=now)
            await subscribers.forget_old_attempts(session, now=now)
            await answered.forget_old_answers(session, now=now)
            await access_log.forget_old_accesses(session, now=now)

    async def forget_messages(self, now: datetime) -> None:
        """What they said: a boleto's line, a PIX code, an amount. A few at a time: calls write to the same file."""
        forgotten = 0
        while True:
            async with self._sessions.begin() as session:
                ids = await outbox.forget(session, before=now - self._message_days, now=now)
            if not ids:
                break
            await asyncio.to_thread(partial(demo_inbox.forget, self._inbox_dir, ids))
            forgotten += len(ids)
        if forgotten:
            log.info("deleted what old messages said", messages=forgotten)

    async def forget_events(self, now: datetime) -> None:
        """What other programs were told, when it is old; some at a time, as with messages."""
        forgotten = -1
        while forgotten:
            async with self._sessions.begin() as session:
                forgotten = await domain_events.forget(session, now=now) + await webhooks.forget(session, now=now)

    async def minutely(self, now: datetime) -> None:
        async with self._sessions.begin() as session:
            told = await outages.tell_who_waits(session, now=now, by=self._news_by)
        if told:
            log.info("told who waited for the end of an outage", told=told)

    async def close_leads(self, now: datetime) -> None:
        async with self._sessions.begin() as session:
            closed = await leads.close_left_open(session, now=now)
        if closed:
            log.info("sales whose callers had gone are abandoned now", leads=closed)


async def render_waiting_names(settings: Settings) -> None:
    """Every five minutes: names that nobody has spoken yet, since they came by the hundred or no engine worked, and
    those that calls wanted to. At the start and once a day: names that can be had better than they are. The engines
    are in a process of their own, which is gone afterwards with its memory, and leaves the machine to the calls."""
    rendered, turns = settings.rendered_dir, count()
    while True:
        refresh = next(turns) % REFRESH_EVERY == 0 and (rendered / NAMES).exists()
        wait = _holds_any(rendered / PENDING) or wanted_names.is_any(rendered)
        todo = ["render_pending"] * wait + ["refresh_names"] * refresh
        try:
            for each in todo:
                await _in_a_process_of_its_own(
                    "import asyncio, os; os.nice(10); from ura import rendering, settings; "
                    f"asyncio.run(rendering.{each}(settings.load()))"
                )
        except OSError as error:
            log.warning("waiting names could not be rendered", reason=error.strerror)
        await asyncio.sleep(RENDER_EVERY_S)


def _holds_any(file: Path) -> bool:
    try:
        return file.stat().st_size > len("{}")
    except OSError:
        return False


async def _in_a_process_of_its_own(program: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
