"""What is owed: heard only by whom we know, sent only where it was registered, read so that it can be written down."""

from typing import Any

import pytest

from tests.ura.flows.making import Talk, make_flow, say
from ura.flows.effects import Act, Collect, Lookup
from ura.flows.events import ActDone, ActFailed, LookupDone, LookupFailed

Json = Any
ABOUT = {"subscriber_id": "s1", "contract_id": "c1"}
OLD = {"id": "i1", "due_on": "2026-11-10", "amount": "99.90", "overdue": True}
NEW = {"id": "i2", "due_on": "2026-12-10", "amount": "109.90", "overdue": False, "disputed": True}
INVOICE_EDGES = ("send", "read", "verify", "dispute", "done", "none", "failed")
KEYS = ["invoices.send", "invoices.read", "invoices.dispute", "invoices.done"]


def at(kind: str, *edges: str, level: str = "verified", extra: dict[str, Json] | None = None, **facts: Json) -> Talk:
    node = {"key": "it", "type": kind, "on": {edge: edge for edge in edges}} | (extra or {})
    flow = make_flow(node, *(say(edge, "it") for edge in edges))
    known = {"subscriber": {"id": "s1", "level": level}, "contract": {"id": "c1"}, "now": "2026-11-22T10:00:00"}
    return Talk(flow, **(known | facts))


def owing(*found: dict[str, Json], level: str = "verified") -> Talk:
    talk = at("invoices", *INVOICE_EDGES, level=level)
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.name, talk.effect.args, talk.effect.deadline_s) == ("open_invoices", ABOUT, 8.0)
    talk.hears(LookupDone("open_invoices", {"invoices": list(found)}))
    return talk


# -- invoices


def test_one_invoice_is_told_with_day_and_amount() -> None:
    assert owing(OLD).prompts == [
        "invoices.one", "invoices.overdue", "<date 2026-11-10>", "invoices.amount", "<money 99.90>", *KEYS,
    ]  # fmt: skip


def test_several_come_one_after_the_other_overdue_first() -> None:
    talk = owing(OLD, NEW)
    assert talk.prompts[:3] == ["invoices.there_are", "<count 2>", "invoices.many"]
    assert "invoices.following" in talk.prompts
    talk.press("3")
    assert talk.prompts == [
        "invoices.due", "<date 2026-12-10>", "invoices.amount", "<money 109.90>", "invoices.disputed", *KEYS,
    ]  # fmt: skip
    talk.press("*")
    assert talk.prompts[0] == "invoices.there_are"


@pytest.mark.parametrize(("key", "edge"), [("1", "send"), ("2", "read"), ("4", "dispute"), ("5", "done")])
def test_each_key_leads_on_with_the_invoice_that_was_heard(key: str, edge: str) -> None:
    talk = owing(OLD, NEW)
    talk.press("3", key)
    assert talk.prompts == [f"say.{edge}"]
    assert talk.state.facts["invoice"] == NEW


@pytest.mark.parametrize("level", ["number", "document"])
def test_who_is_not_verified_hears_neither_day_nor_amount_nor_how_many(level: str) -> None:
    talk = owing(OLD, NEW, level=level)
    assert talk.prompts == ["invoices.found", "invoices.send", "invoices.verify", "invoices.done"]
    talk.press("2")
    assert talk.prompts == ["say.verify"]


@pytest.mark.parametrize("key", ["3", "4", "7"])
def test_keys_of_the_verified_do_nothing_for_others(key: str) -> None:
    talk = owing(OLD, NEW, level="number")
    talk.press(key)
    assert talk.prompts[0] == "system.invalid"


def test_no_debt_is_said_only_when_the_system_said_so() -> None:
    assert owing().prompts == ["say.none"]
    for answer in ({}, {"invoices": None}, {"invoices": [{"amount": "1.00"}]}, {"unsupported": True}):
        talk = at("invoices", *INVOICE_EDGES)
        talk.hears(LookupDone("open_invoices", answer))
        assert talk.prompts == ["say.failed"]
    talk = at("invoices", *INVOICE_EDGES)
    talk.hears(LookupFailed("open_invoices", "x"))
    assert talk.prompts == ["say.failed"]


def test_a_system_that_cannot_say_may_have_words_of_its_own() -> None:
    talk = at("invoices", *INVOICE_EDGES, "unsupported")
    talk.hears(LookupDone("open_invoices", {"unsupported": True}))
    assert talk.prompts == ["say.unsupported"]


def test_nobodys_invoices_are_not_looked_up() -> None:
    assert at("invoices", *INVOICE_EDGES, subscriber=None).prompts == ["say.failed"]


# -- sending

SEND_EDGES = ("sent", "queued", "no_address", "failed")
SMS = {"channel": "sms", "tail": "0101"}
MAIL = {"channel": "email"}


def sending(*targets: dict[str, Json], **facts: Json) -> Talk:
    talk = at("send_invoice", *SEND_EDGES, level="number", **({"invoice": OLD} | facts))
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.name, talk.effect.args) == ("targets", ABOUT)
    talk.hears(LookupDone("targets", {"targets": list(targets)}))
    return talk


def test_an_invoice_goes_to_a_masked_address_that_is_confirmed_and_sent_is_the_gateways_word() -> None:
    talk = sending(SMS, {"channel": "whatsapp", "tail": "0101"}, MAIL)
    assert talk.prompts == [
        "send_invoice.intro",
        "send_invoice.sms", "<digits 0101>", "choose.press_1",
        "send_invoice.whatsapp", "<digits 0101>", "choose.press_2",
        "send_invoice.email", "choose.press_3",
        "send_invoice.other",
    ]  # fmt: skip
    talk.press("3")
    wanted = ABOUT | {"invoice_id": "i1", "target": MAIL}
    assert talk.effect == Act("send_invoice", wanted, "it:send_invoice:2", "system.sending")
    talk.hears(ActDone("send_invoice", {"message_id": "m1"}))
    assert talk.effect == Lookup("message_state", {"message_id": "m1"}, "system.sending", "system.still_sending", 8.0)
    talk.hears(LookupDone("message_state", {"state": "sent"}))
    assert talk.prompts == ["say.sent"]


@pytest.mark.parametrize(
    ("answer", "edge"),
    [
        (LookupDone("message_state", {"state": "queued"}), "queued"),
        (LookupDone("message_state", {"state": "failed"}), "failed"),
        (LookupDone("message_state", {}), "queued"),
        (LookupFailed("message_state", "x"), "queued"),
    ],
)
def test_what_the_gateway_did_not_confirm_is_not_called_sent(answer: Any, edge: str) -> None:
    talk = sending(SMS)
    talk.press("1")
    talk.hears(ActDone("send_invoice", {"message_id": "m1"}))
    talk.hears(answer)
    assert talk.prompts == [f"say.{edge}"]


def test_while_nobody_knows_what_is_open_the_oldest_is_promised_for_later() -> None:
    """And not "sent": nobody asks the gateway, which cannot have it yet."""
    talk = at("send_invoice", *SEND_EDGES, level="number", extra={"oldest": True})
    talk.hears(LookupDone("targets", {"targets": [SMS, MAIL]}))
    talk.press("1")
    assert isinstance(talk.effect, Act)
    assert (talk.effect.name, talk.effect.args["invoice_id"]) == ("send_invoice", "")
    talk.hears(ActDone("send_invoice", {"message_id": "m1"}))
    assert talk.prompts == ["say.queued"]


def test_without_a_chosen_invoice_the_oldest_goes() -> None:
    talk = sending(SMS, invoice=None, invoices=[OLD, NEW])
    talk.press("1")
    assert isinstance(talk.effect, Act)
    assert talk.effect.args["invoice_id"] == "i1"


def test_no_address_or_none_of_these_or_no_answer() -> None:
    assert sending().prompts == ["say.no_address"]
    talk = sending(SMS)
    talk.press("2")
    assert talk.prompts[0] == "system.invalid"
    talk.press("8")
    assert talk.prompts == ["say.no_address"]
    for event in (LookupDone("targets", {}), LookupFailed("targets", "x")):
        talk = at("send_invoice", *SEND_EDGES, invoice=OLD)
        talk.hears(event)
        assert talk.prompts == ["say.failed"]


def test_a_message_that_cannot_be_written_down_is_not_promised() -> None:
    talk = sending(SMS)
    talk.press("1")
    talk.hears(ActFailed("send_invoice", "disk"))
    assert talk.prompts == ["say.failed"]


def test_nothing_is_sent_without_an_invoice_or_a_name() -> None:
    assert at("send_invoice", *SEND_EDGES).prompts == ["say.failed"]
    assert at("send_invoice", *SEND_EDGES, invoice=OLD, contract=None).prompts == ["say.failed"]


# -- reading the line

LINE_EDGES = ("done", "send", "failed")


def reading(*blocks: Json, level: str = "verified") -> Talk:
    talk = at("read_line", *LINE_EDGES, level=level, invoice=OLD)
    assert isinstance(talk.effect, Lookup)
    assert (talk.effect.name, talk.effect.args) == ("invoice_line", ABOUT | {"invoice_id": "i1"})
    talk.hears(LookupDone("invoice_line", {"blocks": list(blocks or ("23793", "38128", "60007"))}))
    return talk


def test_the_line_is_read_in_blocks_and_silence_leads_on() -> None:
    talk = reading()
    assert isinstance(talk.effect, Collect)
    assert (talk.effect.max_digits, talk.effect.timeout_s) == (1, 4.0)
    assert talk.prompts == ["read_line.intro", "<digits 23793>"]
    talk.silence()
    assert talk.prompts == ["<digits 38128>"]
    talk.press("1")
    assert talk.prompts == ["<digits 60007>"]
    talk.silence()
    assert talk.prompts == ["read_line.end"]
    talk.press("1")
    assert talk.prompts[-1] == "<digits 23793>"


def test_a_block_is_repeated_and_gone_back_to() -> None:
    talk = reading()
    talk.silence()
    talk.press("0")
    assert talk.prompts == ["<digits 38128>"]
    talk.press("*")
    assert talk.prompts[-1] == "<digits 23793>"
    talk.press("*")
    assert talk.prompts[-1] == "<digits 23793>"


def test_who_looks_for_a_pen_is_waited_for() -> None:
    talk = reading()
    talk.silence()
    talk.press("2")
    assert talk.effect == Collect(("read_line.paused",), 1, 60.0)
    talk.press("1")
    assert talk.prompts == ["<digits 38128>"]
    talk.press("2")
    talk.silence(2)
    assert talk.prompts == ["say.done"]


@pytest.mark.parametrize("before", [[], ["2"]])
def test_by_message_instead_is_one_key(before: list[str]) -> None:
    talk = reading()
    talk.press(*before, "3")
    assert talk.prompts == ["say.send"]


def test_the_end_is_an_end() -> None:
    talk = reading("23793")
    talk.silence()
    talk.press("7")
    assert talk.prompts == ["system.invalid", "read_line.end"]
    talk.press("2")
    assert talk.prompts == ["say.done"]


@pytest.mark.parametrize("answer", [{}, {"blocks": []}, {"blocks": ["12345", "12x"]}])
def test_a_line_that_is_none_is_not_read_at_all(answer: dict[str, Json]) -> None:
    talk = at("read_line", *LINE_EDGES, invoice=OLD)
    talk.hears(LookupDone("invoice_line", answer))
    assert talk.prompts == ["say.failed"]


def test_a_line_that_cannot_be_had_is_said() -> None:
    talk = at("read_line", *LINE_EDGES, invoice=OLD)
    talk.hears(LookupFailed("invoice_line", "x"))
    assert talk.prompts == ["say.failed"]


@pytest.mark.parametrize("level", ["number", "document"])
def test_no_line_is_read_to_whom_is_not_verified(level: str) -> None:
    assert at("read_line", *LINE_EDGES, level=level, invoice=OLD).prompts == ["say.failed"]
