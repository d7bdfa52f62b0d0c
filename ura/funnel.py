"""What becomes of a lead after the call? Its steps towards a contract, whose it is, and what is done next, and when:
nobody who wants to buy is without a date.

What the phone says of a lead is in ura.leads; calls that are over get their date here (`settle`), people say the rest
(`change_lead`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import domain_events, events, queues
from ura.errors import BadInput, Refused
from ura.leads import SETTLES_WITHIN, get_lead
from ura.models import Call, EventKind, Lead, LeadSource, LeadStatus, LostReason, Neighbourhood
from ura.queues import QueueNotFound
from ura.waiting_list import SALES_QUEUE

MOST_AT_ONCE = 100  # in a transaction: others write, too
GOES_ON = timedelta(days=90)  # who rings again within these days goes on with the same lead
LOOK_AGAIN = timedelta(days=90)  # at who waits for a neighbourhood without a forecast
NEVER_HEARD_OF = timedelta(hours=1)  # a lead whose call was never written down is as good as over

_S = LeadStatus
OVER = frozenset({_S.CONTRACT, _S.LOST, _S.NOT_COVERED})
IN_CALL = frozenset({_S.NEW, _S.INTERESTED})
# How near to a contract. A later call takes a lead on, or leaves it where it was; it never sets it back.
_FAR = {_S.ABANDONED: 0, _S.WAITING: 1, _S.INFORMED: 2, _S.PROPOSAL: 3, _S.FORWARDED: 3, _S.VISIT: 4}
# Where people may take a lead from where the call, or they, left it. What is lost can be won again.
_ENDS = frozenset({_S.CONTRACT, _S.LOST})
_ANY = frozenset({_S.INFORMED, _S.PROPOSAL, _S.VISIT}) | _ENDS
STEPS: dict[LeadStatus, frozenset[LeadStatus]] = {
    **dict.fromkeys((_S.NEW, _S.INTERESTED, _S.FORWARDED, _S.ABANDONED, _S.WAITING, _S.NOT_COVERED), _ANY),
    _S.INFORMED: frozenset({_S.PROPOSAL, _S.VISIT}) | _ENDS,
    _S.PROPOSAL: frozenset({_S.VISIT}) | _ENDS,
    _S.VISIT: frozenset({_S.PROPOSAL}) | _ENDS,
    _S.LOST: frozenset({_S.INFORMED, _S.PROPOSAL, _S.VISIT}),
    _S.CONTRACT: frozenset(),
}


class LeadStepRefused(Refused):
    code = "lead-step-refused"


class LeadIsPartOfAnother(Refused):
    code = "lead-is-part-of-another"


class NextActionMissing(BadInput):
    code = "next-action-missing"


class NextActionIsPast(BadInput):
    code = "next-action-is-past"


class LostWithoutReason(BadInput):
    code = "lost-without-reason"


class LeadIsOver(BadInput):
    code = "lead-is-over"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadChange:
    """None: stays as it is. `owner` and `source_ref` can be "": nobody, nothing known."""

    status: LeadStatus | None = None
    owner: str | None = None
    next_action_at: datetime | None = None
    source: LeadSource | None = None
    source_ref: str | None = None
    lost_reason: LostReason | None = None


async def change_lead(session: AsyncSession, lead_id: str, change: LeadChange, *, now: datetime) -> list[str]:
    """Returns the names of what changed; a change that is made already changes nothing. Raises LeadNotFound and:

    1. LeadIsPartOfAnother: the lead that a later call only went on with is not changed by itself;
    2. LeadStepRefused: a step that `STEPS` does not have;
    3. LostWithoutReason: a lost lead has a reason, and no other has one;
    4. NextActionMissing, NextActionIsPast, LeadIsOver: an open lead has a date to come, one that is over has none.
    """
    lead = await get_lead(session, lead_id)
    await session.refresh(lead, with_for_update=True)
    if lead.merged_into_id:
        raise LeadIsPartOfAnother(f"The caller went on with an earlier lead. Change {lead.merged_into_id}.")
    wanted = {each.name: value for each in fields(change) if (value := getattr(change, each.name)) is not None}
    status = change.status or lead.status
    if status is not lead.status and status not in STEPS[lead.status]:
        able = ", ".join(sorted(STEPS[lead.status])) or "nowhere"
        raise LeadStepRefused(f"A lead that is {lead.status} does not become {status}. From here it goes: {able}.")
    reason = change.lost_reason or lead.lost_reason
    if status is LeadStatus.LOST:
        if reason is None:
            raise LostWithoutReason(f"Say why it was lost: {', '.join(LostReason)}.")
    elif change.lost_reason is not None:
        raise LostWithoutReason("Only a lost lead has a reason for it.")
    elif lead.lost_reason is not None:
        wanted["lost_reason"] = None
    _date(lead, status, change, wanted, now)
    changed = [name for name, value in wanted.items() if getattr(lead, name) != value]
    for name in changed:
        setattr(lead, name, wanted[name])
    if changed:
        lead.updated_at = now
        await session.flush()
        await events.ring(session, {"leads": {"ids": [lead.id]}}, now=now)
        data = {"status": lead.status, "changed": changed}
        await domain_events.record(session, EventKind.LEAD_CHANGED, lead.id, data, now=now)
    return changed


def _date(lead: Lead, status: LeadStatus, change: LeadChange, wanted: dict[str, object], now: datetime) -> None:
    if status in OVER:
        if change.next_action_at is not None:
            raise LeadIsOver(f"A lead that is {status} has no next action.")
        wanted["next_action_at"] = None
    elif change.next_action_at is not None:
        if change.next_action_at <= now and change.next_action_at != lead.next_action_at:
            raise NextActionIsPast("Choose a moment to come for the next action.")
    elif lead.next_action_at is None and status not in IN_CALL:
        raise NextActionMissing("Say when the next action is: nobody who wants to buy is left without a date.")


# -- what calls leave ------------------------------------------------------------------------------------------------


async def settle(session: AsyncSession, *, now: datetime, zone: ZoneInfo, state_uf: str) -> int:
    """Give leads of calls that are over their next action, MOST_AT_ONCE of them. Returns how many were looked after.

    1. Where it came from is the number dialled.
    2. It is due when somebody sells next: now, in hours; who waits for a neighbourhood, when that is forecast, or in
       90 days.
    3. Who has an open lead already, by the number, goes on with that one: what is known is brought together, what is
       due first counts, and no call takes the sale back.
    """
    over = or_(Call.ended_at < now - SETTLES_WITHIN, Call.id.is_(None) & (Lead.updated_at < now - NEVER_HEARD_OF))
    found = await session.execute(
        select(Lead, Call.did)
        .outerjoin(Call, Call.id == Lead.call_id)
        .where(
            Lead.status.in_(_FAR),
            Lead.next_action_at.is_(None),
            Lead.merged_into_id.is_(None),
            over,
        )
        .order_by(Lead.created_at, Lead.id)
        .limit(MOST_AT_ONCE)
    )
    rows: Sequence[tuple[Lead, str | None]] = [(lead, did) for lead, did in found]
    open_at: dict[datetime, datetime] = {}  # most leads ask for the same moment
    for lead, did in rows:
        lead.source_ref = lead.source_ref or did or ""
        moment = await _wanted_at(session, lead, now=now, zone=zone)
        if moment not in open_at:
            open_at[moment] = await _when_sold(session, moment, zone=zone, state_uf=state_uf)
        due = open_at[moment]
        earlier = await _find_earlier(session, lead)
        if earlier is None:
            lead.next_action_at = due
        else:
            _go_on(earlier, lead, due)
        await session.flush()
    if rows:
        await events.ring(session, {"leads": {"ids": [lead.id for lead, _ in rows]}}, now=now)
    return len(rows)


async def _wanted_at(session: AsyncSession, lead: Lead, *, now: datetime, zone: ZoneInfo) -> datetime:
    if lead.status is not LeadStatus.WAITING:
        return now
    place = await session.get(Neighbourhood, lead.neighbourhood_id) if lead.neighbourhood_id else None
    day = place.forecast_on if place else None
    forecast = datetime.combine(day, time(0), zone) if day else now
    return forecast if forecast > now else now + LOOK_AGAIN


async def _when_sold(session: AsyncSession, moment: datetime, *, zone: ZoneInfo, state_uf: str) -> datetime:
    try:
        found = await queues.opening(session, SALES_QUEUE, moment, zone=zone, state_uf=state_uf)
    except QueueNotFound:  # a house without a sales queue: whoever looks at the list
        return moment
    return moment if found.open else found.opens_at or moment


async def _find_earlier(session: AsyncSession, lead: Lead) -> Lead | None:
    if not lead.phone:
        return None
    query = (
        select(Lead)
        .where(
            Lead.phone == lead.phone,
            Lead.id != lead.id,
            Lead.created_at.between(lead.created_at - GOES_ON, lead.created_at),
            Lead.next_action_at.is_not(None),
            Lead.merged_into_id.is_(None),
        )
        .order_by(Lead.created_at, Lead.id)
        .limit(1)
    )
    earlier: Lead | None = await session.scalar(query)
    return earlier


def _go_on(lead: Lead, part: Lead, due: datetime) -> None:
    for name in ("audience", "city_id", "neighbourhood_id", "plan_id"):
        if getattr(part, name) is not None:
            setattr(lead, name, getattr(part, name))
    lead.wants_message = lead.wants_message or part.wants_message
    if _FAR[part.status] >= _FAR[lead.status]:
        lead.status = part.status
    assert lead.next_action_at is not None
    lead.next_action_at = min(lead.next_action_at, due)
    lead.updated_at = max(lead.updated_at, part.updated_at)
    part.merged_into_id = lead.id
