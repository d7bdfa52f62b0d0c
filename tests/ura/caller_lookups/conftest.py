import pytest

from tests.ura.caller_lookups.world import World
from ura.db import Sessions


@pytest.fixture
def world(sessions: Sessions) -> World:
    return World(sessions)
