"""The helpdesk's caller list: what reached people, in its order, and nothing that is no news any more."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import pytest

from tests.factories import NOON, call_closed, call_opened, later, make_id, make_record
from tests.http_gateway import HttpGateway
from ura import webhooks
from ura.adapters import outbound_http
from ura.adapters.cti import CtiPush
from ura.adapters.outbound_http import Reach
from ura.db import Sessions
from ura.gateways import NeverTaken, TryLater
from ura.journal import Record
from ura.models import Attendant
from ura.projection import apply_batch
from worker.cti import LATE, CtiNews


class Helpdesk:
    """`failing`: so many tries fail; "never": a 4xx."""

    def __init__(self, failing: int = 0, never: bool = False) -> None:
        self.tries = 0
        self.told: list[Mapping[str, str]] = []
        self._failing = failing
        self._never = never

    async def __call__(self, fields: Mapping[str, str]) -> None:
        self.tries += 1
        if self._never:
            raise NeverTaken("HTTP 422")
        if self.tries <= self._failing:
            raise TryLater("ConnectError")
        self.told.append(fields)


async def happen(sessions: Sessions, *records: Record) -> None:
    async with sessions.begin() as session:
        await apply_batch(session, records)
    async with sessions.begin() as session:
        await webhooks.spread(session, now=NOON)


async def news(sessions: Sessions, helpdesk: Helpdesk, now: datetime = NOON) -> CtiNews:
    made = CtiNews(sessions, helpdesk, now=lambda: now, pauses_s=(0.0, 0.0))
    await made.look()
    return made


def waits(call_id: str, queue: str = "l1", seconds: float = 1) -> Record:
    return make_record("call_queued", call_id=call_id, queue=queue, at=later(seconds))


async def test_a_call_is_new_answered_and_over_and_a_call_that_nobody_waited_in_is_none(sessions: Sessions) -> None:
    helpdesk, call_id, settled = Helpdesk(), make_id(), make_id()
    async with sessions.begin() as session:
        session.add(Attendant(name="Ana", extension="101"))
    followed = await news(sessions, helpdesk)
    await happen(sessions, call_opened(call_id), waits(call_id), call_opened(settled), call_closed(settled))
    await happen(sessions, waits(call_id, "l2", 5))  # another queue is no other call
    await followed.look()
    await happen(sessions, make_record("call_answered", call_id=call_id, attendant="101", at=later(9)))
    await happen(sessions, call_closed(call_id, at=later(99), by="ami"))
    await followed.look()
    await followed.told()
    about = {"callId": call_id, "direction": "in", "from": "5511987654321", "to": "551133330001"}
    assert helpdesk.told == [
        {"event": "newCall", **about, "queue": "l2"},
        {"event": "answer", **about, "answeringNumber": "101", "user": "Ana"},
        {"event": "hangup", **about, "cause": "normalClearing"},
    ]


async def test_who_hides_the_number_and_gives_up_waiting_is_told_so(sessions: Sessions) -> None:
    helpdesk, call_id = Helpdesk(failing=2), make_id()
    followed = await news(sessions, helpdesk)
    await happen(sessions, call_opened(call_id, caller=""), waits(call_id))
    await happen(sessions, call_closed(call_id, "abandoned", at=later(60), by="ami"))
    await followed.look()
    await followed.told()
    assert [(each["event"], each["from"]) for each in helpdesk.told] == [
        ("newCall", "anonymous"),
        ("hangup", "anonymous"),
    ]
    assert helpdesk.told[1]["cause"] == "cancel"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_it_is_tried_three_times_or_once_when_the_answer_is_no(sessions: Sessions) -> None:
    for helpdesk, tries in ((Helpdesk(failing=99), 3), (Helpdesk(never=True), 1)):
        followed, call_id = await news(sessions, helpdesk), make_id()
        await happen(sessions, call_opened(call_id), waits(call_id))
        await followed.look()
        await followed.told()
        assert (helpdesk.tries, helpdesk.told) == (tries, [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_happened_before_the_start_or_comes_late_is_no_news(sessions: Sessions) -> None:
    helpdesk, before, late = Helpdesk(), make_id(), make_id()
    await happen(sessions, call_opened(before), waits(before))
    followed = await news(sessions, helpdesk, now=NOON + LATE + timedelta(seconds=2))
    await happen(sessions, call_closed(before, at=later(90), by="ami"), call_opened(late), waits(late))
    await followed.look()
    await followed.told()
    assert helpdesk.tries == 0


async def test_it_goes_out_as_a_form() -> None:
    gateway = HttpGateway()
    async with outbound_http.client(Reach(inside=True)) as client:
        push = CtiPush(client, f"{gateway.url}/api/v1/cti/token")
        await push({"event": "newCall", "from": "5511987654321", "callId": "c"})
        gateway.says(422)
        with pytest.raises(NeverTaken):
            await push({"event": "newCall"})
    gateway.close()
    asked = gateway.asked[0]
    assert asked.path == "/api/v1/cti/token"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode()) == {"event": ["newCall"], "from": ["5511987654321"], "callId": ["c"]}
