"""A sale goes on after the call: one lead a caller, a next action with a date, and steps that people take."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from tests.factories import NOON, call_closed, call_opened, later, lead_saved, make_city, make_id, make_neighbourhood
from ura import funnel, leads
from ura.db import Sessions
from ura.funnel import LeadChange
from ura.leads import LeadFilter
from ura.models import BusinessHours, Coverage, Lead, LeadSource, LeadStatus, LostReason, Queue
from ura.projection import apply_batch
from ura.settings import Settings

ANA = "+5511987654321"
LANDLINE = "551133330001"
MONDAY_NOON = NOON  # 23 November 2026, 15:00 UTC: noon in São Paulo
SATURDAY_EVENING = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)
MONDAY_AT_EIGHT = datetime(2026, 11, 30, 11, 0, tzinfo=UTC)
SOON = timedelta(minutes=5)
IN_90_DAYS = datetime(2027, 2, 22, 11, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def house(sessions: Sessions) -> None:
    """Sales are there from eight to six, on Saturdays until noon."""
    async with sessions.begin() as session:
        session.add(Queue(key="vendas", title="Vendas", business_hours="comercial"))
        for weekday in range(6):
            closes = time(12) if weekday == 5 else time(18)
            session.add(BusinessHours(timetable="comercial", weekday=weekday, opens=time(8), closes=closes))


async def called(sessions: Sessions, *told: str, at: datetime = NOON, phone: str = ANA, **data: object) -> str:
    """A call that is over, in which the lead got these statuses, one after the other. Returns the lead's id."""
    call_id, lead_id = make_id(), make_id()
    records = [call_opened(call_id, at=at, did=LANDLINE, caller=phone)]
    for place, status in enumerate(told):
        moment = at + timedelta(seconds=10 * (place + 1))
        records.append(lead_saved(lead_id, status, at=moment, call_id=call_id, phone=phone, **data))
    records.append(call_closed(call_id, at=at + timedelta(minutes=1)))
    async with sessions.begin() as session:
        await apply_batch(session, records)
    return lead_id


async def settled(sessions: Sessions, settings: Settings, now: datetime) -> int:
    async with sessions.begin() as session:
        await leads.close_left_open(session, now=now)
        return await funnel.settle(session, now=now, zone=settings.zone, state_uf=settings.state_uf)


async def get(sessions: Sessions, lead_id: str) -> Lead:
    async with sessions() as session:
        return await leads.get_lead(session, lead_id)


async def change(sessions: Sessions, lead_id: str, now: datetime = NOON + SOON, **wanted: object) -> list[str]:
    async with sessions.begin() as session:
        return await funnel.change_lead(session, lead_id, LeadChange(**wanted), now=now)  # type: ignore[arg-type]  # each test names fields of LeadChange


# -- what calls leave ------------------------------------------------------------------------------------------------

LEFT = {
    "in hours: now": ("proposal", MONDAY_NOON, MONDAY_NOON + SOON),
    "hung up, out of hours: when sales opens": ("interested", SATURDAY_EVENING, MONDAY_AT_EIGHT),
    "informed": ("informed", SATURDAY_EVENING, MONDAY_AT_EIGHT),
    "not covered, and does not wait: nothing": ("not_covered", MONDAY_NOON, None),
}


@pytest.mark.parametrize("story", LEFT)
async def test_what_a_call_leaves_is_due_when_sales_opens_next(
    sessions: Sessions, settings: Settings, story: str
) -> None:
    status, at, due = LEFT[story]
    lead_id = await called(sessions, status, at=at)
    for _ in range(2):
        await settled(sessions, settings, at + SOON)
        lead = await get(sessions, lead_id)
        assert lead.next_action_at == due
        assert (lead.source, lead.source_ref) == (LeadSource.PHONE, LANDLINE if due else "")


async def test_a_call_that_goes_on_is_left_alone(sessions: Sessions, settings: Settings) -> None:
    call_id, lead_id = make_id(), make_id()
    async with sessions.begin() as session:
        await apply_batch(session, [call_opened(call_id), lead_saved(lead_id, "informed", call_id=call_id)])
    assert await settled(sessions, settings, later(7200)) == 0
    async with sessions.begin() as session:
        await apply_batch(session, [lead_saved(make_id(), "informed", call_id=make_id(), phone="")])
    assert await settled(sessions, settings, later(60)) == 0
    assert await settled(sessions, settings, later(7200)) == 1  # its call was never written down


FORECASTS = {
    "with a forecast: that morning": (date(2027, 3, 1), datetime(2027, 3, 1, 11, 0, tzinfo=UTC)),
    "a forecast that has passed: in 90 days": (date(2026, 3, 1), IN_90_DAYS),
    "without one: in 90 days": (None, IN_90_DAYS),
}


@pytest.mark.parametrize("story", FORECASTS)
async def test_who_waits_for_a_neighbourhood_is_looked_at_when_it_may_be_covered(
    sessions: Sessions, settings: Settings, story: str
) -> None:
    """The 90th day is a Sunday: sales opens on the next morning."""
    forecast, due = FORECASTS[story]
    async with sessions.begin() as session:
        values = {"status": Coverage.PLANNED, "forecast_on": forecast}
        place = await make_neighbourhood(session, await make_city(session), "Vila Longe", **values)
    lead_id = await called(sessions, "waiting", neighbourhood_id=place.id)
    await settled(sessions, settings, MONDAY_NOON + SOON)
    assert (await get(sessions, lead_id)).next_action_at == due


# -- one lead a caller -----------------------------------------------------------------------------------------------


async def test_who_presses_send_me_this_twice_has_one_lead(sessions: Sessions, settings: Settings) -> None:
    lead_id = await called(sessions, "interested", "proposal", "proposal", wants_message=True)
    await settled(sessions, settings, NOON + SOON)
    async with sessions() as session:
        assert [lead.id for lead in (await leads.list_leads(session)).items] == [lead_id]


async def test_who_calls_twice_goes_on_with_one_lead(sessions: Sessions, settings: Settings) -> None:
    first = await called(sessions, "informed", neighbourhood_id=1, audience="home")
    await settled(sessions, settings, NOON + SOON)
    await change(sessions, first, owner="ana@provedor.test", next_action_at=NOON + timedelta(days=3))
    tomorrow = NOON + timedelta(days=1)
    second = await called(sessions, "interested", "proposal", at=tomorrow, plan_id=2, wants_message=True)
    for _ in range(2):
        await settled(sessions, settings, tomorrow + SOON)
    lead, part = await get(sessions, first), await get(sessions, second)
    assert (lead.status, lead.owner, lead.neighbourhood_id, lead.plan_id, lead.wants_message) == (
        LeadStatus.PROPOSAL,
        "ana@provedor.test",
        1,
        2,
        True,
    )
    assert lead.next_action_at == tomorrow + SOON  # wants something sooner than was agreed
    assert (part.merged_into_id, part.next_action_at) == (first, None)
    async with sessions() as session:
        assert [each.id for each in (await leads.list_leads(session)).items] == [first]
        by_call = (await leads.list_leads(session, filters=LeadFilter(call_id=part.call_id or "-"))).items
        assert [each.id for each in by_call] == [second]
    with pytest.raises(funnel.LeadIsPartOfAnother, match=first):
        await change(sessions, second, owner="")


async def test_two_calls_that_settle_together_are_one_lead(sessions: Sessions, settings: Settings) -> None:
    first = await called(sessions, "informed")
    second = await called(sessions, "informed", at=later(60))
    assert await settled(sessions, settings, NOON + 2 * SOON) == 2
    assert (await get(sessions, second)).merged_into_id == first


async def test_a_call_that_came_to_nothing_does_not_set_a_sale_back(sessions: Sessions, settings: Settings) -> None:
    first = await called(sessions, "proposal")
    await settled(sessions, settings, NOON + SOON)
    await change(sessions, first, status=LeadStatus.VISIT, next_action_at=later(9000))
    await called(sessions, "interested", at=later(3600))
    await settled(sessions, settings, later(3600) + SOON)
    assert (await get(sessions, first)).status is LeadStatus.VISIT


@pytest.mark.parametrize("why", ["sold", "another number", "hidden", "long ago"])
async def test_another_sale_is_another_lead(sessions: Sessions, settings: Settings, why: str) -> None:
    hidden = {"phone": ""} if why == "hidden" else {}
    first = await called(sessions, "proposal", **hidden)
    await settled(sessions, settings, NOON + SOON)
    at = NOON + timedelta(days=100 if why == "long ago" else 1)
    if why == "sold":
        await change(sessions, first, status=LeadStatus.CONTRACT)
    phone = {"another number": {"phone": "+5511944443333"}}.get(why, hidden)
    second = await called(sessions, "proposal", at=at, **phone)
    await settled(sessions, settings, at + SOON)
    lead = await get(sessions, second)
    assert (lead.merged_into_id, lead.next_action_at is None) == (None, False)


# -- what people say -------------------------------------------------------------------------------------------------


@pytest.fixture
async def lead_id(sessions: Sessions, settings: Settings) -> str:
    """Informed, and due."""
    lead_id = await called(sessions, "informed")
    await settled(sessions, settings, NOON + SOON)
    return lead_id


async def test_a_sale_goes_from_step_to_step_to_a_contract(sessions: Sessions, lead_id: str) -> None:
    tomorrow = NOON + timedelta(days=1)
    assert await change(sessions, lead_id, owner="ana@provedor.test", next_action_at=tomorrow) == [
        "owner",
        "next_action_at",
    ]
    assert await change(sessions, lead_id, status=LeadStatus.PROPOSAL) == ["status"]
    assert await change(sessions, lead_id, status=LeadStatus.PROPOSAL) == []
    assert await change(sessions, lead_id, status=LeadStatus.VISIT) == ["status"]
    assert await change(sessions, lead_id, source=LeadSource.PARTNER, source_ref="Loja Sol") == ["source", "source_ref"]
    assert await change(sessions, lead_id, status=LeadStatus.CONTRACT) == ["status", "next_action_at"]
    lead = await get(sessions, lead_id)
    assert (lead.status, lead.next_action_at, lead.owner) == (LeadStatus.CONTRACT, None, "ana@provedor.test")


async def test_what_is_lost_has_a_reason_and_can_be_won_again(sessions: Sessions, lead_id: str) -> None:
    with pytest.raises(funnel.LostWithoutReason):
        await change(sessions, lead_id, status=LeadStatus.LOST)
    await change(sessions, lead_id, status=LeadStatus.LOST, lost_reason=LostReason.PRICE)
    lead = await get(sessions, lead_id)
    assert (lead.lost_reason, lead.next_action_at) == (LostReason.PRICE, None)
    with pytest.raises(funnel.NextActionMissing):
        await change(sessions, lead_id, status=LeadStatus.PROPOSAL)
    await change(sessions, lead_id, status=LeadStatus.PROPOSAL, next_action_at=later(9000))
    lead = await get(sessions, lead_id)
    assert (lead.lost_reason, lead.next_action_at) == (None, later(9000))


@pytest.mark.parametrize(
    ("first", "then", "refused"),
    [
        ({}, {"status": LeadStatus.NEW}, funnel.LeadStepRefused),
        ({}, {"status": LeadStatus.FORWARDED}, funnel.LeadStepRefused),
        ({"status": LeadStatus.CONTRACT}, {"status": LeadStatus.VISIT}, funnel.LeadStepRefused),
        ({"status": LeadStatus.CONTRACT}, {"next_action_at": later(9000)}, funnel.LeadIsOver),
        ({}, {"next_action_at": later(200)}, funnel.NextActionIsPast),
        ({}, {"lost_reason": LostReason.PRICE}, funnel.LostWithoutReason),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    sessions: Sessions, lead_id: str, first: dict[str, object], then: dict[str, object], refused: type[Exception]
) -> None:
    await change(sessions, lead_id, **first)
    before = await get(sessions, lead_id)
    with pytest.raises(refused):
        await change(sessions, lead_id, now=later(600), owner="bia@provedor.test", **then)
    after = await get(sessions, lead_id)
    assert (after.status, after.next_action_at, after.owner) == (before.status, before.next_action_at, "")


async def test_a_record_that_comes_late_does_not_undo_what_a_person_said(
    sessions: Sessions, settings: Settings, lead_id: str
) -> None:
    await change(sessions, lead_id, status=LeadStatus.VISIT)
    lead = await get(sessions, lead_id)
    async with sessions.begin() as session:
        await apply_batch(session, [lead_saved(lead_id, "proposal", at=later(40), call_id=lead.call_id, plan_id=2)])
    await settled(sessions, settings, NOON + 2 * SOON)
    lead = await get(sessions, lead_id)
    assert (lead.status, lead.plan_id, lead.next_action_at) == (LeadStatus.VISIT, 2, NOON + SOON)


async def test_a_lead_that_somebody_took_over_is_not_abandoned_behind_their_back(
    sessions: Sessions, settings: Settings
) -> None:
    call_id, mine, nobodys = make_id(), make_id(), make_id()
    ends = [
        call_closed(call_id, outcome, at=later(20), by=by) for outcome, by in (("queue", "agi"), ("abandoned", "ami"))
    ]
    told = [
        lead_saved(lead, "forwarded", at=later(10), call_id=call_id, phone=phone)
        for lead, phone in ((mine, ANA), (nobodys, "+5511944443333"))
    ]
    async with sessions.begin() as session:
        await apply_batch(session, [call_opened(call_id), *told, *ends])
    await change(sessions, mine, now=later(30), owner="ana@provedor.test", next_action_at=later(9000))
    await settled(sessions, settings, NOON + SOON)
    assert (await get(sessions, mine)).status is LeadStatus.FORWARDED
    assert (await get(sessions, nobodys)).status is LeadStatus.ABANDONED


async def test_leads_that_are_due_are_listed_the_longest_due_first(sessions: Sessions, settings: Settings) -> None:
    ids = [await called(sessions, "informed", phone=f"+551190000000{n}", at=later(n)) for n in range(3)]
    await settled(sessions, settings, NOON + SOON)
    for lead_id, delay in zip(ids, (900, 500, 2000), strict=True):
        await change(sessions, lead_id, next_action_at=later(delay))
    async with sessions() as session:
        due = LeadFilter(due_at=later(1000))
        first = await leads.list_leads(session, filters=due, limit=1)
        second = await leads.list_leads(session, filters=due, limit=1, cursor=first.next_cursor)
    assert [lead.id for page in (first, second) for lead in page.items] == [ids[1], ids[0]]
    assert second.next_cursor == ""
