"""The panel's page of a ticket: who sees what of it, who may do what with it, and why not the rest."""

import inspect
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import select

from tests.api.conftest import Client
from ura import sla_policies, ticket_refusals
from ura.db import Sessions
from ura.errors import Refused
from ura.models import AuditEntry, RecordAccess, RecordKind, Role, TicketEventKind
from ura.settings import Settings
from ura.ticket_rules import Purpose, WaitFor

NEW = {
    "category": "address_change",
    "summary": "Ligar no (11) 94444-5555",
    "phone": "11944445555",
    "form": {"new_address": "Rua das Flores 12"},
}
SECRET = re.compile(r"94444|\(11\) 9")


@pytest.fixture(autouse=True)
async def policies(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await sla_policies.install_shipped(session)


async def opened(client: AsyncClient, **more: Any) -> str:
    answer = await client.post("/api/v1/tickets", json=NEW | more)
    assert answer.status_code == 201, answer.text
    return f"/panel/tickets/{answer.json()['id']}"


async def do(client: AsyncClient, page: str, kind: str, **fields: str) -> Response:
    door = kind if kind in ("contact", "comments") else "moves"
    return await client.post(f"{page}/{door}", data={"type": kind, **fields})


def offers(page: str) -> set[str]:
    """The moves that have a form."""
    return set(re.findall(r'name="type" value="(\w+)"', page)) - {"comment", "visit"}


async def latest_deadline(client: AsyncClient, page: str) -> str:
    """As late as the ticket is due at L2, as the form says it."""
    shown = (await client.get(page)).text
    said = re.search(r"\(até (\d\d)/(\d\d)/(\d{4}) (\d\d:\d\d)\)", shown)
    assert said, shown
    return f"{said[3]}-{said[2]}-{said[1]}T{said[4]}"


async def test_a_ticket_goes_through_the_tiers_on_its_page(person: Client, sessions: Sessions) -> None:
    async with person(Role.ATTENDANT) as l1, person(Role.TECHNICIAN) as l2, person(Role.NETWORK) as l3:
        page = await opened(l1)
        assert offers((await l1.get(page)).text) == {"take", "report", "to_l2", "assign", "wait", "close"}
        far = await l2.get(page)
        assert offers(far.text) == set()
        assert "O chamado está em outro nível: quem trabalha lá age." in far.text
        assert (await do(l2, page, "take")).status_code == 409

        told = await latest_deadline(l1, page)
        refused = await do(l1, page, "to_l2", report="LOS vermelha")
        assert (refused.status_code, "O N2 só recebe com um prazo" in refused.text) == (409, True)
        assert "LOS vermelha</textarea>" in refused.text
        assert (await do(l1, page, "to_l2", report="LOS vermelha", told_deadline_at=told)).status_code == 303

        shown = (await l2.get(page)).text
        assert offers(shown) == {"take", "try", "back_to_l1", "to_l3", "assign", "wait", "close"}
        assert "<strong>Falar com a pessoa:</strong> Primeiro trabalhe à distância" in shown
        assert not SECRET.search(shown)
        assert (await do(l2, page, "contact", purpose="solution", text="Porta trocada")).status_code == 409
        assert (await do(l2, page, "try", text="Porta reiniciada")).status_code == 303
        rung = await do(l2, page, "contact", purpose="solution", text="Porta trocada")
        assert (rung.status_code, rung.text.count("(11) 94444-5555")) == (200, 1)
        assert not SECRET.search((await l2.get(page)).text)
        assert (await do(l2, page, "to_l3", reason="Toda a PON oscila")).status_code == 303

        shown = (await l3.get(page)).text
        assert offers(shown) == {"take", "back_to_l2", "assign", "wait"}
        assert "<strong>Fechar:</strong> O N3 não fecha chamado." in shown
        assert "customer" not in shown.split('id="m-reason"')[1].split("</select>")[0]
        assert not SECRET.search(shown)
        assert "Rua das Flores" not in shown
        assert "Telefone" not in shown
        await do(l3, page, "comments", text="SFP com defeito")
        await do(l3, page, "back_to_l2", finding="SFP trocado")
        assert (await do(l2, page, "back_to_l1", tell="A conexão voltou")).status_code == 303
        assert (await do(l1, page, "close", text="Avisada")).status_code == 303
        shown = (await l1.get(page)).text
        assert offers(shown) == {"reopen"}
        assert "Quem reabre um chamado é o N1." in (await l2.get(page)).text
        assert shown.count("Interno</span>") == 3
    async with sessions() as session:
        audited = list(await session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "ticket.contact")))
        looked = set(await session.scalars(select(RecordAccess.actor).where(RecordAccess.kind == RecordKind.TICKET)))
    assert audited == ["technician@provedor.test"]
    assert looked == {f"{role}@provedor.test" for role in (Role.ATTENDANT, Role.TECHNICIAN, Role.NETWORK)}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_was_sent_twice_is_done_once_and_what_is_stale_not_at_all(person: Client) -> None:
    async with person(Role.ATTENDANT) as client:
        page = await opened(client)
        shown = (await client.get(page)).text
        once, version = (re.search(rf'name="{name}" value="(\w+)"', shown) for name in ("once", "version"))
        assert once
        assert version
        same = {"once": once[1], "version": version[1]}
        for _ in range(2):
            assert (await do(client, page, "wait", reason="parts", text="Sem ONU", **same)).status_code == 303
        for _ in range(2):
            assert (await do(client, page, "comments", text="Chega amanhã", **same)).status_code == 303
        history = (await client.get(page)).text.split('id="history"')[1]
        assert (history.count("Em espera: peças"), history.count("Chega amanhã")) == (1, 1)
        stale = await do(client, page, "close", text="Pronto", version=version[1], once="another-one")
        assert stale.status_code == 409
        assert "Alguém mudou o chamado enquanto você escrevia." in stale.text
        assert "Pronto</textarea>" in stale.text
        now = (await client.get(f"{page}/now", params={"version": version[1]})).text
        assert "O chamado mudou desde que você abriu esta página." in now
        assert "Prazo parado" in now


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_questions_of_the_category_are_asked_and_its_answers_understood(person: Client) -> None:
    asked = {"category": "slow_link", "form": {"measured_mbps": 12, "cabled": False}, "summary": "Lenta"}
    async with person(Role.ATTENDANT) as client:
        page = await opened(client, **asked)
        wrong = await do(client, page, "report", report="Mediu de novo", **{"form.measured_mbps": "pouco"})
        assert (wrong.status_code, "não é o que a pergunta pede" in wrong.text) == (422, True)
        right = {"form.measured_mbps": "40,5", "form.cabled": "yes"}
        assert (await do(client, page, "report", report="Mediu de novo", **right)).status_code == 303
        ticket = (await client.get(page.replace("/panel/", "/api/v1/"))).json()
        shown = (await client.get(page)).text
    assert ticket["form"] == {"measured_mbps": 40.5, "cabled": True}
    assert "40.5" in shown


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_only_reads_has_no_form_and_nonsense_does_nothing(person: Client) -> None:
    async with person(Role.ATTENDANT) as client, person(Role.OWNER) as owner:
        page = await opened(client)
        shown = await owner.get(page)
        assert (shown.status_code, "<textarea" in shown.text) == (200, False)
        assert not SECRET.search(shown.text)
        for kind in ("moves", "contact", "comments"):
            assert (await do(owner, page, kind, text="x")).status_code == 403
        for kind, fields in {"take_off": {}, "close": {"colour": "red"}, "comments": {"text": " "}}.items():
            assert (await do(client, page, kind, **fields)).status_code in (409, 422), kind
        assert (await client.get("/panel/tickets/" + "0" * 32)).status_code == 404


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_deadline_is_explained_interval_by_interval(person: Client, settings: Settings) -> None:
    async with person(Role.ATTENDANT) as client:
        page = await opened(client, category="complaint", form={})
        shown = (await client.get(page)).text
    due = (datetime.now(UTC) + timedelta(days=7)).astimezone(settings.zone)
    assert "Prazo da lei: 168 h" in shown
    assert "Reclamação no N1: 168 h" in shown
    assert shown.count('<li class="interval-counted">') == 2
    assert due.strftime("Vence %d/%m/%Y") in shown


def test_every_refusal_and_every_line_of_a_history_has_words(app_pages: Any) -> None:
    words = app_pages._environment.get_template("_ticket_words.html").module
    codes = {
        each.code
        for _, each in inspect.getmembers(ticket_refusals, inspect.isclass)
        if issubclass(each, Refused) and each is not Refused
    }
    assert codes <= set(words.refusal_word), codes - set(words.refusal_word)
    assert set(words.event_word) == set(TicketEventKind)
    assert (set(words.wait_word), set(words.purpose_word)) == (set(WaitFor), set(Purpose))


@pytest.fixture
def app_pages(app: FastAPI) -> Any:
    return app.state.pages
