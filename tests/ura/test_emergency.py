"""The emergency that every caller hears of: begun with one touch, over by itself, and the PIN of a telephone."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.factories import NOON, later
from ura import emergency
from ura.db import Sessions
from ura.errors import BadInput
from ura.models import AuditEntry, EmergencyPin
from ura.prompts import name_key

FOUR_HOURS = timedelta(hours=4)
PIN, WRONG = "4071", "4072"


async def test_it_is_over_by_itself(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        assert await emergency.find_current(session, now=NOON) is None
        await emergency.begin(session, by="ana", now=NOON, lasts=FOUR_HOURS)
    async with sessions() as session:
        for hours, on in ((0, True), (3.99, True), (4, False)):
            found = await emergency.find_current(session, now=later(hours * 3600))
            assert (found is not None) is on, hours
            if found:
                assert (found.prompt_key, found.text, found.to_person) == (emergency.SHIPPED_PROMPT, "", False)


async def test_a_second_one_takes_the_firsts_place_and_it_ends_once(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await emergency.begin(session, by="ana", now=NOON, lasts=FOUR_HOURS)
        said = await emergency.begin(
            session, by="bia", now=later(60), lasts=FOUR_HOURS, text="  Estamos\n sem energia. ", to_person=True
        )
        assert (said.text, said.prompt_key) == ("Estamos sem energia.", name_key("Estamos sem energia."))
    async with sessions.begin() as session:
        found = await emergency.find_current(session, now=later(61))
        assert found is not None
        assert (found.id, found.to_person) == (said.id, True)
        assert await emergency.end(session, by="ana", now=later(70))
        assert not await emergency.end(session, by="ana", now=later(71))
        assert await emergency.find_current(session, now=later(70)) is None
        lines = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [(line.actor, line.action) for line in lines] == [
        ("ana", "emergency.begin"),
        ("bia", "emergency.end"),
        ("bia", "emergency.begin"),
        ("ana", "emergency.end"),
    ]


@pytest.mark.parametrize(
    ("lasts", "text"), [(timedelta(0), ""), (timedelta(hours=25), ""), (FOUR_HOURS, "a" * (emergency.LONGEST_TEXT + 1))]
)
async def test_it_neither_lasts_nor_speaks_for_too_long(sessions: Sessions, lasts: timedelta, text: str) -> None:
    async with sessions.begin() as session:
        with pytest.raises(BadInput):
            await emergency.begin(session, by="ana", now=NOON, lasts=lasts, text=text)
        assert await emergency.find_current(session, now=NOON) is None


async def test_a_pin_is_kept_hashed_and_changed_or_taken_away_by_people(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        assert not await emergency.check_pin(session, PIN, by="ramal 101", now=NOON)  # nobody has set one
        for bad in ("123", "1" * 13, "12a4"):
            with pytest.raises(BadInput):
                await emergency.set_pin(session, bad, by="ana", now=NOON)
        await emergency.set_pin(session, "1111", by="ana", now=NOON)
        await emergency.set_pin(session, PIN, by="ana", now=NOON)
        salt, _, digest = (await session.get_one(EmergencyPin, 1)).hashed.partition(".")
        assert (len(salt), len(digest)) == (32, 128)  # hexadecimal of drawn bytes, in which any four digits may stand
        assert await emergency.check_pin(session, PIN, by="ramal 101", now=NOON)
        for wrong in (WRONG, "1111", "", PIN + "0"):
            assert not await emergency.check_pin(session, wrong, by="ramal 101", now=NOON), wrong
        await emergency.set_pin(session, "", by="ana", now=NOON)
        assert not await emergency.has_pin(session)
        assert not await emergency.check_pin(session, PIN, by="ramal 101", now=NOON)


async def test_after_five_wrong_ones_the_right_one_is_refused_too_for_half_an_hour(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await emergency.set_pin(session, PIN, by="ana", now=NOON)
    for _ in range(emergency.MOST_TRIES - 1):
        async with sessions.begin() as session:
            assert not await emergency.check_pin(session, WRONG, by="ramal 101", now=NOON)
    async with sessions.begin() as session:
        assert await emergency.check_pin(session, PIN, by="ramal 101", now=NOON)  # the right one: counted anew
    for _ in range(emergency.MOST_TRIES):
        async with sessions.begin() as session:
            assert not await emergency.check_pin(session, WRONG, by="ramal 101", now=NOON)
    async with sessions.begin() as session:
        locked_until = NOON + emergency.LOCKED_FOR
        assert not await emergency.check_pin(session, PIN, by="ramal 101", now=locked_until - timedelta(seconds=1))
        assert await emergency.check_pin(session, PIN, by="ramal 101", now=locked_until)
        locked = await session.scalars(select(AuditEntry).where(AuditEntry.action == "emergency.pin-locked"))
        assert [line.actor for line in locked] == ["ramal 101"]
