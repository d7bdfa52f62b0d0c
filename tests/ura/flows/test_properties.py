"""What holds for every flow and every caller: random flows, random events, random keys."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import CITIES, NEIGHBOURHOODS, PLANS
from tests.ura.flows.making import document
from ura.flows.effects import Act, Collect, Effect, EndCall, Lookup, Play, Record, SendToQueue
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
from ura.flows.nodes import Flow

ALL_KEYS = "0123456789*#ABCD"
keys = st.text(ALL_KEYS, max_size=20)
KNOWN = {
    "subscriber": {"id": "s1", "level": "verified", "kind": "person", "can_verify": True, "contracts": 1},
    "contract": {"id": "c1", "number_tail": "101"},
    "contracts": [{"id": "c1", "number_tail": "101"}],
    "invoice": {"id": "i1", "due_on": "2026-11-20", "amount": "99.90"},
    "outage": {"id": "o1", "cause_prompt": "", "ends_at": None},
}
FACTS = {"caller": "+5516999990000", "protocol": "263260000017", "now": "2026-11-22T10:00"}
EDGES = {
    "choose_neighbourhood": ("covered", "planned", "none", "not_found", "failed"),
    "offer_plans": ("sent", "number", "sales", "done", "none", "failed", "not_sent"),
    "proof": ("queued", "no_mobile", "failed"),
    "steps": ("solved", "not_solved"),
    "queue": ("timeout", "empty", "full", "key", "failed"),
    "hours": ("open", "closed", "failed"),
    "identify": ("identified", "declined", "missed", "failed"),
    "diagnose": (
        "blocked", "suspended", "outage", "los", "no_session", "weak", "good", "unknown", "failed",
    ),
    "outage": ("subscribed", "declined", "failed"),
    "session_reset": ("online", "offline", "declined", "failed"),
    "erp_ticket": ("opened", "queued", "failed"),
    "invoices": ("send", "read", "verify", "dispute", "done", "none", "failed"),
    "send_invoice": ("sent", "queued", "no_address", "failed"),
    "read_line": ("done", "send", "failed"),
    "trust_unlock": ("granted", "refused", "declined", "queued", "failed"),
    "promise": ("promised", "refused", "declined", "queued", "failed"),
}  # fmt: skip
ASKING = (
    "menu", "collect", "survey", "steps", "offer_plans", "choose_neighbourhood", "identify", "outage", "session_reset",
    "invoices", "send_invoice", "read_line", "trust_unlock", "promise",
)  # fmt: skip
PERSON = {"key": "person", "type": "hours", "queue": "l1", "on": {"open": "q", "closed": "n0", "failed": "q"}}
QUEUE = {"key": "q", "type": "queue", "queue": "l1", "on": dict.fromkeys(EDGES["queue"], "n0")}


@st.composite
def nodes(draw: st.DrawFn, key: str, targets: list[str]) -> dict[str, Any]:
    """One node of any kind; where it leads is anybody's guess, also nowhere."""
    target = st.sampled_from(targets)
    retry = st.none() | st.fixed_dictionaries({"tries": st.integers(1, 3), "next": st.none() | target})
    asking = {"no_input": draw(retry), "invalid": draw(retry)}
    kind = draw(st.sampled_from([*FIELDS, *EDGES]))
    node: dict[str, Any] = {"key": key, "type": kind} | FIELDS.get(kind, {})
    if kind in EDGES:
        node["on"] = {edge: draw(target) for edge in EDGES[kind]}
    if kind in ASKING:
        node |= asking
    if kind == "menu":
        choices = draw(st.sets(st.sampled_from("12345678#"), min_size=1, max_size=4))
        node["choices"] = {digit: {"label": digit, "next": draw(target)} for digit in choices}
    elif kind == "branch":
        when = {"fact": draw(st.sampled_from(["repeat_call", "neighbourhood.status"])), "known": draw(st.booleans())}
        node |= {"cases": [{"when": when, "next": draw(target)}], "otherwise": draw(target)}
    elif kind == "subflow":
        node["next"] = draw(target)
    elif kind not in EDGES and kind != "end":
        node["next"] = draw(target)
        if kind not in ("say", "protocol", "collect", "survey"):
            node["failed"] = draw(target)
        if kind == "message":
            node["empty"] = draw(target)
    return node


PROMPTS = {"prompts": ["a.prompt"]}
FIELDS: dict[str, dict[str, Any]] = {
    "menu": PROMPTS | {"short_prompts": ["short"]},
    "say": PROMPTS,
    "collect": PROMPTS | {"into": "typed", "max_digits": 11},
    "branch": {},
    "lookup": {"name": "recent_calls", "into": "recent"},
    "send_plans": {},
    "proof": {},
    "lead": {"status": "interested"},
    "waiting_list": {},
    "ticket": {"category": "support", "summary": "x", "queue": "l1"},
    "callback": {"queue": "l1"},
    "message": PROMPTS,
    "survey": {"question": "nps"} | PROMPTS,
    "protocol": {},
    "subflow": {"flow": "inner"},
    "end": {},
    "steps": {"steps": [{"key": "a", "prompts": ["a"]}, {"key": "b", "prompts": ["b"], "then_ask": False}]},
    "queue": {"queue": "l1"} | PROMPTS,
    "hours": {"queue": "l1"},
    "identify": {"level": "verified"},
    "erp_ticket": {"subject": "x"},
    "dispute": {"summary": "x"},
}
INNER = Flow.model_validate(
    document(
        {"key": "ask", "type": "menu", "prompts": ["x"], "choices": {"1": {"label": "1", "next": "back"}}},
        {"key": "back", "type": "end", "returns": True},
        key="inner",
    )
)


@st.composite
def flows(draw: st.DrawFn) -> CompiledFlow:
    names = [f"n{n}" for n in range(draw(st.integers(1, 6)))]
    targets = [*names, "person", "q", "nowhere"]
    made = [draw(nodes(name, targets)) for name in names]
    flow = Flow.model_validate(
        {
            "key": "random",
            "title": "x",
            "start": "n0",
            "person": "person",
            "limits": {"steps": draw(st.integers(20, 60))},
            "nodes": [*made, PERSON, QUEUE],
        }
    )
    return compile_flow(flow, {"inner": INNER})


rows = st.lists(st.sampled_from(NEIGHBOURHOODS), max_size=12)
results = st.one_of(
    st.just({}),
    st.builds(lambda found: {"neighbourhoods": found}, rows),
    st.builds(lambda n: {"cities": CITIES[:n]}, st.integers(0, 2)),
    st.builds(lambda n: {"plans": PLANS[:n]}, st.integers(0, 4)),
    st.sampled_from([{"open": True}, {"open": False}, {"neighbourhoods": 7}, {"plans": [None]}, {"lead_id": "l-1"}]),
    st.sampled_from(
        [
            {"subscriber": None, "contracts": []},
            {"subscriber": KNOWN["subscriber"], "contracts": [{"id": f"c{n}"} for n in range(7)]},
            {"subscriber": KNOWN["subscriber"], "contracts": [{"id": "c1"}], "locked": True},
            {"right": True},
            {"right": False},
            {"verdict": "outage", "outage": KNOWN["outage"]},
            {"verdict": "allowed", "until": None},
            {"verdict": "granted", "until": "2026-11-25T10:00"},
            {"invoices": [KNOWN["invoice"]] * 3},
            {"invoices": []},
            {"unsupported": True},
            {"targets": [{"channel": "sms", "tail": "0101"}, {"channel": "email"}]},
            {"blocks": ["12345", "67890"]},
            {"days": ["2026-11-23"]},
            {"request_id": "r-1", "message_id": "m-1"},
            {"state": "done", "result": {"accepted": True, "verdict": "granted", "reference": "x", "ok": True}},
            {"state": "queued", "result": None},
            {"state": "sent"},
            {"state": "online"},
        ]
    ),
)
names = st.sampled_from(
    [
        *("cities", "neighbourhoods", "neighbourhoods_by_keys", "neighbourhood_by_cep", "plans", "opening"),
        *("recent_calls", "who_calls", "find_subscriber", "check_factor", "diagnose", "open_invoices", "targets"),
        *("message_state", "invoice_line", "may_unlock", "erp_result", "session_back"),
    ]
)
act_names = st.sampled_from(
    [
        *("save_lead", "send_plans", "open_ticket", "send_proof", "save_recording", "other"),
        *("request_erp", "hear_outage", "send_invoice", "dispute_invoice"),
    ]
)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(DigitsEntered, keys),
    st.builds(Played, keys),
    st.just(NoInput()),
    st.builds(LookupDone, names, results, keys),
    st.builds(LookupFailed, names, st.just("x")),
    st.builds(ActDone, act_names, results),
    st.builds(ActFailed, act_names, st.just("x")),
    st.builds(Recorded, st.just("r-1"), st.sampled_from([0.0, 5.0])),
    st.builds(QueueLeft, st.just("l1"), st.sampled_from(["timeout", "empty", "full", "key", "failed", "odd"])),
    st.just(Started()),
)
EVERYTHING = {
    **{"cities": CITIES, "neighbourhoods": NEIGHBOURHOODS[:8], "plans": PLANS, "subscriber": KNOWN["subscriber"]},
    **{"contracts": [{"id": "c1"}, {"id": "c2"}], "right": False, "verdict": "allowed", "blocks": ["12345", "67890"]},
    **{"invoices": [KNOWN["invoice"]] * 2, "targets": [{"channel": "sms", "tail": "0101"}], "state": "queued"},
}
generous = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def begun(draw: st.DrawFn) -> Started:
    """A call of somebody whom we know or not."""
    return Started(FACTS | (KNOWN if draw(st.booleans()) else {}))


@st.composite
def fitting(draw: st.DrawFn, effect: Effect) -> Event:
    """An event that this effect can really cause."""
    match effect:
        case Play():
            return Played(draw(st.just("") | keys))
        case Collect(_, max_digits, _, given):
            digits = given + draw(st.text(ALL_KEYS, max_size=max_digits))
            return DigitsEntered(digits) if digits else NoInput()
        case Lookup(name):
            return draw(st.builds(LookupDone, st.just(name), results) | st.just(LookupFailed(name, "x")))
        case Act(name):
            return draw(st.builds(ActDone, st.just(name), results) | st.just(ActFailed(name, "x")))
        case Record():
            return Recorded("r-1", draw(st.sampled_from([0.0, 5.0])))
        case SendToQueue(queue):
            return QueueLeft(queue, draw(st.sampled_from(["timeout", "empty", "full", "key", "failed"])))
    return Started()


@generous
@given(flow=flows(), data=st.data())
def test_every_call_ends_within_its_budget_whatever_happens(flow: CompiledFlow, data: st.DataObject) -> None:
    state, effect = step(flow, State(), data.draw(begun()))
    most = 2 * flow.flow.limits.steps + 5  # each step can at most owe one act
    for _ in range(most):
        if state.mode is Mode.OVER:
            break
        event = data.draw(events if data.draw(st.booleans()) else fitting(effect))
        state, effect = step(flow, state, event)
    assert state.mode is Mode.OVER
    assert isinstance(effect, EndCall)


@generous
@given(flow=flows(), data=st.data())
def test_a_state_through_json_goes_on_the_same(flow: CompiledFlow, data: st.DataObject) -> None:
    state, effect = step(flow, State(), data.draw(begun()))
    for _ in range(25):
        again = replace(State.from_json(json.loads(json.dumps(state.to_json()))), ahead=state.ahead)
        assert again == state
        event = data.draw(events if data.draw(st.booleans()) else fitting(effect))
        from_json = step(flow, again, event)
        state, effect = step(flow, state, event)
        assert from_json == (state, effect)


@generous
@given(flow=flows(), data=st.data())
def test_nine_leads_to_the_person_wherever_the_caller_has_the_word(flow: CompiledFlow, data: st.DataObject) -> None:
    state, effect = step(flow, State(), data.draw(begun()))
    for _ in range(15):
        within = state.spent + 2 < flow.flow.limits.steps
        if state.mode is Mode.LIVE and within and isinstance(effect, Play | Collect):
            event = Played("9") if isinstance(effect, Play) else DigitsEntered("9")
            asked, _ = step(flow, state, event)
            assert asked.node == "person"
        state, effect = step(flow, state, data.draw(fitting(effect)))


@generous
@given(flow=flows(), data=st.data())
def test_a_hang_up_anywhere_closes_once_and_pays_what_is_owed(flow: CompiledFlow, data: st.DataObject) -> None:
    state, effect = step(flow, State(), data.draw(begun()))
    for _ in range(data.draw(st.integers(0, 15))):
        state, effect = step(flow, state, data.draw(fitting(effect)))
    abandoned = state.facts.get("lead_status") == "interested" and state.facts.get("lead_id")
    over = state.mode is Mode.OVER
    owed = [each["args"]["status"] for each in state.owed if each["name"] == "save_lead"]
    others = [each["name"] for each in state.owed if each["name"] != "save_lead"]
    others += ["save_steps"] if state.data.get("answers") else []
    known = state.facts.get("ticket"), state.facts.get("callback")
    leads, rest = [], []
    state, effect = step(flow, state, HungUp())
    while isinstance(effect, Act):
        leads += [effect.args["status"]] if effect.name == "save_lead" else []
        rest += [effect.name] if effect.name != "save_lead" else []
        state, effect = step(flow, state, ActDone(effect.name, {}))
    assert isinstance(effect, EndCall)
    assert state.mode is Mode.OVER
    assert state.owed == () or over
    if not over:
        assert leads == owed + (["abandoned"] if abandoned else [])
        assert rest == others  # no ticket and no callback that nobody asked for
    assert (state.facts.get("ticket"), state.facts.get("callback")) == known


@generous
@given(flow=flows(), start=begun(), typed=st.lists(keys, max_size=8))
def test_nobody_is_asked_the_same_for_ever(flow: CompiledFlow, start: Started, typed: list[str]) -> None:
    """R25: any keys with any pauses: at most three retries of a question (and three repetitions), then on."""
    state, effect = step(flow, State(), start)
    plan = iter(typed)
    asked: dict[tuple[Any, ...], int] = {}
    for _ in range(3 * flow.flow.limits.steps):
        if isinstance(effect, EndCall):
            break
        event: Event = Played()
        match effect:
            case Collect(prompts):
                question = (state.seq, state.phase, state.data.get("page"), state.data.get("at"))
                asked[question] = asked.get(question, 0) + bool(prompts)
                entry = next(plan, "")
                event = DigitsEntered(entry) if entry else NoInput()
            case Lookup(name):
                event = LookupDone(name, EVERYTHING)
            case Act(name):
                event = ActDone(name, {})
            case Record():
                event = Recorded("r-1", 5.0)
            case SendToQueue(queue):
                event = QueueLeft(queue, "timeout")
        state, effect = step(flow, state, event)
    assert isinstance(effect, EndCall)
    if not any("*" in entry for entry in typed):  # going back puts a question anew
        assert max(asked.values(), default=0) <= 1 + MOST_RETRIES + MOST_REPEATS - 1
