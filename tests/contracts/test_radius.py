"""Against the real FreeRADIUS: who is dialled in, of whom nobody is sure, and how a session is ended."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tests.conftest import free_port
from tests.radius import GONE, SECRET, STUBBORN, Nas, freeradius, mariadb
from ura.adapters.accounting import RadiusAccounting
from ura.adapters.radius import RadiusReset
from ura.erp import Access, Answer, Connection, Contract, ContractStatus, ErpUnavailable, SessionState, Unsupported

INTERIM_S = 300
_logins = count(1)


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def radius(request: pytest.FixtureRequest) -> Iterator[tuple[Nas, str]]:
    """The NAS's side, and the address of the accounting."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            request.getfixturevalue("postgres_template")("CREATE DATABASE radius")
            port = int(request.getfixturevalue("postgres_server").rpartition(":")[2])
            nas = stack.enter_context(freeradius("postgresql", port, "prosa", "radius"))
            yield nas, f"postgresql+psycopg://prosa@127.0.0.1:{port}/radius"
        else:
            port = stack.enter_context(mariadb())
            nas = stack.enter_context(freeradius("mysql", port, "root", "radius"))
            yield nas, f"mysql+aiomysql://root@127.0.0.1:{port}/radius"


@pytest.fixture
async def accounting(radius: tuple[Nas, str]) -> AsyncIterator[RadiusAccounting]:
    accounting = RadiusAccounting(radius[1], interim_s=INTERIM_S)
    yield accounting
    await accounting.close()


@pytest.fixture
def nas(radius: tuple[Nas, str]) -> Nas:
    return radius[0]


@pytest.fixture
def login() -> str:
    return f"casa{next(_logins)}"


def line(login: str) -> Contract:
    return Contract("7", "1", "1007", ContractStatus.ACTIVE, access=Access(login=login))


async def state(accounting: RadiusAccounting, login: str) -> Connection:
    answer = await accounting.connection(line(login))
    assert isinstance(answer, Answer)
    assert answer.source == "radius"
    return answer.value


def ago(seconds: float) -> float:
    return int(time.time()) - seconds


def moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


async def test_a_session_that_the_nas_told_of_lately_is_online_since_its_start(
    accounting: RadiusAccounting, nas: Nas, login: str
) -> None:
    began, heard = ago(3600), ago(20)
    nas.tell("Start", login, "s1", began)
    nas.tell("Interim-Update", login, "s1", heard)
    answer = await accounting.connection(line(login))
    assert answer == Answer(Connection(SessionState.ONLINE, moment(began)), "radius", moment(heard))


async def test_a_session_that_has_ended_is_offline_since_then(
    accounting: RadiusAccounting, nas: Nas, login: str
) -> None:
    nas.tell("Start", login, "s1", ago(3600))
    nas.tell("Stop", login, "s1", ago(600))
    found = await state(accounting, login)
    assert found.state is SessionState.OFFLINE
    assert found.since is not None
    assert abs(found.since - moment(ago(600))) < timedelta(seconds=5)


async def test_a_session_of_which_nobody_has_told_for_long_is_unknown_and_not_online(
    accounting: RadiusAccounting, nas: Nas, login: str
) -> None:
    nas.tell("Start", login, "s1", ago(7200))
    nas.tell("Interim-Update", login, "s1", ago(3 * INTERIM_S * 4))
    assert (await state(accounting, login)).state is SessionState.UNKNOWN


async def test_the_newest_session_counts_though_an_older_one_was_never_closed(
    accounting: RadiusAccounting, nas: Nas, login: str
) -> None:
    nas.tell("Start", login, "lost-stop", ago(90_000))
    nas.tell("Start", login, "s2", ago(100))
    assert (await state(accounting, login)).state is SessionState.ONLINE
    nas.tell("Stop", login, "s2", ago(10))
    assert (await state(accounting, login)).state is SessionState.OFFLINE


async def test_a_login_that_was_never_seen_is_unknown_and_one_without_is_not_asked(
    accounting: RadiusAccounting, login: str
) -> None:
    assert (await state(accounting, login)).state is SessionState.UNKNOWN
    assert (await state(accounting, "x' OR '1'='1")).state is SessionState.UNKNOWN
    assert isinstance(await accounting.connection(line("")), Unsupported)


async def test_an_accounting_that_is_away_is_unavailable_and_never_offline() -> None:
    for url in ("postgresql+psycopg://u@127.0.0.1:{}/radius", "mysql+aiomysql://u@127.0.0.1:{}/radius"):
        away = RadiusAccounting(url.format(free_port()))
        with pytest.raises(ErpUnavailable) as refused:
            await away.connection(line("casa1"))
        assert "127.0.0.1" not in refused.value.message
        await away.close()


async def test_a_session_is_ended_at_the_nas(accounting: RadiusAccounting, nas: Nas, login: str) -> None:
    reset = RadiusReset(accounting, secret=SECRET, port=nas.coa_port)
    answer = await reset.reset(line(login), key="k")
    assert isinstance(answer, Answer)
    assert answer.value is False  # nobody is dialled in
    nas.tell("Start", login, "s1", ago(60))
    answer = await reset.reset(line(login), key="k")
    assert isinstance(answer, Answer)
    assert answer.value is True
    assert isinstance(await reset.reset(line(""), key="k"), Unsupported)


@pytest.mark.parametrize(("session", "ended"), [(GONE, True), (STUBBORN, False)])
async def test_a_session_that_is_gone_already_is_what_was_wanted_and_a_refusal_is_told(
    accounting: RadiusAccounting, nas: Nas, login: str, session: str, ended: bool
) -> None:
    nas.tell("Start", login, session, ago(60))
    answer = await RadiusReset(accounting, secret=SECRET, port=nas.coa_port).reset(line(login), key="k")
    assert isinstance(answer, Answer)
    assert answer.value is ended


@pytest.mark.parametrize("fault", ["wrong secret", "nobody there"])
async def test_a_nas_that_does_not_answer_may_have_done_it(
    accounting: RadiusAccounting, nas: Nas, login: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ura.adapters.radius.TRY_S", 0.1)
    nas.tell("Start", login, "s1", ago(60))
    wrong = {"wrong secret": ("outro", nas.coa_port), "nobody there": (SECRET, free_port())}
    secret, port = wrong[fault]
    with pytest.raises(ErpUnavailable) as refused:
        await RadiusReset(accounting, secret=secret, port=port).reset(line(login), key="k")
    assert refused.value.maybe_done
