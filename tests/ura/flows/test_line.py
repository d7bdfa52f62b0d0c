"""It is not working: the verdict decides the way, an outage is told and not sold, what is promised was asked for."""

from typing import Any

import pytest

from tests.ura.flows.making import Talk, make_flow, say
from ura.flows.effects import Act, Collect, Lookup, Play
from ura.flows.events import ActDone, ActFailed, Event, LookupDone, LookupFailed

Json = Any
KNOWN = {"subscriber": {"id": "s1", "level": "number"}, "contract": {"id": "c1"}}
ABOUT = {"subscriber_id": "s1", "contract_id": "c1"}
VERDICTS = ("blocked", "suspended", "outage", "los", "no_session", "weak", "good", "unknown")
OUTAGE = {"id": "o1", "cause_prompt": "outage.fibre_cut", "text_prompt": "", "ends_at": "2026-11-22T14:00"}


def at(node: dict[str, Json], *edges: str, **facts: Json) -> Talk:
    """In front of the node, whose edges lead to `say.<edge>`."""
    flow = make_flow(node | {"key": "it", "on": {edge: edge for edge in edges}}, *(say(edge, "it") for edge in edges))
    return Talk(flow, **(KNOWN | {"now": "2026-11-22T10:20:31"} | facts))


# -- diagnose


def diagnosing(**facts: Json) -> Talk:
    return at({"type": "diagnose"}, *VERDICTS, "failed", **facts)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_verdict_is_the_way(verdict: str) -> None:
    talk = diagnosing()
    assert talk.effect == Lookup("diagnose", ABOUT, "system.one_moment", "system.still_looking", 8.0)
    talk.hears(LookupDone("diagnose", {"verdict": verdict, "rx_dbm": -20.0, "outage": OUTAGE}))
    assert talk.prompts == [f"say.{verdict}"]
    assert talk.state.facts["diagnosis"] == {"verdict": verdict, "rx_dbm": -20.0}
    assert talk.state.facts["outage"] == OUTAGE


@pytest.mark.parametrize("event", [LookupFailed("diagnose", "x"), LookupDone("diagnose", {"verdict": "fine"})])
def test_what_nobody_understands_is_no_verdict(event: Any) -> None:
    talk = diagnosing()
    talk.hears(event)
    assert talk.prompts == ["say.failed"]
    assert "diagnosis" not in talk.state.facts


def test_no_line_is_looked_at_before_we_know_whose() -> None:
    assert diagnosing(contract=None).prompts == ["say.failed"]
    assert diagnosing(subscriber={}).prompts == ["say.failed"]


# -- outage


def telling(**facts: Json) -> Talk:
    return at({"type": "outage"}, "subscribed", "declined", "failed", **({"outage": OUTAGE} | facts))


def told(**facts: Json) -> Talk:
    talk = telling(**facts)
    talk.hears(ActDone("hear_outage", {}))
    return talk


def test_an_outage_is_told_with_cause_and_estimate_after_the_call_was_tied_to_it() -> None:
    talk = telling()
    assert talk.effect == Act("hear_outage", {"outage_id": "o1", "contract_id": "c1"}, "it:hear_outage:1")
    talk.hears(ActDone("hear_outage", {}))
    assert talk.prompts == ["outage.intro", "<name outage.fibre_cut>", "outage.estimate", "<moment 2026-11-22T14:00>"]
    talk.played()
    assert talk.prompts == ["outage.offer"]


@pytest.mark.parametrize("event", [ActDone("hear_outage", {}), ActFailed("hear_outage", "x")])
def test_a_call_is_tied_to_the_outage_of_its_number_before_it_is_told(event: Event) -> None:
    """Who hangs up on hearing it is counted; a full disk keeps nobody from hearing it."""
    flow = make_flow({"key": "it", "type": "hear_outage", "of": "nearby", "next": "told"}, say("told", "goodbye"))
    talk = Talk(flow, nearby={"outage": {"id": "o1"}, "contract_id": "c1"})
    assert talk.effect == Act("hear_outage", {"outage_id": "o1", "contract_id": "c1"}, "it:hear_outage:1")
    talk.hears(event)
    assert talk.prompts == ["say.told"]
    assert Talk(flow, nearby={"outage": None}).prompts == ["say.told"]


def test_an_outage_that_was_told_in_this_call_is_only_called_to_mind() -> None:
    talk = telling(outage_told=OUTAGE)
    assert isinstance(talk.effect, Act)  # tied to it all the same
    talk.hears(ActDone("hear_outage", {}))
    assert talk.prompts == ["outage.again"]
    talk.played()
    assert talk.prompts == ["outage.offer"]


@pytest.mark.parametrize("told_before", [{"id": "o2"}, {"ends_at": "2026-11-22T12:00"}, {"ends_at": None}])
def test_another_outage_or_another_estimate_is_told(told_before: dict[str, Json]) -> None:
    talk = told(outage_told=OUTAGE | told_before)
    assert talk.prompts[0] == "outage.intro"


@pytest.mark.parametrize(("cut_by", "known"), [("", OUTAGE), ("1", None)])
def test_only_what_was_heard_to_its_end_was_told(cut_by: str, known: Json) -> None:
    talk = told()
    talk.played(cut_by)
    assert talk.state.facts.get("outage_told") == known


def test_what_is_not_known_of_an_outage_is_not_told() -> None:
    talk = told(outage={"id": "o1", "cause_prompt": "", "ends_at": None})
    assert talk.prompts == ["outage.intro", "outage.no_estimate"]


def test_what_the_house_says_of_an_outage_is_told_after_its_cause() -> None:
    talk = told(outage=OUTAGE | {"text_prompt": "name.1234"})
    assert talk.prompts[:4] == ["outage.intro", "<name outage.fibre_cut>", "<name name.1234>", "outage.estimate"]


def test_who_wants_to_know_when_it_is_over_confirms_the_number() -> None:
    talk = told()
    talk.played()
    talk.press("1")
    assert talk.prompts == ["outage.number"]
    talk.press("1")
    wish = {"outage_id": "o1", "contract_id": "c1", "wants_news": True, "phone": "+5516999990000"}
    assert talk.effect == Act("hear_outage", wish, "it:hear_outage:2")
    talk.hears(ActDone("hear_outage", {}))
    assert talk.prompts == ["say.subscribed"]
    talk.played()
    talk.hears(ActDone("hear_outage", {}))
    assert talk.prompts == ["outage.again"]
    talk.played()
    assert talk.prompts == ["say.subscribed"]  # nobody is asked what was answered


@pytest.mark.parametrize("caller", ["", "+5516999990000"])
def test_another_number_is_checked(caller: str) -> None:
    talk = told(caller=caller)
    talk.played()
    talk.press("1", *(["2"] if caller else []))
    assert talk.effect == Collect(("outage.other_number",), 11, 5.0)
    talk.press("123")
    assert talk.prompts == ["system.invalid", "outage.other_number"]
    talk.press("1155554444")
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["phone"] == "+551155554444"
    talk.hears(ActFailed("hear_outage", "disk"))
    assert talk.prompts == ["say.failed"]


def test_a_number_that_was_keyed_for_the_news_is_the_one_to_reach_from_then_on() -> None:
    talk = told(caller="")
    talk.played()
    talk.press("1", "11944443399")
    talk.hears(ActDone("hear_outage", {}))
    assert talk.prompts == ["say.subscribed"]
    assert talk.state.facts["contact_phone"] == "+5511944443399"
    talk.played()
    talk.hears(ActDone("hear_outage", {}))
    talk.played()
    assert talk.prompts == ["say.subscribed"]


@pytest.mark.parametrize("no", ["2", ""])
def test_who_says_no_or_nothing_goes_on(no: str) -> None:
    talk = told()
    talk.played()
    if no:
        talk.press(no)
    else:
        talk.silence(2)
    assert talk.prompts == ["say.declined"]


def test_a_disk_that_refuses_does_not_keep_the_outage_from_being_told() -> None:
    talk = telling()
    talk.hears(ActFailed("hear_outage", "disk"))
    assert talk.prompts[0] == "outage.intro"


def test_an_outage_that_only_the_providers_system_knows_is_tied_told_and_its_end_promised() -> None:
    notice = {"source": "sgp", "reference": "77", "text": "Rompimento", "ends_at": None}
    outage = {"id": "o1", "cause_prompt": "", "ends_at": "2026-11-22T14:00", "notice": notice}
    talk = telling(outage=outage, subscriber={"id": "s1", "level": "number"})
    heard = {"outage_id": "o1", "contract_id": "c1", "notice": notice, "subscriber_id": "s1"}
    assert talk.effect == Act("hear_outage", heard, "it:hear_outage:1")
    talk.hears(ActDone("hear_outage", {}))
    assert talk.prompts == ["outage.intro", "outage.estimate", "<moment 2026-11-22T14:00>"]
    talk.played()
    assert talk.prompts == ["outage.offer"]


def test_without_an_outage_none_is_told() -> None:
    assert telling(outage=None).prompts == ["say.failed"]


# -- session reset


def resetting() -> Talk:
    return at({"type": "session_reset", "recheck_s": 20}, "online", "offline", "declined", "failed")


def reset_done(talk: Talk) -> Talk:
    """Through consent, wish and answer."""
    talk.press("1")
    talk.hears(ActDone("request_erp", {"request_id": "r1"}))
    talk.hears(LookupDone("erp_result", {"state": "done", "result": {"ok": True}}))
    return talk


def test_a_session_is_reset_with_consent_and_looked_at_again() -> None:
    talk = resetting()
    assert talk.prompts == ["session.consent"]
    talk.press("1")
    wish = {"operation": "session_reset", "args": ABOUT | {"tell": "+5516999990000"}}
    assert talk.effect == Act("request_erp", wish, "it:request_erp:2", "system.one_moment")
    talk.hears(ActDone("request_erp", {"request_id": "r1"}))
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.name, talk.effect.args) == ("erp_result", ABOUT | {"request_id": "r1"})
    talk.hears(LookupDone("erp_result", {"state": "done", "result": {"ok": True}}))
    assert talk.effect == Play(("session.waiting",))
    talk.played()
    assert talk.effect == Lookup(
        "session_back", ABOUT | {"within_s": 20.0}, "system.still_looking", "system.still_looking", 21.0
    )
    talk.hears(LookupDone("session_back", {"state": "online"}))
    assert talk.prompts == ["say.online"]


def test_where_only_the_device_can_be_restarted_the_caller_agrees_to_that_and_waits_longer() -> None:
    node = {"type": "session_reset", "recheck_device_s": 90}
    talk = at(node, "online", "offline", "declined", "failed", diagnosis={"restart": "device"})
    assert talk.prompts == ["session.consent_device"]
    reset_done(talk)
    assert talk.effect == Play(("session.waiting_device",))
    talk.played()
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.args, talk.effect.deadline_s) == (ABOUT | {"within_s": 90.0}, 91.0)


@pytest.mark.parametrize(("state", "edge"), [("offline", "offline"), ("unknown", "failed"), (None, "failed")])
def test_what_is_not_known_of_the_session_is_not_called_online(state: str | None, edge: str) -> None:
    talk = reset_done(resetting())
    talk.played()
    talk.hears(LookupDone("session_back", {"state": state}))
    assert talk.prompts == [f"say.{edge}"]


@pytest.mark.parametrize(
    "answer",
    [
        LookupDone("erp_result", {"state": "done", "result": {"ok": False}}),
        LookupDone("erp_result", {"state": "done", "result": {"unsupported": True}}),
        LookupDone("erp_result", {"state": "failed", "result": None}),
        LookupDone("erp_result", {"state": "queued", "result": None}),
        LookupFailed("erp_result", "x"),
    ],
)
def test_a_reset_of_which_nobody_is_sure_is_not_claimed(answer: Any) -> None:
    talk = resetting()
    talk.press("1")
    talk.hears(ActDone("request_erp", {"request_id": "r1"}))
    talk.hears(answer)
    assert talk.prompts == ["say.failed"]


def test_a_reset_that_cannot_be_asked_for_or_looked_at_has_failed() -> None:
    talk = resetting()
    talk.press("1")
    talk.hears(ActFailed("request_erp", "disk"))
    assert talk.prompts == ["say.failed"]
    talk = reset_done(resetting())
    talk.played()
    talk.hears(LookupFailed("session_back", "x"))
    assert talk.prompts == ["say.failed"]


def test_without_consent_nothing_is_reset() -> None:
    talk = resetting()
    talk.press("7")
    assert talk.prompts == ["system.invalid", "session.consent"]
    talk.press("2")
    assert talk.prompts == ["say.declined"]


def test_nobody_unknown_resets_a_session() -> None:
    talk = at({"type": "session_reset"}, "online", "offline", "declined", "failed", subscriber=None)
    assert talk.prompts == ["say.failed"]


# -- a visit


DUE = "2026-11-24T10:00:00-03:00"


def visiting(until: Json = DUE, **facts: Json) -> Talk:
    """Up to the wish; `until`: what the house says can be kept."""
    node = {"type": "erp_ticket", "what": "visit", "subject": "Sem sinal", "within_hours": 10, "hours_of": "campo"}
    talk = at(node, "opened", "queued", "failed", **facts)
    if isinstance(talk.effect, Lookup):
        assert talk.effect == Lookup("deadline", {"queue": "campo", "hours": 10}, "system.one_moment")
        talk.hears(LookupDone("deadline", {"until": until}))
    return talk


def test_a_visit_is_asked_for_by_the_moment_that_is_told() -> None:
    """Whoever has to come must know it, too."""
    talk = visiting()
    args = ABOUT | {"tell": "+5516999990000", "subject": "Sem sinal", "text": "", "at": DUE}
    wish = {"operation": "open_order", "args": args}
    assert talk.effect == Act("request_erp", wish, "it:request_erp:2", "system.one_moment")
    talk.hears(ActDone("request_erp", {"request_id": "r1"}))
    talk.hears(LookupDone("erp_result", {"state": "done", "result": {"reference": "OS-1"}}))
    assert talk.prompts == ["say.opened"]
    assert talk.state.facts["erp_ticket"] == {"reference": "OS-1", "until": "2026-11-24T10:00"}


@pytest.mark.parametrize(
    ("answer", "edge"),
    [
        ({"state": "queued", "result": None}, "queued"),
        ({"state": "done", "result": {}}, "failed"),
        ({"state": "done", "result": {"unsupported": True}}, "failed"),
        ({"state": "failed", "result": None}, "failed"),
    ],
)
def test_a_visit_is_opened_queued_or_failed_and_told_so(answer: dict[str, Json], edge: str) -> None:
    talk = visiting()
    talk.hears(ActDone("request_erp", {"request_id": "r1"}))
    talk.hears(LookupDone("erp_result", answer))
    assert talk.prompts == [f"say.{edge}"]


def test_a_take_over_in_the_middle_asks_for_the_same_visit() -> None:
    talk = visiting()
    first = talk.effect
    talk.hears(LookupDone("something else", {}))
    assert talk.effect == first


@pytest.mark.parametrize("until", [None, "soon", "2026-11-24T10:00", 7])
def test_where_nobody_knows_when_somebody_can_come_no_time_is_promised(until: Json) -> None:
    talk = visiting(until)
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["args"]["at"] is None
    talk.hears(ActDone("request_erp", {"request_id": "r1"}))
    talk.hears(LookupDone("erp_result", {"state": "done", "result": {"reference": "OS-1"}}))
    assert talk.state.facts["erp_ticket"] == {"reference": "OS-1", "until": None}


def test_a_calendar_that_cannot_be_read_does_not_keep_the_visit_from_being_asked_for() -> None:
    node = {"type": "erp_ticket", "what": "visit", "subject": "Sem sinal"}
    talk = at(node, "opened", "queued", "failed")
    talk.hears(LookupFailed("deadline", "away"))
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["args"]["at"] is None


def test_a_ticket_needs_to_know_for_whom() -> None:
    assert visiting(contract={}).prompts == ["say.failed"]


def test_a_ticket_that_is_no_visit_promises_nothing() -> None:
    talk = at({"type": "erp_ticket", "subject": "Lenta"}, "opened", "queued", "failed")
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["operation"] == "open_ticket"
    talk.hears(ActDone("request_erp", {"request_id": "r1"}))
    talk.hears(LookupDone("erp_result", {"state": "done", "result": {"reference": "T-1"}}))
    assert talk.state.facts["erp_ticket"] == {"reference": "T-1", "until": None}
