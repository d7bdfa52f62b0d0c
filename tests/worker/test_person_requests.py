"""R61: a person asks for what we have of them, or wants it gone: in every table and in every file."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from tests.factories import NOON, call_closed, call_opened, call_step, lead_saved, make_id, make_record, ticket_opened
from tests.fake_erp import FakeErp
from tests.local_world import LocalWorld, load_local_world
from ura import journal, legal_holds, opt_outs, people, person_requests, ticket_moves, tickets
from ura.crypto import Keyring
from ura.db import Base, Sessions
from ura.erp import SendChannel
from ura.journal import Journal
from ura.models import (
    AuditEntry,
    CallerBlock,
    Contract,
    HoldKind,
    IdentificationAttempt,
    Invoice,
    JournalOffset,
    PersonRequest,
    PersonRequestKind,
    PersonRequestState,
    PriorityNumber,
    TicketEvent,
    TicketEventKind,
)
from ura.models.identification_attempt import AttemptKind
from ura.people import named
from ura.personal_data import COLUMNS, Held
from ura.projection import apply_batch
from ura.settings import Settings
from ura.shelves import ITS_OWN, SHELVES
from ura.ticket_rules import Close
from ura.users import Actor, Permission
from worker.person_requests import PersonRequests
from worker.retention import Retention

STRANGER = "+5511987650000"
NOTE = "Pediu para ligar ao vizinho Zeferino"
TWO_YEARS, FIVE_YEARS = timedelta(days=732), timedelta(days=5 * 366)
ANA = Actor("ana", frozenset(Permission))


class House:
    """A subscriber of our own tables who has left something in every table that takes it; and a stranger beside."""

    def __init__(self, local: LocalWorld, settings: Settings) -> None:
        self.local, self.settings, self.sessions = local, settings, local.sessions
        self.now = NOON
        self.call_id, self.ticket_id, self.recording_id = make_id(), make_id(), make_id()

    async def set_up(self) -> "House":
        self.subscriber = await self.local.subscriber("in_order")
        self.contract = await self.local.contract("in_order")
        self.phone = self.subscriber.phones[0]
        self.settings.recordings_dir.mkdir(parents=True)
        await self.write(*self.records(self.phone, self.call_id, self.ticket_id, self.recording_id))
        await self.write(*self.records(STRANGER, make_id(), make_id(), make_id()))
        async with self.sessions.begin() as session:
            session.add(CallerBlock(id=make_id(), phone=self.phone, reason=NOTE, blocked_by="ana", blocked_at=NOON,
                                    until_at=NOON))  # fmt: skip
            session.add(PriorityNumber(phone=self.phone, note=NOTE, added_by="ana", added_at=NOON))
            session.add(IdentificationAttempt(id=make_id(), caller=self.phone, at=NOON, kind=AttemptKind.DOCUMENT,
                                              hit=True, subject="x"))  # fmt: skip
            ticket = await tickets.get_ticket(session, self.ticket_id)
            await tickets.comment(session, ticket, text=NOTE, actor="ana", now=NOON)
            commented = TicketEvent.kind == TicketEventKind.COMMENTED
            await session.execute(update(TicketEvent).where(commented).values(internal=True))
        return self

    def records(self, phone: str, call: str, ticket: str, recording: str) -> list[Any]:
        (self.settings.recordings_dir / f"{recording}.wav").write_bytes(b"RIFF" + phone.encode())
        ours = phone != STRANGER
        about = {"contract_id": self.contract.id if ours else ""}
        return [
            call_opened(call, caller=phone),
            call_step(call, 1),
            call_closed(call),
            ticket_opened(ticket, call_id=call, phone=phone, summary=NOTE if ours else "Sem sinal", **about),
            lead_saved(make_id(), "abandoned", call_id=call, phone=phone),
            make_record("recording_saved", call_id=call, recording_id=recording, path=f"{recording}.wav", seconds=2.0,
                        at=NOON),
            make_record("message_queued", call_id=call, message_id=make_id(), kind="plans", to=phone,
                        payload={"plan_ids": [1]}, at=NOON),
            make_record("callback_requested", call_id=call, callback_id=make_id(), phone=phone, queue="l1",
                        not_before=None, at=NOON),
            make_record("erp_requested", call_id=call, request_id=make_id(), operation="trust_unlock",
                        args={"tell": phone, **about}, at=NOON),
            make_record("waiting_list_joined", call_id=call, entry_id=make_id(), phone=phone, neighbourhood_id=1,
                        at=NOON),
            make_record("outage_heard", call_id=call, outage_id=make_id(), phone=phone, wants_news=True, at=NOON,
                        **about),
            make_record("survey_answered", call_id=call, answer_id=make_id(), question="csat", value="5", at=NOON),
            make_record("steps_answered", call_id=call, node="no_signal", answers={"power": "done"}, at=NOON),
        ]  # fmt: skip

    async def write(self, *records: Any) -> None:
        async with self.sessions.begin() as session:
            await apply_batch(session, records)

    async def close_ticket(self) -> None:
        async with self.sessions.begin() as session:
            ticket = await tickets.get_ticket(session, self.ticket_id)
            await ticket_moves.move(session, ticket, Close(text="Pronto"), actor=ANA, now=NOON)

    async def ask(self, kind: PersonRequestKind, *, phone: str = "", document: str = "") -> str:
        request_id = make_id()
        async with self.sessions.begin() as session:
            await person_requests.ask(
                session, request_id=request_id, kind=kind, person=named(phone=phone, document=document),
                actor="ana@provedor.test", keyring=self.local.keyring, now=self.now,
            )  # fmt: skip
        return request_id

    async def work(self, erp: Any = None) -> None:
        await PersonRequests(self.sessions, erp or self.local.erp, self.settings, now=lambda: self.now).step()

    async def answered(self, kind: PersonRequestKind, **by: str) -> PersonRequest:
        request_id = await self.ask(kind, **by)
        await self.work()
        return await self.request(request_id)

    async def request(self, request_id: str) -> PersonRequest:
        async with self.sessions() as session:
            return await person_requests.get_request(session, request_id)

    def zip_of(self, request: PersonRequest) -> zipfile.ZipFile:
        path = person_requests.package_path(self.settings.packages_dir, request.id)
        return zipfile.ZipFile(io.BytesIO(path.read_bytes()))

    async def tables_with(self, *words: str) -> set[str]:
        """Where any of these words still stands, in whatever column."""
        found = set()
        async with self.sessions() as session:
            for table in Base.metadata.sorted_tables:
                for row in await session.execute(text(f'SELECT * FROM "{table.name}"')):
                    told = json.dumps(list(row), default=str, ensure_ascii=False)
                    if any(word in told for word in words):
                        found.add(table.name)
        return found

    def files_with(self, *words: str) -> list[str]:
        skipped = {"prosa.db", "prosa.db-wal", "prosa.db-shm"}
        return [
            file.name
            for file in self.settings.state_dir.rglob("*")
            if file.is_file() and file.name not in skipped and any(word.encode() in file.read_bytes() for word in words)
        ]

    @property
    def words(self) -> list[str]:
        return [*self.subscriber.phones, self.subscriber.name, self.subscriber.document, NOTE, *self.subscriber.emails]


@pytest.fixture
async def house(sessions: Sessions, settings: Settings) -> House:
    return await House(await load_local_world(sessions, settings), settings).set_up()


def kept(request: PersonRequest) -> dict[str, str]:
    return {each["what"]: each["why"] for each in request.result if each["kept"]}


def test_every_table_that_tells_of_a_person_is_on_a_shelf() -> None:
    tables = {table for table, columns in COLUMNS.items() if Held.PERSON in columns.values()}
    assert tables - {shelf.name for shelf in SHELVES} - ITS_OWN == set()


async def test_the_package_has_everything_and_its_hash_is_told(house: House) -> None:
    request = await house.answered(PersonRequestKind.PACKAGE, document=house.subscriber.document)
    assert (request.state, request.answered_at) == (PersonRequestState.DONE, NOON)
    assert request.due_at == NOON + timedelta(days=5)
    assert request.kept_until == NOON + timedelta(days=30)
    zipped = house.zip_of(request)
    rows = {
        name.removeprefix("dados/").removesuffix(".json"): json.loads(zipped.read(name))
        for name in zipped.namelist()
        if name.startswith("dados/")
    }
    assert {"call", "call_step", "ticket", "ticket_event", "lead", "recording", "outbox", "callback", "erp_request",
            "waiting_list", "outage_call", "survey_answer", "step_answer", "caller_block", "priority_number",
            "identification_attempt", "subscriber", "subscriber_phone", "contract", "access"} <= set(rows)  # fmt: skip
    assert rows["subscriber"][0]["document"] == house.subscriber.document
    assert [row["text"] for row in rows["ticket_event"] if row["internal"]] == [NOTE]
    assert zipped.read(f"gravacoes/{house.recording_id}.wav").startswith(b"RIFF")
    page = zipped.read("indice.html").decode()
    assert "Anotação interna da equipe" in page
    assert house.subscriber.name in page
    assert STRANGER not in page + json.dumps(rows)
    assert "ana" not in {row.get("actor") for row in rows["ticket_event"]}
    path = person_requests.package_path(house.settings.packages_dir, request.id)
    assert request.size_bytes == path.stat().st_size
    assert path.stat().st_mode & 0o077 == 0


async def test_by_a_number_alone_nothing_of_the_subscriber_is_told(house: House) -> None:
    request = await house.answered(PersonRequestKind.PACKAGE, phone=house.phone)
    names = {each["what"] for each in request.result}
    assert {"call", "ticket"} <= names
    assert not names & {"subscriber", "subscriber_phone", "contract", "invoice", "access"}
    assert house.subscriber.name not in house.zip_of(request).read("indice.html").decode()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_number_that_somebody_else_has_too_is_left_out_and_the_page_says_so(house: House) -> None:
    erp = FakeErp()
    mine = next(each for each in erp.world.subscribers if each.subscriber.document == house.subscriber.document)
    other = next(each for each in erp.world.subscribers if each is not mine)
    shared = replace(other.subscriber, phones=(*other.subscriber.phones, house.phone))
    object.__setattr__(other, "subscriber", shared)
    request_id = await house.ask(PersonRequestKind.PACKAGE, document=house.subscriber.document)
    await house.work(erp)
    request = await house.request(request_id)
    names = {each["what"] for each in request.result}
    assert "lead" not in names
    assert "1 telefone(s)" in house.zip_of(request).read("indice.html").decode()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_is_not_known_gets_an_answer_with_nothing_in_it(house: House) -> None:
    request = await house.answered(PersonRequestKind.PACKAGE, document="862.883.667-57")
    assert (request.state, request.result) == (PersonRequestState.DONE, [])
    assert "Não encontramos nada." in house.zip_of(request).read("indice.html").decode()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_package_goes_after_thirty_days_and_with_it_who_asked(house: House) -> None:
    request = await house.answered(PersonRequestKind.PACKAGE, phone=house.phone)
    path = person_requests.package_path(house.settings.packages_dir, request.id)
    house.now = NOON + timedelta(days=29)
    await house.work()
    assert path.exists()
    house.now = NOON + timedelta(days=31)
    await house.work()
    assert not path.exists()
    request = await house.request(request.id)
    assert request.person is None
    assert request.sha256


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_while_the_providers_system_is_away_the_request_waits(house: House) -> None:
    request_id = await house.ask(PersonRequestKind.PACKAGE, document=house.subscriber.document)
    await house.work(FakeErp(down=True))
    waiting = await house.request(request_id)
    assert (waiting.state, waiting.last_error) == (PersonRequestState.QUEUED, "ErpUnavailable")
    house.now = NOON + timedelta(minutes=1)
    await house.work()
    assert (await house.request(request_id)).state is PersonRequestState.DONE


async def test_at_once_only_what_no_law_keeps_is_erased_and_the_rest_is_told_with_its_reason(house: House) -> None:
    await house.close_ticket()
    request = await house.answered(PersonRequestKind.ERASE, document=house.subscriber.document)
    assert (request.state, request.answered_at) == (PersonRequestState.QUEUED, NOON)
    why = kept(request)
    assert {why[name] for name in ("call", "ticket", "recording")} == {"record"}
    assert {why[name] for name in ("subscriber", "contract")} == {"contract"}
    gone = {"lead", "callback", "waiting_list", "caller_block", "priority_number", "identification_attempt", "outbox"}
    assert not gone & set(why)
    assert not gone & await house.tables_with(house.phone, NOTE)
    until = {each["what"]: each["until"] for each in request.result}
    assert datetime.fromisoformat(until["ticket"]) > NOON + timedelta(days=730)


async def test_when_nothing_keeps_it_any_more_no_table_and_no_file_tells_of_the_person(house: House) -> None:
    await house.close_ticket()
    async with house.sessions.begin() as session:
        await session.execute(update(Contract).values(status="cancelled"))
    request_id = await house.ask(PersonRequestKind.ERASE, document=house.subscriber.document)
    await house.work()
    house.now = NOON + TWO_YEARS
    await house.work()
    between = await house.request(request_id)
    assert set(kept(between).values()) == {"contract"}
    house.now = NOON + FIVE_YEARS + timedelta(days=30)
    await house.work()
    request = await house.request(request_id)
    assert (request.state, request.person) == (PersonRequestState.DONE, None)
    assert kept(request) == {}
    assert await house.tables_with(*house.words) == set()
    assert house.files_with(*house.words) == []
    assert await house.tables_with(STRANGER) >= {"call", "ticket", "lead"}, "somebody else's stays"
    async with house.sessions() as session:
        lines = (await session.scalars(select(AuditEntry).where(AuditEntry.subject == request_id))).all()
    assert [line.action for line in lines][:2] == ["person.erase", "person.erase-done"]


async def test_an_open_ticket_keeps_its_record_without_an_end(house: House) -> None:
    house.now = NOON + FIVE_YEARS
    request = await house.answered(PersonRequestKind.ERASE, phone=house.phone)
    told = {each["what"]: (each["why"], each["until"]) for each in request.result if each["kept"]}
    assert told["ticket"] == ("open", None)
    assert "call" in told
    assert "recording" not in told


@pytest.mark.parametrize("how", ["person", "ticket"])
async def test_what_is_held_stays_and_goes_once_the_hold_is_lifted(house: House, how: str) -> None:
    await house.close_ticket()
    async with house.sessions.begin() as session:
        hold = await legal_holds.set_hold(
            session, hold_id=make_id(), kind=HoldKind(how), subject=house.ticket_id if how == "ticket" else "",
            person=named(phone=house.phone) if how == "person" else None, reason="Processo 1", actor="ana",
            keyring=house.local.keyring, now=NOON,
        )  # fmt: skip
    house.now = NOON + FIVE_YEARS
    request = await house.answered(PersonRequestKind.ERASE, phone=house.phone)
    assert request.state is PersonRequestState.QUEUED
    assert {"ticket", "ticket_event", "call"} <= set(kept(request))
    assert set(kept(request).values()) == {"hold"}
    assert ("caller_block" in kept(request)) == (how == "person")
    if how == "person":
        assert (house.settings.recordings_dir / f"{house.recording_id}.wav").exists()
    async with house.sessions.begin() as session:
        await legal_holds.lift(session, await legal_holds.get_hold(session, hold.id), actor="ana", now=house.now)
    house.now += timedelta(days=2)
    await house.work()
    assert (await house.request(request.id)).state is PersonRequestState.DONE
    assert not {"call", "ticket", "lead"} & await house.tables_with(house.phone)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_wants_no_messages_still_gets_none(house: House) -> None:
    async with house.sessions.begin() as session:
        await opt_outs.opt_out(session, channel=SendChannel.SMS, target=house.phone, by="reply", now=NOON)
    house.now = NOON + FIVE_YEARS
    await house.close_ticket()
    request = await house.answered(PersonRequestKind.ERASE, phone=house.phone)
    assert kept(request) == {"message_opt_out": "wish"}
    assert request.state is PersonRequestState.DONE


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_journal_forgets_too_and_what_it_still_has_to_say_stays(house: House) -> None:
    folder = house.settings.journal_dir
    writer = Journal(folder, "agi-1")
    for record in (call_opened(make_id(), caller=house.phone), call_opened(make_id(), caller=STRANGER)):
        writer.append(record.kind, record.key, record.data)
    await writer.sync()
    applied = writer.path.stat().st_size
    async with house.sessions.begin() as session:
        session.add(JournalOffset(file=writer.path.name, offset=applied))
    late = call_opened(make_id(), caller=house.phone)
    writer.append(late.kind, late.key, late.data)
    await writer.sync()
    (folder / "agi-0-1.bad").write_bytes(b"spoilt " + house.phone.encode() + b"\n")
    await house.answered(PersonRequestKind.ERASE, phone=house.phone)
    assert house.phone not in (folder / "agi-0-1.bad").read_text()
    before = journal.read(writer.path, 0)
    assert [record.data["caller"] for record in before.records] == [STRANGER, house.phone]
    assert before.bad == []
    assert [record.key for record in journal.read(writer.path, applied).records] == [late.key]
    writer.close()


async def test_a_worker_that_lost_the_request_commits_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = await house.ask(PersonRequestKind.ERASE, phone=house.phone)

    async def not_ours(*_: object, **__: object) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(person_requests, "look_again", not_ours)
        patched.setattr(person_requests, "answer", not_ours)
        await house.work()
    assert "lead" in await house.tables_with(house.phone)
    house.now = NOON + timedelta(hours=1)  # the claim is given up
    await house.work()
    assert "lead" not in await house.tables_with(house.phone)
    assert (await house.request(request_id)).answered_at == house.now


async def test_after_their_time_requests_are_forgotten_too(house: House) -> None:
    request = await house.answered(PersonRequestKind.PACKAGE, phone=house.phone)
    house.now = NOON + timedelta(days=31)
    await house.work()
    far = NOON + timedelta(days=1827)
    await Retention(house.sessions, house.local.erp, house.settings, now=lambda: far).step()
    async with house.sessions() as session:
        assert await session.get(PersonRequest, request.id) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_invoice_keeps_its_contract_for_five_years_after_its_last_change(house: House) -> None:
    async with house.sessions.begin() as session:
        await session.execute(update(Contract).values(status="cancelled", updated_at=NOON))
        await session.execute(update(Invoice).values(updated_at=NOON + timedelta(days=100)))
    document = (await house.local.subscriber("blocked")).document
    house.now = NOON + timedelta(days=1900)
    request = await house.answered(PersonRequestKind.ERASE, document=document)
    assert kept(request) == dict.fromkeys(
        ("invoice", "access", "contract", "subscriber_phone", "subscriber"), "contract"
    )
    house.now = NOON + timedelta(days=1930)
    await house.work()
    assert kept(await house.request(request.id)) == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_request_outlives_a_change_of_the_secret_and_is_sealed_anew(house: House) -> None:
    request_id = await house.ask(PersonRequestKind.PACKAGE, phone=house.phone)
    old, new = house.settings.secret("secret_key"), "n" * 32
    both, alone = Keyring([new, old]), Keyring([new])
    assert (await house.request(request_id)).about in named(phone=house.phone).abouts(both)
    async with house.sessions.begin() as session:
        assert await people.reseal(session, both) == 1
        assert await people.reseal(session, both) == 0
    sealed = (await house.request(request_id)).person
    assert sealed is not None
    assert people.unseal(alone, sealed).phones == (house.phone,)
