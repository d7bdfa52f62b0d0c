"""By the clock: the worker goes on where a door stopped."""

from tests.factories import later
from tests.ura.test_incidents import HOUR, closed, contract, counted, many, of, opened, outbox_of
from tests.ura.test_outages import MOBILE, heard, rang
from ura.db import Sessions
from ura.erp import SendChannel
from ura.incident_tickets import BATCH
from ura.incidents import Counts
from ura.models import TicketStatus
from ura.outages import Scope
from worker.incidents import Incidents


async def test_what_a_door_began_the_worker_ends(sessions: Sessions) -> None:
    ids = await many(sessions, BATCH + 2, contract_ref=await contract(sessions, cto="CTO-1"))
    incident_id = await opened(sessions, Scope(cto="CTO-1"))
    assert (await counted(sessions, incident_id)).tickets == BATCH  # with the answer; the rest within seconds
    work = Incidents(sessions, by=SendChannel.SMS)
    await work.turn(later(70))
    assert (await counted(sessions, incident_id)).tickets == BATCH + 2
    await rang(sessions, [heard(incident_id, MOBILE, wants_news=True)])
    assert await closed(sessions, incident_id, seconds=HOUR) == 1
    assert (await counted(sessions, incident_id)).untold == 1
    await work.turn(later(HOUR + 10))
    await work.turn(later(HOUR + 20))
    assert await counted(sessions, incident_id) == Counts(closed=BATCH + 2, calls=1, waiting=1)
    assert (await of(sessions, ids[-1])).status is TicketStatus.CLOSED
    assert [to for to, _ in await outbox_of(sessions, "outage_fixed")] == [MOBILE]
