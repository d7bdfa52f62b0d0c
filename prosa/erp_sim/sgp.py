"""SGP as a server. Its oddities: `json_only` (promise and titles refuse a form), `words` (numbers and truths as text),
`old_phones` (mobiles as they were before the ninth digit: (11) 8555-0101).

Always: telephones as objects, a contract under `id` in one call and under `contrato` in another, a maintenance that is
still "active" though it ended, a maintenance of another POP, `verificaacesso` and `fatura2via` that open tickets.
"""

from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prosa.erp_sim.faults import Gate
from prosa.erp_sim.texts import TEXTS
from prosa.erp_sim.world import UNLOCK_DAYS, Case, Line, World
from ura.demo.subscribers import DemoInvoice, DemoSubscriber
from ura.erp import ContractStatus, SessionState, UnlockVerdict

TOKEN, APP = "demo-token-0000", "prosa"  # nobody's: the simulator's own
SETTINGS = {"PROSA_SGP_TOKEN": TOKEN, "PROSA_SGP_APP": APP}
JSON_ONLY = {"/api/ura/liberacaopromessa/", "/api/ura/titulos/"}
SAID = TEXTS["sgp"]
SHOWN = {
    ContractStatus.ACTIVE: (1, "Ativo", ""),
    ContractStatus.UNLOCKED: (1, "Ativo", SAID["promise"]),
    ContractStatus.BLOCKED: (4, "Suspenso", SAID["debt"]),
    ContractStatus.SUSPENDED: (4, "Suspenso", SAID["own_wish"]),
    ContractStatus.CANCELLED: (3, "Cancelado", ""),
}


def make(world: World) -> Gate:
    return Gate(Sgp(world).app, world, oddities={"json_only", "words", "old_phones"})


class Sgp:
    def __init__(self, world: World) -> None:
        self.world = world
        ura = {
            "consultacliente": self.consult,
            "clientes": self.customers,
            "titulos": self.titles,
            "fatura2via": self.second_copy,
            "enviafatura": self.send,
            "liberacaopromessa": self.promise,
            "verificaacesso": self.check_access,
            "chamado": self.open_case,
            "ocorrencia/list": self.cases,
            "viabilidade": self.coverage,
        }
        self.app = Starlette(
            routes=[
                *(
                    Route(f"/api/ura/{name}/", self._with_fields(handle), methods=["POST"])
                    for name, handle in ura.items()
                ),
                Route("/api/ura/pagamento/pix/{title}", self._with_fields(self.pix), methods=["POST"]),
                Route("/api/ura/manutencao/list/", self._with_fields(self.works)),
                Route("/api/ura/consultaplano/", self._with_fields(self.plans)),
                Route("/api/precadastro/F", self._with_fields(self.lead), methods=["POST"]),
                Route(
                    "/api/cpemanager/servico/{service}/command/boot/", self._with_fields(self.boot), methods=["POST"]
                ),
            ]
        )

    def _with_fields(self, handle: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            path = request.url.path
            body = await request.body()
            if request.method == "GET":
                fields: dict[str, Any] = dict(request.query_params)
            elif request.headers.get("content-type", "").startswith("application/json"):
                fields = await request.json()
            elif "json_only" in self.world.oddities and path in JSON_ONLY:
                return JSONResponse({"detail": "Unsupported media type"}, status_code=415)
            else:
                fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
            if fields.get("token") != TOKEN or fields.get("app") != APP:
                return JSONResponse({"detail": SAID["no_credentials"]}, status_code=403)
            answer = handle({**{name: str(value) for name, value in fields.items()}, **request.path_params})
            return JSONResponse(_as_words(answer) if "words" in self.world.oddities else answer)

        return endpoint

    # -- who

    def consult(self, fields: dict[str, str]) -> Any:
        rows = []
        for subscriber in self.world.subscribers():
            for line in self.world.lines_of(subscriber):
                asked_document = fields.get("cpfcnpj", "")
                if asked_document == subscriber.subscriber.document or fields.get("contrato") == line.number:
                    rows.append(self._consulted(subscriber, line))
        if not rows:
            return {"msg": SAID["no_contracts"], "contratos": []}
        return {"msg": SAID["contracts"], "contratos": self.world.listed(rows)}

    def customers(self, fields: dict[str, str]) -> Any:
        rows = []
        for subscriber in self.world.subscribers():
            lines = self.world.lines_of(subscriber)
            one = subscriber.subscriber
            if (
                fields.get("telefone") in [self.world.number(phone) for phone in one.phones]
                or fields.get("cliente_id") == one.id
                or fields.get("contrato") in [line.number for line in lines]
            ):
                rows.append(self._customer(subscriber, lines))
        rows = self.world.listed(rows)
        return {"paginacao": {"offset": 0, "limit": 100, "parcial": len(rows), "total": len(rows)}, "clientes": rows}

    # -- money

    def titles(self, fields: dict[str, str]) -> Any:
        line = self.world.by_number(fields.get("contrato", ""))
        open_ones = line.open_invoices() if line else []
        rows = self.world.listed([self._title(line, each) for each in open_ones if line])
        offset = int(fields.get("offset", "0"))
        page = rows[offset : offset + int(fields.get("limit", "250"))]
        return {
            "paginacao": {"offset": offset, "limit": 250, "parcial": len(page), "total": len(rows)},
            "titulos": page,
        }

    def second_copy(self, fields: dict[str, str]) -> Any:
        line = self.world.by_number(fields.get("contrato", ""))
        if line is None:
            return {"status": 0, "msg": SAID["no_contract"], "links": []}
        if fields.get("nao_gerar_os") != "1":
            self.world.open_case(line, SAID["second_copy"], "")
        wanted = fields.get("numero_documento")
        links = [
            {
                "id": each.invoice.id,
                "fatura": "1",
                "vencimento": each.invoice.due_on.isoformat(),
                "valor": float(each.invoice.amount),
                "linhadigitavel": each.payload.line,
                "codigopix": "",  # made on demand
                "link": f"https://sgp.provedor.example/boleto/{each.invoice.id}.pdf",
            }
            for each in line.open_invoices()
            if wanted in (None, _number_of(each))
        ]
        return {"status": 1 if links else 0, "razaoSocial": line.subscriber.subscriber.name, "links": links}

    def pix(self, fields: dict[str, str]) -> Any:
        found = self.world.invoice(fields["title"])
        if not found:
            return {"status": 0, "msg": SAID["no_title"]}
        return {"status": 1, "msg": SAID["pix"], "pix": found[1].payload.pix}

    def send(self, fields: dict[str, str]) -> Any:
        line = self.world.by_number(fields.get("contrato", ""))
        if line is None:
            return {"status": 0, "msg": SAID["no_contract"]}
        kind = fields.get("tipo", "email")
        self.world.done["sends"].append([kind, fields.get("email" if kind == "email" else "celular", "")])
        self.world.open_case(line, SAID["sending"], fields.get("conteudo", ""), trace=True)
        return {"status": 1, "msg": SAID["sent"]}

    def promise(self, fields: dict[str, str]) -> Any:
        line = self.world.by_number(fields.get("contrato", ""))
        verdict = self.world.judge(line)
        if line is None or verdict is not UnlockVerdict.GRANTED:
            return {"status": 2, "liberado": False, "msg": SAID["refused"][verdict]}
        self.world.unlock(line)
        if fields.get("data_promessa"):
            self.world.done["promises"].append([line.number, fields["data_promessa"]])
        content = fields.get("conteudo", "")
        case = self.world.open_case(line, SAID["promise"], content, trace=True)
        until = fields.get("data_promessa") or f"{line.unlocked_until:%Y-%m-%d}"
        return {
            "status": 1,
            "liberado": True,
            "liberado_dias": UNLOCK_DAYS,
            "data_promessa": until,
            "protocolo": case.number,
            "msg": SAID["unlocked"].format(login=line.demo.contract.access.login),
            "contratoId": int(line.number),
        }

    # -- service

    def check_access(self, fields: dict[str, str]) -> Any:
        line = self.world.by_number(fields.get("contrato", ""))
        if line is None:
            return {"status": 0, "msg": SAID["no_contract"]}
        if self.world.demo.outages_of(line.id):  # by itself
            self.world.open_case(line, SAID["maintenance"], "")
        online = line.demo.connection.state is SessionState.ONLINE
        return {"status": 1 if online else 2, "msg": SAID["online" if online else "offline"]}

    def open_case(self, fields: dict[str, str]) -> Any:
        line = self.world.by_number(fields.get("contrato", ""))
        if line is None:
            return {"status": 0, "msg": SAID["no_contract"]}
        case = self.world.open_case(line, SAID["kind"], fields.get("conteudo", ""), order="agenda" in fields)
        return {"status": 1, "protocolo": case.number, "contratoId": int(line.number), "msg": SAID["ticket"]}

    def cases(self, fields: dict[str, str]) -> Any:
        line = self.world.by_number(fields.get("contrato", ""))
        return [self._case(case) for case in (self.world.cases_of(line.id) if line else [])]

    def works(self, _fields: dict[str, str]) -> Any:
        """The demo's outages; one that ended and was never closed; one of a POP that nobody here is on."""
        now = self.world.now()
        ended = {
            "id": 900,
            "descricao": SAID["old_work"],
            "ativa": 1,
            "data_inicial": "2025-01-10 08:00:00",
            "data_final": "2025-01-10 12:00:00",
            "mensagem_ura": "",
            "pops": [],
            "olts": [{"id": 1, "nome": "OLT-VV-1"}, {"id": 2, "nome": "OLT-VV-2"}],
            "ctos": [],
        }
        elsewhere = {**ended, "id": 901, "data_final": f"{now.year + 1}-01-10 12:00:00"}
        elsewhere |= {"pops": [{"id": 99, "cidade": "Vale Verde", "uf": "SP"}], "olts": []}
        current = [
            {
                "id": int(outage.id),
                "descricao": outage.cause,
                "ativa": 1,
                "data_inicial": f"{outage.began_at:%Y-%m-%d %H:%M:%S}",
                "data_final": f"{outage.ends_at:%Y-%m-%d %H:%M:%S}",
                "mensagem_ura": outage.cause,
                "pops": [],
                "olts": [],
                "ctos": [
                    {"id": at, "nome": self.world.lines[each].demo.contract.access.cto}
                    for at, each in enumerate(outage.contract_ids)
                ],
            }
            for outage in self.world.demo.outages
        ]
        return [ended, elsewhere, *current]

    def coverage(self, fields: dict[str, str]) -> Any:
        served = {line.demo.contract.neighbourhood for line in self.world.lines.values()}
        return {"viabilidade": fields.get("bairro") in served or fields.get("cep", "").startswith("139")}

    def plans(self, _fields: dict[str, str]) -> Any:
        names = sorted({line.demo.contract.plan for line in self.world.lines.values()})
        return {
            "planos": [
                {"id": at, "descricao": name, "preco": f"{79 + at}.90", "qtd_servicos": 1}
                for at, name in enumerate(names)
            ]
        }

    def lead(self, fields: dict[str, str]) -> Any:
        if not (fields.get("nome") and fields.get("logradouro")):
            return {"error": SAID["lead_fields"]}
        told = ("nome", "celular", "bairro", "cidade", "observacao")
        self.world.done["leads"].append({name: fields.get(name, "") for name in told})
        return {"status": 1, "message": SAID["lead"], "id": 70 + len(self.world.done["leads"])}

    def boot(self, fields: dict[str, str]) -> Any:
        line = next((one for one in self.world.lines.values() if _service_of(one) == int(fields["service"])), None)
        if line is None:
            return {"success": False, "msg": SAID["no_cpe"]}
        self.world.done["reboots"].append(line.number)
        return {"success": True, "msg": SAID["booted"]}

    # -- shapes

    def _consulted(self, subscriber: DemoSubscriber, line: Line) -> dict[str, Any]:
        one, contract = subscriber.subscriber, line.demo.contract
        code, shown, reason = SHOWN[line.status]
        return {
            "contratoId": int(line.number),
            "clienteId": int(one.id),
            "cpfCnpj": _written(one.document),
            "razaoSocial": one.name,
            "contratoStatus": code,
            "contratoStatusDisplay": shown,
            "motivo_status": reason,
            "contratoValorAberto": float(sum(each.invoice.amount for each in line.open_invoices())),
            "promessasPagamentoMes": line.unlocks,
            "popId": 1,
            "popNome": "POP Centro",
            "planointernet": contract.plan,
            "servico_senha": "not-to-be-read",
            "dataNascimento": f"{one.birth_year}-05-20" if one.birth_year else None,
            "telefones": [{"tipoContato": "Celular Pessoal", "contato": self._shown(phone)} for phone in one.phones],
            "emails": [{"tipoContato": "E-Mail", "contato": mail} for mail in one.emails],
        }

    def _shown(self, phone: str) -> str:
        """+5511987654321 → (11) 98765-4321"""
        number = self.world.number(phone)
        return f"({number[:2]}) {number[2:-4]}-{number[-4:]}"

    def _customer(self, subscriber: DemoSubscriber, lines: list[Line]) -> dict[str, Any]:
        one = subscriber.subscriber
        return {
            "id": int(one.id),
            "nome": one.name,
            "cpfcnpj": _written(one.document),
            "tipo": "F" if len(one.document) == 11 else "J",
            "dataNascimento": f"{one.birth_year}-05-20" if one.birth_year else None,
            "telefones": [self._shown(phone) for phone in one.phones],
            "emails": list(one.emails),
            "contratos": [self._contract(line) for line in lines],
        }

    def _contract(self, line: Line) -> dict[str, Any]:
        contract = line.demo.contract
        _, shown, reason = SHOWN[line.status]
        return {
            "id": int(line.number),
            "status": shown,
            "motivo_status": reason,
            "endereco": {
                "logradouro": contract.street.upper(),
                "numero": int(contract.house),
                "bairro": contract.neighbourhood.upper(),
                "cidade": contract.city.upper(),
                "uf": "SP",
            },
            "servicos": [
                {
                    "id": _service_of(line),
                    "tipo": "Internet",
                    "login": contract.access.login,
                    "plano": {"id": 1, "descricao": contract.plan},
                    "onu": self._onu(line),
                }
            ],
        }

    def _onu(self, line: Line) -> dict[str, Any]:
        access, optical, session = line.demo.contract.access, line.demo.optical, line.demo.connection
        since = f"{session.since:%Y-%m-%d %H:%M:%S}" if session.since else ""
        online = session.state is SessionState.ONLINE
        return {
            "serial": access.onu,
            "rx": f"{optical.rx_dbm:.3f}" if optical.rx_dbm is not None else None,
            "status": "LOS" if optical.los else "",
            "pon": access.pon,
            "olt_nome": access.olt,
            "cto_nome": access.cto,
            "conexao": None
            if session.state is SessionState.UNKNOWN
            else {
                "status": session.state.value,
                "data_conexao": since if online else "",
                "data_desconexao": "" if online else since,
            },
        }

    def _title(self, line: Line, each: DemoInvoice) -> dict[str, Any]:
        return {
            "id": int(each.invoice.id),
            "clientecontrato_id": int(line.number),
            "numeroDocumento": int(_number_of(each)),
            "status": "aberto",
            "valor": float(each.invoice.amount),
            "valorCorrigido": float(each.invoice.amount),
            "dataVencimento": each.invoice.due_on.isoformat(),
            "linhaDigitavel": each.payload.line,
            "codigoPix": "",
        }

    def _case(self, case: Case) -> dict[str, Any]:
        return {
            "id": int(case.number),
            "numero": case.number,
            "tipo": case.kind,
            "status": "Aberta",
            "status_id": 0,
            "conteudo": case.text,
            "data_cadastro": f"{case.opened_at:%Y-%m-%d %H:%M:%S}",
        }


def _number_of(each: DemoInvoice) -> str:
    return f"7{each.invoice.id}"


def _service_of(line: Line) -> int:
    return int(line.id) + 40000


def _written(document: str) -> str:
    if len(document) == 11:
        return f"{document[:3]}.{document[3:6]}.{document[6:9]}-{document[9:]}"
    return f"{document[:2]}.{document[2:5]}.{document[5:8]}/{document[8:12]}-{document[12:]}"


def _as_words(value: Any) -> Any:
    """Python's own words for what is no text: that is how a form-encoded answer of a Django system looks."""
    match value:
        case dict():
            return {name: _as_words(inner) for name, inner in value.items()}
        case list():
            return [_as_words(inner) for inner in value]
        case None:
            return None
        case _:
            return str(value)
