"""IXC as a server. Its oddities: `protocol_json` (an object instead of bare text), `codes` (refusals by number),
`no_filter` (grid_param is not known, so everything of the contract comes), `no_pix`.

Always: every value is text, data comes as text/html, `registros` is left out when there are none, documents and numbers
with their punctuation, the city as an id, two rows in the fibre table for each login, a line that exists only once the
boleto has been printed.
"""

import base64
import json
import operator
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from prosa.erp_sim.faults import Gate
from prosa.erp_sim.texts import TEXTS
from prosa.erp_sim.world import Case, Line, World
from ura.demo.subscribers import DemoInvoice, DemoSubscriber
from ura.erp import ContractStatus, SessionState, UnlockVerdict

TOKEN = "7:demo0000"  # noqa: S105 - nobody's: the simulator's own
SETTINGS = {"PROSA_IXC_TOKEN": TOKEN}
SAID = TEXTS["ixc"]
CODES = {
    UnlockVerdict.UNKNOWN_CONTRACT: "106",
    UnlockVerdict.ALREADY_ACTIVE: "107",
    UnlockVerdict.POLICY_REFUSED: "109",
}
INTERNET = {
    ContractStatus.ACTIVE: "A",
    ContractStatus.UNLOCKED: "A",
    ContractStatus.BLOCKED: "CA",
    ContractStatus.SUSPENDED: "D",
    ContractStatus.CANCELLED: "D",
}
PDF = b"%PDF-1.4\n% a boleto of the simulated system\n%%EOF\n"
OPERATORS: dict[str, Callable[[str, str], bool]] = {"=": operator.eq, "L": operator.contains}


def make(world: World) -> Gate:
    oddities = {"protocol_json", "codes", "no_filter", "no_pix"}
    return Gate(Ixc(world).app, world, oddities=oddities, looks_only=_lists)


def _lists(scope: Scope) -> bool:
    return (b"ixcsoft", b"listar") in scope["headers"]


class Ixc:
    def __init__(self, world: World) -> None:
        self.world = world
        self.printed: set[str] = set()
        self.app = Starlette(
            routes=[Route("/webservice/v1/{resource}", self.endpoint, methods=["GET", "POST"])],
        )
        self.tables: dict[str, Callable[[], list[dict[str, Any]]]] = {
            "cliente": self._customers,
            "cliente_contrato": self._contracts,
            "radusuarios": self._logins,
            "radpop_radio_cliente_fibra": self._fibres,
            "fn_areceber": self._invoices,
            "su_ticket": lambda: [self._ticket(case) for case in self.world.cases if not case.order],
            "su_oss_chamado": lambda: [self._ticket(case) for case in self.world.cases if case.order],
            "su_mensagens": self._notes,
            "contato": lambda: self.world.done["leads"],
            "cidade": lambda: _named([line.demo.contract.city for line in self.world.lines.values()], "nome"),
            "radpop_radio": lambda: _named(self._olts(), "descricao"),
            "rad_caixa_ftth": lambda: _named(self._boxes(), "descricao"),
        }
        self.actions: dict[str, Callable[[dict[str, str]], Any]] = {
            "get_boleto": self.boleto,
            "get_pix": self.pix,
            "desbloqueio_confianca": self.unlock,
            "gerar_protocolo_atendimento": self.protocol,
        }

    async def endpoint(self, request: Request) -> Response:
        wanted = "Basic " + base64.b64encode(TOKEN.encode()).decode()
        if request.headers.get("authorization") != wanted:
            return HTMLResponse(SAID["no_access"], status_code=401)
        resource = request.path_params["resource"]
        body = await request.json() if await request.body() else {}
        if resource in self.actions:
            answer = self.actions[resource](body)
            return answer if isinstance(answer, Response) else _page(answer)
        if resource not in self.tables:
            return _page(_error(SAID["no_resource"]))
        if request.headers.get("ixcsoft") == "listar":
            return _page(self._list(resource, body))
        return _page(self._insert(resource, body))

    def _list(self, resource: str, question: dict[str, str]) -> dict[str, Any]:
        rows = self.tables[resource]()
        conditions = [(question["qtype"], question["oper"], question["query"])]
        if "grid_param" in question and "no_filter" not in self.world.oddities:
            conditions += [(each["TB"], each["OP"], each["P"]) for each in json.loads(question["grid_param"])]
        for field, oper, value in conditions:
            name = field.removeprefix(f"{resource}.")
            rows = [row for row in rows if OPERATORS[oper](str(row.get(name, "")), value)]
        rows = self.world.listed(rows)
        start = (int(question["page"]) - 1) * int(question["rp"])
        page = [_texts(row) for row in rows[start : start + int(question["rp"])]]
        answer: dict[str, Any] = {"page": question["page"], "total": str(len(rows))}
        return {**answer, "registros": page} if page else answer

    def _insert(self, resource: str, fields: dict[str, str]) -> dict[str, Any]:
        if resource == "su_mensagens":
            case = next((one for one in self.world.cases if one.number == fields["id_ticket"]), None)
            if case is None:
                return _error(SAID["unknown"])
            case.notes.append(fields["mensagem"])
            self.world.done["notes"].append([case.number, fields["mensagem"]])
            return _done("1")
        if resource == "contato":
            row = {**fields, "id": str(300 + len(self.world.done["leads"]))}
            self.world.done["leads"].append(row)
            return _done(row["id"])
        order = resource == "su_oss_chamado"
        line = self.world.by_number(fields.get("id_contrato_kit" if order else "id_contrato", ""))
        text = fields.get("mensagem" if order else "menssagem", "")
        if line is None or not text or resource not in ("su_ticket", "su_oss_chamado"):
            return _error(SAID["unknown"])
        case = self.world.open_case(line, fields.get("titulo", ""), text, order=order)
        if fields.get("protocolo"):
            case.number = fields["protocolo"]
        return _done(case.number)

    # -- doing

    def unlock(self, body: dict[str, str]) -> dict[str, Any]:
        line = self.world.by_number(str(body.get("id", "")))
        verdict = self.world.judge(line)
        if line is not None and verdict is UnlockVerdict.GRANTED:
            self.world.unlock(line)
            return {"tipo": "sucesso", "mensagem": SAID["unlocked"]}
        if "codes" in self.world.oddities and verdict in CODES:
            return {"type": "error", "codigo": CODES[verdict], "message": ""}
        return _error(SAID["refused"][verdict])

    def protocol(self, _body: Any) -> Any:
        number = f"{self.world.now():%Y%m%d}9{len(self.world.cases):05d}"
        if "protocol_json" in self.world.oddities:
            return {"type": "success", "protocolo": number}
        return PlainTextResponse(number)

    def boleto(self, body: dict[str, str]) -> Any:
        found = self.world.invoice(str(body.get("boletos", "")))
        if not found:
            return _error(SAID["no_boleto"])
        line, each = found
        kind = body.get("tipo_boleto")
        if kind == "arquivo":
            self.printed.add(each.invoice.id)
            return PlainTextResponse(base64.b64encode(PDF).decode())
        owner = line.subscriber.subscriber
        target = owner.emails[0] if kind == "mail" else _mobile(owner.phones)
        self.world.done["sends"].append([kind, target])
        return {"type": "success", "message": SAID["sent"]}

    def pix(self, body: dict[str, str]) -> dict[str, Any]:
        found = self.world.invoice(str(body.get("id_areceber", "")))
        if not found or "no_pix" in self.world.oddities:
            return _error(SAID["no_pix"])
        text = found[1].payload.pix
        charge = {"status": "ATIVA", "pixCopiaECola": text}
        return {"type": "success", "pix": {"qrCode": {"qrcode": text}, "dadosPix": charge}}

    # -- tables

    def _customers(self) -> list[dict[str, Any]]:
        return [self._customer(each) for each in self.world.subscribers()]

    def _customer(self, subscriber: DemoSubscriber) -> dict[str, Any]:
        one, contract = subscriber.subscriber, subscriber.contracts[0].contract
        return {
            "id": one.id,
            "ativo": "S",
            "razao": one.name,
            "tipo_pessoa": "F" if len(one.document) == 11 else "J",
            "cnpj_cpf": _written(one.document),
            "data_nascimento": f"{one.birth_year}-05-20" if one.birth_year else "0000-00-00",
            "telefone_celular": _shown_phone(_mobile(one.phones)),
            "whatsapp": "",
            "fone": next((_shown_phone(phone) for phone in one.phones if phone[5] != "9"), ""),
            "telefone_comercial": "",
            "email": one.emails[0] if one.emails else "",
            "endereco": contract.street,
            "numero": contract.house,
            "bairro": contract.neighbourhood,
            "cidade": _id_of(contract.city),
        }

    def _lines(self) -> list[Line]:
        return [line for each in self.world.subscribers() for line in self.world.lines_of(each)]

    def _contracts(self) -> list[dict[str, Any]]:
        return [
            {
                "id": line.number,
                "id_cliente": line.subscriber.subscriber.id,
                "contrato": line.demo.contract.plan,
                "status": "I" if line.status is ContractStatus.CANCELLED else "A",
                "status_internet": INTERNET[line.status],
                "contrato_suspenso": "S" if line.status is ContractStatus.SUSPENDED else "N",
                "desbloqueio_confianca": "P",
                "desbloqueio_confianca_ativo": "S" if line.status is ContractStatus.UNLOCKED else "N",
                "dt_retorno_desb_conf": f"{line.unlocked_until:%Y-%m-%d}" if line.unlocked_until else "0000-00-00",
                "restricao_auto_desbloqueio": "N",
                "endereco_padrao_cliente": "S" if line.demo is line.subscriber.contracts[0] else "N",
                "endereco": line.demo.contract.street,
                "numero": line.demo.contract.house,
                "bairro": line.demo.contract.neighbourhood,
                "cidade": _id_of(line.demo.contract.city),
            }
            for line in self._lines()
        ]

    def _logins(self) -> list[dict[str, Any]]:
        online = {SessionState.ONLINE: "S", SessionState.OFFLINE: "N", SessionState.UNKNOWN: "SS"}
        rows = []
        for line in self._lines():
            session = line.demo.connection
            since = f"{session.since:%Y-%m-%d %H:%M:%S}" if session.since else "0000-00-00 00:00:00"
            rows.append(
                {
                    "id": _login_id(line),
                    "id_cliente": line.subscriber.subscriber.id,
                    "id_contrato": line.number,
                    "login": line.demo.contract.access.login,
                    "online": online[session.state],
                    "onu_mac": line.demo.contract.access.onu,
                    "ultima_conexao_inicial": since,
                    "ultima_conexao_final": since,
                }
            )
        return rows

    def _fibres(self) -> list[dict[str, Any]]:
        """The row of an ONU that was replaced long ago, and the one that counts."""
        hours_ago = self.world.now().replace(minute=0, second=0, microsecond=0)
        rows = []
        for line in self._lines():
            access, optical = line.demo.contract.access, line.demo.optical
            common = {
                "id_login": _login_id(line),
                "ponid": access.pon,
                "id_transmissor": _id_of(access.olt),
                "id_caixa_ftth": _id_of(access.cto),
            }
            rx = f"{optical.rx_dbm:.2f}" if optical.rx_dbm is not None else ""
            now = {
                "id": f"1{_login_id(line)}",
                "mac": access.onu,
                "sinal_rx": rx,
                "data_sinal": f"{hours_ago:%Y-%m-%d %H:%M:%S}",
                "causa_ultima_queda": "LOS" if optical.los else "",
            }
            old = {
                "id": f"9{_login_id(line)}",
                "mac": "OLD00000000",
                "sinal_rx": "-27.90",
                "data_sinal": "2023-03-01 04:00:00",
            }
            rows += [{**common, **old}, {**common, **now}]
        return rows

    def _invoices(self) -> list[dict[str, Any]]:
        rows = []
        for line in self.world.lines.values():
            rows += [self._invoice(line, each) for each in line.demo.invoices]
        return rows

    def _invoice(self, line: Line, each: DemoInvoice) -> dict[str, Any]:
        return {
            "id": each.invoice.id,
            "id_cliente": line.subscriber.subscriber.id,
            "id_contrato": line.number,
            "status": "R" if each.paid else "A",
            "liberado": "S",
            "valor": f"{each.invoice.amount:.2f}",
            "valor_aberto": "" if each.paid else f"{each.invoice.amount:.2f}",
            "data_vencimento": each.invoice.due_on.isoformat(),
            "linha_digitavel": each.payload.line if each.invoice.id in self.printed else "",
            "gateway_link": "",
        }

    def _ticket(self, case: Case) -> dict[str, Any]:
        line = self.world.by_id(case.contract_id)
        return {
            "id": case.number,
            "protocolo": case.number,
            "id_cliente": line.subscriber.subscriber.id if line else "",
            "id_contrato": line.number if line else "",
            "titulo": case.kind,
            "menssagem": case.text,
            "mensagem": case.text,
            "su_status": "N",
            "data_criacao": f"{case.opened_at:%Y-%m-%d %H:%M:%S}",
        }

    def _notes(self) -> list[dict[str, Any]]:
        return [
            {"id": f"{at}{place}", "id_ticket": case.number, "mensagem": note}
            for at, case in enumerate(self.world.cases)
            for place, note in enumerate(case.notes)
        ]

    def _olts(self) -> list[str]:
        return [line.demo.contract.access.olt for line in self.world.lines.values()]

    def _boxes(self) -> list[str]:
        return [line.demo.contract.access.cto for line in self.world.lines.values()]


def _page(answer: dict[str, Any]) -> Response:
    return HTMLResponse(json.dumps(answer))


def _error(message: str) -> dict[str, Any]:
    return {"type": "error", "message": message}


def _done(row_id: str) -> dict[str, Any]:
    return {"type": "success", "message": SAID["inserted"], "id": row_id}


def _texts(row: dict[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in row.items()}


def _id_of(name: str) -> str:
    """An id for a name, the same each time."""
    return str(int.from_bytes(name.encode()[-6:], "big") % 1_000_000_007)


def _named(names: list[str], field: str) -> list[dict[str, Any]]:
    return [{"id": _id_of(name), field: name} for name in dict.fromkeys(names)]


def _login_id(line: Line) -> str:
    return str(int(line.id) + 60000)


def _mobile(phones: tuple[str, ...]) -> str:
    return next((phone for phone in phones if phone[5] == "9"), "")


def _shown_phone(phone: str) -> str:
    return f"({phone[3:5]}) {phone[5:-4]}-{phone[-4:]}" if phone else ""


def _written(document: str) -> str:
    if len(document) == 11:
        return f"{document[:3]}.{document[3:6]}.{document[6:9]}-{document[9:]}"
    return f"{document[:2]}.{document[2:5]}.{document[5:8]}/{document[8:12]}-{document[12:]}"
