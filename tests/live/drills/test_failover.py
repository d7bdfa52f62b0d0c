"""PostgreSQL's primary dies beside calls and tickets, and its replica takes over (R39)."""

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from prosa import setup
from tests.bench.rush import missing, open_many
from tests.live.conftest import House, eventually, start_house, stop_house
from tests.live.drills.postgres import Postgres
from tests.live.drills.tools import LANDLINE, complain, tickets_of

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

PER_SECOND, SECONDS = 20, 50
CALLER = "+5519981000039"
KILLED_AFTER_S = 5
# Patroni's defaults: the leader's key in its store lives 30 s (`ttl`). Then a replica takes over.
TTL_S = 30
LONGEST_GAP_S = 45


@pytest.fixture
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary that answers a commit when its replica has it on its disk, and that replica."""
    primary = Postgres()
    try:
        primary.start()
        primary.create("prosa")
        replica = Postgres(follows=primary)
        try:
            replica.start()
            primary.tell("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.tell("SELECT pg_reload_conf()")
            yield primary, replica
        finally:
            replica.remove()
    finally:
        primary.remove()


@pytest.fixture
def house(pair: tuple[Postgres, Postgres], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in pair)
    house = start_house(
        tmp_path_factory.mktemp("pair"),
        database_url=f"postgresql+psycopg://prosa@/prosa?{hosts}",
        api_requests_per_minute=0,
        source_requests_per_minute=0,
        rtp_first_port=44000,
        rtp_last_port=44999,
    )
    yield house
    stop_house(house)


async def test_no_ticket_that_was_told_is_lost_and_callers_notice_nothing(
    house: House, pair: tuple[Postgres, Postgres]
) -> None:
    primary, replica = pair
    assert primary.tell("SELECT sync_state FROM pg_stat_replication") == [("sync",)]
    token = await setup.create_token(house.settings, name="crowd", scopes=["tickets:write", "tickets:read"], days=1)
    address = f"http://{house.settings.http_host}:{house.settings.http_port}"
    crowd = asyncio.create_task(open_many(address, token, SECONDS, per_second=PER_SECOND))
    await asyncio.sleep(KILLED_AFTER_S)
    primary.kill()
    killed_at = time.monotonic()
    async with house.caller() as phone:
        call = await phone.dial(LANDLINE, from_=CALLER)
        await complain(call)
        await call.hang_up()
    assert time.monotonic() - killed_at < TTL_S, "the call was to happen while there is no database"
    await asyncio.sleep(killed_at + TTL_S - time.monotonic())
    replica.tell("SELECT pg_promote()")
    asked = await crowd
    gap_s = max(later - earlier for earlier, later in pairwise(sorted(asked.answered_at)))
    print(f"{len(asked.told)} tickets, {asked.sent_again} sent again, {gap_s:.1f} s without an answer")
    assert len(asked.told) == PER_SECOND * SECONDS
    assert asked.sent_again > 0
    assert TTL_S - 1 < gap_s < LONGEST_GAP_S
    assert await missing(house.settings, asked.told) == (0, 0)

    async def registered() -> bool:
        return await tickets_of(house, [CALLER]) == {CALLER: 1}

    await eventually(registered, timeout_s=20)
    assert not list(house.settings.journal_dir.rglob("*.bad"))
