"""The clock door: journals into the database, Asterisk's events, deliveries. `python -m worker.main`."""

import asyncio
import contextlib
import signal
from functools import partial

import httpx
import structlog

from ura import health, logs, settings
from ura.adapters.ami import Ami
from ura.adapters.sms import HttpSms
from ura.db import make_engine, make_sessions
from ura.journal import Journal
from worker.ami_events import BEAT_S, AmiEvents
from worker.deliveries import Deliveries
from worker.projector import Projector
from worker.schedules import Housekeeping, every, render_waiting_names

log = structlog.get_logger(__name__)


async def serve(config: settings.Settings) -> None:
    """Until SIGTERM or SIGINT; then what lies in the journals is applied once more."""
    engine = make_engine(config.db_url)
    sessions = make_sessions(engine)
    projector = Projector(config.journal_dir, sessions)
    journal = Journal(config.journal_dir, "worker")
    client = httpx.AsyncClient()
    deliveries = Deliveries(sessions, HttpSms(config.sms_url, client) if config.sms_url else None)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    beat = partial(health.beat, config.state_dir)
    ami = AmiEvents(Ami.from_settings(config), journal, sessions, config.live_dir, alive=partial(beat, "asterisk"))
    runs = (
        projector.run(),
        deliveries.run(),
        ami.run(),
        Housekeeping(sessions).run(),
        render_waiting_names(config),
        every(BEAT_S, partial(beat, "worker")),
    )
    tasks = [asyncio.create_task(run) for run in runs]
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    journal.close()
    with contextlib.suppress(Exception):  # the database may be away: then the next start applies it
        while await projector.step():
            pass
    await client.aclose()
    await engine.dispose()


def main() -> None:
    config = settings.load()
    logs.configure(environment=config.environment, level=config.log_level)
    asyncio.run(serve(config))


if __name__ == "__main__":
    main()
