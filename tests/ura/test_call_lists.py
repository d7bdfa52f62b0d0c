"""R46: every call of Asterisk's list is in ours once, and the other way round; what is not is named."""

import csv
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from ura import call_ids, call_lists
from ura.call_lists import Difference
from ura.db import Sessions
from ura.models import Call

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SINCE = NOON - timedelta(days=7)
MANY = 10_000


def line(n: int, *, at: datetime, channel: str = "PJSIP/trunk-0000", note: str = "263270000017") -> list[str]:
    """As cdr_csv writes it."""
    start, end = f"{at:%Y-%m-%d %H:%M:%S}", f"{at + timedelta(seconds=30):%Y-%m-%d %H:%M:%S}"
    number = f"+551198{n:07d}"
    uniqueid = f"prosa0-1795439351.{n}"
    left = ["", number, "h", "flow", f'"" <{number}>', channel, "", "Return", "", start, start, end]
    return [*left, "30", "30", "ANSWERED", "DOCUMENTATION", uniqueid, note]


def call(n: int, *, at: datetime, lasts_s: int = 30) -> dict[str, object]:
    uniqueid = f"prosa0-1795439351.{n}"
    return {
        "id": call_ids.call_id(uniqueid),
        "uniqueid": uniqueid,
        "caller": f"+551198{n:07d}",
        "opened_at": at + timedelta(seconds=0.4),
        "ended_at": at + timedelta(seconds=lasts_s + 0.2),
    }


@pytest.fixture
def written(tmp_path: Path) -> "Lines":
    return Lines(tmp_path / "Master.csv")


class Lines:
    def __init__(self, file: Path) -> None:
        self.file = file

    def write(self, *rows: list[str]) -> None:
        with self.file.open("w", newline="") as out:
            csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)


async def record(sessions: Sessions, *rows: dict[str, object]) -> None:
    async with sessions.begin() as session:
        await session.execute(insert(Call), list(rows))


async def odd(sessions: Sessions, lines: Lines) -> list[tuple[Difference, str]]:
    async with sessions() as session:
        found = await call_lists.compare(session, lines.file, since=SINCE, now=NOON)
    return [(each.what, each.uniqueid.rpartition(".")[2]) for each in found.odd]


async def test_ten_thousand_calls_agree_and_one_taken_out_of_either_is_named(
    sessions: Sessions, written: Lines
) -> None:
    moments = {n: SINCE + timedelta(seconds=60 * n) for n in range(MANY)}
    lines = {n: line(n, at=at) for n, at in moments.items()}
    await record(sessions, *(call(n, at=at) for n, at in moments.items()))
    legs = [line(7, at=moments[7]), line(7, at=moments[7], channel="PJSIP/ramal-101-0001")]
    written.write(*lines.values(), *legs)
    async with sessions() as session:
        found = await call_lists.compare(session, written.file, since=SINCE, now=NOON)
    assert (found.asterisks, found.ours, found.odd, found.unreadable) == (MANY, MANY, [], 0)

    async with sessions.begin() as session:
        await session.execute(delete(Call).where(Call.id == call_ids.call_id("prosa0-1795439351.4711")))
    written.write(*(row for n, row in lines.items() if n != 815))
    assert await odd(sessions, written) == [(Difference.NOT_ASTERISKS, "815"), (Difference.NOT_OURS, "4711")]


async def test_what_is_told_of_a_call_is_enough_to_look_it_up_and_no_whole_number(
    sessions: Sessions, written: Lines
) -> None:
    written.write(line(1, at=NOON - timedelta(hours=1), note="retorno:263270000017"))
    async with sessions() as session:
        [found] = (await call_lists.compare(session, written.file, since=SINCE, now=NOON)).odd
    assert found.what is Difference.TO_CALL_BACK
    assert str(found) == (
        "2026-11-23 11:00:00 UTC  prosa0-1795439351.1 +5511*****0001 263270000017: "
        "only in Asterisk's list, and somebody is to call back"
    )


async def test_a_call_twice_in_our_records_is_one_too_many(sessions: Sessions, written: Lines) -> None:
    at = NOON - timedelta(hours=1)
    written.write(line(1, at=at))
    await record(sessions, call(1, at=at), {**call(1, at=at), "id": "f" * 32})
    assert await odd(sessions, written) == [(Difference.TWICE, "1")]


async def test_what_is_going_on_or_at_the_edge_of_the_time_is_no_difference(sessions: Sessions, written: Lines) -> None:
    """Our moments are fractions of a second apart from Asterisk's, and a record may be on its way."""
    before, just = SINCE - timedelta(seconds=0.2), NOON - timedelta(seconds=80)
    written.write(line(1, at=before), line(2, at=just), line(3, at=SINCE - timedelta(days=9)))
    await record(sessions, call(1, at=before), call(4, at=NOON - timedelta(hours=1), lasts_s=4000))
    assert await odd(sessions, written) == []


async def test_lines_that_nobody_can_read_are_counted(sessions: Sessions, written: Lines) -> None:
    written.write(["", "x"], line(1, at=NOON))
    async with sessions() as session:
        assert (await call_lists.compare(session, written.file, since=SINCE, now=NOON)).unreadable == 1


async def test_no_list_is_an_error_and_not_agreement(sessions: Sessions, tmp_path: Path) -> None:
    async with sessions() as session:
        with pytest.raises(OSError, match="nowhere"):
            await call_lists.compare(session, tmp_path / "nowhere.csv", since=SINCE, now=NOON)


async def test_lists_of_earlier_days_are_read_and_go_after_ninety_days(sessions: Sessions, written: Lines) -> None:
    written.write(line(1, at=NOON - timedelta(minutes=30)))
    os.utime(written.file, (NOON.timestamp(), NOON.timestamp()))
    assert call_lists.put_away(written.file, today=NOON.date(), now=NOON) == 0
    assert not written.file.exists()  # Asterisk begins another with its next call
    [aside] = written.file.parent.glob("*.csv")
    assert await odd(sessions, written) == [(Difference.NOT_OURS, "1")]
    written.write(line(2, at=NOON - timedelta(minutes=20)))
    os.utime(written.file, ((NOON + timedelta(days=10)).timestamp(),) * 2)
    assert call_lists.put_away(written.file, today=NOON.date(), now=NOON) == 0  # once a day
    assert [each for _, each in await odd(sessions, written)] == ["1", "2"]
    later = NOON + timedelta(days=89)
    assert call_lists.put_away(written.file, today=later.date(), now=later) == 0
    assert aside.exists()
    later += timedelta(days=2)
    assert call_lists.put_away(written.file, today=later.date(), now=later) == 1
    assert not aside.exists()
