"""One service of docker-compose.yml: `python -m prosa.container setup` or `asterisk`.

`prosa run` supervises everything in one place; in containers that is Docker's work, and these two are left.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sqlalchemy.exc import DBAPIError

from prosa import asterisk
from prosa.setup import Prepared, prepare
from ura.settings import Settings, load

DRAIN_S = 45


@contextmanager
def _told(what: str) -> Iterator[list[str]]:
    notes: list[str] = []
    yield notes
    print(f"{what}: {', '.join(notes) or 'done'}", flush=True)


def run_setup(settings: Settings) -> Prepared:
    """Safe to repeat; waits for nothing: the compose file starts it when the database answers."""
    return asyncio.run(prepare(settings, _told))


def run_asterisk(settings: Settings) -> int:
    """In the foreground until it ends, or until SIGTERM: then calls in progress get a time to end."""
    try:
        prepared = run_setup(settings)
        running = asterisk.start(settings, dids=prepared.dids, attendants=prepared.attendants)
    except (DBAPIError, OSError) as error:  # the telephone is needed all the same
        print(f"asterisk: the database is away ({error}); starting with the numbers of the last time", flush=True)
        running = asterisk.start(settings)
    print("asterisk: ready", flush=True)

    def drain(_number: int, _frame: FrameType | None) -> None:
        running.drain()
        signal.alarm(DRAIN_S)

    def give_up(_number: int, _frame: FrameType | None) -> None:
        running.process.terminate()

    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGINT, drain)
    signal.signal(signal.SIGALRM, give_up)
    return running.process.wait()


def main(what: str) -> int:
    settings = load()
    if what == "setup":
        print(f"first log-in: {run_setup(settings).log_in}", flush=True)
        return 0
    return run_asterisk(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
