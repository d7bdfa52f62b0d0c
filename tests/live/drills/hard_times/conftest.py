from collections.abc import AsyncIterator, Iterator

import pytest

from prosa.caller import Caller
from tests.live.drills.hard_times.house import HardTimes, black_hole, hard_times
from tests.live.drills.tools import no_channels


@pytest.fixture(scope="package")
def times(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardTimes]:
    """One house for all drills of this folder."""
    with black_hole(), hard_times(tmp_path_factory.mktemp("hard")) as times:
        yield times


@pytest.fixture
async def caller(times: HardTimes) -> AsyncIterator[Caller]:
    async with times.house.caller() as phone:
        yield phone
    await no_channels(times.house)
