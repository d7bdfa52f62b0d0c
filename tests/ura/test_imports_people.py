"""Subscribers, contracts and invoices from spreadsheets, as people have them."""

import time
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, text

from prosa.importing import run
from prosa.resealing import reseal
from tests.factories import NOON
from ura import imports
from ura.crypto import Keyring
from ura.db import Sessions
from ura.demo.subscribers import demo_world
from ura.erp import ContractStatus, Kind
from ura.imports import ImportKind, Preview
from ura.models import Access, Audience, Contract, Invoice, InvoiceStatus, Subscriber, SubscriberPhone
from ura.settings import Settings

TODAY = date(2026, 11, 23)
KEYRING = Keyring(["tests"])
DEMO = demo_world(NOON)
PAYLOAD = DEMO.story("blocked").contracts[0].invoices[0].payload

SUBSCRIBERS = """\
CPF/CNPJ;Nome;Data de nascimento;Telefones;E-mails
123.456.789-09;Helena Prado;31/12/1984;(11) 95555-0101 | 11 3333-1103;helena@casa.example
1234567890;Nádia Salgado;2001;;
12.ABC.345/01DE-35;Oficina Roda Viva Ltda;;11955550108;
"""
CONTRACTS = """\
Contrato;Documento;Situação;Rua;Número da casa;Bairro;Cidade;Plano;Tipo;Login;OLT;PON
2026/0077;123.456.789-09;Ativo;Rua das Acácias;120;Centro;Vale Verde;Turbo 600 Mega;residencial;helena.prado;OLT-1;0/1/1
0078;12.ABC.345/01DE-35;bloqueado por débito;Rua Nova;s/n;Centro;Vale Verde;Empresa 300 Mega;empresa;roda;OLT-1;0/1/2
"""
INVOICES = f"""\
Fatura;Contrato;Vencimento;Valor;Situação;Linha digitável;PIX copia e cola
F-1;2026/0077;10/12/2026;R$ 1.119,90;em aberto;{PAYLOAD.line};{PAYLOAD.pix}
F-2;2026/0077;10/11/2026;119,90;paga;;
F-3;0078;05/11/2026;189,90;;;
"""
FILES = {
    ImportKind.SUBSCRIBERS: SUBSCRIBERS,
    ImportKind.CONTRACTS: CONTRACTS,
    ImportKind.INVOICES: INVOICES,
}


async def preview(sessions: Sessions, kind: ImportKind, data: bytes | str, keyring: Keyring = KEYRING) -> Preview:
    async with sessions() as session:
        return await imports.preview(session, kind, data, today=TODAY, keyring=keyring)


async def load(sessions: Sessions, kind: ImportKind, data: bytes | str = "", keyring: Keyring = KEYRING) -> Preview:
    made = await preview(sessions, kind, data or FILES[kind], keyring)
    for part in imports.parts(made):
        async with sessions.begin() as session:
            await imports.apply(session, part, {}, keyring=keyring)
    return made


async def load_all(sessions: Sessions) -> None:
    for kind in FILES:
        assert (await load(sessions, kind)).errors == []


async def rows(sessions: Sessions, model: Any) -> list[Any]:
    async with sessions() as session:
        return list(await session.scalars(select(model).order_by(next(iter(model.__table__.primary_key)))))


def messages(made: Preview) -> list[tuple[int, str]]:
    return [(error.line, error.column) for error in made.errors]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ","])
async def test_files_are_read_as_people_have_them(sessions: Sessions, encoding: str, delimiter: str) -> None:
    for kind, data in FILES.items():
        data = data.replace("1.119,90", "1119.90").replace("119,90", "119.90").replace("189,90", "189.90")
        made = await load(sessions, kind, data.replace(";", delimiter).encode(encoding))
        assert made.errors == []
        assert len(made.rows) == len(data.splitlines()) - 1
    assert len(await rows(sessions, Invoice)) == 3


async def test_subscribers_are_stored_sealed_and_with_their_phones(sessions: Sessions) -> None:
    await load_all(sessions)
    helena, nadia, oficina = await rows(sessions, Subscriber)
    assert (helena.name, helena.birth_year, helena.kind) == ("Helena Prado", 1984, Kind.PERSON)
    assert helena.emails == ["helena@casa.example"]
    assert (nadia.birth_year, nadia.emails) == (2001, [])
    assert [KEYRING.open(each.document) for each in (helena, nadia, oficina)] == [
        "12345678909",
        "01234567890",  # the spreadsheet had dropped the zero
        "12ABC34501DE35",
    ]
    assert oficina.kind is Kind.COMPANY
    phones = {(each.subscriber_id, each.phone) for each in await rows(sessions, SubscriberPhone)}
    assert phones == {(helena.id, "+5511955550101"), (helena.id, "+551133331103"), (oficina.id, "+5511955550108")}
    async with sessions() as session:
        stored = await session.execute(text("SELECT document, document_hash FROM subscriber"))
        assert not any("12345678909" in f"{row}" for row in stored)


async def test_contracts_and_invoices_find_their_owners(sessions: Sessions) -> None:
    await load_all(sessions)
    home, company = await rows(sessions, Contract)
    assert (home.number, home.keys, home.status, home.segment) == (
        "2026/0077",
        "20260077",
        ContractStatus.ACTIVE,
        Audience.HOME,
    )
    assert (company.keys, company.status, company.segment) == ("78", ContractStatus.BLOCKED, Audience.BUSINESS)
    assert (company.street, company.house) == ("Rua Nova", "s/n")
    line = (await rows(sessions, Access))[0]
    assert (line.contract_id, line.login, line.olt, line.pon, line.cto) == (
        home.id,
        "helena.prado",
        "OLT-1",
        "0/1/1",
        "",
    )
    first, second, third = await rows(sessions, Invoice)
    assert (first.contract_id, first.due_on, first.amount) == (home.id, date(2026, 12, 10), Decimal("1119.90"))
    assert (first.line, first.pix) == (PAYLOAD.line, PAYLOAD.pix)
    assert [each.status for each in (first, second, third)] == [
        InvoiceStatus.OPEN,
        InvoiceStatus.PAID,
        InvoiceStatus.OPEN,
    ]


async def test_importing_again_changes_what_the_file_tells_and_nothing_else(sessions: Sessions) -> None:
    await load_all(sessions)
    await load_all(sessions)
    assert len(await rows(sessions, Subscriber)) == 3
    await load(
        sessions, ImportKind.SUBSCRIBERS, "documento;nome;telefones\n123.456.789-09;Helena P. Prado;11955559999\n"
    )
    await load(sessions, ImportKind.CONTRACTS, "contrato;documento;situação\n2026/0077;12345678909;cancelado\n")
    await load(
        sessions, ImportKind.INVOICES, "fatura;contrato;vencimento;valor;situação\nF-1;2026/0077;10/12/2026;9,90;paga\n"
    )
    helena = (await rows(sessions, Subscriber))[0]
    assert (helena.name, helena.birth_year, helena.emails) == ("Helena P. Prado", 1984, ["helena@casa.example"])
    phones = [each.phone for each in await rows(sessions, SubscriberPhone) if each.subscriber_id == helena.id]
    assert phones == ["+5511955559999"]
    contract = (await rows(sessions, Contract))[0]
    assert (contract.status, contract.street) == (ContractStatus.CANCELLED, "Rua das Acácias")
    invoice = (await rows(sessions, Invoice))[0]
    assert (invoice.status, invoice.amount, invoice.line) == (InvoiceStatus.PAID, Decimal("9.90"), PAYLOAD.line)


LINE = "fatura;contrato;vencimento;valor;linha\nF-9;0078;10/12/2026;9,90;{}"
BAD_ROWS: list[tuple[ImportKind, str, str]] = [
    (ImportKind.SUBSCRIBERS, "documento;nome\n12345678900;Ana", "documento"),
    (ImportKind.SUBSCRIBERS, "documento;nome\n1,23457E+10;Ana", "documento"),
    (ImportKind.SUBSCRIBERS, "documento;nome\n11111111111;Ana", "documento"),
    (ImportKind.SUBSCRIBERS, "documento;nome\n;Ana", "documento"),
    (ImportKind.SUBSCRIBERS, "documento;nome\n12345678909;", "nome"),
    (ImportKind.SUBSCRIBERS, "documento;nome;telefones\n12345678909;Ana;95555-0101", "telefones"),
    (ImportKind.SUBSCRIBERS, "documento;nome;telefones\n12345678909;Ana;" + "11955550101|" * 11, "telefones"),
    (ImportKind.SUBSCRIBERS, "documento;nome;e-mails\n12345678909;Ana;ana.example", "e-mails"),
    (ImportKind.SUBSCRIBERS, "documento;nome;nascimento\n12345678909;Ana;1884", "nascimento"),
    (ImportKind.SUBSCRIBERS, "documento;nome;nascimento\n12345678909;Ana;ontem", "nascimento"),
    (ImportKind.CONTRACTS, "contrato;documento;situação\n1;39053344705;ativo", "documento"),
    (ImportKind.CONTRACTS, "contrato;documento;situação\n1;12345678909;talvez", "situação"),
    (ImportKind.CONTRACTS, "contrato;documento;situação\n" + "9" * 31 + ";12345678909;ativo", "contrato"),
    (ImportKind.INVOICES, "fatura;contrato;vencimento;valor\nF-9;nenhum;10/12/2026;9,90", "contrato"),
    (ImportKind.INVOICES, "fatura;contrato;vencimento;valor\nF-9;0078;31/02/2026;9,90", "vencimento"),
    (ImportKind.INVOICES, "fatura;contrato;vencimento;valor\nF-9;0078;10/12/2026;muito", "valor"),
    (ImportKind.INVOICES, LINE.format(PAYLOAD.line[:-1]), "linha_digitável"),
    (ImportKind.INVOICES, f"fatura;contrato;vencimento;valor;pix\nF-9;0078;10/12/2026;9,90;{PAYLOAD.pix}0", "pix"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "column"), BAD_ROWS)
async def test_a_bad_row_is_named_and_the_good_ones_are_kept(
    sessions: Sessions, kind: ImportKind, data: str, column: str
) -> None:
    await load_all(sessions)
    made = await preview(sessions, kind, data)
    assert messages(made) == [(2, column)]
    assert made.rows == []
    shown = made.errors[0].message
    assert not any(secret in shown for secret in ("12345678909", "39053344705", "95555", PAYLOAD.line[:20]))


async def test_a_document_twice_in_one_file_is_one_row(sessions: Sessions) -> None:
    made = await preview(sessions, ImportKind.SUBSCRIBERS, "documento;nome\n12345678909;A\n123.456.789-09;B\n")
    assert messages(made) == [(3, "")]


async def test_subscribers_need_a_keyring(sessions: Sessions) -> None:
    made = await preview(sessions, ImportKind.SUBSCRIBERS, SUBSCRIBERS)
    async with sessions.begin() as session:
        with pytest.raises(ValueError, match="keyring"):
            await imports.apply(session, made, {})


async def test_somebody_known_under_the_old_secret_is_no_second_subscriber(
    sessions: Sessions, settings: Settings
) -> None:
    old = Keyring.of(settings)
    await load(sessions, ImportKind.SUBSCRIBERS, SUBSCRIBERS, old)
    changed = settings.model_copy(
        update={
            "secret_key": type(settings.secret_key)("new"),
            "secret_keys_before": type(settings.secret_key)(settings.secret("secret_key")),
        }
    )
    both = Keyring.of(changed)
    await load(sessions, ImportKind.SUBSCRIBERS, "documento;nome\n12345678909;Helena Nova\n", both)
    people = await rows(sessions, Subscriber)
    assert [each.name for each in people] == ["Helena Nova", "Nádia Salgado", "Oficina Roda Viva Ltda"]
    assert [both.is_current(each.document) for each in people] == [True, False, False]
    assert await reseal(changed) == 2
    assert await reseal(changed) == 0
    new = Keyring(["new"])
    assert {new.open(each.document) for each in await rows(sessions, Subscriber)} == {
        "12345678909",
        "01234567890",
        "12ABC34501DE35",
    }


async def test_the_command_stores_and_shows_no_document(sessions: Sessions, settings: Settings, tmp_path: Any) -> None:
    said: list[str] = []
    for kind, data in FILES.items():
        file = tmp_path / f"{kind}.csv"
        file.write_text(
            data.replace("Rua das Acácias", "").replace("Rua Nova", "").replace(";Centro;Vale Verde;", ";;;")
        )
        await run(settings, kind.value, file, say=said.append, confirm=lambda: True)
    assert len(await rows(sessions, Invoice)) == 3
    told = "\n".join(said)
    assert "***.456.789-**" in told
    for secret in ("12345678909", "123.456.789-09", "12ABC34501DE35", "95555", "Prado", "casa.example", PAYLOAD.line):
        assert secret not in told


def cpf(number: int) -> str:
    base = f"{number:09d}"
    for weights in (range(10, 1, -1), range(11, 1, -1)):
        rest = sum(int(digit) * weight for digit, weight in zip(base, weights, strict=True)) % 11
        base += str(0 if rest < 2 else 11 - rest)
    return base


async def test_thirty_thousand_subscribers_are_no_matter_of_minutes(sessions: Sessions) -> None:
    """And a number is found among them at once: by its index, not by looking at all."""
    people = range(100_000, 130_000)
    lines = ["documento;nome;nascimento;telefones"]
    lines += [f"{cpf(each)};Assinante {each};1980;119{each + 10_000_000:08d}" for each in people]
    started = time.monotonic()
    made = await load(sessions, ImportKind.SUBSCRIBERS, "\n".join(lines))
    took = time.monotonic() - started
    assert made.errors == []
    assert took < 90  # PostgreSQL took 10 s beside other work; a look at all for each would take many minutes
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(SubscriberPhone)) == 30_000
        explain = "EXPLAIN" if session.get_bind().dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = await session.execute(
            text(f"{explain} SELECT subscriber_id FROM subscriber_phone WHERE phone = '+5511910115000'")
        )
        told = " ".join(str(row) for row in plan)
        assert "Seq Scan" not in told
        assert "SCAN subscriber_phone" not in told
