"""Sales: home or business → city → neighbourhood → plans, and the contact that is never lost."""

from pathlib import Path

import pytest
from sqlalchemy import select

from tests.scenarios.story import HIDDEN, LANDLINE, MARIA, SUNDAY_02H, tell
from ura import projection
from ura.db import Sessions
from ura.models import Lead, LeadStatus

HOME, BUSINESS = "1,1", "1,2"
CAMPO_BELO, SERRA_AZUL = "1", "2"
LIST, LETTERS, CEP = "1", "2", "3"
PALMEIRAS = f"{HOME},{CAMPO_BELO},{LIST},2"
PLANNED = f"{HOME},{CAMPO_BELO},{LIST},6,1"  # Vila Esperança, on the second page
NOT_COVERED = f"{HOME},{SERRA_AZUL},2"  # Morro Alto, in a city of two neighbourhoods


async def test_the_plans_of_jardim_das_palmeiras_are_heard_within_90_s(tmp_path: Path) -> None:
    """Every sentence is heard to its end; an impatient caller is faster."""
    told = await tell(f"{PALMEIRAS},x", tmp_path)

    told.hears("sales.audience", "choose.city", "choose.method", "choose.list", "Jardim das Palmeiras")
    told.hears("sales.covered", "plans.intro", "plans.option_1", "Plano trezentos mega", "plans.price")
    told.hears("plans.option_1", "plans.setup_free", "Sem fidelidade.", "plans.option_2", "plans.option_3")
    told.hears("plans.send", "plans.more", "plans.sales", "plans.done")
    assert told.caller.times["plans.option_1"] <= 90


async def test_hanging_up_at_the_plans_leaves_an_abandoned_lead(tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},x", tmp_path)

    leads = told.stored("lead_saved")
    assert [lead["status"] for lead in leads] == ["new", "interested", "abandoned"]
    assert len({lead["lead_id"] for lead in leads}) == 1
    assert leads[1] | {"at": ""} == leads[1] | {"phone": MARIA, "audience": "home", "city_id": 1, "at": ""}
    assert leads[1]["neighbourhood_id"]


async def test_the_abandoned_lead_is_in_the_database(sessions: Sessions, tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},x", tmp_path)
    for _ in range(2):  # a replayed journal changes nothing
        async with sessions.begin() as session:
            await projection.apply_batch(session, told.records)

    async with sessions() as session:
        [lead] = (await session.scalars(select(Lead))).all()
    assert (lead.status, lead.phone, lead.neighbourhood_id) == (LeadStatus.ABANDONED, MARIA, 102)


async def test_the_contact_is_saved_before_the_city_is_asked(tmp_path: Path) -> None:
    told = await tell(f"{BUSINESS},x", tmp_path)

    first, last = told.stored("lead_saved")
    assert (first["audience"], first["status"], last["status"]) == ("business", "new", "abandoned")


async def test_send_me_this_queues_a_message_to_the_callers_mobile(tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},2", tmp_path)

    told.hears("plans.option_2", "sales.send_queued", "sales.after_send", "end.thanks")
    [message] = told.stored("message_queued")
    assert (message["to"], message["payload"]) == (MARIA, {"plan_ids": [2]})
    assert (told.stored("lead_saved")[-1]["status"], told.stored("lead_saved")[-1]["plan_id"]) == ("proposal", 2)
    assert told.stored("lead_saved")[-1]["wants_message"] is True
    assert told.outcome == "done"


async def test_from_a_landline_the_mobile_is_asked_for(tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},1,11912345678", tmp_path, caller=LANDLINE)

    told.hears("sales.mobile", "sales.send_queued")
    assert told.stored("message_queued")[0]["to"] == "+5511912345678"


async def test_the_fourth_plan_comes_in_the_next_breath_and_star_goes_back(tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},4,*,x", tmp_path)

    told.hears("Plano setecentos mega", "plans.more", "plans.option_1", "Plano um giga", "Plano trezentos mega")


async def test_talk_to_sales_goes_to_the_sales_queue_with_the_lead_kept(tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},5", tmp_path)

    told.hears("plans.sales", "sales.transferring")
    assert told.queues == ["vendas"]
    assert told.stored("lead_saved")[-1]["status"] == "forwarded"


WAYS_TO_END: dict[str, tuple[str, str, str]] = {  # keys, what became of the lead, what became of the call
    "hangs up before the city": (f"{HOME},x", "abandoned", "abandoned"),
    "hangs up in the plans": (f"{PALMEIRAS},x", "abandoned", "abandoned"),
    "says nothing to the plans": (PALMEIRAS, "abandoned", "done"),
    "that was all": (f"{PALMEIRAS},6", "informed", "done"),
    "that was all, and hangs up": (f"{PALMEIRAS},6,x", "informed", "done"),
    "wants a plan by message": (f"{PALMEIRAS},2", "proposal", "done"),
    "wants a plan by message, and hangs up": (f"{PALMEIRAS},2,x", "proposal", "done"),
    "talks to sales": (f"{PALMEIRAS},5", "forwarded", "queue"),
    "wants a message, then talks to sales": (f"{PALMEIRAS},2,1", "forwarded", "queue"),
    "asks for a person in the plans": (f"{PALMEIRAS},9", "forwarded", "queue"),
    "waits for the neighbourhood": (f"{PLANNED},1", "waiting", "done"),
    "waits for the neighbourhood, and hangs up": (f"{PLANNED},1,x", "waiting", "done"),
    "is not covered, and does not wait": (f"{NOT_COVERED},2", "not_covered", "done"),
    "is not covered, and hangs up": (f"{NOT_COVERED},x", "not_covered", "abandoned"),
    "does not find the neighbourhood": (f"{HOME},{CAMPO_BELO},{LIST},8,x", "abandoned", "abandoned"),
    "leaves the sale for a complaint": (f"{PALMEIRAS},*,*,*,*,4,1,x", "abandoned", "done"),
}


@pytest.mark.parametrize("way", WAYS_TO_END)
async def test_the_lead_says_how_the_sale_ended(way: str, tmp_path: Path) -> None:
    keys, lead, call = WAYS_TO_END[way]
    told = await tell(keys, tmp_path)

    assert (told.stored("lead_saved")[-1]["status"], told.outcome) == (lead, call)
    assert len({each["lead_id"] for each in told.stored("lead_saved")}) == 1


@pytest.mark.parametrize(
    ("then", "becomes"), [("x", "abandoned"), ("1", "forwarded"), ("2,12", "forwarded"), ("3,x", "forwarded")]
)
async def test_sales_at_night_is_abandonment_until_something_is_agreed(then: str, becomes: str, tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},5,{then}", tmp_path, now=SUNDAY_02H)

    told.hears("person.closed", "person.offers")
    assert told.stored("lead_saved")[-1]["status"] == becomes


async def test_a_queue_that_gives_the_caller_back_has_not_served_anybody(tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},5,x", tmp_path, queues_give_back=["timeout"])

    assert [lead["status"] for lead in told.stored("lead_saved")] == ["new", "interested", "forwarded", "abandoned"]


async def test_where_we_are_not_is_kept_for_the_map_of_who_wants_us(tmp_path: Path) -> None:
    told = await tell(f"{NOT_COVERED},x", tmp_path)

    assert told.stored("lead_saved")[-1]["neighbourhood_id"] == 202


async def test_a_company_hears_business_plans(tmp_path: Path) -> None:
    told = await tell(f"{BUSINESS},{CAMPO_BELO},{LIST},1,x", tmp_path)

    told.hears("Plano empresa", "plans.setup", "Com endereço fixo.")
    assert "Plano trezentos mega" not in told.heard


async def test_first_letters_find_the_neighbourhood(tmp_path: Path) -> None:
    told = await tell(f"{HOME},{CAMPO_BELO},{LETTERS},725#,1,x", tmp_path)
    told.hears("choose.letters", "choose.list", "Jardim das Palmeiras", "sales.covered")


async def test_letters_that_find_nothing_are_asked_again_then_there_is_a_way_on(tmp_path: Path) -> None:
    told = await tell(f"{HOME},{CAMPO_BELO},{LETTERS},999#,888#,777#,2", tmp_path)

    told.hears("choose.letters", "choose.letters_none", "choose.letters.short", "sales.not_found", "sales.transferring")
    assert told.queues == ["vendas"]


async def test_a_cep_finds_the_neighbourhood(tmp_path: Path) -> None:
    told = await tell(f"{HOME},{CAMPO_BELO},{CEP},13000100,1,x", tmp_path)
    told.hears("choose.cep", "Jardim das Palmeiras", "sales.covered", "plans.intro")


async def test_planned_says_when_and_keeps_a_place_on_the_waiting_list(tmp_path: Path) -> None:
    told = await tell(f"{PLANNED},1", tmp_path)

    told.hears("choose.more", "Vila Esperança", "sales.not_covered", "sales.forecast", "month.3", "sales.waiting_list")
    told.hears("sales.waiting_list_joined", "end.anything_else", "end.thanks")
    [entry] = told.stored("waiting_list_joined")
    assert entry["phone"] == MARIA
    assert told.stored("lead_saved")[-1]["status"] == "waiting"


async def test_not_covered_says_so_without_a_date_and_respects_a_no(tmp_path: Path) -> None:
    told = await tell(f"{NOT_COVERED},2", tmp_path)

    told.hears("sales.not_covered", "sales.no_forecast", "sales.waiting_list", "sales.waiting_list_declined")
    assert "sales.covered" not in told.heard
    assert told.stored("waiting_list_joined") == []


async def test_a_hidden_number_is_asked_for_before_the_waiting_list(tmp_path: Path) -> None:
    told = await tell(f"{NOT_COVERED},1,1133334444", tmp_path, caller=HIDDEN)

    told.hears("person.number", "sales.waiting_list_joined")
    assert told.stored("waiting_list_joined")[0]["phone"] == LANDLINE


async def test_mine_is_not_in_the_list_can_search_again_or_talk(tmp_path: Path) -> None:
    told = await tell(f"{HOME},{CAMPO_BELO},{LIST},8,1,{SERRA_AZUL},1,x", tmp_path)
    told.hears("choose.not_listed", "sales.not_found", "choose.city", "sales.covered")


async def test_at_night_the_plans_are_heard_and_sales_offers_a_callback(tmp_path: Path) -> None:
    told = await tell(f"{PALMEIRAS},5,1", tmp_path, now=SUNDAY_02H)

    told.hears("plans.intro", "person.closed", "person.opens_at", "person.offers", "person.callback_done")
    [callback] = told.stored("callback_requested")
    assert (callback["queue"], callback["phone"]) == ("vendas", MARIA)
    assert callback["not_before"].startswith("2026-11-23T08:00")
