"""R19 in a call: the provider's system has a name, and the name server takes every question and answers none."""

import socket
import threading
from pathlib import Path

import pytest

from prosa.demo_house import DemoHouse
from tests.contracts.test_names import NAME, NameServer
from tests.fake_erp import FakeErp
from tests.scenarios.story import MONDAY_10H, PROTOCOL, tell
from ura.adapters.erp import GuardedErp
from ura.adapters.erp.http import ErpHttp
from ura.adapters.erp.sgp import Sgp
from ura.db import Sessions
from ura.flows import conduct
from ura.settings import Settings

CELIA = "+5511955550103"
SECOND_COPY = "3,1"
FILLER_AFTER_S, GIVE_UP_S = 0.1, 1.0  # as a call has them, ten times as fast
# Each question that is given up keeps a thread of this loop, which has few; the phone door's loop asks names elsewhere.
FAILURES = 2
WAITING = {"system.one_moment", "system.still_looking"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_name_that_nobody_resolves_is_a_system_that_is_down_after_a_word_and_the_wish_is_kept(
    sessions: Sessions, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = MONDAY_10H.replace(tzinfo=settings.zone)
    refused = DemoHouse(sessions, settings, now, erp=FakeErp(down=True))
    await refused.move_in()
    down = await tell(SECOND_COPY, tmp_path / "down", caller=CELIA, house=refused)
    down.hears("identify.failed", "billing.mine", "noted.done")

    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    monkeypatch.setattr(conduct, "FILLER_AFTER_S", FILLER_AFTER_S)
    http = ErpHttp(f"https://{NAME}", deadline_s=GIVE_UP_S)
    erp = GuardedErp(Sgp(http, token="t", app="a", zone=settings.zone), deadline_s=GIVE_UP_S, failures=FAILURES)
    house = DemoHouse(sessions, settings, now, erp=erp)
    try:
        told = await tell(SECOND_COPY, tmp_path / "away", caller=CELIA, house=house, call_id="b" * 32)
        assert not server.released.is_set()
    finally:
        server.released.set()
        await erp.close()

    told.hears("system.one_moment", "identify.failed")
    assert [key for key in told.heard if key not in WAITING] == down.heard
    (ticket,) = told.stored("ticket_opened")
    assert (ticket["phone"], ticket["protocol"], ticket["category"]) == (CELIA, PROTOCOL, "billing")
    assert set(server.asked) == {NAME}
    assert threading.get_ident() not in server.in_threads
