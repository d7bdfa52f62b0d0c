"""What is measured: our whole service, or the same Asterisk with the same menus as native dialplan. One at a time."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from prosa import asterisk
from prosa.run import status_file
from tests.bench import walks
from tests.bench.measure import family
from tests.conftest import free_port
from ura.settings import Settings

OURS = "551133330001"
NATIVE = "551133330009"
RTP = {"rtp_first_port": 30000, "rtp_last_port": 33999}
MAX_CALLS = 1500


def make_settings(state: Path, **more: Any) -> Settings:
    tcp = socket.SOCK_STREAM
    return Settings(
        state_dir=state,
        sip_port=free_port(socket.SOCK_DGRAM),
        agi_port=free_port(tcp),
        ami_port=free_port(tcp),
        http_port=free_port(tcp),
        max_calls=MAX_CALLS,
        agi_max_calls=MAX_CALLS,
        **RTP,
        **more,
    )


class Target:
    """`number` to dial; `groups`: name → processes, for CPU and memory."""

    def __init__(self, settings: Settings, number: str) -> None:
        self.settings = settings
        self.number = number
        self.address = f"{settings.sip_host}:{settings.sip_port}"

    def groups(self) -> dict[str, list[int]]:
        raise NotImplementedError

    def pids(self) -> list[int]:
        return [pid for pids in self.groups().values() for pid in pids]

    def check_walk(self, path: walks.Path, callers: Collection[int], *, calls: int) -> None:
        """Raises Astray when the calls of these callers did not take it. Native dialplan has one path and no record."""


class Native(Target):
    """Asterisk alone."""

    def __init__(self, settings: Settings, running: asterisk.Asterisk) -> None:
        super().__init__(settings, NATIVE)
        self._asterisk = running

    def groups(self) -> dict[str, list[int]]:
        return {"asterisk": family(self._asterisk.process.pid)}

    @classmethod
    @contextmanager
    def running(cls, settings: Settings, lines: Sequence[str]) -> Iterator["Native"]:
        """`lines`: what the number does, e.g. `Answer()`, in order."""
        running = asterisk.start(settings)
        try:
            # Into the generated file and loaded again: the command line takes lines of 512 characters only.
            steps = "".join(f" same => n,{line}\n" for line in lines[1:])
            with (asterisk.home_dir(settings) / "etc" / "dids.conf").open("a") as file:
                file.write(f"\n[dids]\nexten => {NATIVE},1,{lines[0]}\n{steps}")
            for module in ("app_exec", "app_read"):  # which our own dialplan does without
                running.command(f"module load {module}.so")
            running.command("dialplan reload")
            if lines[-1].split("(")[0] not in running.command(f"dialplan show {NATIVE}@dids"):
                raise RuntimeError("the native dialplan was not loaded")
            yield cls(settings, running)
        finally:
            asterisk.stop(running)


class Service(Target):
    """`prosa run`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, OURS)

    def groups(self) -> dict[str, list[int]]:
        doors = json.loads(status_file(self.settings).read_text())["doors"]
        return {name: family(pid) for name, pid in doors.items()}

    def check_walk(self, path: walks.Path, callers: Collection[int], *, calls: int) -> None:
        walks.check(self.settings.db_url, path, callers, calls=calls)

    @classmethod
    @contextmanager
    def running(cls, settings: Settings, log: Path) -> Iterator["Service"]:
        environment = os.environ | {
            f"PROSA_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in settings.model_dump(exclude_unset=True).items()
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "prosa.main", "run", "--no-first-call"], env=environment, stdout=out, stderr=out
            )
            try:
                _until_ready(process, log)
                yield cls(settings)
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(settings.drain_s + 20)
                process.kill()
                process.wait()


def _until_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while "ready:" not in (text := log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"prosa run is not ready:\n{text}")
        time.sleep(0.1)
