"""The three tiers: what each may do, and that nothing else is done. Without a database."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.factories import NOON, later
from ura.errors import BadInput, Refused
from ura.models import Role, Ticket, TicketEventKind, TicketStatus, Tier
from ura.ticket_forms import Field, FieldKind, FormIncomplete
from ura.ticket_refusals import (
    DeadlineIsPast,
    DeadlineNotTold,
    DeadlineTooLate,
    L3ClosesNothing,
    NobodyToTakeIt,
    NoContactHere,
    NothingTriedYet,
    OfAnotherTier,
    OnlyL1Closes,
    ReopenedTooLate,
    ReportMissing,
    TicketAlreadyClosed,
    TicketIsNotWaiting,
    TicketIsOpen,
    TicketIsWaiting,
    UnfitAssignee,
    VisitStillBooked,
    WordsMissing,
)
from ura.ticket_rules import (
    Assign,
    BackToL1,
    BackToL2,
    Change,
    Close,
    Contact,
    Facts,
    Move,
    Purpose,
    Reopen,
    Report,
    Resume,
    Take,
    ToL2,
    ToL3,
    Try,
    Wait,
    WaitFor,
    decide,
    is_network,
)
from ura.users import GRANTS, Actor

L1, L2, L3, BOSS, OWNER = (
    Actor(name=role.value, permissions=GRANTS[role], role=role, user_id=number)
    for number, role in enumerate((Role.ATTENDANT, Role.TECHNICIAN, Role.NETWORK, Role.SUPERVISOR, Role.OWNER), start=1)
)
PROGRAM = Actor(name="token", permissions=BOSS.permissions)
FACTS = Facts(now=NOON, reopen_within=timedelta(days=7))
LIGHTS = Field("lights", "Luzes", FieldKind.TEXT, required=True)


def at(tier: Tier, **values: Any) -> Ticket:
    blank = {"status": TicketStatus.OPEN, "category": "support", "report": "", "form": {}, "version": 1}
    return Ticket(id="t", tier=tier, **{**blank, **values})


CLOSED = {"status": TicketStatus.CLOSED, "closed_at": later(-60)}
LONG_CLOSED = CLOSED | {"closed_at": NOON - timedelta(days=7, seconds=1)}
DONE = {"status": TicketStatus.CLOSED, "closed_at": NOON}
ANEW = dict.fromkeys(("closed_at", "assignee_id", "told_deadline_at")) | {"status": TicketStatus.OPEN, "tier": Tier.L1}
WAITING = {"status": TicketStatus.WAITING}
PROMISED = ToL2(report="Sem luz", told_deadline_at=later(3600))


@pytest.mark.parametrize(
    ("ticket", "move", "actor", "kind", "values"),
    [
        (at(Tier.L1), Report(report=" Sem luz "), L1, TicketEventKind.COMMENTED, {"report": "Sem luz", "form": {}}),
        (at(Tier.L2), ToL3(reason="PON"), L2, TicketEventKind.MOVED, {"tier": Tier.L3, "assignee_id": None}),
        (at(Tier.L3), BackToL2(finding="SFP"), L3, TicketEventKind.MOVED, {"tier": Tier.L2, "assignee_id": None}),
        (at(Tier.L2), BackToL1(tell="Às 10"), L2, TicketEventKind.MOVED, {"tier": Tier.L1, "assignee_id": None}),
        (at(Tier.L2), Take(), L2, TicketEventKind.ASSIGNED, {"assignee_id": L2.user_id}),
        (at(Tier.L1), Assign(assignee_id=None), BOSS, TicketEventKind.ASSIGNED, {"assignee_id": None}),
        (at(Tier.L2), Try(text="Porta reiniciada"), L2, TicketEventKind.TRIED, {}),
        (at(Tier.L3), Wait(reason=WaitFor.WEATHER), L3, TicketEventKind.WAITING, {"status": TicketStatus.WAITING}),
        (at(Tier.L1, **WAITING), Resume(), L1, TicketEventKind.RESUMED, {"status": TicketStatus.OPEN}),
        (at(Tier.L2), Close(), L2, TicketEventKind.CLOSED, DONE),
        (at(Tier.L1, **WAITING), Close(), L1, TicketEventKind.CLOSED, DONE),
        (at(Tier.L1, category="complaint"), Close(), L1, TicketEventKind.CLOSED, DONE),
        (at(Tier.L2, **CLOSED), Reopen(reason="Voltou a cair"), L1, TicketEventKind.REOPENED, ANEW),
    ],
)  # fmt: skip
def test_what_may_be_done(
    ticket: Ticket, move: Move, actor: Actor, kind: TicketEventKind, values: dict[str, Any]
) -> None:
    change = decide(ticket, move, actor, FACTS)
    assert (change.kind, dict(change.values), change.detail["move"]) == (kind, values, move.type)
    assert change.internal == (ticket.tier is Tier.L3 or isinstance(move, ToL3))


@pytest.mark.parametrize(
    ("ticket", "move", "actor", "why"),
    [
        (at(Tier.L1), ToL2(told_deadline_at=later(60)), L1, ReportMissing),
        (at(Tier.L1), ToL2(report="  ", told_deadline_at=later(60)), L1, ReportMissing),
        (at(Tier.L1), ToL2(report="Sem luz"), L1, DeadlineNotTold),
        (at(Tier.L1), ToL2(report="Sem luz", told_deadline_at=NOON), L1, DeadlineIsPast),
        (at(Tier.L1, told_deadline_at=later(-1)), ToL2(report="Sem luz"), L1, DeadlineIsPast),
        (at(Tier.L1, **WAITING), PROMISED, L1, TicketIsWaiting),
        (at(Tier.L2), PROMISED, BOSS, OfAnotherTier),
        (at(Tier.L2), PROMISED, L1, OfAnotherTier),
        (at(Tier.L2), Report(report="x"), BOSS, OfAnotherTier),
        (at(Tier.L1), Report(report=" "), L1, WordsMissing),
        (at(Tier.L1), ToL3(reason="x"), BOSS, OfAnotherTier),
        (at(Tier.L3), BackToL1(tell="x"), BOSS, OfAnotherTier),
        (at(Tier.L2), ToL3(reason=""), L2, WordsMissing),
        (at(Tier.L2), BackToL1(tell=" "), L2, WordsMissing),
        (at(Tier.L3), BackToL2(finding=""), L3, WordsMissing),
        (at(Tier.L2, **WAITING), ToL3(reason="x"), L2, TicketIsWaiting),
        (at(Tier.L1), Take(), L2, OfAnotherTier),
        (at(Tier.L1), Take(), PROGRAM, NobodyToTakeIt),
        (at(Tier.L1), Assign(assignee_id=9), L1, UnfitAssignee),
        (at(Tier.L1), Try(text="x"), BOSS, OfAnotherTier),
        (at(Tier.L1), Contact(purpose=Purpose.SOLUTION, text="x"), BOSS, NoContactHere),
        (at(Tier.L3), Contact(purpose=Purpose.SOLUTION, text="x"), BOSS, NoContactHere),
        (at(Tier.L3), Contact(purpose=Purpose.SOLUTION, text="x"), L3, NoContactHere),
        (at(Tier.L2), Contact(purpose=Purpose.VISIT, text="x"), L2, NothingTriedYet),
        (at(Tier.L3), Wait(reason=WaitFor.CUSTOMER), L3, NoContactHere),
        (at(Tier.L1, **WAITING), Wait(reason=WaitFor.PARTS), L1, TicketIsWaiting),
        (at(Tier.L1), Resume(), L1, TicketIsNotWaiting),
        (at(Tier.L3), Close(), L3, L3ClosesNothing),
        (at(Tier.L3), Close(), BOSS, L3ClosesNothing),
        (at(Tier.L2, category="complaint"), Close(), BOSS, OnlyL1Closes),
        (at(Tier.L2, category="cancellation"), Close(), L2, OnlyL1Closes),
        (at(Tier.L1), Close(), OWNER, OfAnotherTier),
        (at(Tier.L1, **CLOSED), Close(), L1, TicketAlreadyClosed),
        (at(Tier.L1, **CLOSED), PROMISED, L1, TicketAlreadyClosed),
        (at(Tier.L1), Reopen(reason="x"), L1, TicketIsOpen),
        (at(Tier.L1, **WAITING), Reopen(reason="x"), L1, TicketIsOpen),
        (at(Tier.L2, **CLOSED), Reopen(reason="x"), L2, OfAnotherTier),
        (at(Tier.L1, **CLOSED), Reopen(reason=""), L1, WordsMissing),
        (at(Tier.L1, **LONG_CLOSED), Reopen(reason="x"), L1, ReopenedTooLate),
    ],
)  # fmt: skip
def test_what_is_refused_and_why(ticket: Ticket, move: Move, actor: Actor, why: type[Refused]) -> None:
    with pytest.raises(why) as refused:
        decide(ticket, move, actor, FACTS)
    assert refused.value.http_status == 409
    assert refused.value.code != Refused.code
    assert len(refused.value.message) > 20


def test_a_ticket_goes_to_l2_with_what_it_has_already_or_is_given_now() -> None:
    told = later(60)
    ready = at(Tier.L1, report="Sem luz", told_deadline_at=told)
    change = decide(ready, ToL2(), L1, FACTS)
    assert (change.values["tier"], change.values["report"], change.values["told_deadline_at"]) == (
        Tier.L2, "Sem luz", told,
    )  # fmt: skip
    assert change.detail == {"move": "to_l2", "from": "l1", "to": "l2", "told_deadline_at": told.isoformat()}
    newer = decide(ready, PROMISED, L1, FACTS)
    assert newer.values["told_deadline_at"] == PROMISED.told_deadline_at


def test_nobody_is_told_a_later_moment_than_the_one_at_which_l2_has_to_be_done() -> None:
    late = ToL2(report="Sem luz", told_deadline_at=later(61))
    with pytest.raises(DeadlineTooLate):
        decide(at(Tier.L1), late, L1, replace(FACTS, due_at_l2=later(60)))
    in_time = replace(FACTS, due_at_l2=later(61))
    assert decide(at(Tier.L1, due_at=later(1)), late, L1, in_time).values["tier"] is Tier.L2


def test_a_deadline_of_the_house_that_is_over_forbids_no_promise() -> None:
    """Or a ticket that is late at L1 could never leave it."""
    late = replace(FACTS, due_at_l2=later(-60))
    assert decide(at(Tier.L1), PROMISED, L1, late).values["tier"] is Tier.L2


def test_the_form_is_answered_before_l2_sees_it() -> None:
    asks = replace(FACTS, fields=(LIGHTS,))
    with pytest.raises(FormIncomplete, match="lights"):
        decide(at(Tier.L1), PROMISED, L1, asks)
    assert decide(at(Tier.L1, form={"lights": "LOS"}), PROMISED, L1, asks).values["form"] == {"lights": "LOS"}
    now = replace(PROMISED, form={"lights": "PON"})
    assert decide(at(Tier.L1), now, L1, asks).values["form"] == {"lights": "PON"}


@pytest.mark.parametrize("purpose", Purpose)
def test_l2_contacts_a_customer_once_it_has_tried(purpose: Purpose) -> None:
    change = decide(at(Tier.L2), Contact(purpose=purpose, text="Porta trocada"), L2, replace(FACTS, tried=True))
    assert (change.kind, change.detail["purpose"], change.internal) == (TicketEventKind.CONTACTED, purpose.value, False)


def test_a_booked_visit_keeps_a_ticket_open() -> None:
    with pytest.raises(VisitStillBooked):
        decide(at(Tier.L2), Close(), L2, replace(FACTS, has_visit=True))


@pytest.mark.parametrize(("tier", "who"), [(Tier.L1, L1), (Tier.L2, L2), (Tier.L3, L3), (Tier.L3, BOSS)])
def test_a_ticket_is_assigned_to_somebody_of_its_tier(tier: Tier, who: Actor) -> None:
    change = decide(at(tier), Assign(assignee_id=who.user_id), BOSS, replace(FACTS, assignee=who))
    assert change.values == {"assignee_id": who.user_id}


def test_a_ticket_is_assigned_to_nobody_of_another_tier() -> None:
    with pytest.raises(UnfitAssignee):
        decide(at(Tier.L2), Assign(assignee_id=1), BOSS, replace(FACTS, assignee=L1))


def test_who_keeps_the_network_is_not_who_may_do_that_too() -> None:
    assert [is_network(actor) for actor in (L1, L2, L3, BOSS, OWNER)] == [False, False, True, False, False]


# -- whatever anybody does --------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["", " ", "Sem luz"])
MOMENTS = st.sampled_from([None, -60, 60, 7200])
MOVES: st.SearchStrategy[Move] = st.one_of(
    st.builds(Report, report=WORDS),
    st.builds(ToL2, report=WORDS, told_deadline_at=MOMENTS.map(lambda seconds: seconds and later(seconds))),
    st.builds(ToL3, reason=WORDS),
    st.builds(BackToL2, finding=WORDS),
    st.builds(BackToL1, tell=WORDS),
    st.just(Take()),
    st.builds(Assign, assignee_id=st.sampled_from([None, 1, 2, 3])),
    st.builds(Try, text=WORDS),
    st.builds(Contact, purpose=st.sampled_from(Purpose), text=WORDS),
    st.builds(Wait, reason=st.sampled_from(WaitFor)),
    st.just(Resume()),
    st.builds(Close, text=WORDS),
    st.builds(Reopen, reason=WORDS),
)
ACTORS = st.sampled_from([L1, L2, L3, BOSS, OWNER, PROGRAM])


class TicketLife(RuleBasedStateMachine):
    """Random moves by random people, over days. What holds afterwards holds whatever was tried."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.history: list[tuple[Tier, Change, Actor]] = []
        self.tried = False

    @initialize(category=st.sampled_from(["support", "complaint"]), due=MOMENTS)
    def open(self, category: str, due: int | None) -> None:
        self.ticket = at(Tier.L1, category=category)
        self.due_at_l2 = later(due) if due else None

    @rule(hours=st.sampled_from([0, 1, 30, 200]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(move=MOVES, actor=ACTORS)
    def somebody_does(self, move: Move, actor: Actor) -> None:
        before = {name: getattr(self.ticket, name) for name in ("tier", "status", "version", "closed_at", "report")}
        facts = Facts(
            now=self.now,
            reopen_within=timedelta(days=7),
            tried=self.tried,
            due_at_l2=self.due_at_l2,
            assignee=next((each for each in (L1, L2, L3) if each.user_id == getattr(move, "assignee_id", 0)), None),
        )
        try:
            change = decide(self.ticket, move, actor, facts)
        except (Refused, BadInput):
            assert {name: getattr(self.ticket, name) for name in before} == before
            return
        assert actor is not OWNER
        self.check_step(before["tier"], before["status"], change, actor)
        for name, value in {**change.values, "version": before["version"] + 1}.items():
            setattr(self.ticket, name, value)
        if change.kind in (TicketEventKind.MOVED, TicketEventKind.REOPENED):
            self.tried = False
        self.tried = self.tried or change.kind is TicketEventKind.TRIED
        self.history.append((before["tier"], change, actor))

    def check_step(self, tier: Tier, status: TicketStatus, change: Change, actor: Actor) -> None:
        to = change.values.get("tier", tier)
        assert abs(list(Tier).index(tier) - list(Tier).index(to)) <= 1 or change.kind is TicketEventKind.REOPENED
        if status is TicketStatus.CLOSED:
            assert change.kind is TicketEventKind.REOPENED
        if change.kind is TicketEventKind.CONTACTED:
            assert (tier, self.tried) == (Tier.L2, True)
            assert actor not in (L1, L3)
        if to is Tier.L2 and tier is Tier.L1:
            assert change.values["told_deadline_at"] > self.now

    @invariant()
    def l2_and_l3_have_a_report_and_a_promise(self) -> None:
        if hasattr(self, "ticket") and self.ticket.tier is not Tier.L1:
            assert self.ticket.report.strip()
            assert self.ticket.told_deadline_at

    @invariant()
    def all_that_l3_wrote_is_internal(self) -> None:
        assert all(change.internal for tier, change, actor in self.history if tier is Tier.L3 or actor is L3)

    @invariant()
    def every_change_counts(self) -> None:
        if hasattr(self, "ticket"):
            assert self.ticket.version == 1 + len(self.history)

    @invariant()
    def closed_and_its_moment_go_together(self) -> None:
        if hasattr(self, "ticket"):
            assert (self.ticket.closed_at is not None) == (self.ticket.status is TicketStatus.CLOSED)


TestTicketLife = TicketLife.TestCase
