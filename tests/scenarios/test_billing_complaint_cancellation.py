"""What needs a protocol on paper: billing facts, a complaint, a cancellation."""

from pathlib import Path

import pytest

from tests.scenarios.story import HIDDEN, LANDLINE, MARIA, PROTOCOL, SUNDAY_02H, tell
from ura import speech


@pytest.mark.parametrize(
    ("key", "fact"),
    [("1", "billing.due_dates"), ("2", "billing.ways_to_pay"), ("3", "billing.customer_area")],
)
async def test_billing_says_what_there_is_and_leads_on(key: str, fact: str, tmp_path: Path) -> None:
    told = await tell(f"3,4,{key},1,9", tmp_path)

    told.hears("billing.menu", fact, "billing.after", "billing.menu", "person.transferring")
    assert told.queues == ["l1"]


async def test_billing_can_be_heard_again_and_ends_with_thanks(tmp_path: Path) -> None:
    told = await tell("3,4,3,0", tmp_path)

    assert told.heard.count("billing.customer_area") == 2
    assert told.heard[-1] == "end.thanks"
    assert told.outcome == "done"


async def test_a_complaint_is_a_ticket_with_seven_days_told(tmp_path: Path) -> None:
    told = await tell("4,1,2", tmp_path)

    told.hears("protocol.intro", "complaint.offer", "complaint.registered", "end.thanks")
    [ticket] = told.stored("ticket_opened")
    assert (ticket["category"], ticket["protocol"], ticket["phone"]) == ("complaint", PROTOCOL, MARIA)
    assert told.outcome == "done"


async def test_a_complaint_can_be_told_in_the_callers_own_words(tmp_path: Path) -> None:
    told = await tell("4,1,1,20", tmp_path)

    told.hears("complaint.registered", "person.message", "complaint.message_saved")
    [recording] = told.stored("recording_saved")
    assert recording["seconds"] == 20
    assert len(told.stored("ticket_opened")) == 1


async def test_a_complaint_may_be_told_to_a_person_instead(tmp_path: Path) -> None:
    told = await tell("4,9", tmp_path)

    assert told.queues == ["l1"]
    assert told.stored("ticket_opened") == []


async def test_a_complaint_that_cannot_be_written_down_is_not_promised(tmp_path: Path) -> None:
    told = await tell("4,1", tmp_path, fails=["open_ticket"])

    told.hears("complaint.offer", "complaint.failed", "person.transferring")
    assert "complaint.registered" not in told.heard
    assert told.queues == ["l1"]


async def test_a_cancellation_is_registered_at_once_and_goes_to_retention(tmp_path: Path) -> None:
    told = await tell("5,1", tmp_path)

    told.hears("protocol.intro", "cancel.confirm", "cancel.registered", "cancel.transferring")
    [ticket] = told.stored("ticket_opened")
    assert (ticket["category"], ticket["queue"]) == ("cancellation", "retencao")
    assert told.queues == ["retencao"]


async def test_the_proof_of_a_cancellation_is_on_its_way_before_anything_is_said(tmp_path: Path) -> None:
    """Decree 11.034, art. 14: also for who hangs up the moment the key is pressed."""
    told = await tell("5,1,!x", tmp_path)

    [ticket], [message] = told.stored("ticket_opened"), told.stored("message_queued")
    assert (message["kind"], message["to"]) == ("proof", MARIA)
    payload = message["payload"]
    assert (payload["category"], payload["protocol"]) == ("cancellation", PROTOCOL)
    assert payload["ticket_id"] == ticket["ticket_id"]
    assert told.heard[-1] == "cancel.registered"
    told = await tell("5,1", tmp_path / "again")
    told.hears("cancel.registered", "cancel.proof_queued", "cancel.transferring")
    assert "cancel.proof_voice" not in told.heard


@pytest.mark.parametrize("caller", [LANDLINE, HIDDEN])
async def test_without_a_mobile_the_protocol_is_the_proof_and_no_message_is_promised(
    caller: str, tmp_path: Path
) -> None:
    told = await tell("5,1", tmp_path, caller=caller)

    told.hears("cancel.registered", "cancel.proof_voice", *speech.protocol(PROTOCOL), "cancel.transferring")
    assert "cancel.proof_queued" not in told.heard
    assert told.stored("message_queued") == []


async def test_a_proof_that_cannot_be_queued_is_not_promised(tmp_path: Path) -> None:
    told = await tell("5,1", tmp_path, fails=["send_proof"])

    told.hears("cancel.registered", "cancel.proof_failed", "cancel.proof_voice", "cancel.transferring")
    assert "cancel.proof_queued" not in told.heard
    assert len(told.stored("ticket_opened")) == 1


async def test_without_a_protocol_none_is_named_as_proof(tmp_path: Path) -> None:
    told = await tell("5,1", tmp_path, caller=LANDLINE, protocol="")

    told.hears("cancel.registered", "cancel.transferring")
    assert "cancel.proof_voice" not in told.heard


@pytest.mark.parametrize("keys", ["3,4,1,x", "3,4,3,x"])
async def test_hanging_up_where_the_caller_was_told_so_is_no_abandonment(keys: str, tmp_path: Path) -> None:
    assert (await tell(keys, tmp_path)).outcome == "done"


async def test_at_night_the_cancellation_is_a_ticket_and_is_already_in_force(tmp_path: Path) -> None:
    told = await tell("5,1", tmp_path, now=SUNDAY_02H)

    told.hears("cancel.registered", "cancel.closed", "cancel.will_call", "end.thanks")
    assert len(told.stored("ticket_opened")) == 1
    assert told.queues == []


async def test_nobody_in_retention_does_not_undo_the_cancellation(tmp_path: Path) -> None:
    told = await tell("5,1", tmp_path, queues_give_back=["empty"])
    told.hears("cancel.registered", "cancel.closed", "cancel.will_call")


async def test_a_hidden_number_is_not_promised_a_call_after_cancelling(tmp_path: Path) -> None:
    told = await tell("5,1,1,11912345678", tmp_path, now=SUNDAY_02H, caller=HIDDEN)

    assert "cancel.will_call" not in told.heard
    told.hears("cancel.closed", "person.offers", "person.number", "person.callback_done")
    assert told.stored("callback_requested")[0]["phone"] == "+5511912345678"


async def test_who_thinks_better_of_it_is_back_at_the_first_menu(tmp_path: Path) -> None:
    told = await tell("5,2,x", tmp_path)

    told.hears("cancel.confirm", "menu.main")
    assert told.stored("ticket_opened") == []


async def test_a_cancellation_that_cannot_be_written_down_is_not_promised(tmp_path: Path) -> None:
    told = await tell("5,1", tmp_path, fails=["open_ticket"])

    told.hears("cancel.failed", "person.transferring")
    assert "cancel.registered" not in told.heard
