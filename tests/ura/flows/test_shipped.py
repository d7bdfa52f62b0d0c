"""The flow that ships with Prosa: every step of it hung up on (R07), any keys (R25), no keys (R30), the law."""

import random
from collections import deque
from datetime import date
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import CITIES, NEIGHBOURHOODS, PLANS
from ura import boleto
from ura.flows import documents
from ura.flows.effects import Act, Collect, Effect, EndCall, Lookup, Play, Record, SendToQueue, Spoken
from ura.flows.engine import CompiledFlow, Mode, State, compile_flow, step
from ura.flows.engine.cursor import MOST_REPEATS, MOST_RETRIES
from ura.flows.events import (
    ActDone,
    ActFailed,
    DigitsEntered,
    Event,
    HungUp,
    LookupDone,
    LookupFailed,
    NoInput,
    Played,
    QueueLeft,
    Recorded,
    Started,
)
from ura.flows.validation import Known, check_document, parse
from ura.prompts import MANIFEST, read_manifest
from ura.settings import ROOT
from ura.speech import prompt_keys

FACTS = {"caller": "+5516999990000", "protocol": "263260000017", "now": "2026-11-22T10:00"}
EXTRA: list[dict[str, Any]] = [{}, {"caller": ""}, {"repeat_call": True}]
OPEN_SALES = ("new", "interested")
NAME_S = 1.5
TODAY = date(2026, 11, 22)
PROMPTS_AT_MOST_S = 60.0
CHARACTERS_A_SECOND = 12  # for a sentence that has no audio yet


HOME = {"id": "c1", "number_tail": "101", "street_prompt": "name.street", "status": "active", "segment": "home"}
CELIA = {"id": "s1", "kind": "person", "can_verify": True}
OUTAGE = {"id": "o1", "cause_prompt": "outage.power", "ends_at": "2026-11-22T14:00"}
OWED = {"due_on": "2026-11-10", "amount": "99.90", "overdue": True}
TICKET = {
    **{"id": "t1", "protocol": "263260000025", "status": "ticket.status.l2", "next": "ticket.next.l2"},
    **{"deadline": "ticket.deadline.was", "due_at": "2026-11-21T18:00", "late": "ticket.deadline.late"},
}
VISIT = {"id": "v1", "at": "2026-11-24T08:00", "prompt": "ticket.visit.is"}
SLOT = {"at": "2026-11-25T13:00", "starts_at": "2026-11-25T16:00:00+00:00", "technician_id": 7}
HOUSE = {  # where all is well
    "standing": {"emergency": None, "blocked": False, "priority": False},
    "arrival": {"outage": None, "segment": ""},
    "who_calls": {"subscriber": None, "contracts": []},
    "find_subscriber": {"subscriber": CELIA, "contracts": [HOME]},
    "check_factor": {"right": True},
    "diagnose": {"verdict": "good", "restart": "session"},
    "open_invoices": {"invoices": [OWED | {"id": "i1"}, OWED | {"id": "i2"}]},
    "targets": {"targets": [{"channel": "sms", "tail": "0101"}]},
    "message_state": {"state": "sent"},
    "invoice_line": {"blocks": boleto.groups("23793381286000782713695000063305975520000370000")},
    "may_unlock": {"verdict": "allowed"},
    "promise_days": {"days": ["2026-11-24"]},
    "service_first": {"matter": ""},
    "open_ticket": {"ticket": TICKET, "visit": None},
    "visit_slots": {"state": "free", "slots": [SLOT], "visit_id": "v1", "changes": 0},
    "visit_moved": {"state": "moved"},
    "deadline": {"until": "2026-11-23T18:00:00-03:00"},
    "session_back": {"state": "online"},
    "erp_result": {"state": "queued", "result": None},
}
SETTLED = {"verdict": "granted", "until": None, "accepted": True, "on": "2026-11-24", "reference": "OS-1", "ok": True}
ELSE = {  # and what it may say as well
    "standing": [
        {"emergency": {"prompt": "emergency.general", "to_person": True}, "blocked": False, "priority": False},
        {"emergency": None, "blocked": True, "priority": False},
    ],
    "arrival": [
        {"outage": OUTAGE, "segment": ""},
        {"outage": OUTAGE | {"ends_at": None}, "segment": ""},
        {"outage": None, "segment": "business"},
        {"outage": None, "segment": "", "ticket": {"id": "t1", "prompt": "ticket.open.support"}},
        {"outage": None, "segment": "", "over": {"id": "o1"}},
    ],
    "open_ticket": [{"ticket": None}, {"ticket": TICKET, "visit": VISIT}],
    "visit_slots": [{"state": state} for state in ("no_visit", "no_slots", "too_often", "too_late")],
    "visit_moved": [{"state": "refused"}, {"state": "queued"}],
    "who_calls": [
        {"subscriber": CELIA, "contracts": [HOME]},
        {"subscriber": CELIA, "contracts": [HOME | {"segment": "business"}]},
        {"subscriber": CELIA, "contracts": [HOME | {"status": "cancelled"}]},
        {"subscriber": CELIA, "contracts": [HOME, HOME | {"id": "c2"}]},
    ],
    "find_subscriber": [{"subscriber": None, "contracts": []}],
    "check_factor": [{"right": False}],
    "diagnose": [
        {"verdict": verdict, "outage": OUTAGE if verdict == "outage" else None}
        for verdict in ("blocked", "suspended", "outage", "los", "no_session", "weak", "unknown", "good")
    ],
    "open_invoices": [{"invoices": []}, {"unsupported": True}],
    "targets": [{"targets": []}],
    "message_state": [{"state": "queued"}, {"state": "failed"}],
    "may_unlock": [{"verdict": "used_this_period"}, {"unsupported": True}],
    "promise_days": [{"unsupported": True, "days": []}],
    "service_first": [
        *({"matter": matter} for matter in ("outage", "open_ticket", "bad_rating")),
        {"matter": "", "promises": False},
    ],
    "session_back": [{"state": "offline"}],
    "deadline": [{"until": None}],
    "erp_result": [{"state": "done", "result": SETTLED}, {"state": "done", "result": {}}],
}


@cache
def catalogue() -> dict[str, str]:
    """Everything that can be heard, as text: whole sentences and the pieces of values."""
    files = [ROOT / "prompts" / name for name in ("catalogue.yaml", "pieces.yaml")]
    return {key: str(text) for file in files for key, text in yaml.safe_load(file.read_text()).items()}


@cache
def provedor() -> CompiledFlow:
    return compile_flow(parse(documents.shipped("provedor")))


def good(effect: Effect, *, is_open: bool = True) -> Event:
    """The answer of a house where all is well, and of a caller who says nothing."""
    match effect:
        case Play():
            return Played()
        case Lookup("opening"):
            return LookupDone("opening", {"open": is_open, "opens_at": None if is_open else "2026-11-23T08:00"})
        case Lookup(name):
            places = {"cities": CITIES, "neighbourhoods": NEIGHBOURHOODS[:8], "plans": PLANS}
            return LookupDone(name, HOUSE.get(name, places))
        case Act(name):
            made = {"lead_id": "lead-1", "ticket_id": "t-1", "protocol": "263260000017"}
            return ActDone(name, made | {"request_id": "r-1", "message_id": "m-1", "event_id": "e-1"})
        case Record():
            return Recorded("r-1", 5.0)
        case SendToQueue(queue):
            return QueueLeft(queue, "timeout")
    return NoInput()


def every_answer(effect: Effect) -> list[Event]:
    """Everything that can happen next, with one example of each kind of entry."""
    match effect:
        case Collect(_, 1):
            return [*map(DigitsEntered, "0123456789*#A"), NoInput()]
        case Collect(_, digits):
            entries = ["224", "14001001", "16999990000", "1633330000", "1984", "9", "0", "*", "A"]
            return [*(DigitsEntered(entry) for entry in entries if len(entry) <= digits), NoInput()]
        case Play():
            return [Played(), Played("9"), Played("*")]
        case Lookup("opening"):
            return [good(effect), good(effect, is_open=False), LookupDone("opening", {}), LookupFailed("opening", "x")]
        case Lookup(name):
            nothing = {"cities": [], "neighbourhoods": [], "plans": []}
            others = ELSE.get(name, [] if name in HOUSE else [nothing])
            return [good(effect), *(LookupDone(name, other) for other in others), LookupFailed(name, "x")]
        case Act(name):
            return [good(effect), ActFailed(name, "x")]
        case Record():
            return [Recorded("r-1", 5.0), Recorded("r-1", 0.0), *(Recorded("r-1", 2.0, key) for key in "09*")]
        case SendToQueue(queue):
            return [QueueLeft(queue, reason) for reason in ("timeout", "empty", "full", "key", "failed")]
    return []


@cache
def places() -> list[tuple[State, Effect]]:
    """Each place of the flow with the way a caller can be in it: one state a (node, phase, effect)."""
    found: dict[Any, tuple[State, Effect]] = {}
    begun = [step(provedor(), State(), Started(FACTS | extra)) for extra in EXTRA]
    insists, _ = step(provedor(), State(), Started(FACTS | {"frustrated": True}))
    begun.append(step(provedor(), insists, Played("9")))
    todo = deque(begun)
    while todo:
        state, effect = todo.popleft()
        lead = state.facts.get("lead_status")
        lead = "open" if lead in OPEN_SALES else lead is not None  # what else became of it is no matter where one is
        facts = [lead, state.facts.get("topic"), bool(state.facts.get("contact_phone")), state.facts.get("caller")]
        if hasattr(provedor().nodes.get(state.node), "still"):  # it matters there who calls, and nowhere else
            facts += [str(state.facts.get("subscriber", {}).get("level")), str(state.facts.get("misses"))]
            offered = state.data.get("contracts") or []
            facts += [
                state.data.get("verdict"),
                state.data.get("until"),
                *((one.get("segment"), one.get("status")) for one in offered),
            ]
        if state.node.startswith("follow"):  # with a visit there is more to choose from
            facts.append(bool((state.facts.get("follow") or {}).get("visit")))
        if state.node in ("person", "person_hours", "callback"):  # who insists is answered in another way
            facts += [state.facts.get("frustrated"), "callback" in state.facts]
        answers = str(state.data.get("answers")) if state.node == "lights" else ""  # the flow decides on them
        at = (state.node, state.phase, state.data.get("at"), state.data.get("page"), answers, type(effect))
        place = (*at, *facts, state.mode, state.protocol_given, state.silences)
        if place in found or state.mode is Mode.OVER:
            continue
        found[place] = (state, effect)
        todo.extend(step(provedor(), state, event) for event in every_answer(effect))
    return list(found.values())


def test_the_shipped_flow_is_right() -> None:
    found = check_document(documents.shipped("provedor"), known=Known(prompts=catalogue()))
    assert [mistake.message for mistake in found] == []


def test_every_node_is_met() -> None:
    met = {state.node for state, _ in places()} | {
        step(provedor(), state, event)[0].node for state, effect in places() for event in every_answer(effect)
    }
    silent = {key for key, node in provedor().nodes.items() if node.type in ("branch", "subflow")}
    assert set(provedor().nodes) - met - silent == set()


def test_a_hang_up_at_each_single_step_closes_once_with_the_lead_kept() -> None:
    """R07."""
    for state, _ in places():
        owed = [(each["name"], each["args"].get("status")) for each in state.owed]
        abandoned = state.facts.get("lead_status") in OPEN_SALES or ("save_lead", "abandoned") in owed
        acts = []
        now, effect = step(provedor(), state, HungUp())
        while isinstance(effect, Act):
            acts.append((effect.name, effect.args.get("status")))
            now, effect = step(provedor(), now, ActDone(effect.name, {}))
        assert isinstance(effect, EndCall), state.node
        assert now.mode is Mode.OVER
        assert (("save_lead", "abandoned") in acts) is abandoned, state.node
        assert len(acts) == len(set(acts))


def test_no_lead_is_left_open_wherever_the_call_goes() -> None:
    """From each place of an open sale, with nothing more pressed: in a queue or at the end somebody has the lead."""
    for state, effect in places():
        begun, status = state.node, state.facts.get("lead_status")
        if status not in OPEN_SALES or isinstance(effect, SendToQueue | Act):
            continue
        for _ in range(60):
            state, effect = step(provedor(), state, good(effect))
            if isinstance(effect, Act) and effect.name == "save_lead":
                status = effect.args["status"]
            if isinstance(effect, SendToQueue | EndCall):
                break
        assert status in ("forwarded", "abandoned"), begun


def pressed(effect: Effect, key: str) -> Event | None:
    """`key` where the caller has the word; None where not."""
    match effect:
        case Play():
            return Played(key)
        case Collect():
            return DigitsEntered(key)
        case Record():
            return Recorded("r-1", 2.0, key)
    return None


def test_nine_finds_the_person_from_each_single_place() -> None:
    met = set()
    for state, effect in places():
        if (event := pressed(effect, "9")) and state.mode is Mode.LIVE:
            met.add(type(effect))
            new, _ = step(provedor(), state, event)
            blocked = (state.facts.get("standing") or {}).get("blocked")  # for a while: complaint and cancellation only
            assert new.node in ({"blocked", "person", "goodbye"} if blocked else after_person()), state.node
    assert met == {Play, Collect, Record}
    assert {"goodbye", "registered_end", "call_again"} <= {state.node for state, _ in places()}


def test_zero_says_it_again_and_the_fourth_time_finds_a_person_from_each_single_place() -> None:
    """R25: also in what is only spoken, and in a message."""
    for state, effect in places():
        if state.mode is not Mode.LIVE or not pressed(effect, "0"):
            continue
        begun, now, said = state.node, state, effect
        for _ in range(MOST_REPEATS):
            if not (event := pressed(said, "0")) or now.node != begun:
                break
            now, said = step(provedor(), now, event)
        blocked = (state.facts.get("standing") or {}).get("blocked")
        found = after_person() | ({"blocked", "person", "goodbye"} if blocked else set())
        assert isinstance(said, SendToQueue | Act) or now.node in found or begun in found, begun


def test_star_is_heard_at_each_single_place() -> None:
    """R25: an earlier question, the node's own, or the same again: never a mistake and never an end."""
    for state, effect in places():
        if (event := pressed(effect, "*")) and state.mode is Mode.LIVE:
            now, then = step(provedor(), state, event)
            assert now.mistakes == 0 or now.mistakes == state.mistakes, state.node
            assert not isinstance(then, EndCall), state.node


def test_whoever_presses_only_wrong_keys_is_soon_led_on_from_each_single_question() -> None:
    """R25: three retries at most, then a person, an end with the protocol, or another question."""
    stuck = []
    for state, effect in places():
        if not isinstance(effect, Collect) or state.mode is not Mode.LIVE:
            continue
        question, now, said = (state.seq, state.phase), state, effect
        for tries in range(MOST_RETRIES + 2):
            if not isinstance(said, Collect) or (now.seq, now.phase) != question:
                break
            now, said = step(provedor(), now, DigitsEntered("ABCD"[tries % 4]))
        else:
            stuck.append(state.node)
    assert stuck == []


# Asked of who got no attendant (closed, nobody there, a line that is blocked for a while), or has got what they wanted.
NO_ATTENDANT_AFTER = {"offers", "offers_open", "callback_number", "ticket_number", "noted_number", "blocked"}
NO_ATTENDANT_AFTER |= {"anything_else", "complaint_more"}


def test_whoever_presses_nothing_but_wrong_keys_gets_an_attendant_from_each_single_question() -> None:
    """R25: whatever comes between. One place for each question of each node is enough: what follows is the same."""
    asked = {(state.node, state.phase): (state, effect) for state, effect in places() if isinstance(effect, Collect)}
    elsewhere = set()
    for (begun, _), (state, effect) in asked.items():
        now, said = state, effect
        for tries in range(120):
            if isinstance(said, SendToQueue | EndCall):
                break
            wrong = isinstance(said, Collect) and now.mode is Mode.LIVE
            now, said = step(provedor(), now, DigitsEntered("ABCD"[tries % 4]) if wrong else good(said))
        assert isinstance(said, SendToQueue | EndCall), begun
        if isinstance(said, EndCall):
            assert now.protocol_given, begun
            elsewhere.add(begun)
    assert elsewhere == NO_ATTENDANT_AFTER


@cache
def after_person() -> frozenset[str]:
    """Where the person node stops: itself, or the question of opening hours when the protocol was given before."""
    return frozenset({provedor().flow.person, "person_hours"})


def test_the_protocol_is_heard_before_any_end() -> None:
    for state, effect in places():
        if isinstance(effect, SendToQueue):
            assert state.protocol_given, state.node
    for state, effect in places():
        for event in every_answer(effect):
            new, after = step(provedor(), state, event)
            if isinstance(after, EndCall):
                assert new.protocol_given, new.node


def seconds(effect: Effect, heard: dict[str, float]) -> float:
    prompts = getattr(effect, "prompts", ())
    keys = [key for p in prompts for key in (prompt_keys(p, today=TODAY) if isinstance(p, Spoken) else [p])]
    return sum(heard.get(key, NAME_S) for key in keys)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_caller_who_presses_nothing_soon_finds_a_person_or_an_end_with_the_protocol(is_open: bool) -> None:
    """R30: from the first second, and from every question of the flow, the list of plans and the line to pay, which
    goes on by itself, among them: less than 60 s of prompts after the first hearing of the question itself."""
    heard = {key: len(text) / CHARACTERS_A_SECOND for key, text in catalogue().items()}
    heard |= {key: clip.duration_s for key, clip in read_manifest(ROOT / "prompts" / MANIFEST).items()}
    first = step(provedor(), State(), Started(FACTS))
    questions = [place for place in places() if isinstance(place[1], Collect)]
    slow = {}
    for state, effect in [first, *questions]:
        begun, spoken_s = state.node, 0.0 if state.node != "greeting" else seconds(effect, heard)
        for _ in range(60):
            state, effect = step(provedor(), state, good(effect, is_open=is_open))
            spoken_s += seconds(effect, heard)
            if isinstance(effect, SendToQueue | EndCall):
                break
        assert isinstance(effect, SendToQueue | EndCall), begun
        assert state.protocol_given
        if spoken_s >= PROMPTS_AT_MOST_S:
            slow[begun] = round(spoken_s, 1)
    assert slow == {}


@settings(max_examples=100, deadline=None)
@given(typed=st.lists(st.text("0123456789*#ABCD", max_size=20), max_size=12), seed=st.integers(0, 99))
def test_any_keys_with_any_pauses_end(typed: list[str], seed: int) -> None:
    """R25: at most three retries (and three repetitions) of a question, then on; and the call ends."""
    chance = random.Random(seed)
    plan = iter(typed)
    asked: dict[Any, int] = {}
    state, effect = step(provedor(), State(), Started(FACTS))
    for _ in range(1000):
        if isinstance(effect, EndCall):
            break
        if isinstance(effect, Collect):
            question = (state.seq, state.phase, state.data.get("page"), state.data.get("at"))
            asked[question] = asked.get(question, 0) + bool(effect.prompts)
            entry = next(plan, "")
            event: Event = DigitsEntered(entry) if entry else NoInput()
        elif isinstance(effect, Play) and chance.random() < 0.3:
            event = Played(next(plan, ""))
        else:
            event = good(effect, is_open=chance.random() < 0.5)
        state, effect = step(provedor(), state, event)
    assert isinstance(effect, EndCall)
    if not any("*" in entry for entry in typed):  # going back puts a question anew
        assert max(asked.values(), default=0) <= 1 + MOST_RETRIES + MOST_REPEATS - 1
