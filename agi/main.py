"""The phone door: `python -m agi`. A parent that holds the socket and forks the workers; see agi/parent.py.

Everything is imported before the first fork, so that a worker is ready in milliseconds and shares that memory; nothing
that has a loop, a thread or a connection is left over from before it.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import configure_mappers

from agi.live import LivePositions
from agi.parent import BEAT, BEAT_S, DRAINING, Parent, fork
from agi.routes import Routes, Tools
from agi.server import BACKLOG, Server
from agi.sounds import Sounds
from ura import health, logs, phones, queues
from ura import settings as settings_module
from ura.adapters import erp as erp_adapters
from ura.adapters import network as network_adapters
from ura.adapters.erp import ErpMetrics
from ura.billing import Policy
from ura.caller_lookups import CallerLookups, House
from ura.crypto import Keyring
from ura.db import make_engine, make_sessions
from ura.emergency import Desk
from ura.errors import Unavailable
from ura.flows.published import PublishedFlows
from ura.gateways import confirming, open_channels
from ura.journal import Journal
from ura.lookups import Lookups, either
from ura.metrics import MetricsFile
from ura.prompts import PromptIndex
from ura.protocol import Protocols
from ura.remembered import Remembered
from ura.settings import Settings
from ura.subscribers import Identification, IdentificationMetrics, Limits
from ura.visits import Policy as VisitPolicy
from ura.wanted_names import WantedNames

log = structlog.get_logger("agi.main")

DRAIN_S = 15.0
CLOSE_S = 2.0
BIND_S = 3.0
STALE_S = 6 * 3600
BEATS_A_SECOND = round(1 / BEAT_S)


async def serve(settings: Settings, engine: AsyncEngine, prompts: PromptIndex, sock: socket.socket, pipe: int) -> None:
    """One worker, until SIGTERM or the parent's death; then until its calls have moved."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    sessions = make_sessions(engine, settings.place)
    figures = MetricsFile(settings.state_dir, "agi")
    erp = erp_adapters.from_settings(settings, sessions, metrics=ErpMetrics(figures.registry))
    network = network_adapters.from_settings(settings, sessions, erp)
    about_callers = CallerLookups(
        House(
            erp=erp,
            identification=Identification(
                erp,
                sessions,
                Keyring.of(settings),
                Limits.of(settings),
                metrics=IdentificationMetrics(figures.registry),
            ),
            network=network,
            sessions=sessions,
            policy=Policy.of(settings),
            zone=settings.zone,
            channels=open_channels(settings),
            confirming=confirming(settings),
            can_speak=prompts.can_play,
            want_name=WantedNames(settings.rendered_dir),
            visit_policy=VisitPolicy.of(settings),
        )
    )
    flows = PublishedFlows(sessions, settings.flows_dir)
    journal = Journal(settings.journal_dir, "agi")
    tools = Tools(
        flows=flows,
        lookups=either(about_callers, Remembered(Lookups(sessions, settings))),
        journal=journal,
        protocols=Protocols(settings.state_dir / "protocol", settings.node),
        sounds=Sounds(prompts, {"prosa": settings.prompts_dir / "audio", "dyn": settings.rendered_dir}),
        live=LivePositions(settings.live_dir),
        recordings=settings.recordings_dir,
        zone=settings.zone,
        queue_max_callers=settings.queue_max_callers,
        speak_half=settings.speak_meia,
        emergency_desk=Desk(sessions, lasts=timedelta(minutes=settings.emergency_minutes)),
        draining=lambda: server.draining,
    )
    server = Server(Routes(tools), max_calls=settings.agi_max_calls)
    await flows.refresh()
    refreshing = loop.create_task(flows.run())
    await server.listen(sock)
    heart = loop.create_task(_beat(pipe, stop, settings.state_dir))
    telling = loop.create_task(figures.run())
    log.info("agi worker ready", pid=os.getpid())
    await stop.wait()
    _say(pipe, DRAINING)
    server.drain()
    await server.drained(DRAIN_S)
    refreshing.cancel()
    heart.cancel()
    telling.cancel()
    with contextlib.suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(CLOSE_S):
            await journal.sync()
            journal.close()
            await network.close()
            await erp.close()
            await engine.dispose()


async def _beat(pipe: int, stop: asyncio.Event, state_dir: Path) -> None:
    """Tell the parent that the loop turns, and once a second whoever looks after this installation. Without a parent,
    stop: its successor needs the port."""
    turns = 0
    while True:
        if not _say(pipe, BEAT):
            stop.set()
        if turns % BEATS_A_SECOND == 0:
            with suppress(OSError):
                health.beat(state_dir, "agi")
        turns += 1
        await asyncio.sleep(BEAT_S)


def _say(pipe: int, word: bytes) -> bool:
    try:
        os.write(pipe, word)
    except BlockingIOError:  # the parent is slow to read; it has beats enough
        return True
    except BrokenPipeError:
        return False
    return True


def work(settings: Settings, engine: AsyncEngine, prompts: PromptIndex, sock: socket.socket, pipe: int) -> None:
    # No asyncio.Runner: it would wait for threads at the end, and one that hangs in the database must not keep us.
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(serve(settings, engine, prompts, sock, pipe))


def bind(settings: Settings) -> socket.socket:
    """The listening socket. A worker of a parent that was killed may hold the port for a moment: tried for 3 s."""
    ends = time.monotonic() + BIND_S
    while True:
        try:
            return socket.create_server((settings.agi_host, settings.agi_port), backlog=BACKLOG)
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


def prepare(settings: Settings) -> None:
    """Folders, and what an earlier run left behind."""
    for folder in (settings.live_dir, settings.recordings_dir, settings.rendered_dir / "joined", settings.logs_dir):
        folder.mkdir(parents=True, exist_ok=True)
    old = time.time() - STALE_S
    for folder in (settings.live_dir, settings.rendered_dir / "joined"):
        for file in folder.iterdir():
            with suppress(OSError):  # a disk that is read-only now: there are calls to answer all the same
                if file.stat().st_mtime < old:
                    file.unlink(missing_ok=True)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def warm_up(settings: Settings, engine: AsyncEngine) -> None:
    """What libraries load at their first use, loaded once for all workers: no caller shall wait for it, and what a
    worker loads by itself is memory of its own."""
    configure_mappers()
    Keyring.of(settings)
    asyncio.run(_read_flows(settings, engine))
    phones.kind(phones.to_e164("1133330001"))
    queues.public_holidays(settings.state_uf, datetime.now(settings.zone).year)


async def _read_flows(settings: Settings, engine: AsyncEngine) -> None:
    """The flows in force are compiled once, and `engine` keeps the statements that it made; it does not stay
    connected. With the database away, and after two seconds, without."""
    before = set(threading.enumerate())
    await PublishedFlows(make_sessions(engine), settings.flows_dir).refresh()
    await engine.dispose()
    for thread in set(threading.enumerate()) - before:
        if thread.daemon:  # a connection's, which tells this loop when it ends; the loop waits for its own
            await asyncio.to_thread(thread.join, CLOSE_S)


def main() -> int:
    settings = settings_module.load_for("agi", "secret_key")
    logs.configure(environment=settings.environment, level=settings.log_level)
    prepare(settings)
    try:
        sock = bind(settings)
    except OSError as error:
        where = f"{settings.agi_host}:{settings.agi_port}"
        print(f"agi cannot listen on {where}: {error.strerror}. Choose another PROSA_AGI_PORT.", file=sys.stderr)
        return 1
    prompts = PromptIndex.load(settings)
    engine = make_engine(settings.db_url)
    warm_up(settings, engine)
    gc.collect()
    gc.freeze()  # what is here now is shared by all workers: the collector must not touch, and so copy, its pages
    spawn = partial(fork, partial(work, settings, engine, prompts, sock))
    Parent(spawn, settings.agi_workers).run()
    return 0
