"""Unlock, promise, dispute: asked before it is done, done once, and told as the provider's system said it."""

from typing import Any

import pytest

from tests.ura.flows.making import Talk, make_flow, say
from tests.ura.flows.test_invoices import ABOUT, OLD, at
from ura.flows.effects import Act, Lookup
from ura.flows.events import ActDone, ActFailed, LookupDone, LookupFailed

Json = Any
UNLOCK_EDGES = ("granted", "refused", "declined", "queued", "failed")
PROMISE_EDGES = ("promised", "refused", "declined", "queued", "failed", "unsupported")
TELL = ABOUT | {"tell": "+5516999990000"}
REFUSALS = ["used_this_period", "not_blocked", "blocked_other_reason", "policy_refused", "unknown_contract"]


def unlocking(answer: dict[str, Json], *more: str, level: str = "number") -> Talk:
    talk = at("trust_unlock", *UNLOCK_EDGES, *more, level=level)
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.name, talk.effect.args) == ("may_unlock", ABOUT)
    talk.hears(LookupDone("may_unlock", answer))
    return talk


def wished(talk: Talk, answer: dict[str, Json]) -> Talk:
    talk.hears(ActDone("request_erp", {"request_id": "r1"}))
    talk.hears(LookupDone("erp_result", answer))
    return talk


def done(talk: Talk, **result: Json) -> Talk:
    return wished(talk, {"state": "done", "result": result})


# -- unlock


def test_an_unlock_is_allowed_agreed_to_done_and_told_until_when() -> None:
    talk = unlocking({"verdict": "allowed"})
    assert talk.prompts == ["unlock.confirm"]
    talk.press("1")
    wish = {"operation": "trust_unlock", "args": TELL}
    assert talk.effect == Act("request_erp", wish, "it:request_erp:2", "system.one_moment")
    done(talk, verdict="granted", until="2026-11-25T10:00")
    assert talk.prompts == ["unlock.granted", "<moment 2026-11-25T10:00>"]
    talk.played()
    assert talk.prompts == ["say.granted"]


@pytest.mark.parametrize("verdict", REFUSALS)
def test_why_not_is_spoken_before_anything_is_asked_for(verdict: str) -> None:
    talk = unlocking({"verdict": verdict})
    assert talk.prompts == [f"unlock.{verdict}"]
    talk.played()
    assert talk.prompts == ["say.refused"]


@pytest.mark.parametrize("verdict", REFUSALS)
def test_who_was_allowed_and_is_refused_nevertheless_hears_why(verdict: str) -> None:
    talk = unlocking({"verdict": "allowed"})
    talk.press("1")
    assert done(talk, verdict=verdict).prompts == [f"unlock.{verdict}"]


@pytest.mark.parametrize(
    ("until", "says"),
    [
        ("2026-11-25T10:00", ["unlock.already_active", "<moment 2026-11-25T10:00>"]),
        ("2026-11-25T23:59", ["unlock.already_active_day", "<date 2026-11-25>"]),
        (None, ["unlock.already_active_now"]),
    ],
)
def test_what_is_unlocked_already_is_said(until: str | None, says: list[str]) -> None:
    talk = unlocking({"verdict": "already_active", "until": until})
    assert talk.prompts == says
    talk.played()
    assert talk.prompts == ["say.granted"]


def test_without_a_time_none_is_told() -> None:
    talk = unlocking({"verdict": "allowed"})
    talk.press("1")
    assert done(talk, verdict="granted", until=None).prompts == ["unlock.granted_now"]


@pytest.mark.parametrize("answer", [{"verdict": "granted"}, {"verdict": "perhaps"}, {}, {"unsupported": True}])
def test_an_answer_that_makes_no_sense_unlocks_nothing(answer: dict[str, Json]) -> None:
    assert unlocking(answer).prompts == ["say.failed"]


@pytest.mark.parametrize(
    ("answer", "edge"),
    [
        ({"state": "queued", "result": None}, "queued"),
        ({"state": "failed", "result": None}, "failed"),
        ({"state": "done", "result": {"verdict": "allowed"}}, "failed"),
        ({"state": "done", "result": {"unsupported": True}}, "unsupported"),
    ],
)
def test_what_was_not_granted_in_time_is_queued_or_failed(answer: dict[str, Json], edge: str) -> None:
    talk = unlocking({"verdict": "allowed"}, "unsupported")
    talk.press("1")
    assert wished(talk, answer).prompts == [f"say.{edge}"]


def test_a_system_without_unlocks_may_have_words_of_its_own() -> None:
    assert unlocking({"unsupported": True}, "unsupported").prompts == ["say.unsupported"]


def test_who_does_not_agree_is_not_unlocked() -> None:
    talk = unlocking({"verdict": "allowed"})
    talk.press("7", "2")
    assert talk.prompts == ["say.declined"]


def test_while_nobody_can_say_whether_it_may_be_the_wish_can_be_left() -> None:
    talk = at("trust_unlock", *UNLOCK_EDGES)
    talk.hears(LookupFailed("may_unlock", "x"))
    assert talk.prompts == ["unlock.later"]
    talk.press("1")
    assert isinstance(talk.effect, Act)
    assert talk.effect.args == {"operation": "trust_unlock", "args": TELL}
    assert wished(talk, {"state": "queued", "result": None}).prompts == ["say.queued"]


def test_who_wants_to_leave_nothing_goes_on_and_nobody_unknown_is_unlocked() -> None:
    talk = at("trust_unlock", *UNLOCK_EDGES)
    talk.hears(LookupFailed("may_unlock", "x"))
    talk.press("2")
    assert talk.prompts == ["say.declined"]
    assert at("trust_unlock", *UNLOCK_EDGES, contract=None).prompts == ["say.failed"]


# -- promise


def promising(level: str = "document", **facts: Json) -> Talk:
    talk = at("promise", *PROMISE_EDGES, level=level, **facts)
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.name, talk.effect.args) == ("promise_days", ABOUT)
    talk.hears(LookupDone("promise_days", {"days": ["2026-11-23", "2026-11-25"]}))
    return talk


def test_a_promise_is_a_day_of_the_menu_that_the_system_accepts() -> None:
    talk = promising()
    assert talk.prompts == [
        "promise.intro", "<date 2026-11-23>", "choose.press_1", "<date 2026-11-25>", "choose.press_2", "promise.other",
    ]  # fmt: skip
    talk.press("2")
    wish = {"operation": "promise", "args": TELL | {"on": "2026-11-25"}}
    assert talk.effect == Act("request_erp", wish, "it:request_erp:2", "system.one_moment")
    done(talk, accepted=True, on="2026-11-25", reference="p1")
    assert talk.prompts == ["promise.accepted", "<date 2026-11-25>"]
    talk.played()
    assert talk.prompts == ["say.promised"]
    assert talk.state.facts["promise"] == {"on": "2026-11-25"}


@pytest.mark.parametrize(
    ("answer", "edge"),
    [
        ({"state": "done", "result": {"accepted": False, "on": "2026-11-25"}}, "refused"),
        ({"state": "queued", "result": None}, "queued"),
        ({"state": "failed", "result": None}, "failed"),
        ({"state": "done", "result": {"unsupported": True}}, "unsupported"),
    ],
)
def test_a_promise_that_was_not_taken_is_told_so(answer: dict[str, Json], edge: str) -> None:
    talk = promising()
    talk.press("1")
    assert wished(talk, answer).prompts == [f"say.{edge}"]


def test_no_day_or_no_word_declines() -> None:
    talk = promising()
    talk.press("3")
    assert talk.prompts[0] == "system.invalid"
    talk.press("8")
    assert talk.prompts == ["say.declined"]
    talk = promising()
    talk.silence(2)
    assert talk.prompts == ["say.declined"]


def test_no_day_is_offered_where_none_can_be_agreed() -> None:
    talk = promising()
    assert talk.asked
    talk = at("promise", *PROMISE_EDGES)
    talk.hears(LookupDone("promise_days", {"unsupported": True, "days": []}))
    assert talk.prompts == ["say.unsupported"]


def test_a_promise_needs_a_document_and_a_day() -> None:
    assert at("promise", *PROMISE_EDGES, level="number").prompts == ["say.failed"]
    for event in (LookupDone("promise_days", {"days": []}), LookupFailed("promise_days", "x")):
        talk = at("promise", *PROMISE_EDGES)
        talk.hears(event)
        assert talk.prompts == ["say.failed"]


# -- dispute


def disputing(**facts: Json) -> Talk:
    node = {"key": "it", "type": "dispute", "summary": "Não concorda", "next": "next", "failed": "failed"}
    known = {
        "subscriber": {"id": "s1", "level": "verified"},
        "contract": {"id": "c1", "source": "local"},
        "invoice": OLD,
    }
    return Talk(make_flow(node, say("next", "it"), say("failed", "it")), **(known | facts))


def test_a_charge_that_is_not_agreed_with_becomes_a_complaint() -> None:
    talk = disputing()
    args = ABOUT | {"invoice_id": "i1", "summary": "Não concorda", "queue": "l1", "phone": "+5516999990000"}
    args |= {"source": "local"}
    assert talk.effect == Act("dispute_invoice", args, "it:dispute_invoice:1")
    talk.hears(ActDone("dispute_invoice", {"ticket_id": "t1", "protocol": "263260000017"}))
    assert talk.prompts == ["say.next"]
    assert talk.state.facts["ticket"]["ticket_id"] == "t1"


def test_a_dispute_that_cannot_be_written_down_or_names_no_invoice_is_not_promised() -> None:
    talk = disputing()
    talk.hears(ActFailed("dispute_invoice", "disk"))
    assert talk.prompts == ["say.failed"]
    assert disputing(invoice=None).prompts == ["say.failed"]
    assert disputing(subscriber={"id": "s1", "level": "number"}).prompts == ["say.failed"]
