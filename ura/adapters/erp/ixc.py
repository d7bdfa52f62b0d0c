"""IXC Provedor. Basic auth with the token "id:hash"; the header `ixcsoft` says what is meant.

Not checked on a live tenant. What it does that others do not:
* one way of listing for everything (qtype, query, oper, page, rp, grid_param), all values are text, `registros` is left
  out when there are none, and business errors come with HTTP 200 and `type: error`;
* documents and numbers are kept as they were typed, so people are looked for by parts and compared here;
* the fibre table may hold several rows for one login: the newest measurement counts, and its age is told;
* the protocol number comes as bare text, number or object; a ticket's text is called `menssagem`;
* a boleto is sent to the registered contact only, so to nobody else.
"""

import base64
import binascii
import json
import re
from asyncio import gather
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from ura.adapters.erp import reading
from ura.adapters.erp.http import ErpHttp, HttpAnswer, asked
from ura.adapters.erp.reading import Record
from ura.adapters.erp.remote import (
    RemoteErp,
    by_due_date,
    left_behind,
    living,
    local_number,
    marked,
    own_id,
    plain,
    refusal,
    somebody,
    the_one,
    verified,
)
from ura.erp import (
    Access,
    Connection,
    Contract,
    ContractStatus,
    ErpTicket,
    ErpUnavailable,
    Invoice,
    InvoicePayload,
    LeadWish,
    Opened,
    Optical,
    Reply,
    SendChannel,
    SessionState,
    Subscriber,
    Unlock,
    UnlockVerdict,
)

PAGE = 200
MOST_PAGES = 3
PHONE_FIELDS = ("telefone_celular", "whatsapp", "fone", "telefone_comercial")
# One client of this API tells its refusals apart by number.
CODES = {
    "106": UnlockVerdict.UNKNOWN_CONTRACT,
    "107": UnlockVerdict.ALREADY_ACTIVE,
    "109": UnlockVerdict.POLICY_REFUSED,
}
OPEN_TICKET = {"N", "P", "EP"}  # new, pending, in progress
NAMES_KEPT = 2000


class Ixc(RemoteErp):
    """`token`: "id:hash", as the panel shows it. `subject`, `department`, `branch`: ids from the provider's own tables,
    that tickets and visits get."""

    name = "ixc"

    def __init__(
        self, http: ErpHttp, *, token: str, subject: int = 1, department: int = 1, branch: int = 1, **common: Any
    ) -> None:
        super().__init__(http, **common)
        user, _, word = token.partition(":")
        self._basic = (user, word)
        self._filed_under = {"id_assunto": str(subject), "id_ticket_setor": str(department), "id_filial": str(branch)}
        self._names: dict[tuple[str, str], str] = {}

    # -- who

    @asked
    async def find_by_document(self, document: str) -> Reply[Subscriber | None]:
        wanted = reading.document(document)
        if not wanted:
            return self.answer(None)
        for form in (reading.written(wanted), wanted):  # however it was typed
            rows = await self._list("cliente", "cnpj_cpf", form)
            found = verified(rows, lambda row: reading.document(row.text("cnpj_cpf")) == wanted)
            if row := living(found, lambda row: not row.yes("ativo")):
                return self.answer(_subscriber(row))
        return self.answer(None)

    @asked
    async def find_by_phone(self, phone: str) -> Reply[tuple[Subscriber, ...]]:
        """Its last four digits by the system, the rest by us: that way the punctuation does not matter."""
        number = reading.national(phone)
        if not number:
            return self.answer(())
        lists = await gather(*(self._list("cliente", field, number[-4:], oper="L") for field in PHONE_FIELDS))
        found = {row.need("id"): _subscriber(row) for rows in lists for row in rows}
        return self.answer(tuple(each for each in found.values() if f"+55{number}" in each.phones))

    @asked
    async def find_by_contract(self, number: str) -> Reply[Subscriber | None]:
        wanted = reading.digits(number)
        contract = await self._one("cliente_contrato", wanted) if wanted else None
        if contract is None:
            return self.answer(None)
        return self.answer(_subscriber(await self._need("cliente", contract.need("id_cliente"))))

    @asked
    async def list_contracts(self, subscriber_id: str) -> Reply[tuple[Contract, ...]]:
        customer, contracts, logins = await gather(
            self._need("cliente", subscriber_id),
            self._list("cliente_contrato", "id_cliente", own_id(subscriber_id)),
            self._list("radusuarios", "id_cliente", own_id(subscriber_id)),
        )
        mine = verified(contracts, lambda row: row.text("id_cliente") == subscriber_id)
        return self.answer(tuple(await gather(*(self._contract(customer, row, logins) for row in mine))))

    # -- money

    @asked
    async def open_invoices(self, contract_id: str) -> Reply[tuple[Invoice, ...]]:
        rows = await self._list(
            "fn_areceber", "id_contrato", own_id(contract_id), also={"status": "A", "liberado": "S"}
        )
        found: dict[str, Invoice] = {}  # by id: the same row may come twice
        for row in verified(rows, lambda row: row.text("id_contrato") == contract_id):
            # An old version lists the others as well; R is received, C cancelled.
            if row.need("status") == "A" and row.text("liberado") != "N":
                amount = row.money("valor_aberto") if row.has("valor_aberto") else row.money("valor")
                found[row.need("id")] = Invoice(row.need("id"), contract_id, row.day("data_vencimento"), amount)
        return self.answer(by_due_date(found))

    @asked
    async def invoice_payload(self, invoice: Invoice) -> Reply[InvoicePayload]:
        row, pix, pdf = await gather(
            self._need("fn_areceber", invoice.id), self._pix(invoice.id), self._pdf(invoice.id)
        )
        if not row.has("linha_digitavel"):  # written when the boleto is printed for the first time, that is just now
            row = await self._need("fn_areceber", invoice.id)
        line = re.sub(r"\D", "", row.text("linha_digitavel"))
        return self.answer(InvoicePayload(invoice.id, line=line, pix=pix, link=row.text("gateway_link"), pdf=pdf))

    @asked
    async def send_invoice(
        self, invoice: Invoice, channel: SendChannel, to: str, *, key: str, again: bool = False
    ) -> Reply[bool]:
        contract = await self._need("cliente_contrato", invoice.contract_id)
        customer = await self._need("cliente", contract.need("id_cliente"))
        mail, mobile = customer.text("email").casefold(), reading.phones(customer.text("telefone_celular"))
        registered = to.casefold() == mail if channel is SendChannel.EMAIL else to in mobile
        if channel is SendChannel.WHATSAPP or not registered:
            return self.unsupported("send_invoice")
        if again:  # no way to see whether it went out
            return self.answer(False)
        kind = "mail" if channel is SendChannel.EMAIL else "sms"
        answer = await self._act("get_boleto", {**_boleto(invoice.id), "tipo_boleto": kind}, changes=True)
        return self.answer(_well(answer.record()))

    @asked
    async def may_unlock(self, contract_id: str) -> Reply[Unlock]:
        row = await self._one("cliente_contrato", own_id(contract_id))
        return self.answer(self._may(row) if row else Unlock(UnlockVerdict.UNKNOWN_CONTRACT))

    @asked
    async def trust_unlock(self, contract_id: str, *, key: str, again: bool = False) -> Reply[Unlock]:
        row = await self._one("cliente_contrato", own_id(contract_id))
        if row is None:
            return self.answer(Unlock(UnlockVerdict.UNKNOWN_CONTRACT))
        may = self._may(row)
        if again and may.verdict is UnlockVerdict.ALREADY_ACTIVE:
            return self.answer(Unlock(UnlockVerdict.GRANTED, may.until))
        if may.verdict is not UnlockVerdict.ALLOWED:
            return self.answer(may)
        answer = (await self._act("desbloqueio_confianca", {"id": contract_id}, changes=True)).record()
        if _well(answer):
            return self.answer(Unlock(UnlockVerdict.GRANTED, await self._end_of_unlock(contract_id)))
        if verdict := CODES.get(answer.text("codigo", "code")):
            return self.answer(Unlock(verdict))
        return self.answer(refusal(answer.need("message", "mensagem")))

    # -- service

    @asked
    async def open_ticket(
        self, contract_id: str, *, subject: str, text: str, protocol: str, key: str, again: bool = False
    ) -> Reply[Opened]:
        contract = await self._need("cliente_contrato", contract_id)
        customer_id = contract.need("id_cliente")
        if again and (done := await self._left_behind("su_ticket", customer_id, "menssagem", key)):
            return self.answer(Opened(done.need("protocolo", "id")))
        number, login = await gather(self._protocol(), self._login_id(contract_id))
        fields = {
            **self._filed_under,
            "tipo": "C",
            "protocolo": number,
            "id_cliente": customer_id,
            "id_login": login,
            "id_contrato": contract_id,
            "titulo": subject[:100],
            "menssagem": marked(f"{text}\n{protocol}", key),  # spelled so
            "prioridade": "M",
            "id_ticket_origem": "I",
            "su_status": "N",
            "origem_endereco": "CC",
        }
        _must(await self._insert("su_ticket", fields))
        return self.answer(Opened(number))

    @asked
    async def list_tickets(self, contract_id: str) -> Reply[tuple[ErpTicket, ...]]:
        rows = await self._list("su_ticket", "id_contrato", own_id(contract_id))
        mine = verified(rows, lambda row: row.text("id_contrato") == contract_id)
        return self.answer(
            tuple(
                ErpTicket(row.need("protocolo", "id"), row.text("titulo"), row.moment(self.zone, "data_criacao"))
                for row in mine
                if row.text("su_status") in OPEN_TICKET
            )
        )

    @asked
    async def add_note(self, reference: str, text: str, *, key: str, again: bool = False) -> Reply[Opened]:
        rows = await self._list("su_ticket", "protocolo", own_id(reference))
        ticket = the_one(rows, lambda row: row.text("protocolo") == reference)
        if ticket is None:
            raise ErpUnavailable("no such ticket")
        number = ticket.need("id")
        if again and left_behind(await self._list("su_mensagens", "id_ticket", number), key, "mensagem"):
            return self.answer(Opened(reference))
        fields = {
            "id_ticket": number,
            "id_cliente": ticket.text("id_cliente"),
            "mensagem": marked(text, key),
            "su_status": ticket.text("su_status"),  # as it was: a note closes nothing
            "visibilidade_mensagens": "P",
            "existe_pendencia_externa": "E",
        }
        _must(await self._insert("su_mensagens", fields))
        return self.answer(Opened(reference))

    @asked
    async def open_order(
        self, contract_id: str, *, subject: str, text: str, at: datetime | None, key: str, again: bool = False
    ) -> Reply[Opened]:
        contract = await self._need("cliente_contrato", contract_id)
        customer_id = contract.need("id_cliente")
        if again and (done := await self._left_behind("su_oss_chamado", customer_id, "mensagem", key)):
            return self.answer(Opened(done.need("id")))
        fields = {
            "tipo": "C",
            "id_cliente": customer_id,
            "id_login": await self._login_id(contract_id),
            "id_contrato_kit": contract_id,
            "id_filial": self._filed_under["id_filial"],
            "id_assunto": self._filed_under["id_assunto"],
            "setor": self._filed_under["id_ticket_setor"],
            "mensagem": marked(f"{subject}\n{text}", key),
            "prioridade": "N",
            "origem_endereco": "CC",
            "status": "AG" if at else "A",
            "data_agenda": f"{reading.wall_text(at, self.zone)}:00" if at else "",
        }
        return self.answer(Opened(_must(await self._insert("su_oss_chamado", fields)).need("id")))

    @asked
    async def connection(self, contract: Contract) -> Reply[Connection]:
        rows = await self._logins(contract.id)
        if any(row.text("online") == "S" for row in rows):
            row = next(row for row in rows if row.text("online") == "S")
            return self.answer(Connection(SessionState.ONLINE, row.moment(self.zone, "ultima_conexao_inicial")))
        if rows and all(row.text("online") == "N" for row in rows):
            return self.answer(Connection(SessionState.OFFLINE, rows[0].moment(self.zone, "ultima_conexao_final")))
        return self.answer(Connection(SessionState.UNKNOWN))

    @asked
    async def optical(self, contract: Contract) -> Reply[Optical]:
        """The newest row of the login; as old as its measurement."""
        for login in await self._logins(contract.id):
            if fibre := await self._fibre(login.need("id")):
                rx = reading.power(fibre.text("sinal_rx"))
                lost = rx is None and re.search(r"\blos", plain(fibre.text("causa_ultima_queda")))
                return self.answer(Optical(rx, True if lost else None), fibre.moment(self.zone, "data_sinal"))
        return self.answer(Optical())

    @asked
    async def open_lead(self, wish: LeadWish, *, key: str, again: bool = False) -> Reply[Opened]:
        if again and (done := left_behind(await self._list("contato", "obs", key, oper="L"), key, "obs")):
            return self.answer(Opened(done.need("id")))
        fields = {
            "nome": wish.name or wish.phone,
            "data_cadastro": self.now().strftime("%d/%m/%Y"),
            "fone_celular": local_number(wish.phone),
            "bairro": wish.neighbourhood,
            "lead": "S",
            "ativo": "S",
            "obs": marked(f"{wish.plan}\n{wish.neighbourhood}, {wish.city}", key),
        }
        return self.answer(Opened(_must(await self._insert("contato", fields)).need("id")))

    # -- asking

    async def _send(self, resource: str, body: Mapping[str, Any], header: str, *, changes: bool = False) -> HttpAnswer:
        return await self.http.send(
            "POST",
            f"webservice/v1/{resource}",
            body=body,
            headers={"ixcsoft": header},
            basic=self._basic,
            changes=changes,
        )

    async def _act(self, resource: str, body: Mapping[str, Any], *, changes: bool = False) -> HttpAnswer:
        return await self._send(resource, body, "", changes=changes)

    async def _insert(self, resource: str, fields: Mapping[str, str]) -> Record:
        return (await self._send(resource, fields, "inserir", changes=True)).record()

    async def _list(
        self, resource: str, field: str, value: str, *, oper: str = "=", also: Mapping[str, str] | None = None
    ) -> tuple[Record, ...]:
        """Every row. Raises ErpUnavailable when they cannot be proved to be all."""
        narrower = [{"TB": f"{resource}.{name}", "OP": "=", "P": wanted} for name, wanted in (also or {}).items()]
        rows: dict[str, Record] = {}
        for page in range(1, MOST_PAGES + 1):
            question = {
                "qtype": f"{resource}.{field}",
                "query": value,
                "oper": oper,
                "page": str(page),
                "rp": str(PAGE),
                "sortname": f"{resource}.id",
                "sortorder": "desc",
            }
            if narrower:
                question["grid_param"] = json.dumps(narrower)
            answer = (await self._send(resource, question, "listar")).record()
            if answer.text("type") == "error":
                raise ErpUnavailable("said error")
            total = reading.digits(answer.text("total"), 9)
            if not total:
                raise reading.unreadable("total")
            fetched = answer.rows_if_any("registros")
            rows |= {row.need("id"): row for row in fetched}
            if len(fetched) + (page - 1) * PAGE >= int(total):
                return tuple(rows.values())
            if len(fetched) < PAGE:
                raise ErpUnavailable("a page with rows missing")
        raise ErpUnavailable("more rows than can be read")

    async def _one(self, resource: str, row_id: str) -> Record | None:
        rows = await self._list(resource, "id", row_id)
        return the_one(rows, lambda row: row.text("id") == row_id)

    async def _need(self, resource: str, row_id: str) -> Record:
        found = await self._one(resource, own_id(row_id))
        if found is None:
            raise ErpUnavailable(f"no such row in {resource}")
        return found

    async def _named(self, resource: str, row_id: str, *fields: str) -> str:
        """The name behind an id; these tables hardly change, so it is remembered."""
        if not reading.digits(row_id) or row_id == "0":
            return row_id if row_id != "0" else ""
        if (resource, row_id) not in self._names:
            row = await self._one(resource, row_id)
            if len(self._names) >= NAMES_KEPT:
                self._names.clear()
            self._names[resource, row_id] = row.text(*fields) if row else ""
        return self._names[resource, row_id]

    async def _logins(self, contract_id: str) -> list[Record]:
        rows = await self._list("radusuarios", "id_contrato", own_id(contract_id))
        return verified(rows, lambda row: row.text("id_contrato") == contract_id)

    async def _login_id(self, contract_id: str) -> str:
        mine = await self._logins(contract_id)
        return mine[0].need("id") if mine else ""

    async def _fibre(self, login_id: str) -> Record | None:
        rows = await self._list("radpop_radio_cliente_fibra", "id_login", own_id(login_id))
        mine = verified(rows, lambda row: row.text("id_login") == login_id)
        return max(mine, key=lambda row: (row.text("data_sinal"), int(row.need("id"))), default=None)

    async def _left_behind(self, resource: str, customer_id: str, field: str, key: str) -> Record | None:
        return left_behind(await self._list(resource, "id_cliente", own_id(customer_id)), key, field)

    async def _protocol(self) -> str:
        """Bare text, a number, or an object, by version."""
        answer = await self._act("gerar_protocolo_atendimento", {})
        said = answer.text().strip().strip('"')
        number = reading.digits(said) or reading.digits(answer.record().text("protocolo"))
        if not number:
            raise reading.unreadable("protocolo")
        return number

    async def _pix(self, invoice_id: str) -> str:
        """Copy-and-paste only while the charge is active. "" when there is none."""
        answer = (await self._act("get_pix", {"id_areceber": own_id(invoice_id)})).record()
        if not _well(answer):
            return ""
        charge = answer.part("pix").part("dadosPix")
        if charge.has("status") and charge.text("status") != "ATIVA":
            return ""
        return charge.text("pixCopiaECola") or answer.part("pix").part("qrCode").text("qrcode")

    async def _pdf(self, invoice_id: str) -> bytes:
        """b"" when what comes is no PDF."""
        answer = await self._act("get_boleto", {**_boleto(invoice_id), "tipo_boleto": "arquivo", "base64": "S"})
        text = answer.text().strip()
        if text.startswith("{"):
            text = answer.record().text("base64", "pdf", "boleto")
        try:
            pdf = base64.b64decode(text.strip('"').replace("\\/", "/"), validate=True)
        except (binascii.Error, ValueError):
            return b""
        return pdf if pdf.startswith(b"%PDF") else b""

    async def _end_of_unlock(self, contract_id: str) -> datetime | None:
        """It has been granted; not knowing until when must not turn that into trouble."""
        try:
            row = await self._one("cliente_contrato", contract_id)
        except ErpUnavailable:
            return None
        return self._ends(row) if row else None

    # -- reading

    async def _contract(self, customer: Record, row: Record, logins: tuple[Record, ...]) -> Contract:
        number = row.need("id")
        place = customer if row.yes("endereco_padrao_cliente") else row
        login = next((one for one in logins if one.text("id_contrato") == number), Record({}))
        fibre = (await self._fibre(login.need("id")) if login.has("id") else None) or Record({})
        city, olt, cto = await gather(
            self._named("cidade", place.text("cidade"), "nome"),
            self._named("radpop_radio", fibre.text("id_transmissor"), "descricao"),
            self._named("rad_caixa_ftth", fibre.text("id_caixa_ftth"), "descricao"),
        )
        return Contract(
            id=number,
            subscriber_id=customer.need("id"),
            number=number,
            status=self._status(row),
            street=reading.readable(place.text("endereco")),
            house=place.text("numero"),
            neighbourhood=reading.readable(place.text("bairro")),
            city=reading.readable(city),
            plan=row.text("contrato"),
            segment="business" if customer.text("tipo_pessoa") == "J" else "home",
            access=Access(
                login=login.text("login"),
                onu=fibre.text("mac") or login.text("onu_mac"),
                olt=olt,
                pon=fibre.text("ponid"),
                cto=cto,
            ),
        )

    def _status(self, row: Record) -> ContractStatus:
        """`status`: P before installation, A active, I inactive, N sold to a collector, D given up. `status_internet`:
        A active, CA blocked by the debt rule, FA overdue, CM blocked by hand, D off, AA waits for a signature."""
        if row.need("status") in ("I", "D", "N"):
            return ContractStatus.CANCELLED
        if row.yes("contrato_suspenso"):
            return ContractStatus.SUSPENDED
        match row.text("status_internet"):
            case "A":
                return ContractStatus.UNLOCKED if row.yes("desbloqueio_confianca_ativo") else ContractStatus.ACTIVE
            case "CA" | "FA":
                return ContractStatus.BLOCKED
            case _:
                return ContractStatus.SUSPENDED

    def _may(self, row: Record) -> Unlock:
        match self._status(row):
            case ContractStatus.ACTIVE:
                return Unlock(UnlockVerdict.NOT_BLOCKED)
            case ContractStatus.UNLOCKED:
                return Unlock(UnlockVerdict.ALREADY_ACTIVE, self._ends(row))
            case ContractStatus.BLOCKED:
                refused = row.text("desbloqueio_confianca") == "N" or row.yes("restricao_auto_desbloqueio")
                return Unlock(UnlockVerdict.POLICY_REFUSED if refused else UnlockVerdict.ALLOWED)
            case _:
                return Unlock(UnlockVerdict.BLOCKED_OTHER_REASON)

    def _ends(self, row: Record) -> datetime | None:
        ends = row.moment(self.zone, "dt_retorno_desb_conf")
        return ends if ends and ends.date() > date(2000, 1, 1) else None


def _subscriber(row: Record) -> Subscriber:
    return somebody(
        id=row.need("id"),
        name=row.need("razao"),
        document=row.need("cnpj_cpf"),
        born=row.text("data_nascimento"),
        phones=(row.text(field) for field in PHONE_FIELDS),
        emails=(row.text("email"),),
    )


def _boleto(invoice_id: str) -> dict[str, str]:
    """Fine and interest brought up to date."""
    return {"boletos": own_id(invoice_id), "juro": "S", "multa": "S", "atualiza_boleto": "S"}


def _well(answer: Record) -> bool:
    return plain(answer.text("type", "tipo")) in ("success", "sucesso")


def _must(answer: Record) -> Record:
    if not _well(answer):
        raise ErpUnavailable("said error")
    return answer
