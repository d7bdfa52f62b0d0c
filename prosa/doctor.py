"""`prosa doctor`: is every part there and well? Each trouble names the command or the setting that ends it."""

import asyncio
import importlib.util
import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from prosa import asterisk, caller, ports
from ura import health, journal, prompts
from ura.db import make_engine, make_sessions
from ura.errors import UraError
from ura.health import Pulse
from ura.settings import Settings

LEAST_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    well: bool
    found: str
    remedy: str = ""


async def examine(settings: Settings) -> list[Check]:
    """Every check, whatever the others say; one that breaks is a red line, not a traceback."""
    running = _is_running(settings)
    checks: list[Callable[[], Awaitable[list[Check]]]] = [
        lambda: _files(settings),
        lambda: _asterisk(settings),
        lambda: _database(settings),
        lambda: _prompts(settings),
        lambda: _doors(settings, running=running),
    ]
    found = []
    for check in checks:
        try:
            found.extend(await check())
        except Exception as error:
            found.append(Check("doctor", False, f"{type(error).__name__}: {error}", "look at the logs; run it again"))
    return found


def _is_running(settings: Settings) -> bool:
    file = settings.state_dir / "run" / "prosa.json"
    try:
        pid = int(json.loads(file.read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return False
    return Path(f"/proc/{pid}").exists()


async def _files(settings: Settings) -> list[Check]:
    state = settings.state_dir
    existing = next(folder for folder in (state, *state.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    phone = importlib.util.find_spec("pjsua2") is not None or sys.executable != caller.PYTHON
    return [
        Check(
            "disk",
            free > LEAST_FREE_BYTES,
            f"{free / 1e9:.1f} GB free at {existing}",
            f"make room there, or move the state folder: PROSA_STATE_DIR (now {state})",
        ),
        Check("caller", phone, "pjsua2 " + ("is there" if phone else "is missing"), "scripts/bootstrap.sh run"),
    ]


async def _asterisk(settings: Settings) -> list[Check]:
    remedy = "scripts/install-asterisk.sh"
    try:
        home = asterisk.find(settings)
        if home is None:
            return [Check("asterisk", False, "not installed", remedy)]
        return [Check("asterisk", True, f"version {asterisk.version(home)} in {home}")]
    except asterisk.AsteriskError as error:
        return [Check("asterisk", False, str(error), remedy)]


async def _database(settings: Settings) -> list[Check]:
    kind = settings.db_url.partition(":")[0].partition("+")[0]
    engine = make_engine(settings.db_url)
    try:
        async with asyncio.timeout(5), make_sessions(engine)() as session:
            found = await health.ask_database(session)
            offsets = await health.journal_offsets(session)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return [Check("database", False, f"{kind}: {reason}", "prosa db upgrade (address: PROSA_DATABASE_URL)")]
    finally:
        await engine.dispose()
    waiting = journal.waiting(settings.journal_dir, offsets)
    return [
        Check("database", True, found),
        Check(
            "journal",
            waiting < 1000,
            f"{waiting} records wait for the database",
            f"see {settings.logs_dir}/worker.log; `prosa run` starts the worker",
        ),
    ]


async def _prompts(settings: Settings) -> list[Check]:
    try:
        texts = await asyncio.to_thread(prompts.load_all, settings.prompts_dir)
        index = await asyncio.to_thread(prompts.PromptIndex.load, settings)
    except UraError as error:
        return [Check("prompts", False, error.message, "prosa prompts build")]
    silent = [key for key in texts if index.file(key) is None]
    some = f"; no audio: {', '.join(silent[:5])}{' …' if len(silent) > 5 else ''}" if silent else ""
    return [Check("prompts", not silent, f"{len(texts) - len(silent)} of {len(texts)}{some}", "prosa prompts build")]


async def _doors(settings: Settings, *, running: bool) -> list[Check]:
    if not running:
        taken = ports.troubles(settings)
        free = (
            [Check("ports", True, "all free")] if not taken else [Check("port", False, t, "see there") for t in taken]
        )
        return [*free, Check("prosa", False, "is not running", "prosa run")]
    checks = [Check("prosa", True, "is running")]
    for part in health.PARTS:
        pulse = health.pulse(settings.state_dir, part)
        if pulse.pulse is not Pulse.UNKNOWN:
            well, log = pulse.pulse is Pulse.WELL, settings.logs_dir / f"{part}.log"
            checks.append(
                Check(part, well, f"last sign {pulse.seconds_ago} s ago", f"see {log}; stop prosa, then: prosa run")
            )
    return checks
