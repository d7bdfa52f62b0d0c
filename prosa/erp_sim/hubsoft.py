"""HubSoft as a server. Its oddities: `old_texts` (street and its kind apart, everything in capitals),
`old_phones` (mobiles as they were before the ninth digit: 1185550101).

Always: `suscess` in places, business errors with status 200, `[]` for "no last connection", an epoch for "no birthday",
services of which some are cancelled and left out unless asked for, invoices sent to every registered contact.
"""

import secrets
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prosa.erp_sim.faults import Gate
from prosa.erp_sim.texts import TEXTS
from prosa.erp_sim.world import Case, Line, World
from ura.demo.subscribers import DemoInvoice, DemoSubscriber
from ura.erp import ContractStatus, SessionState, UnlockVerdict

CREDENTIALS = {
    "grant_type": "password",
    "client_id": "3",
    "client_secret": "demo-secret-0000",
    "username": "api@provedor.example",
    "password": "demo-password-0000",
}
SETTINGS = {
    "PROSA_HUBSOFT_CLIENT_ID": CREDENTIALS["client_id"],
    "PROSA_HUBSOFT_CLIENT_SECRET": CREDENTIALS["client_secret"],
    "PROSA_HUBSOFT_USER": CREDENTIALS["username"],
    "PROSA_HUBSOFT_PASSWORD": CREDENTIALS["password"],
    "PROSA_HUBSOFT_CEP": "13900000",
}
MOST_DAYS = 3
PREFIX = {
    ContractStatus.ACTIVE: "servico_habilitado",
    ContractStatus.UNLOCKED: "servico_habilitado",
    ContractStatus.BLOCKED: "suspenso_debito",
    ContractStatus.SUSPENDED: "suspenso_pedido_cliente",
    ContractStatus.CANCELLED: "cancelado",
}
SAID = TEXTS["hubsoft"]
BASE = "/api/v1/integracao"


def make(world: World) -> Gate:
    system = HubSoft(world)
    return Gate(system.app, world, oddities={"old_texts", "old_phones"}, forget_tokens=system.tokens.clear)


class HubSoft:
    def __init__(self, world: World) -> None:
        self.world = world
        self.tokens: set[str] = set()
        routes = {
            ("GET", "cliente"): self.customers,
            ("GET", "cliente/financeiro"): self.invoices,
            ("POST", "cliente/financeiro/enviar_email"): self.send_mail,
            ("POST", "cliente/financeiro/enviar_sms"): self.send_sms,
            ("POST", "cliente/desbloqueio_confianca"): self.unlock,
            ("GET", "cliente/atendimento"): self.cases,
            ("POST", "atendimento"): self.open_case,
            ("POST", "atendimento/adicionar_mensagem/{case}"): self.add_note,
            ("POST", "rede/reiniciar_cpe/{device}"): self.reboot,
            ("POST", "pbx/ligacao/notificar"): self.notify,
            ("GET", "prospecto/create"): self.plans,
            ("GET", "prospecto"): self.find_lead,
            ("POST", "prospecto"): self.lead,
        }
        self.app = Starlette(
            routes=[
                Route("/oauth/token", self.log_in, methods=["POST"]),
                *(
                    Route(f"{BASE}/{path}", self._for_members(handle), methods=[method])
                    for (method, path), handle in routes.items()
                ),
            ]
        )

    async def log_in(self, request: Request) -> Response:
        if await request.json() != CREDENTIALS:
            return JSONResponse({"error": "invalid_credentials"}, status_code=401)
        token = secrets.token_hex(16)
        self.tokens.add(token)
        self.world.done["logins"].append(1)
        return JSONResponse({"token_type": "Bearer", "expires_in": 2592000, "access_token": token})

    def _for_members(self, handle: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return JSONResponse({"message": "Unauthenticated."}, status_code=401)
            body = await request.json() if await request.body() else {}
            return JSONResponse(handle({**request.query_params, **request.path_params}, body))

        return endpoint

    # -- who

    def customers(self, query: dict[str, str], _body: Any) -> Any:
        by, term = query.get("busca", ""), query.get("termo_busca", "")
        if by not in ("cpf_cnpj", "codigo_cliente", "telefone", "nome_razaosocial", "login_radius"):
            return _error(SAID["wrong_search"])
        rows = []
        for subscriber in self.world.subscribers():
            one = subscriber.subscriber
            matches = {
                "cpf_cnpj": term == one.document,
                "codigo_cliente": term == one.id,
                "telefone": term in [self.world.number(phone) for phone in one.phones],
            }
            lines = self.world.lines_of(subscriber)
            if query.get("cancelado") != "sim":
                lines = [line for line in lines if line.status is not ContractStatus.CANCELLED]
            if matches.get(by) and lines:
                rows.append(self._customer(subscriber, lines, query))
        return {"status": "success", "msg": SAID["found"], "clientes": self.world.listed(rows)}

    # -- money

    def invoices(self, query: dict[str, str], _body: Any) -> Any:
        line = self.world.by_id(query.get("termo_busca", ""))
        rows = [self._invoice(line, each) for each in line.open_invoices()] if line else []
        return {"status": "suscess", "msg": SAID["found"], "faturas": self.world.listed(rows)}

    def send_mail(self, _query: Any, body: Any) -> Any:
        return self._send("email", body, "email_adicional")

    def send_sms(self, _query: Any, body: Any) -> Any:
        return self._send("sms", body, "telefone_adicional")

    def _send(self, kind: str, body: Any, extra: str) -> Any:
        found = self.world.invoice(str(body.get("id_fatura")))
        if not found:
            return _error(SAID["no_invoice"])
        owner = found[0].subscriber.subscriber
        registered = list(owner.emails) if kind == "email" else [phone[3:] for phone in owner.phones]
        targets = registered + body.get(extra, [])
        if not targets:
            return _error(SAID["no_contact"])
        self.world.done["sends"] += [[kind, target] for target in targets]
        return {"status": "success", "msg": SAID["sent"]}

    def unlock(self, _query: Any, body: Any) -> Any:
        line = self.world.by_id(str(body.get("id_cliente_servico")))
        days = int(body.get("dias_desbloqueio", 1))
        if days > MOST_DAYS:
            return _error(SAID["too_many_days"])
        verdict = self.world.judge(line)
        if line is None or verdict is not UnlockVerdict.GRANTED:
            return _error(SAID["refused"][verdict])
        self.world.unlock(line, days)
        until = f"{line.unlocked_until:%d/%m/%Y}"
        return {"status": "success", "msg": SAID["unlocked"].format(until=until)}

    # -- service

    def cases(self, query: dict[str, str], _body: Any) -> Any:
        by, term = query.get("busca", ""), query.get("termo_busca", "")
        found = [
            case
            for case in self.world.cases
            if (by == "protocolo" and case.number == term) or (by == "id_cliente_servico" and case.contract_id == term)
        ]
        rows = [self._case(case) for case in found]
        return {"status": "suscess", "msg": SAID["found"], "atendimentos": rows}

    def open_case(self, _query: Any, body: Any) -> Any:
        line = self.world.by_id(str(body.get("id_cliente_servico")))
        if line is None or not body.get("nome") or not body.get("telefone"):
            return _error(SAID["bad"])
        case = self.world.open_case(line, "SAC", body["descricao"], order=bool(body.get("abrir_os")))
        return {"status": "success", "msg": SAID["ticket"].format(number=case.number), "atendimento": self._case(case)}

    def add_note(self, query: dict[str, str], body: Any) -> Any:
        self.world.done["notes"].append([query["case"], body["mensagem"]])
        return {"status": "success", "msg": SAID["noted"]}

    def reboot(self, query: dict[str, str], _body: Any) -> Any:
        line = next((one for one in self.world.lines.values() if one.demo.contract.access.onu == query["device"]), None)
        if line is None:
            return {"status": "error", "msg": SAID["no_device"], "errors": []}
        self.world.done["reboots"].append(line.number)
        return {"status": "success", "msg": SAID["booted"]}

    def notify(self, _query: Any, body: Any) -> Any:
        self.world.done["notices"].append([body.get("ramal"), body.get("telefone")])
        return {"status": "success", "msg": SAID["notified"]}

    def plans(self, query: dict[str, str], _body: Any) -> Any:
        if not query.get("cep"):
            return _error(SAID["no_cep"])
        names = sorted({line.demo.contract.plan for line in self.world.lines.values()})
        return {
            "status": "success",
            "msg": SAID["found"],
            "servicos": [
                {"id_servico": 10 + at, "descricao": name, "valor": 79.9 + at, "velocidade_download": 204800 * (at + 1)}
                for at, name in enumerate(names)
            ],
        }

    def find_lead(self, query: dict[str, str], _body: Any) -> Any:
        rows = [each for each in self.world.done["leads"] if each["nome_razaosocial"] == query.get("termo_busca")]
        return {"status": "success", "msg": SAID["found"], "prospectos": rows}

    def lead(self, _query: Any, body: Any) -> Any:
        needed = ("cep", "servico", "nome_razaosocial", "telefone", "tipo_pessoa", "bairro", "endereco")
        if any(not body.get(name) for name in needed) or "numero" not in body:
            return _error(SAID["bad"])
        row = {**body, "id_prospecto": 100 + len(self.world.done["leads"])}
        self.world.done["leads"].append(row)
        return {"status": "success", "msg": SAID["lead"], "prospecto": row}

    # -- shapes

    def _customer(self, subscriber: DemoSubscriber, lines: list[Line], query: dict[str, str]) -> dict[str, Any]:
        one = subscriber.subscriber
        phones = [self.world.number(phone) for phone in one.phones] + ["", "", ""]
        told = [outage.cause for line in lines for outage in self.world.demo.outages_of(line.id)]
        return {
            "id_cliente": 90000 + int(one.id),
            "codigo_cliente": int(one.id),
            "nome_razaosocial": one.name.upper(),
            "tipo_pessoa": "pf" if len(one.document) == 11 else "pj",
            "cpf_cnpj": one.document,
            "telefone_primario": phones[0],
            "telefone_secundario": phones[1],
            "telefone_terciario": phones[2],
            "email_principal": one.emails[0] if one.emails else None,
            "email_secundario": None,
            "data_nascmento": f"{one.birth_year}-05-20 04:00:00" if one.birth_year else "1969-12-31 04:00:00",
            "alerta": bool(told),
            "alerta_mensagens": told,
            "servicos": [self._service(line, query) for line in lines],
        }

    def _service(self, line: Line, query: dict[str, str]) -> dict[str, Any]:
        contract = line.demo.contract
        kind, _, rest = contract.street.partition(" ")
        old = "old_texts" in self.world.oddities
        place = {
            "endereco": rest.upper() if old else contract.street.upper(),
            "numero": contract.house,
            "bairro": contract.neighbourhood.upper(),
            "cidade": contract.city.upper(),
            **({"logradouro": kind.upper()} if old else {}),
        }
        service: dict[str, Any] = {
            "id_cliente_servico": int(line.id),
            "numero_plano": 1,
            "nome": contract.plan,
            "status": PREFIX[line.status].replace("_", " ").title(),
            "status_prefixo": PREFIX[line.status],
            "login": contract.access.login,
            "senha": "not-to-be-read",
            "phy_addr": contract.access.onu,
            "ultima_conexao": self._last(line) if query.get("ultima_conexao") == "sim" else [],
            "interface": {"nome": contract.access.pon, "tipo": "gpon"},
            "equipamento_conexao": {"nome": contract.access.olt},
            "porta_atendimento": {"numero": 7, "equipamento": contract.access.cto},
            "endereco_cadastral": {**place, "endereco": "OUTRA RUA"},
            "endereco_instalacao": place,
        }
        if query.get("incluir_alarmes") == "sim":
            service["alarmes"] = [{"descricao": SAID["alarm"]}] if line.demo.optical.los else []
        if query.get("incluir_desbloqueios") == "sim":
            service["desbloqueios"] = (
                [{"observacao": "API", "data_termino": f"{line.unlocked_until:%d/%m/%Y}"}]
                if line.unlocked_until
                else []
            )
        return service

    def _last(self, line: Line) -> Any:
        session = line.demo.connection
        if session.state is SessionState.UNKNOWN or session.since is None:
            return []
        at = f"{session.since:%Y-%m-%d %H:%M:%S}-03"
        online = session.state is SessionState.ONLINE
        return {
            "conectado": online,
            "ultima_conexao_datetime": at if online else "2026-01-01 00:00:00-03",
            "ultima_desconexao_datetime": None if online else at,
        }

    def _invoice(self, line: Line, each: DemoInvoice) -> dict[str, Any]:
        return {
            "id_fatura": int(each.invoice.id),
            "linha_digitavel": _spaced(each.payload.line),
            "link": f"https://hubsoft.provedor.example/pdf/fatura/{each.invoice.id}",
            "tipo_cobranca": "boleto_bancario",
            "valor": float(each.invoice.amount),
            "data_vencimento": f"{each.invoice.due_on:%d/%m/%Y}",
            "data_pagamento": None,
            "pix_copia_cola": each.payload.pix,
            "cliente": {
                "codigo_cliente": int(line.subscriber.subscriber.id),
                "servico": {"id_cliente_servico": int(line.id)},
            },
        }

    def _case(self, case: Case) -> dict[str, Any]:
        order = {
            "id_ordem_servico": int(case.number[-4:]),
            "numero_ordem_servico": f"9{case.number}",
            "status": "aguardando_agendamento",
        }
        return {
            "id_atendimento": int(case.number),
            "protocolo": case.number,
            "descricao_abertura": f"{case.text} | {SAID['by_api']}",
            "tipo_atendimento": case.kind,
            "data_cadastro": f"{case.opened_at:%d/%m/%Y}",
            "data_fechamento": None,
            "status": "Pendente",
            "ordens_servico": [order] if case.order else [],
        }


def _error(message: str) -> dict[str, Any]:
    return {"status": "error", "msg": message, "errors": []}


def _spaced(line: str) -> str:
    if len(line) != 47:
        return line
    return f"{line[:5]}.{line[5:10]} {line[10:15]}.{line[15:21]} {line[21:26]}.{line[26:32]} {line[32]} {line[33:]}"
