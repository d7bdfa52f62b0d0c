"""SGP (TSMX). Token and app travel in the body; the panel has a list of addresses that may ask.

Not checked on a live tenant. What it does that others do not:
* integrations disagree whether promise and titles take JSON or a form: asked in one way, and in the other when refused;
* `fatura2via` opens a ticket unless told not to, and `verificaacesso` opens one by itself during a maintenance: so the
  state of a line is read from `clientes`;
* `numero` is what stands on an invoice, `id` is what the PIX call wants: our invoice id is both;
* changes leave an occurrence behind whose text we choose: that is where the next try looks.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from ura.adapters.erp import reading
from ura.adapters.erp.http import ErpHttp, asked
from ura.adapters.erp.reading import Record
from ura.adapters.erp.remote import (
    RemoteErp,
    by_due_date,
    by_status,
    cannot_tell,
    left_behind,
    living,
    local_number,
    mark,
    marked,
    own_id,
    plain,
    refusal,
    says_nothing_found,
    somebody,
    speaks_of_debt,
    speaks_of_promise,
    speed_in,
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
    Promised,
    Reply,
    SendChannel,
    Served,
    SessionState,
    Subscriber,
    Unlock,
    UnlockVerdict,
)

PAGE = 100
MOST_PAGES = 5
REFUSED_BODY = {400, 415, 422}  # the other kind of body may be the right one; nothing has been done
STATUS = {"ativo": ContractStatus.ACTIVE, "cancelado": ContractStatus.CANCELLED, "inativo": ContractStatus.CANCELLED}


class Sgp(RemoteErp):
    """`ticket_type`: the kind of occurrence that our tickets get; `order_type`: visits, 0 for the same."""

    name = "sgp"

    def __init__(
        self, http: ErpHttp, *, token: str, app: str, ticket_type: int = 5, order_type: int = 0, **common: Any
    ) -> None:
        super().__init__(http, **common)
        self._credentials = {"token": token, "app": app}
        self._ticket_type = ticket_type
        self._order_type = order_type or ticket_type
        self._wants_json: dict[str, bool] = {}

    # -- who

    @asked
    async def find_by_document(self, document: str) -> Reply[Subscriber | None]:
        wanted = reading.document(document)
        if not wanted:
            return self.answer(None)
        rows = await self._consult({"cpfcnpj": wanted})
        return self.answer(_living(verified(rows, lambda row: reading.document(row.text("cpfCnpj")) == wanted)))

    @asked
    async def find_by_phone(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        wanted = f"+55{reading.national(phone)}"
        for number in reading.written_numbers(phone):
            answer = await self._post("clientes/", {"telefone": number, "omitir_titulos": "1", "limit": str(PAGE)})
            rows = [_subscriber(row) for row in answer.rows("clientes")]
            # A filter that an old version does not know would give us everybody.
            if found := tuple(each for each in rows if wanted in each.phones):
                return self.answer(found)
        return self.answer(())

    @asked
    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]:
        wanted = reading.digits(number)
        if not wanted:
            return self.answer(None)
        rows = await self._consult({"contrato": wanted})
        return self.answer(_living(verified(rows, lambda row: row.text("contratoId") == wanted)))

    @asked
    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        row = await self._customer("cliente_id", subscriber_id, "id")
        return self.answer(tuple(self._contract(row, each) for each in row.rows("contratos")))

    # -- money

    @asked
    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        found: dict[str, Invoice] = {}
        for row in await self._titles(contract_id):
            amount = row.money("valorCorrigido") if row.has("valorCorrigido") else row.money("valor")
            invoice_id = f"{row.need('id')}-{row.need('numeroDocumento', 'numero_documento')}"
            found[invoice_id] = Invoice(invoice_id, contract_id, row.day("dataVencimento", "vencimento"), amount)
        return self.answer(by_due_date(found))

    @asked
    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        title, _, number = invoice.id.partition("-")
        contract = own_id(invoice.contract_id)
        fields = {"contrato": contract, "numero_documento": own_id(number), "nao_gerar_os": "1", "link_pdf": "1"}
        answer = await self._post("fatura2via/", fields)
        copies = [row for row in answer.rows_if_any("links") if title in (row.text("id"), row.text("fatura"))]
        if not copies:
            return self.answer(InvoicePayload(invoice.id))
        copy = copies[0]
        pix = copy.text("codigopix", "codigoPix")
        if not pix:
            made = await self._post(f"pagamento/pix/{own_id(title)}", {"contrato": contract})
            pix = made.text("codigoPix", "pix", "codigo")
        line = copy.text("linhadigitavel", "linhaDigitavel")
        return self.answer(InvoicePayload(invoice.id, line=line, pix=pix, link=copy.text("link")))

    @asked
    async def send_invoice(
        self, invoice: Invoice, channel: SendChannel, to: str, *, key: str, again: bool = False
    ) -> Reply[bool]:
        if channel is SendChannel.WHATSAPP:  # "sms" may go out as WhatsApp there, but nobody can ask for it
            return self.unsupported("send_invoice")
        if again and await self._occurrence(invoice.contract_id, key):
            return self.answer(True)
        target = (
            {"tipo": "email", "email": to}
            if channel is SendChannel.EMAIL
            else {"tipo": "sms", "celular": local_number(to)}
        )
        number = invoice.id.partition("-")[2]
        fields = {
            "contrato": own_id(invoice.contract_id),
            "numero_documento": own_id(number),
            "conteudo": mark(key),
            **target,
        }
        answer = await self._post("enviafatura/", fields, changes=True)
        return self.answer(answer.need("status") == "1")

    @asked
    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        return self.answer(Unlock(await self._may(contract_id)))

    @asked
    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        if again and (done := await self._occurrence(contract_id, key)):
            return self.answer(Unlock(UnlockVerdict.GRANTED, protocol=done.reference))
        may = await self._may(contract_id)
        if may is not UnlockVerdict.ALLOWED:
            return self.answer(Unlock(may))
        answer = await self._promise(contract_id, key)
        if not answer.yes("liberado"):
            return self.answer(refusal(answer.need("msg")))
        return self.answer(Unlock(UnlockVerdict.GRANTED, self._until(answer), answer.text("protocolo")))

    @asked
    async def promise(self, contract_id: str, on: date, *, key: str, again: bool = False) -> Reply[Promised]:
        if again and (done := await self._occurrence(contract_id, key)):
            return self.answer(Promised(True, on, done.reference))
        answer = await self._promise(contract_id, key, data_promessa=on.isoformat())
        if answer.yes("liberado"):
            return self.answer(Promised(True, on, answer.text("protocolo")))
        refusal(answer.need("msg"))  # a sentence that nobody knows is trouble, not a "no"
        return self.answer(Promised(False, on))

    # -- service

    @asked
    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]:
        content = f"{subject}\n{text}\n{protocol}"
        return await self._open(contract_id, self._ticket_type, content, None, key=key, again=again)

    @asked
    async def open_order(
        self, contract_id: str, *, subject: str, text: str, at: datetime | None, key: str, again: bool = False
    ) -> Reply[Opened]:
        return await self._open(contract_id, self._order_type, f"{subject}\n{text}", at, key=key, again=again)

    @asked
    async def list_tickets(self, contract_id: str) -> Reply[tuple[ErpTicket, ...]]:
        rows = await self._occurrences(contract_id)
        return self.answer(tuple(self._ticket(row) for row in rows if not _closed(row)))

    @asked
    async def connection(self, contract: Contract) -> Reply[Connection]:
        session = (await self._service(contract.id)).part("onu").part("conexao")
        match plain(session.text("status")):
            case "online":
                return self.answer(Connection(SessionState.ONLINE, session.moment(self.zone, "data_conexao")))
            case "offline":
                return self.answer(Connection(SessionState.OFFLINE, session.moment(self.zone, "data_desconexao")))
            case _:
                return self.answer(Connection(SessionState.UNKNOWN))

    @asked
    async def optical(self, contract: Contract) -> Reply[Optical]:
        onu = (await self._service(contract.id)).part("onu")
        return self.answer(Optical(reading.power(onu.text("rx")), True if "los" in plain(onu.text("status")) else None))

    @asked
    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        if again:  # no way to see whether it was done, and nobody wants to be cut off twice
            return self.answer(False)
        service = own_id((await self._service(contract.id)).need("id"))
        answer = await self._post(f"/api/cpemanager/servico/{service}/command/boot/", {}, changes=True)
        return self.answer(answer.yes("success") or answer.text("status") == "1")

    @asked
    async def outages(self, contract: Contract) -> Reply[tuple[OutageNotice, ...]]:
        raw = (await self.http.send("GET", "api/ura/manutencao/list/", params=self._credentials)).json()
        works = [Record(each) for each in raw] if isinstance(raw, list) else list(Record(raw).rows("manutencoes"))
        now = self.now()
        pop = ""
        found = []
        for work in works:
            begins, ends = work.moment(self.zone, "data_inicial"), work.moment(self.zone, "data_final")
            # "ativa" stays 1 when nobody closes it: the end date tells
            if not work.yes("ativa") or (begins and begins > now) or (ends and ends <= now):
                continue
            if work.has("pops") and not work.has("olts", "ctos") and not pop:
                row = await self._contract_row(contract.id)
                pop = row.text("popId") if row else ""
            if _touches(work, contract, pop):
                found.append(OutageNotice(work.need("id"), work.text("mensagem_ura", "descricao"), ends))
        return self.answer(tuple(found))

    @asked
    async def coverage(self, *, neighbourhood: str = "", cep: str = "") -> Reply[tuple[Served, ...]]:
        code = reading.digits(cep.replace("-", ""), 8)
        fields = {"cep": code} if code else {"bairro": neighbourhood[:80]}
        answer = await self._post("viabilidade/", fields)
        if not answer.has("viabilidade"):
            raise reading.unreadable("viabilidade")
        served = answer.yes("viabilidade")
        return self.answer((Served(neighbourhood, "", "covered" if served else "none"),))

    @asked
    async def plans(self, neighbourhood: str) -> Reply[tuple[ErpPlan, ...]]:
        answer = await self.http.send("GET", "api/ura/consultaplano/", params=self._credentials)
        return self.answer(
            tuple(
                ErpPlan(row.need("id"), row.need("descricao"), speed_in(row.need("descricao")), row.money("preco"))
                for row in answer.record().rows("planos")
            )
        )

    @asked
    async def open_lead(self, wish: LeadWish, *, key: str, again: bool = False) -> Reply[Opened]:
        if again:
            raise cannot_tell()
        fields = {
            "nome": wish.name or wish.phone,
            "logradouro": "-",  # has to be there
            "bairro": wish.neighbourhood,
            "cidade": wish.city,
            "celular": local_number(wish.phone),
            "observacao": marked(wish.plan, key),
            "precadastro_ativar": "0",
        }
        answer = await self._post("/api/precadastro/F", fields, changes=True)
        if answer.has("error") or answer.text("status") == "0":
            raise ErpUnavailable("refused to open a lead")
        return self.answer(Opened(answer.text("id", "cliente_id", "precadastro_id", "protocolo")))

    # -- asking

    async def _post(self, path: str, fields: Mapping[str, str], *, changes: bool = False) -> Record:
        where = path.lstrip("/") if path.startswith("/") else f"api/ura/{path}"
        answer = await self.http.send("POST", where, form={**self._credentials, **fields}, changes=changes)
        return answer.record()

    async def _either(self, path: str, fields: Mapping[str, str], *, changes: bool = False) -> Record:
        """For the two calls where some tenants want JSON and some a form."""
        as_json = self._wants_json.get(path, False)
        whole = {**self._credentials, **fields}
        for attempt in (as_json, not as_json):
            kind: dict[str, Any] = {"body": whole} if attempt else {"form": whole}
            answer = await self.http.send("POST", f"api/ura/{path}", changes=changes, readable=REFUSED_BODY, **kind)
            if answer.status not in REFUSED_BODY:
                self._wants_json[path] = attempt
                return answer.record()
        raise ErpUnavailable(f"HTTP {answer.status}")

    async def _consult(self, fields: Mapping[str, str]) -> tuple[Record, ...]:
        answer = await self._post("consultacliente/", fields)
        if not answer.has("contratos") and says_nothing_found(answer.text("msg")):
            return ()
        return answer.rows("contratos")

    async def _contract_row(self, contract_id: str) -> Record | None:
        rows = await self._consult({"contrato": own_id(contract_id)})
        return the_one(rows, lambda row: row.text("contratoId") == contract_id)

    async def _may(self, contract_id: str) -> UnlockVerdict:
        row = await self._contract_row(contract_id)
        if row is None:
            return UnlockVerdict.UNKNOWN_CONTRACT
        return by_status(_status(row.text("contratoStatusDisplay"), row.text("motivo_status")))

    async def _customer(self, field: str, value: str, own_field: str) -> Record:
        fields = {field: own_id(value), "exibir_conexao": "1", "servicos_dados": "1", "omitir_titulos": "1"}
        rows = (await self._post("clientes/", fields)).rows("clientes")
        for row in rows:
            if own_field == "id" and row.text("id") == value:
                return row
            if own_field == "contrato" and any(one.text("contrato", "id") == value for one in row.rows("contratos")):
                return row
        raise ErpUnavailable("no such customer")

    async def _service(self, contract_id: str) -> Record:
        """The internet service of a contract, with its ONU; empty when there is none."""
        row = await self._customer("contrato", contract_id, "contrato")
        own = [one for one in row.rows("contratos") if one.text("contrato", "id") == contract_id]
        services = own[0].rows_if_any("servicos")
        return next((one for one in services if one.has("onu")), services[0] if services else Record({}))

    async def _titles(self, contract_id: str) -> list[Record]:
        """Every open one. Raises ErpUnavailable when the pages cannot be proved to be all of them."""
        rows: dict[str, Record] = {}
        read = 0
        for _ in range(MOST_PAGES):
            fields = {"contrato": own_id(contract_id), "status": "abertos", "offset": str(read), "limit": str(PAGE)}
            answer = await self._either("titulos/", fields)
            page, before = answer.rows("titulos"), len(rows)
            rows |= {row.need("id"): row for row in page}
            read += len(page)
            total = reading.digits(answer.part("paginacao").text("total"), 9)
            if read >= int(total) if total else len(page) < PAGE:
                break
            if len(rows) == before:  # the offset is not understood
                raise ErpUnavailable("pages that repeat themselves")
        else:
            raise ErpUnavailable("more titles than can be read")
        mine = verified(rows.values(), lambda row: row.text("clientecontrato_id", "contrato") in (contract_id, ""))
        return [row for row in mine if _is_open(row)]

    async def _promise(self, contract_id: str, key: str, **more: str) -> Record:
        fields = {"contrato": own_id(contract_id), "conteudo": mark(key), **more}
        return await self._either("liberacaopromessa/", fields, changes=True)

    async def _open(
        self, contract_id: str, kind: int, content: str, at: datetime | None, *, key: str, again: bool
    ) -> Reply[Opened]:
        if again and (done := await self._occurrence(contract_id, key)):
            return self.answer(Opened(done.reference))
        fields = {"contrato": own_id(contract_id), "ocorrenciatipo": str(kind), "conteudo": marked(content, key)}
        if at is not None:
            fields["agenda"] = at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")
        answer = await self._post("chamado/", fields, changes=True)
        if answer.text("status") not in ("1", ""):
            raise ErpUnavailable("refused to open a ticket")
        return self.answer(Opened(answer.need("protocolo", "numero_chamado", "numero", "id", "ocorrencia_id")))

    async def _occurrences(self, contract_id: str) -> tuple[Record, ...]:
        fields = {**self._credentials, "contrato": own_id(contract_id), "limit": str(PAGE), "offset": "0"}
        raw = (await self.http.send("POST", "api/ura/ocorrencia/list/", form=fields)).json()
        if isinstance(raw, list):
            return tuple(Record(each) for each in raw)
        return Record(raw).rows("ocorrencias", "ocorrencia", "results", "result", "data")

    async def _occurrence(self, contract_id: str, key: str) -> ErpTicket | None:
        """What an earlier try of this wish left behind."""
        row = left_behind(await self._occurrences(contract_id), key, "conteudo")
        return self._ticket(row) if row else None

    # -- reading

    def _ticket(self, row: Record) -> ErpTicket:
        return ErpTicket(
            row.need("numero", "protocolo", "id"), row.text("tipo"), row.moment(self.zone, "data_cadastro")
        )

    def _contract(self, customer: Record, row: Record) -> Contract:
        number = row.need("contrato", "id")
        place = row.part("endereco") if row.has("endereco") else customer.part("endereco")
        services = row.rows_if_any("servicos")
        service = services[0] if services else Record({})
        onu = service.part("onu")
        company = len(reading.document(customer.text("cpfcnpj"))) == 14
        return Contract(
            id=number,
            subscriber_id=customer.need("id"),
            number=number,
            status=_status(row.text("status"), row.text("motivo_status")),
            street=reading.readable(place.text("logradouro")),
            house=place.text("numero"),
            neighbourhood=reading.readable(place.text("bairro")),
            city=reading.readable(place.text("cidade")),
            plan=service.part("plano").text("descricao"),
            segment="business" if company else "home",
            access=Access(
                login=service.text("login"),
                onu=onu.text("serial"),
                olt=onu.text("olt_nome"),
                pon=onu.text("pon"),
                cto=onu.text("cto_nome", "caixa"),
            ),
        )

    def _until(self, answer: Record) -> datetime | None:
        if last := reading.read_day(answer.text("data_promessa")):
            return self.end_of(last)
        days = reading.digits(answer.text("liberado_dias"), 3)
        return self.now() + timedelta(days=int(days)) if days else None


def _subscriber(row: Record) -> Subscriber:
    return somebody(
        id=row.need("clienteId", "id"),
        name=row.need("razaoSocial", "nome"),
        document=row.need("cpfCnpj", "cpfcnpj"),
        born=row.text("dataNascimento"),
        phones=row.texts("telefones", "contato"),
        emails=row.texts("emails", "contato"),
    )


def _living(rows: list[Record]) -> Subscriber | None:
    row = living(rows, lambda row: _status(row.text("contratoStatusDisplay"), "") is ContractStatus.CANCELLED)
    return _subscriber(row) if row else None


def _status(shown: str, reason: str) -> ContractStatus:
    """ "Ativo V. Reduzida" is slowed down for debt, but works: active. What we do not know is not for debt."""
    word = plain(shown).strip()
    if word.startswith("suspens"):
        for_debt = not reason or speaks_of_debt(reason)
        return ContractStatus.BLOCKED if for_debt else ContractStatus.SUSPENDED
    if word == "ativo" and speaks_of_promise(reason):
        return ContractStatus.UNLOCKED
    if word.startswith("ativo"):
        return ContractStatus.ACTIVE
    return STATUS.get(word, ContractStatus.SUSPENDED)


def _is_open(title: Record) -> bool:
    match plain(title.text("status")):
        case "aberto" | "gerado" | "":
            return True
        case "pago" | "cancelado":
            return False
        case _:
            raise reading.unreadable("status")


def _closed(row: Record) -> bool:
    if row.has("status_id"):
        return row.text("status_id") == "1"
    return any(word in plain(row.text("status")) for word in ("encerrad", "finalizad", "conclu"))


def _touches(work: Record, contract: Contract, pop: str) -> bool:
    """The narrowest thing named decides: a box, then an OLT, then a POP."""
    access = contract.access
    if work.has("ctos"):
        return bool(access.cto) and access.cto in work.texts("ctos", "nome")
    if work.has("olts"):
        return bool(access.olt) and access.olt in work.texts("olts", "nome")
    return bool(pop) and pop in work.texts("pops", "id")
