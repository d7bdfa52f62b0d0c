"""The demo's people ring up: each story ends as it should, and nothing untrue is said on the way.

Real flow, engine, conductor, lookups, identification, acts, provider's system (our own tables) and database; only the
telephone is missing, and the clock stands at ten on a Monday.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from prosa.demo_house import DemoHouse
from tests.fake_erp import FakeErp
from tests.scenarios.story import MONDAY_10H, PROTOCOL, SUNDAY_02H, Told, tell
from ura import tickets
from ura.adapters.erp.local import LocalErp
from ura.billing import may_remind
from ura.db import Sessions
from ura.models import Call, Category, ErpRequest, ErpRequestState, OutageCall, Ticket, Tier, TrustUnlock
from ura.settings import Settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HELENA, OTAVIO, CELIA, RAUL = "+5511955550101", "+5511955550102", "+5511955550103", "+5511955550104"
IVONE, CAIO, BAKERY, WORKSHOP = "+551133331105", "+5511955550106", "+551133331107", "+5511955550108"
MIRELA, DARIO, SANDRO, LIVIA = "+5511955550109", "+5511955550110", "+5511955550111", "+5511955550112"
BENTO, NADIA, ALZIRA, GISELE = "+5511955550113", "+5511955550114", "+551133331115", "+5511955550117"
STRANGER, ELSEWHERE = "+5511987654321", "+5511944443333"
SUPPORT, BILLING, YES = "2", "3", "1"
CELIAS_CPF, CELIAS_YEAR, WRONG_CPF = "98765432100", "1968", "12345678900"
SECRETS = (CELIAS_CPF, CELIAS_YEAR, WRONG_CPF)

Ring = Callable[..., Awaitable[Told]]


@pytest.fixture
async def ring(sessions: Sessions, settings: Settings, tmp_path: Path) -> Ring:
    """`await ring("2,1", CAIO)`; `erp`, `gateway` are those of DemoHouse, the rest is for `tell`."""
    calls = 0

    async def story(keys: str, caller: str, *, erp: Any = None, gateway: bool = True, **more: Any) -> Told:
        nonlocal calls
        calls += 1
        now = more.get("now", MONDAY_10H).replace(tzinfo=settings.zone)
        house = DemoHouse(sessions, settings, now, erp=erp, gateway=gateway)
        if calls == 1:
            await house.move_in()
        return await tell(keys, tmp_path / str(calls), caller=caller, house=house, call_id=f"{calls:032x}", **more)

    return story


def keys(*entries: str) -> str:
    return ",".join(entries)


# -- in order


async def test_in_order_the_street_is_confirmed_and_a_good_line_leads_to_the_wifi(ring: Ring) -> None:
    told = await ring(keys(SUPPORT, YES, "1", "1"), HELENA)
    told.hears("identify.street", "Rua das Acácias", "identify.street_keys", "diagnose.good", "support.wifi.on")
    told.hears("steps.solved", "support.solved_yes", "end.anything_else")
    assert not {"support.menu", "support.restart.off", "diagnose.blocked"} & set(told.heard)
    assert told.queues == []


async def test_no_name_no_house_and_no_document_is_ever_spoken_or_kept(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1", "2", CELIAS_CPF, CELIAS_YEAR, "5"), CELIA)
    kept = json.dumps([told.path.steps, told.result.state.to_json(), [record.data for record in told.records]])
    for secret in (*SECRETS, "Andrade", "1500"):
        assert secret not in kept
    assert not any("Andrade" in heard or "1500" in heard for heard in told.heard)


async def test_nobody_in_debt_hears_that_there_is_none(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1"), GISELE)
    told.hears("invoices.none", "end.anything_else")


# -- support: only what fits


async def test_without_light_nobody_is_told_to_restart_and_a_visit_is_promised(ring: Ring, sessions: Sessions) -> None:
    told = await ring(keys(SUPPORT, YES), CAIO)
    told.hears(
        "diagnose.los", "support.fiber_warning", "visit.opened", "visit.until", "day.tomorrow", "end.anything_else"
    )
    assert not any(key.startswith(("support.restart", "support.no_signal", "steps.")) for key in told.heard)
    async with sessions() as session:
        visit = (await session.scalars(select(Ticket).where(Ticket.tier == Tier.L2))).one()
    assert visit.summary.startswith("Sem sinal")


async def test_who_waits_for_the_visit_and_rings_again_is_told_of_it_first(ring: Ring, sessions: Sessions) -> None:
    """By the number; what was promised is repeated, and the first call's protocol goes on."""
    async with sessions.begin() as session:
        session.add(Call(id=f"{1:032x}", caller=CAIO, opened_at=MONDAY_10H.replace(tzinfo=UTC)))
    first = await ring(keys(SUPPORT, YES), CAIO)
    first.hears("visit.opened", "visit.until", "day.tomorrow")
    async with sessions() as session:
        visit = (await session.scalars(select(Ticket).where(Ticket.tier == Tier.L2))).one()
    assert (visit.phone, visit.call_id) == (CAIO, f"{1:032x}")
    again = await ring(keys("6"), CAIO)
    again.hears("ticket.open.support", "ticket.protocol", "ticket.status.l2", "ticket.deadline.is", "day.tomorrow")
    assert "visit.opened" not in again.heard


async def test_at_two_in_the_morning_the_visit_is_promised_for_when_somebody_works(
    ring: Ring, sessions: Sessions
) -> None:
    """Ten hours of work from Sunday on are Monday's; what is told is what stands in the ticket."""
    told = await ring(keys(SUPPORT, YES), CAIO, now=SUNDAY_02H)
    told.hears("visit.opened", "visit.until", "day.tomorrow", "hour.at.18", "end.anything_else")
    async with sessions() as session:
        visit = (await session.scalars(select(Ticket).where(Ticket.tier == Tier.L2))).one()
    assert "23/11/2026 18:00" in visit.summary


async def test_without_a_calendar_a_visit_is_asked_for_and_no_time_promised(ring: Ring, sessions: Sessions) -> None:
    """So nothing goes to L2: somebody of L1 has to tell the caller a time first."""
    told = await ring(keys(SUPPORT, YES), CAIO, fails=["deadline"])
    told.hears("visit.opened", "end.anything_else")
    assert "visit.until" not in told.heard
    async with sessions() as session:
        newest = select(Ticket).order_by(Ticket.opened_at.desc()).limit(1)
        visit = (await session.scalars(newest)).one()
    assert (visit.tier, visit.told_deadline_at) == (Tier.L1, None)
    assert visit.summary.startswith("Sem sinal")


async def test_a_weak_signal_is_for_a_technician(ring: Ring, sessions: Sessions) -> None:
    told = await ring(keys(SUPPORT, YES), LIVIA)
    told.hears("diagnose.weak", "visit.opened")
    assert not any(key.startswith(("support.wifi", "support.restart")) for key in told.heard)
    async with sessions() as session:
        assert (await session.scalars(select(Ticket).where(Ticket.tier == Tier.L2))).one()


async def test_a_router_that_is_off_gets_the_power_steps(ring: Ring) -> None:
    told = await ring(keys(SUPPORT, YES, "1", "1", "1", "1", "1"), NADIA)
    told.hears("diagnose.no_session", "support.no_signal.power", "steps.solved", "support.solved_yes")


async def test_who_is_blocked_is_taken_to_what_unblocks(ring: Ring, sessions: Sessions) -> None:
    told = await ring(keys(SUPPORT, YES, "2", YES), OTAVIO)
    told.hears("diagnose.blocked", "billing.mine", "unlock.confirm", "unlock.granted_day", "unlock.restart")
    async with sessions() as session:
        assert len((await session.scalars(select(TrustUnlock).where(TrustUnlock.contract_ref == "2"))).all()) == 1


async def test_who_is_blocked_and_waits_for_us_hears_of_that_first(ring: Ring, sessions: Sessions) -> None:
    await ring("x", OTAVIO)
    async with sessions.begin() as session:
        row = {"id": "f" * 32, "protocol": PROTOCOL, "call_id": None, "category": Category.SUPPORT, "summary": ""}
        whose = {"phone": OTAVIO, "queue": "l1", "contract_ref": "2", "opened_at": MONDAY_10H.replace(tzinfo=UTC)}
        await tickets.open_tickets(session, [row | whose | {"opened_by": "ana"}])
    told = await ring(keys(SUPPORT, YES, "2", "2", YES), OTAVIO)
    told.hears("diagnose.blocked", "service.ticket", "service.ask", "billing.mine", "unlock.confirm")


async def test_who_is_suspended_for_another_reason_finds_a_person(ring: Ring) -> None:
    told = await ring(keys(SUPPORT, YES), MIRELA)
    told.hears("diagnose.suspended", "person.transferring")
    assert told.queues == ["l1"]


async def test_wifi_that_did_not_help_leads_to_a_person_where_nothing_can_be_restarted_from_here(ring: Ring) -> None:
    told = await ring(keys(SUPPORT, YES, *"2222"), HELENA)
    told.hears("support.wifi.place", "support.solved_no", "person.transferring")
    assert not any(key.startswith("session.") for key in told.heard)


async def test_a_contract_that_has_ended_is_for_a_person(ring: Ring) -> None:
    told = await ring(keys(SUPPORT, YES), GISELE)
    told.hears("identify.ended", "person.transferring")


# -- outage


async def test_an_outage_is_told_before_the_first_menu_and_after_it_who_wants_to_know_is_noted(
    ring: Ring, sessions: Sessions
) -> None:
    told = await ring(keys(SUPPORT, YES, YES, YES), IVONE)
    told.hears("greeting.welcome", "outage.nearby", "outage.fibre_cut", "outage.estimate", "menu.main")
    told.hears("identify.street", "outage.again", "outage.offer", "outage.number")
    told.hears("outage.subscribed", "end.anything_else")
    assert "outage.intro" not in told.heard
    assert told.heard.count("outage.estimate") == 1
    assert told.caller.times["outage.nearby"] <= 10
    async with sessions() as session:
        (wish,) = (await session.scalars(select(OutageCall))).all()
        assert (wish.call_id, wish.phone, wish.wants_news) == (f"{1:032x}", IVONE, True)
        assert (await session.scalars(select(Ticket).where(Ticket.call_id == wish.call_id))).all() == []


async def test_who_cut_the_outage_short_is_told_of_it_when_it_matters(ring: Ring) -> None:
    told = await ring(keys("!", f"!{SUPPORT}", YES, YES, YES), IVONE)
    told.hears("outage.nearby", "protocol.intro", "outage.intro", "outage.fibre_cut", "outage.estimate", "outage.offer")
    assert "outage.again" not in told.heard


@pytest.mark.parametrize("caller", [HELENA, STRANGER, ""])
async def test_nobody_else_hears_of_the_outage(ring: Ring, caller: str) -> None:
    told = await ring("x", caller)
    assert not any(key.startswith("outage.") for key in told.heard)


async def test_who_hangs_up_on_hearing_of_an_outage_has_called_about_it(ring: Ring, sessions: Sessions) -> None:
    told = await ring(keys("!", "!x"), IVONE)
    assert told.heard[-1] == "outage.nearby"
    async with sessions() as session:
        heard = (await session.scalars(select(OutageCall))).one()
    assert (heard.call_id, heard.wants_news) == (f"{1:032x}", False)
    assert heard.contract_id


async def test_who_hangs_up_on_the_outage_has_called_about_it(ring: Ring, sessions: Sessions) -> None:
    told = await ring(keys(SUPPORT, YES, "2", "x"), IVONE)
    told.hears("outage.declined")
    async with sessions() as session:
        (heard,) = (await session.scalars(select(OutageCall))).all()
    assert not heard.wants_news


# -- two contracts, a shared line, another's telephone


async def test_two_contracts_are_listed_by_street_and_neighbourhood_and_the_choice_holds(ring: Ring) -> None:
    told = await ring(keys(BILLING, "2", "1", "1", "1"), RAUL)
    told.hears("identify.which", "Rua da Estação", "Centro", "choose.press_1", "Rua do Comércio", "Bela Vista")
    told.hears("choose.press_2", "billing.mine", "invoices.found", "send_invoice.sms", "send_invoice.sent")
    assert told.heard.count("identify.which") == 1


async def test_a_line_that_two_share_tells_nobody_who_it_is(ring: Ring) -> None:
    told = await ring(keys(SUPPORT, "x"), ALZIRA)
    assert told.heard[-1] == "identify.how"
    assert "Rua do Comércio" not in told.heard


async def test_from_another_telephone_a_document_is_keyed_once_for_the_whole_call(ring: Ring) -> None:
    told = await ring(keys(SUPPORT, "1", CELIAS_CPF, "1", "1", "1", BILLING, "1"), ELSEWHERE)
    told.hears("identify.cpf", "diagnose.good", "support.solved_yes", "menu.main", "billing.mine", "invoices.found")
    assert told.heard.count("identify.cpf") == 1


# -- companies


async def test_a_company_that_keys_its_contract_elsewhere_hears_no_household_steps(ring: Ring) -> None:
    """Its own number never gets to the menu (test_who_comes_in.py)."""
    told = await ring(keys(SUPPORT, "3", "100109#", "0108"), ELSEWHERE)
    told.hears("identify.contract", "diagnose.business")
    assert told.queues == ["corporativo"]


async def test_a_cnpj_with_letters_is_known_by_the_contract_and_a_registered_telephone(ring: Ring) -> None:
    told = await ring(keys(BILLING, "3", "100109#", "0108", "1"), ELSEWHERE)
    told.hears("identify.contract", "identify.factor_company", "billing.mine", "invoices.one", "invoices.overdue")


# -- documents that are none


async def test_two_wrong_documents_lead_to_a_person_in_the_same_words_never_to_a_hang_up(ring: Ring) -> None:
    told = await ring(keys(BILLING, "1", WRONG_CPF, "1", "39053344705"), STRANGER)
    told.hears("identify.not_found", "identify.how", "identify.missed", "person.transferring")
    assert told.queues == ["l1"]


async def test_who_will_not_say_who_calls_has_everything_there_was(ring: Ring) -> None:
    told = await ring(keys(SUPPORT, "4", "6", "1", "1", "1", "1", "1", BILLING, "4", "1"), STRANGER)
    told.hears("support.menu", "support.restart.off", "support.solved_yes", "menu.main", "billing.menu")
    told.hears("billing.menu", "billing.due_dates")


@pytest.mark.parametrize("before", [[SUPPORT], [SUPPORT, "1"], [BILLING, "3"]])
async def test_nine_is_a_person_before_every_question(ring: Ring, before: list[str]) -> None:
    told = await ring(keys(*before, "9"), STRANGER)
    assert told.queues == ["l1"]


# -- billing


async def test_overdue_amounts_are_heard_by_the_verified_only(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1", "2", CELIAS_CPF, CELIAS_YEAR, "3"), CELIA)
    told.hears("invoices.found", "invoices.verify", "identify.cpf", "identify.factor")
    told.hears("identify.factor", "invoices.there_are", "invoices.overdue", "invoices.amount", "reais.19", "cents.90")
    told.hears("invoices.following", "invoices.due")
    before = told.heard[: told.heard.index("identify.factor")]
    assert not any(key.startswith(("reais.", "cents.", "invoices.overdue")) for key in before)


async def test_an_invoice_goes_to_the_registered_contact_and_sent_is_the_gateways_word(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1", "1", "1"), CELIA)
    told.hears("send_invoice.sms", "digit.0", "send_invoice.sent", "end.anything_else")
    (message,) = told.stored("message_queued")
    assert message["to"] == ""
    assert CELIA not in json.dumps(message["payload"])


async def test_without_the_gateways_word_it_is_queued_and_the_protocol_is_given(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1", "1", "1"), CELIA, gateway=False)
    told.hears("send_invoice.queued", "protocol.intro")
    assert "send_invoice.sent" not in told.heard


async def test_the_code_is_read_in_blocks_to_the_verified(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1", "2", CELIAS_CPF, CELIAS_YEAR, "2", *[""] * 10, "2"), CELIA)
    told.hears("read_line.intro", "digit.9", "read_line.end", "end.anything_else")
    start = told.heard.index("read_line.intro")
    digits = [key for key in told.heard[start : told.heard.index("read_line.end")] if key.startswith("digit.")]
    assert len(digits) == 47


@pytest.mark.parametrize(("caller", "why"), [(DARIO, "used_this_period"), (SANDRO, "policy_refused")])
async def test_who_may_not_be_unlocked_hears_why_and_nothing_is_asked_for(
    ring: Ring, sessions: Sessions, caller: str, why: str
) -> None:
    told = await ring(keys(BILLING, YES, "2"), caller)
    told.hears(f"unlock.{why}", "billing.mine")
    async with sessions() as session:
        assert (await session.scalars(select(ErpRequest))).all() == []


async def test_unlocked_twice_is_unlocked_once(ring: Ring) -> None:
    await ring(keys(BILLING, YES, "2", YES), OTAVIO)
    told = await ring(keys(BILLING, YES, "2"), OTAVIO)
    told.hears("unlock.already_active_day")
    assert "unlock.confirm" not in told.heard


async def test_a_promise_is_a_day_after_a_document(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "3", CELIAS_CPF, "1"), CELIA)
    told.hears("identify.cpf", "promise.intro", "choose.press_1", "promise.accepted", "end.anything_else")
    again = await ring(keys(BILLING, YES, "3", CELIAS_CPF, "1"), CELIA)
    again.hears("promise.refused", "cant_pay.menu")


async def test_who_cannot_pay_on_any_of_the_days_is_led_to_who_negotiates(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "3", CELIAS_CPF, "8", "1"), CELIA)
    told.hears("promise.other", "cant_pay.menu", "person.transferring")
    assert told.queues == ["retencao"]
    back = await ring(keys(BILLING, YES, "3", CELIAS_CPF, "8", "2"), CELIA)
    back.hears("cant_pay.menu", "billing.mine")
    assert "retencao" not in back.queues


async def test_where_no_promise_is_kept_no_document_is_asked_for_and_no_day_offered(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalErp, "takes_promises", False)
    told = await ring(keys(BILLING, YES, "3", "1"), CELIA)
    told.hears("promise.unsupported", "cant_pay.menu")
    assert not {"identify.cpf", "promise.intro", "promise.failed"} & set(told.heard)
    assert told.queues == ["retencao"]


async def test_a_charge_that_is_disputed_is_a_complaint_and_brings_no_reminders(ring: Ring, sessions: Sessions) -> None:
    told = await ring(keys(BILLING, YES, "1", "2", CELIAS_CPF, CELIAS_YEAR, "4"), CELIA)
    told.hears("invoices.dispute", "dispute.done")
    (record,) = told.stored("invoice_disputed")
    async with sessions() as session:
        complaint = (await session.scalars(select(Ticket).where(Ticket.category == Category.COMPLAINT))).one()
        assert (complaint.id, complaint.protocol) == (record["ticket_id"], PROTOCOL)
        assert not await may_remind(session, source="local", invoice_ref=record["invoice_id"])


async def test_who_waits_for_us_is_spoken_to_about_that_first(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "2", "1"), BENTO)
    told.hears("service.ticket", "service.ask", "billing.mine", "invoices.found")
    told = await ring(keys(BILLING, YES, "1"), IVONE)
    told.hears("service.outage", "service.ask", "person.transferring")


# -- the provider's system is away


async def test_a_system_that_is_down_is_said_and_support_needs_none(ring: Ring) -> None:
    told = await ring(keys(SUPPORT), CELIA, erp=FakeErp(down=True))
    told.hears("identify.failed", "support.menu")


@pytest.mark.parametrize(("key", "wanted"), [("1", "a fatura"), ("2", "a liberação"), ("3", "um dia de pagamento")])
async def test_what_somebody_wanted_while_the_system_was_down_is_noted_with_the_protocol(
    ring: Ring, key: str, wanted: str
) -> None:
    told = await ring(keys(BILLING, key), CELIA, erp=FakeErp(down=True))
    told.hears("identify.failed", "billing.mine", "noted.done", "protocol.intro", "end.anything_else")
    assert "invoices.none" not in told.heard
    (ticket,) = told.stored("ticket_opened")
    assert (ticket["phone"], ticket["protocol"], ticket["category"]) == (CELIA, PROTOCOL, "billing")
    assert wanted in ticket["summary"]


async def test_who_hides_the_number_is_asked_for_one_before_anything_is_noted(ring: Ring) -> None:
    told = await ring(keys(BILLING, "1", CELIAS_CPF, "1", "11955550103"), "", erp=FakeErp(down=True))
    told.hears("identify.how", "identify.failed", "billing.mine", "person.number", "noted.done")
    assert [ticket["phone"] for ticket in told.stored("ticket_opened")] == [CELIA]


async def test_questions_that_need_no_system_are_answered_while_it_is_down(ring: Ring) -> None:
    told = await ring(keys(BILLING, "4", "1"), CELIA, erp=FakeErp(down=True))
    told.hears("identify.failed", "billing.mine", "billing.menu", "billing.due_dates")


async def test_an_error_is_never_no_debt_and_the_oldest_invoice_goes_out_when_it_can(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1", "1"), CELIA, fails=["open_invoices"])
    told.hears("invoices.failed", "send_invoice.oldest", "send_invoice.later", "protocol.intro", "end.anything_else")
    assert not {"invoices.none", "send_invoice.sent"} & set(told.heard)
    (message,) = told.stored("message_queued")
    assert (message["kind"], message["to"], message["payload"]["invoice_id"]) == ("invoice", "", "")
    assert (message["payload"]["contract_id"], message["payload"]["contact"]["tail"]) == ("3", "0103")
    assert told.stored("ticket_opened") == []


@pytest.mark.parametrize("answer", ["", "8"], ids=["silence", "none of these addresses"])
async def test_who_does_not_want_it_by_message_has_it_noted(ring: Ring, answer: str) -> None:
    told = await ring(keys(BILLING, YES, "1", answer), CELIA, fails=["open_invoices"])
    told.hears("invoices.failed", "send_invoice.oldest", "noted.done", "protocol.intro", "end.anything_else")
    assert "invoices.none" not in told.heard
    (ticket,) = told.stored("ticket_opened")
    assert (ticket["protocol"], ticket["contract_id"]) == (PROTOCOL, "3")


async def test_an_unlock_is_asked_for_later_when_nobody_can_say_whether_it_may_be(
    ring: Ring, sessions: Sessions
) -> None:
    erp = FakeErp()

    async def fails(operation: str) -> None:
        erp.down = "unlock" in operation

    erp.takes = fails
    told = await ring(keys(BILLING, YES, "2", YES), OTAVIO, erp=erp, fails=["service_first"])
    told.hears("unlock.later", "unlock.queued", "protocol.intro")
    assert "unlock.confirm" not in told.heard, "it is not known whether it can be done"
    async with sessions() as session:
        request = (await session.scalars(select(ErpRequest))).one()
    assert (request.state, request.args["contract_id"]) == (ErpRequestState.QUEUED, "2002")


async def test_a_system_that_fails_at_the_unlock_queues_the_wish_with_the_protocol(
    ring: Ring, sessions: Sessions
) -> None:
    erp = FakeErp()

    async def fails(operation: str) -> None:
        erp.down = operation == "trust_unlock"

    erp.takes = fails
    told = await ring(keys(BILLING, YES, "2", YES), OTAVIO, erp=erp, fails=["service_first"])
    told.hears("unlock.confirm", "unlock.queued", "protocol.intro")
    assert not any(key.startswith("unlock.granted") for key in told.heard)
    async with sessions() as session:
        (request,) = (await session.scalars(select(ErpRequest))).all()
    assert (request.state, request.protocol) == (ErpRequestState.QUEUED, PROTOCOL)


@pytest.mark.parametrize(("entries", "cannot", "says"), [
    (["1"], "open_invoices", "invoices.unsupported"),
    (["2"], "may_unlock", "unlock.unsupported"),
])  # fmt: skip
async def test_what_a_system_cannot_do_is_said_and_a_person_can(
    ring: Ring, entries: list[str], cannot: str, says: str
) -> None:
    told = await ring(keys(BILLING, YES, *entries), CELIA, erp=FakeErp(cannot={cannot}), fails=["service_first"])
    told.hears(says, "person.transferring")


async def test_a_full_disk_promises_nothing(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1", "1", "1"), CELIA, fails=["send_invoice"])
    told.hears("send_invoice.failed")
    told = await ring(keys(SUPPORT, YES), CAIO, fails=["request_erp"])
    told.hears("visit.failed")
    assert "visit.opened" not in told.heard


async def test_at_night_all_of_it_works_too(ring: Ring) -> None:
    told = await ring(keys(BILLING, YES, "1", "1", "1"), CELIA, now=SUNDAY_02H)
    told.hears("send_invoice.sent")
