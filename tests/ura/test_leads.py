import itertools

import pytest
from sqlalchemy import select

from tests.factories import NOON, call_closed, call_opened, later, lead_saved, make_id, make_record, ticket_opened
from ura import leads
from ura.db import Sessions
from ura.leads import LeadFilter, LeadNotFound
from ura.models import Audience, LeadStatus, WaitingListEntry
from ura.projection import apply, apply_batch


async def test_a_wish_told_in_parts_is_one_lead_whatever_order_the_parts_arrive_in(sessions: Sessions) -> None:
    ids = []
    for order in itertools.permutations(range(3)):
        lead_id = make_id()
        ids.append(lead_id)
        parts = [
            lead_saved(lead_id, "new", at=NOON, audience="home", city_id=1, call_id="c" * 32),
            lead_saved(lead_id, "interested", at=later(10), neighbourhood_id=5, plan_id=2),
            lead_saved(lead_id, "abandoned", at=later(20), phone="", wants_message=True, plan_id=3),
        ]
        async with sessions.begin() as session:
            for index in (*order, order[0]):
                await apply(session, parts[index])
    async with sessions() as session:
        for lead_id in ids:
            lead = await leads.get_lead(session, lead_id)
            assert (lead.audience, lead.city_id, lead.neighbourhood_id) == (Audience.HOME, 1, 5)
            assert (lead.plan_id, lead.status, lead.wants_message) == (3, LeadStatus.ABANDONED, True)
            assert (lead.phone, lead.call_id) == ("+5511987654321", "c" * 32)
            assert (lead.created_at, lead.updated_at) == (NOON, later(20))


async def test_leads_are_listed_newest_first_and_filtered(sessions: Sessions) -> None:
    old, new = make_id(), make_id()
    async with sessions.begin() as session:
        await apply_batch(
            session,
            [
                lead_saved(old, "abandoned", at=NOON, neighbourhood_id=5),
                lead_saved(new, "new", at=later(60), phone="+551133330009", call_id="c" * 32),
            ],
        )
    async with sessions() as session:

        async def ids(**wanted: object) -> list[str]:
            return [lead.id for lead in (await leads.list_leads(session, filters=LeadFilter(**wanted))).items]

        assert await ids() == [new, old]
        assert await ids(status=LeadStatus.ABANDONED, neighbourhood_id=5) == [old]
        assert await ids(phone="+551133330009", call_id="c" * 32) == [new]
        assert await ids(created_from=later(30)) == [new]
        assert await ids(created_before=later(30)) == [old]


HUNG_UP_IN_QUEUE = [("queue", "agi"), ("abandoned", "ami")]
SALES = {  # how the call ended (outcome, by whom), the lead, what else there is, and what the lead is afterwards
    "the process died": ([("dropped", "ami")], "interested", "", "abandoned"),
    "died at once": ([("dropped", "ami")], "new", "", "abandoned"),
    "hung up in the queue": (HUNG_UP_IN_QUEUE, "forwarded", "", "abandoned"),
    "answered": (HUNG_UP_IN_QUEUE, "forwarded", "call_answered", "forwarded"),
    "hung up in the queue, callback agreed": (HUNG_UP_IN_QUEUE, "forwarded", "callback_requested", "forwarded"),
    "hung up in the queue, ticket open": (HUNG_UP_IN_QUEUE, "forwarded", "ticket_opened", "forwarded"),
    "a callback, then the end": ([("done", "agi")], "forwarded", "", "forwarded"),
    "still in the queue": ([("queue", "agi")], "forwarded", "", "forwarded"),
    "still talking to us": ([], "interested", "", "interested"),
    "sent": ([("dropped", "ami")], "proposal", "", "proposal"),
    "informed": ([("abandoned", "ami")], "informed", "", "informed"),
    "waiting": ([("dropped", "ami")], "waiting", "", "waiting"),
}


@pytest.mark.parametrize("story", SALES)
async def test_a_call_that_is_over_leaves_no_sale_open(sessions: Sessions, story: str) -> None:
    ends, status, more, becomes = SALES[story]
    call_id, lead_id = make_id(), make_id()
    records = [call_opened(call_id), lead_saved(lead_id, status, at=later(10), call_id=call_id)]
    records += [call_closed(call_id, outcome, at=later(20), by=by) for outcome, by in ends]
    match more:
        case "call_answered":
            records.append(make_record(more, call_id=call_id, attendant="Ana", at=later(15)))
        case "callback_requested":
            data = {"callback_id": make_id(), "phone": "+5511987654321", "queue": "vendas", "not_before": None}
            records.append(make_record(more, call_id=call_id, at=later(15), **data))
        case "ticket_opened":
            records.append(ticket_opened(make_id(), at=later(15), call_id=call_id))
    async with sessions.begin() as session:
        await apply_batch(session, records)
    async with sessions.begin() as session:
        assert await leads.close_left_open(session, now=later(60)) == 0  # records may still be on their way
    async with sessions.begin() as session:
        assert await leads.close_left_open(session, now=later(300)) == int(status != becomes)
        assert await leads.close_left_open(session, now=later(300)) == 0
    async with sessions() as session:
        assert (await leads.get_lead(session, lead_id)).status == becomes


async def test_a_record_that_comes_late_has_the_last_word(sessions: Sessions) -> None:
    call_id, lead_id = make_id(), make_id()
    async with sessions.begin() as session:
        await apply_batch(
            session,
            [
                call_opened(call_id),
                lead_saved(lead_id, "interested", at=later(10), call_id=call_id),
                call_closed(call_id, "dropped", at=later(20), by="ami"),
            ],
        )
        assert await leads.close_left_open(session, now=later(300)) == 1
        await apply(session, lead_saved(lead_id, "proposal", at=later(15), call_id=call_id))
    async with sessions() as session:
        assert (await leads.get_lead(session, lead_id)).status is LeadStatus.PROPOSAL


async def test_the_waiting_list_keeps_the_order_of_asking(sessions: Sessions) -> None:
    records = [
        make_record(
            "waiting_list_joined", entry_id=name * 32, call_id=None, phone=name, neighbourhood_id=7, at=later(delay)
        )
        for name, delay in (("b", 20), ("a", 10))
    ]
    async with sessions.begin() as session:
        await apply_batch(session, [*records, *records])
    async with sessions() as session:
        by_asking = select(WaitingListEntry.phone, WaitingListEntry.neighbourhood_id)
        waiting = (await session.execute(by_asking.order_by(WaitingListEntry.created_at))).all()
        assert waiting == [("a", 7), ("b", 7)]


async def test_an_unknown_lead_is_said_to_be_unknown(sessions: Sessions) -> None:
    async with sessions() as session:
        with pytest.raises(LeadNotFound):
            await leads.get_lead(session, "nobody")
