"""MK-Auth. Basic auth buys a bare JWT that holds about ten minutes.

Not checked on a live tenant. What it does that others do not:
* one login is one contract; somebody with two has two registrations with the same document;
* routes and envelopes change with the version, "nothing found" is a message (in places with status 404), and a panel
  that wants a log-in answers with a page and status 200;
* open and overdue titles are two lists;
* it has no trust unlock: `bloqueado` is edited, and how often somebody may is kept in our own ledger;
* there is no search by phone, no session and no light.
"""

import base64
import binascii
import json
import re
from asyncio import gather
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx

from ura.adapters.erp import reading
from ura.adapters.erp.http import ErpHttp, HttpAnswer, TokenKeeper, asked
from ura.adapters.erp.reading import Record
from ura.adapters.erp.remote import (
    RemoteErp,
    by_due_date,
    cannot_tell,
    left_behind,
    living,
    marked,
    own_id,
    plain,
    says_nothing_found,
    somebody,
    the_one,
    verified,
)
from ura.erp import (
    Access,
    Contract,
    ContractStatus,
    ErpPlan,
    ErpTicket,
    ErpUnavailable,
    Invoice,
    InvoicePayload,
    Opened,
    Reply,
    Subscriber,
    Unlock,
    UnlockVerdict,
)

MOST_PAGES = 10
TOKEN_S = 300.0  # when the token does not say
_LOGIN = re.compile(r"[0-9A-Za-z._@-]{1,64}")
_UUID = re.compile(r"[0-9A-Za-z-]{6,64}")


class UnlockLedger(Protocol):
    """Our own book of trust unlocks, for a system that has no limit. Keys are those of the wishes."""

    async def may(self, contract_id: str) -> Unlock:
        """ALLOWED, or why not by our own rules: USED_THIS_PERIOD, ALREADY_ACTIVE (with `until`), POLICY_REFUSED."""
        ...

    async def running(self, contract_id: str) -> datetime | None:
        """Until when one of ours holds."""
        ...

    async def find(self, key: str) -> Unlock | None:
        """What this wish has been written down as."""
        ...

    async def write(self, contract_id: str, key: str) -> Unlock:
        """GRANTED, with `until`; or why not, when another wish was faster. The same wish is written once."""
        ...

    async def strike(self, key: str) -> None:
        """It surely has not happened."""
        ...


class MkAuth(RemoteErp):
    name = "mkauth"

    def __init__(
        self, http: ErpHttp, *, client_id: str, client_secret: str, ledger: UnlockLedger, **common: Any
    ) -> None:
        super().__init__(http, **common)
        self._basic = (client_id, client_secret)
        self._ledger = ledger
        self._token = TokenKeeper(self._log_in)
        self._route: dict[str, int] = {}

    # -- who

    @asked
    async def find_by_document(self, document: str) -> Reply[Subscriber | None]:
        wanted = reading.document(document)
        if not wanted:
            return self.answer(None)
        row = living(await self._registrations(wanted), _gone)
        return self.answer(_subscriber(row) if row else None)

    @asked
    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]:
        row = await self._registration(number) if reading.digits(number) else None
        return self.answer(_subscriber(row) if row else None)

    @asked
    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        owner = await self._need(subscriber_id)
        rows = await self._registrations(reading.document(owner.need("cpf_cnpj")))
        return self.answer(tuple(await gather(*(self._contract(owner, row) for row in rows))))

    # -- money

    @asked
    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        login = (await self._need(contract_id)).need("login")
        waiting, overdue = await gather(self._titles("aberto", login), self._titles("vencido", login))
        found: dict[str, Invoice] = {}  # a version that lists overdue ones in both must not double them
        for row in (*waiting, *overdue):
            uuid = row.need("uuid", "uuid_lanc")
            found[uuid] = Invoice(uuid, contract_id, row.day("datavenc"), row.money("valor"))
        return self.answer(by_due_date(found))

    @asked
    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        if not _UUID.fullmatch(invoice.id):
            raise ErpUnavailable("not an id of this system")
        row = _inner(await self._get(f"titulo/show/{invoice.id}"))
        line = re.sub(r"\D", "", row.text("linhadig"))
        return self.answer(InvoicePayload(invoice.id, line=line, pix=row.text("pix")))

    @asked
    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        row = await self._registration(contract_id)
        return self.answer(await self._may(contract_id, row) if row else Unlock(UnlockVerdict.UNKNOWN_CONTRACT))

    @asked
    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        """1. what this wish has become already; 2. our rules; 3. write it down, so that nobody gets two; 4. do it;
        5. look whether it is done."""
        row = await self._registration(contract_id)
        if row is None:
            return self.answer(Unlock(UnlockVerdict.UNKNOWN_CONTRACT))
        done = await self._ledger.find(key)
        if done and not row.yes("bloqueado"):
            return self.answer(done)
        if done is None:
            may = await self._may(contract_id, row)
            if may.verdict is not UnlockVerdict.ALLOWED:
                return self.answer(may)
            done = await self._ledger.write(contract_id, key)
            if done.verdict is not UnlockVerdict.GRANTED:  # another wish was faster by a moment
                return self.answer(done)
        try:
            await self._unblock(row)
        except ErpUnavailable:
            if not self.http.maybe_done():
                await self._ledger.strike(key)
            raise
        after = await self._need(contract_id)
        if after.yes("bloqueado"):
            raise ErpUnavailable("still blocked")
        return self.answer(done)

    # -- service

    @asked
    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]:
        row = await self._need(contract_id)
        login = row.need("login")
        if again:
            tickets = await self._tickets(login)
            if done := left_behind(tickets, key, "mensagem", "msg"):
                return self.answer(Opened(done.need("chamado", "numero", "id")))
            if any(not ticket.has("mensagem", "msg") for ticket in tickets):  # a version that does not show the text
                raise cannot_tell()
        body = {
            "login": login,
            "nome": row.text("nome"),
            "assunto": subject[:60],
            "prioridade": "normal",
            "mensagem": marked(f"{text}\n{protocol}", key),
        }
        answer = _inner((await self._send("POST", "chamado/inserir", body=body)).record())
        return self.answer(Opened(answer.need("chamado", "numero", "id")))

    @asked
    async def list_tickets(self, contract_id: str) -> Reply[tuple[ErpTicket, ...]]:
        login = (await self._need(contract_id)).need("login")
        return self.answer(
            tuple(
                ErpTicket(
                    row.need("chamado", "numero", "id"), row.text("assunto"), row.moment(self.zone, "abertura", "data")
                )
                for row in await self._tickets(login)
                if "fechado" not in plain(row.text("status"))
            )
        )

    @asked
    async def plans(self, neighbourhood: str) -> Reply[tuple[ErpPlan, ...]]:
        found: dict[str, ErpPlan] = {}
        for page in range(1, MOST_PAGES + 1):
            answer = await self._get(f"plano/listar/pagina={page}")
            for row in _rows(answer, "planos"):
                speed = reading.digits(row.text("veldown"), 9)
                plan = ErpPlan(row.need("uuid"), row.need("nome"), int(speed or 0) // 1000, row.money("valor"))
                found[plan.id] = plan
            if page >= int(reading.digits(answer.text("total_paginas"), 6) or 1):
                break
        return self.answer(tuple(found.values()))

    # -- asking

    async def _log_in(self) -> tuple[str, float]:
        answer = await self.http.send("GET", "api/", basic=self._basic)
        token = answer.text().strip().strip('"')
        if answer.is_page or token.count(".") != 2:
            raise ErpUnavailable("no token")
        return token, _holds_s(token)

    async def _send(self, method: str, path: str, *, body: Mapping[str, str] | None = None) -> HttpAnswer:
        """A token that ran out is answered with 401, or with the panel's page; asked again with a new one when that
        cannot do anything twice."""
        changes = method != "GET"
        for attempt in (1, 2):
            token = await self._token.get()
            answer = await self.http.send(
                method,
                f"api/{path}",
                body=body,
                headers={"authorization": f"Bearer {token}"},
                changes=changes,
                readable={401, 404},
            )
            refused = answer.status == httpx.codes.UNAUTHORIZED
            if attempt == 1 and (refused or (answer.is_page and answer.status == httpx.codes.OK)):
                await self._token.get(refused=token)
                if refused or not changes:
                    continue
            break
        if refused:
            raise ErpUnavailable("HTTP 401")
        if answer.is_page and answer.status != httpx.codes.NOT_FOUND:
            raise ErpUnavailable("a web page instead of data")
        return answer

    async def _get(self, path: str) -> Record:
        return _object((await self._send("GET", path)).json())

    async def _search(self, what: str, wanted: str, name: str) -> tuple[Record, ...]:
        """By any field. Two spellings of the route are known; the one that a panel knows is remembered."""
        routes = (f"{what}/listar/{wanted}", f"{what}/listar/pagina=1/{wanted}")
        start = self._route.get(what, 0)
        for which in (start, 1 - start):
            answer = await self._send("GET", routes[which])
            if answer.is_page:  # no such route
                continue
            record = _object(answer.json())
            if answer.status == httpx.codes.OK or says_nothing_found(_message(record)):
                self._route[what] = which
                return _rows(record, name)
        raise ErpUnavailable("HTTP 404")

    async def _registrations(self, document: str) -> list[Record]:
        rows = await self._search("cliente", f"cpf_cnpj={document}", "clientes")
        return verified(rows, lambda row: reading.document(row.text("cpf_cnpj")) == document)

    async def _registration(self, contract_id: str) -> Record | None:
        rows = await self._search("cliente", f"id={own_id(contract_id)}", "clientes")
        return the_one(rows, lambda row: row.text("id") == contract_id)

    async def _need(self, contract_id: str) -> Record:
        found = await self._registration(contract_id)
        if found is None:
            raise ErpUnavailable("no such registration")
        return found

    async def _titles(self, which: str, login: str) -> list[Record]:
        answer = await self._get(f"titulo/{which}/{_checked(login)}")
        return verified(_rows(answer, "titulos"), lambda row: row.text("login") in (login, ""))

    async def _tickets(self, login: str) -> list[Record]:
        rows = await self._search("chamado", f"login={_checked(login)}", "chamados")
        return verified(rows, lambda row: row.text("login") in (login, ""))

    async def _may(self, contract_id: str, row: Record) -> Unlock:
        if _gone(row):
            return Unlock(UnlockVerdict.BLOCKED_OTHER_REASON)
        if not row.yes("bloqueado"):
            until = await self._ledger.running(contract_id)
            return Unlock(UnlockVerdict.ALREADY_ACTIVE if until else UnlockVerdict.NOT_BLOCKED, until)
        if not await self._titles("vencido", row.need("login")):
            return Unlock(UnlockVerdict.BLOCKED_OTHER_REASON)
        ours = await self._ledger.may(contract_id)
        # Blocked although our unlock still runs: the panel blocked again, and has its reason.
        return Unlock(UnlockVerdict.USED_THIS_PERIOD) if ours.verdict is UnlockVerdict.ALREADY_ACTIVE else ours

    async def _unblock(self, row: Record) -> None:
        uuid = row.need("uuid_cliente", "uuid")
        await self._send("PUT", "cliente/editar", body={"uuid": uuid, "bloqueado": "nao"})

    # -- reading

    async def _contract(self, owner: Record, row: Record) -> Contract:
        number = row.need("id")
        return Contract(
            id=number,
            subscriber_id=owner.need("id"),
            number=number,
            status=await self._status(row),
            street=reading.readable(row.text("endereco")),
            house=row.text("numero"),
            neighbourhood=reading.readable(row.text("bairro")),
            city=reading.readable(row.text("cidade")),
            plan=row.text("plano"),
            segment="business" if len(reading.document(row.text("cpf_cnpj"))) == 14 else "home",
            access=Access(
                login=row.text("login"),
                onu=row.text("onu_ont", "mac"),
                olt=row.text("armario_olt"),
                pon=row.text("porta_olt"),
                cto=row.text("caixa_herm"),
            ),
        )

    async def _status(self, row: Record) -> ContractStatus:
        """The flag does not say why: blocked without an overdue title is not for debt."""
        if _gone(row):
            return ContractStatus.CANCELLED
        if row.yes("bloqueado"):
            overdue = await self._titles("vencido", row.need("login"))
            return ContractStatus.BLOCKED if overdue else ContractStatus.SUSPENDED
        until = await self._ledger.running(row.need("id"))
        return ContractStatus.UNLOCKED if until else ContractStatus.ACTIVE


def _subscriber(row: Record) -> Subscriber:
    return somebody(
        id=row.need("id"),
        name=row.need("nome"),
        document=row.need("cpf_cnpj"),
        born=row.text("nascimento"),
        phones=(row.text(field) for field in ("celular", "celular2", "fone")),
        emails=(row.text("email"),),
    )


def _gone(row: Record) -> bool:
    return row.text("cli_ativado").casefold() in ("n", "nao")


def _object(raw: object) -> Record:
    """Some versions answer with the bare list."""
    return Record({"dados": raw}) if isinstance(raw, list) else Record(raw)


def _message(answer: Record) -> str:
    return answer.text("mensagem", "msg", "erro")


def _rows(answer: Record, name: str) -> tuple[Record, ...]:
    """A list under its name or a general one; "nothing found" is a message."""
    if not answer.has(name, "dados", "data") and says_nothing_found(_message(answer)):
        return ()
    return answer.rows(name, "dados", "data")


def _inner(answer: Record) -> Record:
    """Bare, or under `dados`."""
    if says_nothing_found(_message(answer)):
        raise ErpUnavailable("no such row")
    return answer.part("dados") if answer.has("dados") else answer


def _checked(login: str) -> str:
    """It becomes part of the path."""
    if not _LOGIN.fullmatch(login):
        raise ErpUnavailable("a login that cannot be asked for")
    return login


def _holds_s(token: str) -> float:
    """Until the JWT's own `exp`."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return max(0.0, float(claims["exp"]) - datetime.now(UTC).timestamp())
    except (ValueError, TypeError, KeyError, binascii.Error):
        return TOKEN_S
