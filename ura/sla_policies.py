"""By when are tickets due, and which policy says so? What the law sets stands beside every policy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import yaml
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import rulebook, timetables
from ura.errors import BadInput, NotFound, Refused
from ura.models import Category, CountedBy, SlaPolicy, Tier
from ura.turns import take_turn

Json = Any
LONGEST_H = 2000.0
LONGEST_TITLE, LONGEST_SEGMENT = 80, 16
TURN = "sla policies"
PLACES = ("tier", "category", "segment")


class PolicyNotFound(NotFound):
    code = "sla-policy-not-found"


class PolicyTie(Refused):
    code = "sla-policy-tie"


class PolicyIsNeeded(Refused):
    code = "sla-policy-is-needed"


class PolicyAgainstTheLaw(Refused):
    code = "sla-policy-against-the-law"


@dataclass(frozen=True, slots=True)
class Law:
    """Counted day and night from when the customer asked, whoever has the ticket, and nothing stops it."""

    within: timedelta
    warn_before: timedelta
    says: str


LAW: Mapping[str, Law] = {
    Category.COMPLAINT: Law(
        timedelta(days=7),
        timedelta(days=1),
        "Decree 11.034/2022, art. 13: a complaint is answered within 7 calendar days. Choose 168 hours or fewer.",
    ),
    Category.CANCELLATION: Law(
        timedelta(),
        timedelta(),
        "Decree 11.034/2022, art. 14: a cancellation takes effect at once. Choose 0 hours.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a ticket was promised; kept with it as JSON."""

    policy: str
    hours: float
    counted_by: CountedBy
    timetable: str = ""
    warn_hours: float | None = None
    pausable: bool = True

    def to_json(self) -> dict[str, Json]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Json]) -> "Terms":
        return cls(**{**told, "counted_by": CountedBy(told["counted_by"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A policy without its row: whose tickets, and on what terms."""

    key: str
    tier: str
    category: str
    segment: str
    terms: Terms


Named = TypeVar("Named", SlaPolicy, Rule)


def terms_of(policy: SlaPolicy) -> Terms:
    warn = policy.warn_hours
    if policy.warn_percent is not None:
        warn = policy.hours * policy.warn_percent / 100
    return Terms(
        policy=policy.key,
        hours=policy.hours,
        counted_by=policy.counted_by,
        timetable=policy.timetable,
        warn_hours=warn,
        pausable=policy.pausable,
    )


def pick(policies: Sequence[Named], *, tier: str, category: str, segment: str) -> Named | None:
    """The one that names the most of what the ticket is, and nothing that it is not. None: no policy fits."""
    ticket = {"tier": tier, "category": category, "segment": segment}
    fitting = [each for each in policies if _fits(each, ticket)]
    return max(fitting, key=lambda each: (_names(each), each.key), default=None)


def find_tie(policies: Sequence[SlaPolicy]) -> tuple[SlaPolicy, SlaPolicy] | None:
    """Two that would both be the most specific one for some ticket."""
    values = [sorted({"", *(getattr(each, place) for each in policies)}) for place in PLACES]
    for combination in product(*values):
        ticket = dict(zip(PLACES, combination, strict=True))
        fitting = sorted((each for each in policies if _fits(each, ticket)), key=_names, reverse=True)
        if len(fitting) > 1 and _names(fitting[0]) == _names(fitting[1]):
            return fitting[0], fitting[1]
    return None


def _fits(policy: SlaPolicy | Rule, ticket: Mapping[str, str]) -> bool:
    return all(getattr(policy, place) in ("", ticket[place]) for place in PLACES)


def _names(policy: SlaPolicy | Rule) -> int:
    return sum(bool(getattr(policy, place)) for place in PLACES)


# -- what an admin makes of them --------------------------------------------------------------------------------------


async def list_policies(session: AsyncSession) -> Sequence[SlaPolicy]:
    return (await session.scalars(select(SlaPolicy).order_by(SlaPolicy.key))).all()


async def rules(session: AsyncSession) -> Sequence[Rule]:
    """All policies, for a ticket that is opened or moved."""

    async def find() -> Sequence[Rule]:
        return [
            Rule(key=each.key, tier=each.tier, category=each.category, segment=each.segment, terms=terms_of(each))
            for each in await list_policies(session)
        ]

    return await rulebook.of(session.info).read("policies", find)


async def get_policy(session: AsyncSession, key: str) -> SlaPolicy:
    """Raises PolicyNotFound."""
    policy = await session.get(SlaPolicy, key, populate_existing=True)
    if policy is None:
        raise PolicyNotFound("There is no such policy.")
    return policy


async def install_shipped(session: AsyncSession) -> int:
    """Into an empty table only: the general one cannot be taken away, so it is empty once. How many were installed."""
    if await session.scalar(select(func.count()).select_from(SlaPolicy)):
        return 0
    told = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    for row in told:
        session.add(make(**row))
    await session.flush()
    return len(told)


def make(
    *,
    key: str,
    title: str,
    hours: float,
    counted_by: str,
    tier: str = "",
    category: str = "",
    segment: str = "",
    timetable: str = "",
    warn_hours: float | None = None,
    warn_percent: int | None = None,
    pausable: bool = True,
) -> SlaPolicy:
    """Raises ValueError for a tier or a way of counting that there is not."""
    return SlaPolicy(
        key=key,
        title=title.strip(),
        tier=Tier(tier).value if tier else "",
        category=category.strip(),
        segment=segment.strip(),
        hours=float(hours),
        counted_by=CountedBy(counted_by),
        timetable=timetable,
        warn_hours=warn_hours,
        warn_percent=warn_percent,
        pausable=pausable,
    )


async def save(session: AsyncSession, policy: SlaPolicy) -> SlaPolicy:
    """New, or instead of the one of this key. Holds from the next ticket or move on. Raises BadInput,
    TimetableNotFound, PolicyAgainstTheLaw, PolicyTie, PolicyIsNeeded."""
    _check(policy)
    await take_turn(session, TURN)  # two that are saved at once would each see no tie
    if policy.counted_by is CountedBy.TIMETABLE:
        await timetables.get_hours(session, policy.timetable)
    _check_all([policy, *(each for each in await list_policies(session) if each.key != policy.key)])
    saved = await session.merge(policy)
    await session.flush()
    return saved


async def remove(session: AsyncSession, key: str) -> SlaPolicy:
    """What was removed. Raises PolicyNotFound, PolicyTie, PolicyIsNeeded."""
    await take_turn(session, TURN)
    policy = await get_policy(session, key)
    _check_all([each for each in await list_policies(session) if each.key != key])
    await session.delete(policy)
    await session.flush()
    return policy


def _check(policy: SlaPolicy) -> None:
    if not timetables.KEY.fullmatch(policy.key):
        raise BadInput("A policy is named with small letters, digits and _.")
    if not 0 < len(policy.title) <= LONGEST_TITLE:
        raise BadInput(f"Give the policy a title of 1 to {LONGEST_TITLE} letters.")
    if len(policy.segment) > LONGEST_SEGMENT or len(policy.category) > 64:
        raise BadInput("No ticket has such a segment or category.")
    if not (math.isfinite(policy.hours) and 0 <= policy.hours <= LONGEST_H):
        raise BadInput(f"`hours` is 0 (at once) to {LONGEST_H:.0f}.")
    if policy.warn_hours is not None and policy.warn_percent is not None:
        raise BadInput("Warn by `warn_hours` or by `warn_percent`, not by both.")
    if policy.warn_hours is not None and not 0 <= policy.warn_hours <= policy.hours:
        raise BadInput("`warn_hours` is 0 to `hours`.")
    if policy.warn_percent is not None and not 0 <= policy.warn_percent <= 100:
        raise BadInput("`warn_percent` is 0 to 100.")
    if (policy.counted_by is CountedBy.TIMETABLE) != bool(policy.timetable):
        raise BadInput("Name a `timetable` when that is what counts, and only then.")
    law = LAW.get(policy.category)
    if law and timedelta(hours=policy.hours) > law.within:
        raise PolicyAgainstTheLaw(law.says)


def _check_all(policies: Sequence[SlaPolicy]) -> None:
    if not any(_names(each) == 0 for each in policies):
        raise PolicyIsNeeded("One policy for any tier, category and segment has to stay: no ticket is without one.")
    if tie := find_tie(policies):
        one, other = sorted(each.key for each in tie)
        raise PolicyTie(
            f"For some tickets {one} and {other} say as much. Let one of them name one thing more (tier, category, "
            "segment), or first save one that names what both name."
        )
