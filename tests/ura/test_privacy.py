import pytest

from ura import privacy
from ura.privacy import Level, Wish


@pytest.mark.parametrize(
    ("level", "confirmed", "allowed"),
    [
        (Level.PUBLIC, True, set()),
        (Level.NUMBER, False, {Wish.OUTAGE_NEWS, Wish.STREET}),
        (
            Level.NUMBER,
            True,
            {Wish.OUTAGE_NEWS, Wish.STREET, Wish.SUPPORT, Wish.SEND_TO_REGISTERED, Wish.UNLOCK},
        ),
        (Level.DOCUMENT, False, set(Wish) - {Wish.HEAR_AMOUNTS, Wish.HEAR_LINE}),
        (Level.VERIFIED, False, set(Wish)),
    ],
)
def test_who_may_what(level: Level, confirmed: bool, allowed: set[Wish]) -> None:
    assert {wish for wish in Wish if privacy.may(level, wish, confirmed=confirmed)} == allowed


def test_a_forged_number_never_hears_what_is_owed() -> None:
    for wish in (Wish.HEAR_AMOUNTS, Wish.HEAR_LINE):
        assert privacy.level_needed(wish) is Level.VERIFIED
        assert not privacy.may(Level.NUMBER, wish, confirmed=True)
        assert not privacy.may(Level.DOCUMENT, wish, confirmed=True)
