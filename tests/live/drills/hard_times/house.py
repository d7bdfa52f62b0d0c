"""A house in hard times: what it runs on, and what can be done to it.

It runs in a mount namespace of its own, with its own /etc/hosts and /etc/resolv.conf, a small journal disk and a copy
of the prompts. PostgreSQL is reached by a name, and besides /etc/hosts there is only a name server that never answers.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live.conftest import House, start_house, stop_house
from tests.live.drills.postgres import Postgres
from ura.settings import ROOT, Settings

DATABASE_NAME, NAME_SERVER = "banco.prosa.test", "127.0.0.253"
JOURNAL_BYTES = 1 << 20
MAX_CALLS = 40
DAMAGED = "identify.how"  # its audio is a screech from the beginning
EMPTY_FOR_ASTERISK = "system.corporate"  # and this one, which Asterisk says without us, is empty
LAUNCH = """
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/audio" "$2/prompts/audio"
mkdir -p "$3/journal"
mount -t tmpfs -o "size=$4,mode=2775" tmpfs "$3/journal"
shift 4
exec "$@"
"""


@dataclass
class HardTimes:
    house: House
    postgres: Postgres
    folder: Path

    @property
    def settings(self) -> Settings:
        return self.house.settings

    @property
    def journal(self) -> Path:
        """The journal folder as the house sees it."""
        return Path(f"/proc/{self.house.process.pid}/root{self.settings.journal_dir.resolve()}")

    def prompt(self, key: str) -> Path:
        return _prompt(self.folder, key)

    def resolve_database(self, *, yes: bool) -> None:
        _write_hosts(self.folder, database=yes)

    @contextmanager
    def read_only_journal(self) -> Iterator[None]:
        """For whoever opens it now. What is open stays open, and is seen again afterwards."""
        inside = ("nsenter", f"--mount=/proc/{self.house.process.pid}/ns/mnt")
        folder = str(self.settings.journal_dir.resolve())
        subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=True)
        try:
            yield
        finally:
            subprocess.run([*inside, "umount", "--lazy", folder], check=True)

    def told(self, door: str, words: str, since: int = 0) -> list[str]:
        """Lines of a door's log, from that character on."""
        return [line for line in self.house.log(door)[since:].splitlines() if words in line]


def _prompt(folder: Path, key: str) -> Path:
    return folder / "audio" / f"{key.replace('.', '/')}.alaw"


def _write_hosts(folder: Path, *, database: bool) -> None:
    lines = [f"127.0.0.1 localhost {socket.gethostname()}", *([f"127.0.0.1 {DATABASE_NAME}"] if database else [])]
    (folder / "hosts").write_text("\n".join(lines) + "\n")


@contextmanager
def black_hole() -> Iterator[None]:
    """A name server that takes every question and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((NAME_SERVER, 53))
        yield


@contextmanager
def hard_times(folder: Path) -> Iterator[HardTimes]:
    postgres = Postgres()
    try:
        postgres.start()
        postgres.create("prosa")
        (folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\noptions timeout:3 attempts:1\n")
        _write_hosts(folder, database=True)
        shutil.copytree(ROOT / "prompts/audio", folder / "audio")
        voice = _prompt(folder, DAMAGED)
        voice.write_bytes(voice.read_bytes()[::-1])  # the right length
        _prompt(folder, EMPTY_FOR_ASTERISK).write_bytes(b"")
        state = folder / "state"
        url = "postgresql+psycopg://prosa@{}:" + f"{postgres.port}/prosa"
        house = start_house(
            state,
            launcher=[
                *("unshare", "--mount", "--propagation", "private", "/bin/sh", "-euc", LAUNCH, "sh"),
                *(str(folder), str(ROOT), str(state), str(JOURNAL_BYTES)),
            ],
            database_url=url.format(DATABASE_NAME),
            max_calls=MAX_CALLS,
            tts_engines="gtts",
            sms_url="http://sms.prosa.test/send",
            rtp_first_port=46000,
            rtp_last_port=46999,
        )
        house.settings = house.settings.model_copy(update={"database_url": url.format("127.0.0.1")})
        try:
            yield HardTimes(house, postgres, folder)
        finally:
            stop_house(house)
    finally:
        postgres.remove()
