"""What `prosa run` does while it runs, with Asterisk's half played by a list."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prosa import asterisk as asterisks
from prosa import run
from prosa.asterisk import AsteriskError, Attendant, Did
from prosa.run import _Telephone
from prosa.setup import Prepared, prepare, read_numbers
from ura.db import make_engine, make_sessions
from ura.models import Attendant as AttendantRow
from ura.settings import Settings

OLD, NEW = [Did("551133330001", "landline")], [Did("551133330002", "landline")]
PHONES = [Attendant("101", ("l1",))]


class Played:
    """prosa.asterisk, as far as the telephone asks it; `fails` are the functions that raise."""

    def __init__(self) -> None:
        self.did: list[tuple[str, Any]] = []
        self.fails: set[str] = set()

    def start(self, settings: Settings, *, dids: list[Did], attendants: list[Attendant]) -> Any:
        self.did.append(("start", dids))
        return SimpleNamespace(process=subprocess.Popen(["/bin/true"], start_new_session=True))

    def rewrite(self, running: Any, settings: Settings, *, dids: list[Did], attendants: list[Attendant]) -> None:
        self._do("rewrite", dids)

    def reload(self, running: Any) -> None:
        self._do("reload", None)

    def _do(self, name: str, what: Any) -> None:
        if name in self.fails:
            raise AsteriskError(name)
        self.did.append((name, what))


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    played = Played()
    for name in ("start", "rewrite", "reload"):
        monkeypatch.setattr(asterisks, name, getattr(played, name))
    return played


@pytest.fixture
def phone(played: Played, tmp_path: Path) -> Iterator[_Telephone]:
    phone = _Telephone(Settings(state_dir=tmp_path), Prepared(OLD, PHONES, "", ""))
    phone.spawn().wait()
    played.did.clear()
    yield phone
    phone.forget()


def test_numbers_that_have_changed_are_read_at_once_and_by_the_next_start(played: Played, phone: _Telephone) -> None:
    assert not phone.renumber(list(OLD), list(PHONES))
    assert phone.renumber(NEW, PHONES)
    assert not phone.renumber(list(NEW), list(PHONES))
    phone.spawn().wait()
    assert played.did == [("rewrite", NEW), ("reload", None), ("start", NEW)]


def test_asterisk_that_does_not_answer_is_asked_again(played: Played, phone: _Telephone) -> None:
    played.fails = {"reload"}
    with pytest.raises(AsteriskError):
        phone.renumber(NEW, PHONES)
    played.fails = set()
    assert phone.renumber(NEW, PHONES)
    assert played.did == [("rewrite", NEW), ("reload", None)]


def test_a_number_that_is_none_changes_nothing(played: Played, phone: _Telephone) -> None:
    played.fails = {"rewrite"}
    with pytest.raises(AsteriskError):
        phone.renumber(NEW, PHONES)
    phone.spawn().wait()
    assert played.did == [("start", OLD)]


async def test_the_database_is_looked_at_again_and_again_also_when_it_was_away(
    played: Played, phone: _Telephone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [OSError("away"), (OLD, PHONES), (NEW, PHONES)]
    told = asyncio.Queue[str]()

    async def read(_: Settings) -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(run, "read_numbers", read)
    monkeypatch.setattr(run, "NUMBERS_EVERY_S", 0)
    following = asyncio.create_task(run._follow_numbers(Settings(state_dir=tmp_path), phone, told.put_nowait))
    assert (await told.get()).startswith("numbers have changed")
    following.cancel()
    assert played.did == [("rewrite", NEW), ("reload", None)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_read_while_we_run_is_what_was_read_at_the_start(settings: Settings) -> None:
    """Else each look would find something new, and Asterisk would reload for nothing."""
    prepared = await prepare(settings, lambda _: nullcontext([]))
    assert await read_numbers(settings) == (prepared.dids, prepared.attendants)
    asterisks.home_dir(settings).mkdir(parents=True)
    asterisks.remember(settings, prepared.dids, prepared.attendants)
    dids, attendants = asterisks.remembered(settings)
    assert (list(dids), list(attendants)) == (prepared.dids, prepared.attendants)
    engine = make_engine(settings.db_url)
    async with make_sessions(engine).begin() as session:
        session.add(AttendantRow(extension="309", name="Ana", queues=["l1"]))
    await engine.dispose()
    assert Attendant("309", ("l1",)) in (await read_numbers(settings))[1]
