import pytest

from tests.ura.caller_lookups.world import World
from ura.caller_lookups import arrival
from ura.db import Sessions


@pytest.fixture
def world(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> World:
    """Here time passes when somebody waits; how long this machine takes for a look at its database is nobody's
    story."""
    monkeypatch.setattr(arrival, "STANDING_WITHIN_S", 60.0)
    monkeypatch.setattr(arrival, "ARRIVAL_WITHIN_S", 60.0)
    return World(sessions)
