"""HubSoft. OAuth password grant; the token holds about 30 days, and less when an update throws all of them away.

Not checked on a live tenant. What it does that others do not:
* most calls want the service, a customer has several, and the customer is found by code only: our contract id is
  code-service ("421-11201");
* business errors come with HTTP 200 and `status: error`; success is spelled `success`, and in places `suscess`;
* an invoice sent goes to every registered contact as well as to the one asked for;
* prospects and plans want a CEP: without PROSA_HUBSOFT_CEP there are none;
* reboots, messages and added text leave nothing behind that could be looked for, so those are never tried twice.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from ura.adapters.erp import reading
from ura.adapters.erp.http import ErpHttp, HttpAnswer, TokenKeeper, asked
from ura.adapters.erp.reading import Record
from ura.adapters.erp.remote import (
    RemoteErp,
    by_due_date,
    by_status,
    cannot_tell,
    left_behind,
    living,
    local_number,
    marked,
    own_id,
    plain,
    refusal,
    says_nothing_found,
    somebody,
    the_one,
    verified,
)
from ura.erp import (
    Access,
    Connection,
    Contract,
    ContractStatus,
    ErpPlan,
    ErpTicket,
    ErpUnavailable,
    Invoice,
    InvoicePayload,
    LeadWish,
    Opened,
    Optical,
    OutageNotice,
    Reply,
    SendChannel,
    SessionState,
    Subscriber,
    Unlock,
    UnlockVerdict,
)

MOST_INVOICES = 50
OK = {"success", "suscess"}
BLOCKED = {"suspenso_debito", "suspenso_parcialmente", "bloqueado_financeiro"}
GONE = {"cancelado", "inativo"}
DEVICE = re.compile(r"[0-9A-Za-z:.-]{6,32}")


class HubSoft(RemoteErp):
    """`unlock_days`: how long a trust unlock shall hold; more than the panel allows is refused there. `cep`: of the
    provider's town, 8 digits."""

    name = "hubsoft"

    def __init__(
        self,
        http: ErpHttp,
        *,
        client_id: str,
        client_secret: str,
        user: str,
        password: str,
        unlock_days: int = 1,
        cep: str = "",
        **common: Any,
    ) -> None:
        super().__init__(http, **common)
        self._credentials = {
            "grant_type": "password",
            "client_id": client_id,
            "client_secret": client_secret,
            "username": user,
            "password": password,
        }
        self._unlock_days = unlock_days
        self._cep = cep
        self._token = TokenKeeper(self._log_in)

    # -- who

    @asked
    async def find_by_document(self, document: str) -> Reply[Subscriber | None]:
        wanted = reading.document(document)
        rows = await self._customers("cpf_cnpj", wanted) if wanted else ()
        return self.answer(_living(verified(rows, lambda row: reading.document(row.text("cpf_cnpj")) == wanted)))

    @asked
    async def find_by_phone(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        wanted = f"+55{reading.national(phone)}"
        for number in reading.written_numbers(phone):
            rows = [_subscriber(row) for row in await self._customers("telefone", number)]
            if found := tuple(each for each in rows if wanted in each.phones):
                return self.answer(found)
        return self.answer(())

    @asked
    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]:
        """By the customer's code: that is what stands on their bills."""
        wanted = reading.digits(number)
        rows = await self._customers("codigo_cliente", wanted) if wanted else ()
        return self.answer(_living(verified(rows, lambda row: row.text("codigo_cliente") == wanted)))

    @asked
    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        customer = await self._customer(subscriber_id)
        return self.answer(tuple(self._contract(customer, service) for service in customer.rows("servicos")))

    # -- money

    @asked
    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        found: dict[str, Invoice] = {}
        for row in await self._invoices(contract_id):
            invoice_id = row.need("id_fatura")
            found[invoice_id] = Invoice(invoice_id, contract_id, row.day("data_vencimento"), row.money("valor"))
        return self.answer(by_due_date(found))

    @asked
    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        for row in await self._invoices(invoice.contract_id):
            if row.need("id_fatura") == invoice.id:
                line = re.sub(r"\D", "", row.text("linha_digitavel"))
                pix, link = row.text("pix_copia_cola"), row.text("link")
                return self.answer(InvoicePayload(invoice.id, line=line, pix=pix, link=link))
        return self.answer(InvoicePayload(invoice.id))

    @asked
    async def send_invoice(
        self, invoice: Invoice, channel: SendChannel, to: str, *, key: str, again: bool = False
    ) -> Reply[bool]:
        """True once HubSoft says that its mail server or SMS platform has it."""
        if channel is SendChannel.WHATSAPP:
            return self.unsupported("send_invoice")
        if again:
            return self.answer(False)
        code, _ = _ids(invoice.contract_id)
        owner = _subscriber(await self._customer(code))
        body: dict[str, Any] = {"id_fatura": own_id(invoice.id)}
        # Registered contacts get it anyhow; naming one of them once more would send it twice.
        if channel is SendChannel.EMAIL:
            path = "cliente/financeiro/enviar_email"
            body |= {} if to.casefold() in {each.casefold() for each in owner.emails} else {"email_adicional": [to]}
        else:
            path = "cliente/financeiro/enviar_sms"
            body |= {} if to in owner.phones else {"telefone_adicional": [local_number(to)]}
        return self.answer(_well(await self._call("POST", path, body=body, changes=True)))

    @asked
    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        _, service = await self._service(contract_id)
        if service is None:
            return self.answer(Unlock(UnlockVerdict.UNKNOWN_CONTRACT))
        until = self._unlocked_until(service)
        return self.answer(Unlock(by_status(self._status(service)), until))

    @asked
    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        _, service = await self._service(contract_id)
        if service is None:
            return self.answer(Unlock(UnlockVerdict.UNKNOWN_CONTRACT))
        status = self._status(service)
        if again and status is ContractStatus.UNLOCKED:
            return self.answer(Unlock(UnlockVerdict.GRANTED, self._unlocked_until(service)))
        if status is not ContractStatus.BLOCKED:
            return self.answer(Unlock(by_status(status)))
        body = {"id_cliente_servico": _ids(contract_id)[1], "dias_desbloqueio": str(self._unlock_days)}
        answer = await self._call("POST", "cliente/desbloqueio_confianca", body=body, changes=True)
        if not _well(answer):
            return self.answer(refusal(answer.need("msg")))
        return self.answer(Unlock(UnlockVerdict.GRANTED, self._end_of(answer.text("msg"))))

    # -- service

    @asked
    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]:
        if again and (done := await self._left_behind(contract_id, key)):
            return self.answer(Opened(done.need("protocolo")))
        made = await self._open(contract_id, f"{subject}\n{text}\n{protocol}", key, order=False)
        return self.answer(Opened(made.need("protocolo")))

    @asked
    async def open_order(
        self, contract_id: str, *, subject: str, text: str, at: datetime | None, key: str, again: bool = False
    ) -> Reply[Opened]:
        """The slot stands in the text: its own calendar gives the next free one, not the one agreed on."""
        done = await self._left_behind(contract_id, key) if again else None
        if done is None:
            when = f"\n{reading.wall_text(at, self.zone)}" if at else ""
            done = await self._open(contract_id, f"{subject}\n{text}{when}", key, order=True)
        orders = done.rows_if_any("ordens_servico")
        return self.answer(Opened(orders[0].need("numero_ordem_servico") if orders else done.need("protocolo")))

    @asked
    async def list_tickets(self, contract_id: str) -> Reply[tuple[ErpTicket, ...]]:
        rows = await self._tickets("id_cliente_servico", _ids(contract_id)[1], pending=True)
        return self.answer(
            tuple(
                ErpTicket(row.need("protocolo"), row.text("tipo_atendimento"), row.moment(self.zone, "data_cadastro"))
                for row in rows
            )
        )

    @asked
    async def add_note(self, reference: str, text: str, *, key: str, again: bool = False) -> Reply[Opened]:
        if again:
            raise cannot_tell()
        rows = await self._tickets("protocolo", own_id(reference), pending=False)
        ticket = the_one(rows, lambda row: row.text("protocolo") == reference)
        if ticket is None:
            raise ErpUnavailable("no such ticket")
        path = f"atendimento/adicionar_mensagem/{own_id(ticket.need('id_atendimento'))}"
        _must(await self._call("POST", path, body={"mensagem": marked(text, key)}, changes=True))
        return self.answer(Opened(reference))

    @asked
    async def connection(self, contract: Contract) -> Reply[Connection]:
        """The last session that the accounting has."""
        service = await self._service_of(contract)
        last = service.part("ultima_conexao")
        if not last.has("conectado"):
            return self.answer(Connection(SessionState.UNKNOWN))
        if last.yes("conectado"):
            since = last.moment(self.zone, "ultima_conexao_datetime", "ultima_conexao")
            return self.answer(Connection(SessionState.ONLINE, since))
        since = last.moment(self.zone, "ultima_desconexao_datetime", "ultima_desconexao")
        return self.answer(Connection(SessionState.OFFLINE, since))

    @asked
    async def optical(self, contract: Contract) -> Reply[Optical]:
        """Alarms only; no alarm proves nothing."""
        service = await self._service_of(contract)
        alarms = " ".join(row.text("descricao", "alarme", "nome") for row in service.rows_if_any("alarmes"))
        return self.answer(Optical(None, True if re.search(r"\blos\b", plain(alarms)) else None))

    @asked
    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        if again or not DEVICE.fullmatch(contract.access.onu):
            return self.answer(False)
        return self.answer(_well(await self._call("POST", f"rede/reiniciar_cpe/{contract.access.onu}", changes=True)))

    @asked
    async def outages(self, contract: Contract) -> Reply[tuple[OutageNotice, ...]]:
        customer = await self._customer(_ids(contract.id)[0])
        texts = customer.texts("alerta_mensagens") if customer.yes("alerta") else ()
        return self.answer(tuple(OutageNotice(hashlib.sha256(each.encode()).hexdigest()[:12], each) for each in texts))

    @asked
    async def plans(self, neighbourhood: str) -> Reply[tuple[ErpPlan, ...]]:
        if not self._cep:
            return self.unsupported("plans")
        return self.answer(await self._plans())

    @asked
    async def open_lead(self, wish: LeadWish, *, key: str, again: bool = False) -> Reply[Opened]:
        if not self._cep:
            return self.unsupported("open_lead")
        offered = await self._plans()
        if not offered:
            return self.unsupported("open_lead")
        wanted = next((plan for plan in offered if plain(plan.name) == plain(wish.plan)), offered[0])
        name = wish.name or wish.phone
        if again and (done := await self._prospect(name, key)):
            return self.answer(Opened(done))
        body = {
            "cep": self._cep,
            "servico": {"id_servico": int(wanted.id), "valor": float(wanted.price)},
            "nome_razaosocial": name,
            "telefone": local_number(wish.phone),
            "tipo_pessoa": "pf",
            "bairro": wish.neighbourhood,
            "endereco": "-",  # has to be there
            "numero": 0,
            "observacao": marked(f"{wish.plan}\n{wish.neighbourhood}, {wish.city}", key),
        }
        answer = _must(await self._call("POST", "prospecto", body=body, changes=True))
        return self.answer(Opened(answer.part("prospecto").need("id_prospecto")))

    @asked
    async def notify_attendant(self, extension: str, phone: str, text: str) -> Reply[bool]:
        body: dict[str, Any] = {"ramal": own_id(extension), "ligacao_params": {"origem": "PBX", "texto": text[:200]}}
        if number := reading.national(phone):
            body["telefone"] = number
        return self.answer(_well(await self._call("POST", "pbx/ligacao/notificar", body=body, changes=True)))

    # -- asking

    async def _log_in(self) -> tuple[str, float]:
        answer = (await self.http.send("POST", "oauth/token", body=self._credentials)).record()
        holds_s = reading.digits(answer.text("expires_in"), 9)
        return f"Bearer {answer.need('access_token')}", float(holds_s or 600)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        changes: bool = False,
    ) -> Record:
        """A token may be thrown away in the middle: 401 means that nothing was done, so once more with a new one."""
        token = await self._token.get()
        answer = await self._send(method, path, token, params, body, changes)
        if answer.status == httpx.codes.UNAUTHORIZED:
            token = await self._token.get(refused=token)
            answer = await self._send(method, path, token, params, body, changes)
        if answer.status == httpx.codes.UNAUTHORIZED:
            raise ErpUnavailable("HTTP 401")
        return answer.record()

    async def _send(
        self,
        method: str,
        path: str,
        token: str,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        changes: bool,
    ) -> HttpAnswer:
        return await self.http.send(
            method,
            f"api/v1/integracao/{path}",
            params=params,
            body=body,
            headers={"authorization": token},
            changes=changes,
            readable={400, 401, 404, 422},
        )

    async def _list(self, path: str, name: str, params: Mapping[str, str]) -> tuple[Record, ...]:
        answer = await self._call("GET", path, params=params)
        if _well(answer):
            return answer.rows(name)
        if says_nothing_found(answer.text("msg")):
            return ()
        raise ErpUnavailable("said error")

    async def _customers(self, by: str, term: str) -> tuple[Record, ...]:
        params = {
            "busca": by,
            "termo_busca": term,
            "limit": "100",
            "inativo": "todos",
            "cancelado": "sim",
            "ultima_conexao": "sim",
            "incluir_alarmes": "sim",
            "incluir_desbloqueios": "sim",
        }
        return await self._list("cliente", "clientes", params)

    async def _customer(self, code: str) -> Record:
        rows = await self._customers("codigo_cliente", own_id(code))
        found = the_one(rows, lambda row: row.text("codigo_cliente") == code)
        if found is None:
            raise ErpUnavailable("no such customer")
        return found

    async def _service(self, contract_id: str) -> tuple[Record, Record | None]:
        code, service_id = _ids(contract_id)
        rows = verified(await self._customers("codigo_cliente", code), lambda row: row.text("codigo_cliente") == code)
        for customer in rows:
            for service in customer.rows("servicos"):
                if service.text("id_cliente_servico") == service_id:
                    return customer, service
        return Record({}), None

    async def _service_of(self, contract: Contract) -> Record:
        _, service = await self._service(contract.id)
        if service is None:
            raise ErpUnavailable("no such service")
        return service

    async def _invoices(self, contract_id: str) -> list[Record]:
        service = _ids(contract_id)[1]
        params = {
            "busca": "id_cliente_servico",
            "termo_busca": service,
            "apenas_pendente": "sim",
            "limit": str(MOST_INVOICES),
        }
        rows = await self._list("cliente/financeiro", "faturas", params)
        if len(rows) >= MOST_INVOICES:
            raise ErpUnavailable("more invoices than can be read")

        def ours(row: Record) -> bool:
            return row.part("cliente").part("servico").text("id_cliente_servico") in (service, "")

        return [row for row in verified(rows, ours) if not row.has("data_pagamento")]

    async def _tickets(self, by: str, term: str, *, pending: bool) -> tuple[Record, ...]:
        params = {
            "busca": by,
            "termo_busca": term,
            "limit": "50",
            "apenas_pendente": "sim" if pending else "nao",
            "order_type": "desc",
        }
        return await self._list("cliente/atendimento", "atendimentos", params)

    async def _left_behind(self, contract_id: str, key: str) -> Record | None:
        rows = await self._tickets("id_cliente_servico", _ids(contract_id)[1], pending=False)
        return left_behind(rows, key, "descricao_abertura")

    async def _open(self, contract_id: str, text: str, key: str, *, order: bool) -> Record:
        customer, service = await self._service(contract_id)
        if service is None:
            raise ErpUnavailable("no such service")
        body = {
            "id_cliente_servico": _ids(contract_id)[1],
            "descricao": marked(text, key),
            "nome": customer.need("nome_razaosocial"),
            "telefone": customer.text("telefone_primario", "telefone_secundario"),
            "abrir_os": order,
        }
        return _must(await self._call("POST", "atendimento", body=body, changes=True)).part("atendimento")

    async def _plans(self) -> tuple[ErpPlan, ...]:
        rows = await self._list("prospecto/create", "servicos", {"cep": own_id(self._cep)})
        return tuple(
            ErpPlan(
                row.need("id_servico"),
                row.need("descricao"),
                int(Decimal(row.text("velocidade_download") or 0)) // 1024,
                row.money("valor"),
            )
            for row in rows
        )

    async def _prospect(self, name: str, key: str) -> str:
        params = {"busca": "nome_razaosocial", "termo_busca": name}
        row = left_behind(await self._list("prospecto", "prospectos", params), key, "observacao")
        return row.need("id_prospecto") if row else ""

    # -- reading

    def _contract(self, customer: Record, service: Record) -> Contract:
        code = customer.need("codigo_cliente")
        place = service.part("endereco_instalacao")
        street, way = place.text("endereco"), place.text("logradouro")
        if way and not plain(street).startswith(plain(way)):  # older versions: RUA, MINAS GERAIS
            street = f"{way} {street}"
        return Contract(
            id=f"{code}-{service.need('id_cliente_servico')}",
            subscriber_id=code,
            number=code,
            status=self._status(service),
            street=reading.readable(street),
            house=place.text("numero"),
            neighbourhood=reading.readable(place.text("bairro")),
            city=reading.readable(place.text("cidade")),
            plan=service.text("nome"),
            segment="business" if customer.text("tipo_pessoa") == "pj" else "home",
            access=Access(
                login=service.text("login"),
                onu=service.text("phy_addr", "mac_addr"),
                olt=service.part("equipamento_conexao").text("nome"),
                pon=service.part("interface").text("nome"),
                cto=service.part("porta_atendimento").text("equipamento"),
            ),
        )

    def _status(self, service: Record) -> ContractStatus:
        prefix = service.need("status_prefixo")
        if prefix == "servico_habilitado":
            return ContractStatus.UNLOCKED if self._unlocked_until(service) else ContractStatus.ACTIVE
        if prefix in BLOCKED:
            return ContractStatus.BLOCKED
        return ContractStatus.CANCELLED if prefix in GONE else ContractStatus.SUSPENDED

    def _unlocked_until(self, service: Record) -> datetime | None:
        now = self.now()
        ends = [
            moment
            for row in service.rows_if_any("desbloqueios")
            if (moment := self._end_of(row.text("data_termino", "data_fim", "data_desbloqueio_fim"))) and moment > now
        ]
        return max(ends, default=None)

    def _end_of(self, text: str) -> datetime | None:
        """The end of the day that stands in the text."""
        found = re.search(r"\d\d/\d\d/\d{4}|\d{4}-\d\d-\d\d", text)
        day = reading.read_day(found[0]) if found else None
        return self.end_of(day) if day else None


def _subscriber(row: Record) -> Subscriber:
    return somebody(
        id=row.need("codigo_cliente"),
        name=row.need("nome_razaosocial"),
        document=row.need("cpf_cnpj"),
        born=row.text("data_nascmento", "data_nascimento"),  # spelled so
        phones=(row.text(f"telefone_{which}") for which in ("primario", "secundario", "terciario")),
        emails=(row.text("email_principal"), row.text("email_secundario")),
    )


def _living(rows: list[Record]) -> Subscriber | None:
    row = living(rows, lambda row: all(one.text("status_prefixo") in GONE for one in row.rows_if_any("servicos")))
    return _subscriber(row) if row else None


def _well(answer: Record) -> bool:
    return answer.text("status") in OK


def _must(answer: Record) -> Record:
    if not _well(answer):
        raise ErpUnavailable("said error")
    return answer


def _ids(contract_id: str) -> tuple[str, str]:
    code, _, service = contract_id.partition("-")
    return own_id(code), own_id(service)
