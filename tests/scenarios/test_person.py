"""A person: in hours the queue, out of hours the truth and three ways to be heard."""

import re
from pathlib import Path

import pytest

from tests.scenarios.story import HIDDEN, MARIA, SUNDAY_02H, tell
from ura.prompts import load_texts
from ura.settings import ROOT

CATALOGUE = load_texts(ROOT / "prompts" / "catalogue.yaml")
PROMISES_A_PERSON_NOW = re.compile(
    r"(?<!tentar )te passar|pessoa vai|vou transferir|vamos te atender|equipe de vendas (faz|confirma)", re.IGNORECASE
)


async def test_in_hours_nine_goes_to_the_queue(tmp_path: Path) -> None:
    told = await tell("9", tmp_path)

    told.hears("protocol.intro", "person.transferring")
    assert (told.queues, told.result.reason) == (["l1"], "")


async def test_at_two_in_the_morning_a_person_is_said_to_be_away_and_when_back(tmp_path: Path) -> None:
    told = await tell("9,x", tmp_path, now=SUNDAY_02H)

    told.hears("protocol.intro", "person.closed", "person.opens_at", "day.tomorrow", "person.offers")
    assert told.queues == []


async def test_a_callback_is_promised_not_before_opening(tmp_path: Path) -> None:
    told = await tell("9,1", tmp_path, now=SUNDAY_02H)

    told.hears("person.callback_done", "end.thanks")
    [callback] = told.stored("callback_requested")
    assert (callback["phone"], callback["queue"]) == (MARIA, "l1")
    assert callback["not_before"].startswith("2026-11-23T08:00")


@pytest.mark.parametrize("key", ["9", "!9"], ids=["who listens", "who does not"])
@pytest.mark.parametrize("times", [3, 12, 80])
async def test_who_insists_at_night_is_called_back_and_hears_three_times_at_most_that_nobody_is_there(
    times: int, key: str, tmp_path: Path
) -> None:
    told = await tell(",".join([key] * times), tmp_path, now=SUNDAY_02H)

    assert told.heard.count("person.closed") + told.heard.count("person.insists") <= 3
    [callback] = told.stored("callback_requested")
    assert callback["phone"] == MARIA
    assert told.caller.heard_s < 70
    assert told.outcome == "done"


async def test_zero_again_and_again_at_night_is_called_back_too(tmp_path: Path) -> None:
    told = await tell(",".join(["0"] * 12), tmp_path, now=SUNDAY_02H)

    told.hears("menu.main", "person.insists", "end.thanks")
    assert len(told.stored("callback_requested")) == 1


async def test_who_insists_without_a_number_hears_the_short_offers_and_then_the_protocol(tmp_path: Path) -> None:
    told = await tell(",".join(["9"] * 12), tmp_path, now=SUNDAY_02H, caller=HIDDEN)

    assert told.heard.count("person.closed") <= 3
    told.hears("person.offers", "person.offers.short", "person.registered")
    assert told.heard.count("person.offers") <= 3
    assert told.caller.heard_s < 90
    assert told.outcome == "done"


async def test_a_callback_that_cannot_be_written_down_is_not_promised_to_who_insists(tmp_path: Path) -> None:
    told = await tell("9,9,9,9", tmp_path, now=SUNDAY_02H, fails=["request_callback"], queues_give_back=["empty"])

    assert "person.insists" not in told.heard
    told.hears("person.callback_failed", "person.last_try")


async def test_a_message_is_recorded_and_becomes_a_ticket(tmp_path: Path) -> None:
    told = await tell("9,2,12", tmp_path, now=SUNDAY_02H)

    told.hears("person.message", "tone.record", "person.message_saved", "end.thanks")
    assert told.stored("recording_saved")[0]["seconds"] == 12
    assert told.stored("ticket_opened")[0]["category"] == "message"


async def test_nine_in_the_middle_of_a_message_finds_a_person_and_the_message_is_kept(tmp_path: Path) -> None:
    told = await tell("4,1,1,12+9", tmp_path)

    told.hears("person.message", "tone.record", "person.transferring")
    assert told.queues == ["l1"]
    assert told.stored("recording_saved")[0]["seconds"] == 12


async def test_nine_in_the_goodbye_finds_a_person(tmp_path: Path) -> None:
    told = await tell("4,1,2,!9", tmp_path)

    told.hears("end.thanks", "person.transferring")
    assert told.queues == ["l1"]
    assert told.path.ends == []


async def test_an_empty_message_is_not_taken_for_one(tmp_path: Path) -> None:
    told = await tell("9,2,,3", tmp_path, now=SUNDAY_02H)

    told.hears("person.message", "person.message_empty", "person.offers", "person.ticket_done")
    assert told.stored("recording_saved") == []


@pytest.mark.parametrize(("first", "category"), [("2", "support"), ("3", "billing"), ("4", "fallback")])
async def test_a_ticket_knows_what_it_is_about(first: str, category: str, tmp_path: Path) -> None:
    told = await tell(f"{first},9,3", tmp_path, now=SUNDAY_02H)

    told.hears("person.offers", "person.ticket_done")
    assert [ticket["category"] for ticket in told.stored("ticket_opened")] == [category]


async def test_silence_at_night_ends_with_the_protocol_heard(tmp_path: Path) -> None:
    """R30 out of hours."""
    told = await tell("", tmp_path, now=SUNDAY_02H)

    told.hears("protocol.intro", "person.closed", "person.registered")
    assert told.caller.heard_s < 60
    assert told.outcome == "done"


async def test_a_hidden_number_is_asked_for_only_when_it_is_needed(tmp_path: Path) -> None:
    told = await tell("9,1,1133334444", tmp_path, now=SUNDAY_02H, caller=HIDDEN)

    told.hears("person.offers", "person.number", "person.callback_done")
    assert told.stored("callback_requested")[0]["phone"] == "+551133334444"
    assert "person.number" not in (await tell("9", tmp_path, caller=HIDDEN)).heard


@pytest.mark.parametrize(
    ("keys", "fails"),
    [
        ("", []),
        ("9", []),
        ("2,4,1,1,1,1,2", []),
        ("4,1", ["open_ticket"]),
        ("5,1", ["open_ticket"]),
        ("1,1", ["cities"]),
        ("1,1,1,2,7256#,1", ["plans"]),
    ],
    ids=["silence", "person", "not solved", "complaint failed", "cancellation failed", "no coverage", "no plans"],
)
async def test_at_night_nothing_said_on_the_way_to_a_person_promises_one(
    keys: str, fails: list[str], tmp_path: Path
) -> None:
    told = await tell(keys, tmp_path, now=SUNDAY_02H, fails=fails)

    told.hears("person.closed")
    promises = {key for key in told.heard if PROMISES_A_PERSON_NOW.search(CATALOGUE.get(key, ""))}
    assert promises == set()


def test_what_is_said_without_knowing_the_hour_promises_nobody() -> None:
    """The dialplan and the rescue know no opening hours."""
    said = [key for key in CATALOGUE if key.split(".")[0] in ("system", "rescue", "queue")]
    assert [key for key in said if PROMISES_A_PERSON_NOW.search(CATALOGUE[key])] == []


@pytest.mark.parametrize(("reason", "sentence"), [("empty", "person.queue_empty"), ("full", "person.queue_full")])
async def test_when_nobody_is_logged_in_the_same_is_offered(reason: str, sentence: str, tmp_path: Path) -> None:
    told = await tell("9,1", tmp_path, queues_give_back=[reason])
    told.hears("person.transferring", sentence, "person.offers", "person.callback_done")


async def test_after_a_long_wait_the_caller_may_go_on_waiting(tmp_path: Path) -> None:
    told = await tell("9,4", tmp_path, queues_give_back=["timeout"])

    told.hears("person.queue_timeout", "person.keep_waiting", "person.transferring")
    assert told.queues == ["l1", "l1"]


async def test_one_pressed_while_waiting_asks_for_a_callback_at_once(tmp_path: Path) -> None:
    told = await tell("9", tmp_path, queues_give_back=["key"])

    told.hears("person.transferring", "person.callback_done")
    assert told.stored("callback_requested")[0]["not_before"] is None


async def test_nothing_is_promised_when_nothing_can_be_written_down(tmp_path: Path) -> None:
    told = await tell("9,1", tmp_path, now=SUNDAY_02H, fails=["request_callback"], queues_give_back=["empty"])

    told.hears("person.callback_failed", "person.last_try", "person.call_again")
    assert "person.callback_done" not in told.heard
    assert told.outcome == "failed"
