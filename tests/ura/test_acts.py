from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from tests.factories import NOON, later, make_id
from ura import aftermath, billing, leads, outbox, queues, tickets
from ura.acts import Acts, NoNumberToReach, UnknownAct
from ura.db import Sessions
from ura.erp import SendChannel
from ura.errors import BadInput, Unavailable
from ura.journal import Journal, Record, read
from ura.models import Category, LeadStatus, WaitingListEntry
from ura.projection import apply_batch
from ura.queues import CallbackFilter

ZONE = ZoneInfo("America/Sao_Paulo")


@dataclass
class FakeCall:
    caller: str = "+5511987654321"
    protocol: str = "263270000017"
    call_id: str = field(default_factory=make_id)


@dataclass
class FakeJournal:
    """Remembers; `durable` counts the records that a sync covered."""

    down: bool = False
    records: list[Record] = field(default_factory=list)
    durable: int = 0

    def append(self, kind: str, key: str, data: dict[str, Any]) -> None:
        self.records.append(Record(kind, key, NOON.isoformat(), data))

    async def sync(self) -> None:
        if self.down:
            raise Unavailable("the disk is gone")
        self.durable = len(self.records)


def acts_of(journal: FakeJournal | Journal, call: FakeCall | None = None) -> Acts:
    return Acts(journal, call or FakeCall(), zone=ZONE, now=lambda: NOON)


EVERYTHING: dict[str, dict[str, Any]] = {
    "save_lead": {"phone": "", "audience": "home", "city_id": 1, "status": "interested", "wants_message": True},
    "join_waiting_list": {"phone": "+5511987654321", "neighbourhood_id": 7},
    "open_ticket": {"category": "complaint", "summary": "Reclamação", "queue": "l1", "phone": ""},
    "request_callback": {"queue": "l1", "phone": "1133330009", "not_before": "2026-11-24T08:00"},
    "send_plans": {"plan_ids": [1, 2], "to": "+5511987654321"},
    "send_proof": {"category": "cancellation", "ticket_id": "e" * 32},
    "send_protocol": {},
    "send_invoice": {
        "subscriber_id": "7",
        "contract_id": "12",
        "invoice_id": "99",
        "target": {"channel": "whatsapp", "tail": "4321"},
    },
    "dispute_invoice": {"source": "local", "contract_id": "12", "invoice_id": "99", "summary": "Não concorda"},
    "save_steps": {"node": "wifi", "answers": {"restart": "done", "place": "not_done"}},
    "save_recording": {"recording_id": "a" * 32, "seconds": 4.5},
    "answer_survey": {"question": "csat", "value": "5"},
    "report_ticket": {"said": "message", "ticket_id": "b" * 32, "recording_id": "a" * 32},
    "move_visit": {"visit_id": "c" * 32, "technician_id": 7, "starts_at": "2026-11-24T11:00:00+00:00", "changes": 1},
}


async def test_what_the_flow_does_is_in_the_database_once_the_journal_is_applied(
    sessions: Sessions, tmp_path: Any
) -> None:
    call = FakeCall()
    journal = Journal(tmp_path, "agi")
    act = acts_of(journal, call)
    results = {name: await act(name, args, key=f"node:{name}:1") for name, args in EVERYTHING.items()}
    async with sessions.begin() as session:
        await apply_batch(session, read(journal.path).records)
    journal.close()
    async with sessions.begin() as session:
        lead = await leads.get_lead(session, results["save_lead"]["lead_id"])
        assert (lead.call_id, lead.phone, lead.status) == (call.call_id, call.caller, LeadStatus.INTERESTED)
        ticket = await tickets.get_ticket(session, results["open_ticket"]["ticket_id"])
        assert (
            (ticket.protocol, ticket.phone)
            == (call.protocol, call.caller)
            == (results["open_ticket"]["protocol"], ticket.phone)
        )
        assert (await session.scalars(select(WaitingListEntry.neighbourhood_id))).all() == [7]
        early, due = (CallbackFilter(due_at=later(hours * 3600)) for hours in (19, 20))  # 08:00 here is 11:00 UTC
        assert (await queues.list_callbacks(session, filters=early)).items == []
        (callback,) = (await queues.list_callbacks(session, filters=due)).items
        assert callback.phone == "+551133330009"
        messages = {message.kind: message for message in await outbox.claim(session, worker="w", now=NOON)}
        assert (messages["plans"].to, messages["plans"].payload) == (call.caller, {"plan_ids": [1, 2]})
        assert messages["proof"].payload["at"] == "2026-11-23T12:00-03:00"
        assert messages["protocol"].payload == {"protocol": call.protocol}
        invoice = messages["invoice"]
        assert (invoice.to, invoice.channel, invoice.payload["invoice_id"]) == ("", SendChannel.WHATSAPP, "99")
        assert all(message.urgent_until == later(30 * 60) for message in messages.values())
        complaint = await tickets.get_ticket(session, results["dispute_invoice"]["ticket_id"])
        assert (complaint.category, complaint.contract_ref) == (Category.COMPLAINT, "12")
        assert not await billing.may_remind(session, source="local", invoice_ref="99")
        assert await billing.may_remind(session, source="local", invoice_ref="98")
        left = await aftermath.of_call(session, call.call_id)
        assert len(left.step_answers) == 2
        (recording,) = left.recordings
        assert (recording.path, recording.seconds) == ("a" * 32 + ".wav", 4.5)


@pytest.mark.parametrize("name", EVERYTHING)
async def test_nothing_is_told_before_it_is_on_disk(name: str) -> None:
    journal = FakeJournal()
    await acts_of(journal)(name, EVERYTHING[name], key="k")
    assert journal.durable == 1
    with pytest.raises(Unavailable):
        await acts_of(FakeJournal(down=True))(name, EVERYTHING[name], key="k")


@pytest.mark.parametrize("name", sorted(set(EVERYTHING) - {"save_steps"}))
async def test_another_process_that_repeats_an_act_does_the_same_act(name: str) -> None:
    call, journal = FakeCall(), FakeJournal()
    first = await acts_of(journal, call)(name, EVERYTHING[name], key="k")
    assert await acts_of(journal, call)(name, EVERYTHING[name], key="k") == first
    assert journal.records[0].key == journal.records[1].key


async def test_two_tickets_of_one_call_are_two_and_share_the_protocol() -> None:
    act = acts_of(FakeJournal())
    one, two = [await act("open_ticket", EVERYTHING["open_ticket"], key=key) for key in ("a", "b")]
    assert one["ticket_id"] != two["ticket_id"]
    assert one["protocol"] == two["protocol"]


async def test_a_lead_told_in_parts_keeps_its_id() -> None:
    act = acts_of(FakeJournal())
    first = await act("save_lead", {"status": "interested"}, key="a")
    assert await act("save_lead", {"status": "abandoned"}, key="b") == first
    assert await act("save_lead", {"lead_id": "f" * 32}, key="c") == {"lead_id": "f" * 32}


@pytest.mark.parametrize("name", ["join_waiting_list", "request_callback", "send_plans"])
async def test_who_hides_the_number_is_promised_no_call_back(name: str) -> None:
    journal = FakeJournal()
    args = {**EVERYTHING[name], "phone": "", "to": ""}
    with pytest.raises(NoNumberToReach):
        await acts_of(journal, FakeCall(caller=""))(name, args, key="k")
    assert journal.records == []


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("open_ticket", {"category": "gossip"}),
        ("open_ticket", {}),
        ("save_lead", {"audience": "martians"}),
        ("send_plans", {"plan_ids": []}),
        ("send_invoice", {"subscriber_id": "7", "contract_id": "12", "invoice_id": "99", "target": {"channel": "fax"}}),
        ("save_steps", {"node": "wifi", "answers": {"a": "perhaps"}}),
        ("request_callback", {"queue": "l1", "not_before": "soon"}),
    ],
)
async def test_an_act_that_makes_no_sense_is_refused_before_it_is_written(name: str, args: dict[str, Any]) -> None:
    journal = FakeJournal()
    with pytest.raises(BadInput):
        await acts_of(journal)(name, args, key="k")
    assert journal.records == []


async def test_an_act_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownAct):
        await acts_of(FakeJournal())("dance", {}, key="k")


async def test_it_takes_too_long_is_said_once_a_call_and_ticket_a_message_as_often_as_there_is_one() -> None:
    act = acts_of(FakeJournal())
    delays = [await act("report_ticket", {"said": "delay", "ticket_id": "b" * 32}, key=key) for key in ("a", "b")]
    messages = [await act("report_ticket", EVERYTHING["report_ticket"], key=key) for key in ("a", "b")]
    assert delays[0] == delays[1]
    assert messages[0] != messages[1]


async def test_a_call_about_a_ticket_does_everything_under_that_tickets_protocol() -> None:
    journal, call = FakeJournal(), FakeCall()
    act = acts_of(journal, call)
    opened = await act("open_ticket", EVERYTHING["open_ticket"] | {"protocol": "263260000025"}, key="k")
    await act("send_protocol", {"protocol": "263260000025"}, key="k")
    await act("still_down", {"incident_id": "d" * 32, "protocol": "263260000025"}, key="k")
    assert opened["protocol"] == "263260000025"
    assert journal.records[1].data["payload"] == {"protocol": "263260000025"}
    assert (journal.records[2].data["protocol"], journal.records[2].data["phone"]) == ("263260000025", call.caller)


async def test_who_hides_the_number_hears_no_promise_after_an_incident() -> None:
    with pytest.raises(NoNumberToReach):
        await acts_of(FakeJournal(), FakeCall(caller=""))("still_down", {"incident_id": "d" * 32}, key="k")
