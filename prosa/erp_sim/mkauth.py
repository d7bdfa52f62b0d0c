"""MK-Auth as a server. Its oddities: `old_routes` (lists only with pagina=1 in the path), `bare_lists` (no envelope),
`not_found_404`, `no_texts` (tickets without their text).

Always: a bare JWT that holds ten minutes, the panel's page with status 200 for whoever has none, open and overdue
titles in two lists, one registration for each contract, a flag that anybody may edit.
"""

import base64
import json
import time
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from prosa.erp_sim.faults import LOG_IN_PAGE, Gate
from prosa.erp_sim.texts import TEXTS
from prosa.erp_sim.world import Case, Line, World
from ura.demo.subscribers import DemoInvoice
from ura.erp import ContractStatus

CLIENT_ID, CLIENT_SECRET = "Client_Id_demo", "Client_Secret_demo"
SETTINGS = {"PROSA_MKAUTH_CLIENT_ID": CLIENT_ID, "PROSA_MKAUTH_CLIENT_SECRET": CLIENT_SECRET}
SAID = TEXTS["mkauth"]
TOKEN_HOLDS_S = 600
BLOCKED = {ContractStatus.BLOCKED, ContractStatus.SUSPENDED}


def make(world: World) -> Gate:
    system = MkAuth(world)
    oddities = {"old_routes", "bare_lists", "not_found_404", "no_texts"}
    return Gate(system.app, world, oddities=oddities, forget_tokens=system.tokens.clear)


class MkAuth:
    def __init__(self, world: World) -> None:
        self.world = world
        self.tokens: set[str] = set()
        self.app = Starlette(
            routes=[
                Route("/api/", self.log_in),
                Route("/api/{what}/listar/{filters:path}", self._for_members(self.search)),
                Route("/api/titulo/aberto/{login}", self._for_members(self.waiting)),
                Route("/api/titulo/vencido/{login}", self._for_members(self.overdue)),
                Route("/api/titulo/show/{uuid}", self._for_members(self.title)),
                Route("/api/cliente/editar", self._for_members(self.edit), methods=["PUT"]),
                Route("/api/chamado/inserir", self._for_members(self.open_case), methods=["POST"]),
            ]
        )

    async def log_in(self, request: Request) -> Response:
        wanted = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != wanted:
            return HTMLResponse(LOG_IN_PAGE)
        self.world.done["logins"].append(1)
        claims = {"exp": int(time.time()) + TOKEN_HOLDS_S, "jti": len(self.world.done["logins"])}
        token = ".".join([_part({"alg": "HS512"}), _part(claims), "signature"])
        self.tokens.add(token)
        return PlainTextResponse(token)

    def _for_members(self, handle: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return HTMLResponse(LOG_IN_PAGE)
            body = await request.json() if await request.body() else {}
            answer = handle(request.path_params, body)
            return answer if isinstance(answer, Response) else JSONResponse(answer)

        return endpoint

    # -- looking

    def search(self, path: dict[str, str], _body: Any) -> Any:
        filters = path["filters"].split("/")
        if "old_routes" in self.world.oddities and filters[0] != "pagina=1":
            return HTMLResponse(SAID["no_route"].join(["<html>", "</html>"]), status_code=404)
        wanted = dict(each.partition("=")[::2] for each in filters if not each.startswith("pagina="))
        match path["what"]:
            case "cliente":
                rows = [self._registration(line) for line in self._lines()]
            case "chamado":
                rows = [self._case(case) for case in self.world.cases]
            case "plano":
                rows = self._plans()
            case _:
                return HTMLResponse(SAID["no_route"], status_code=404)
        rows = [row for row in rows if all(str(row.get(name)) == value for name, value in wanted.items())]
        return self._enveloped(rows, f"{path['what']}s")

    def waiting(self, path: dict[str, str], _body: Any) -> Any:
        today = self.world.now().date()
        return self._titles(path["login"], lambda each: each.invoice.due_on >= today)

    def overdue(self, path: dict[str, str], _body: Any) -> Any:
        today = self.world.now().date()
        return self._titles(path["login"], lambda each: each.invoice.due_on < today)

    def _titles(self, login: str, chosen: Any) -> Any:
        rows = [
            self._title(line, each)
            for line in self._lines()
            if line.demo.contract.access.login == login
            for each in line.open_invoices()
            if chosen(each)
        ]
        return self._enveloped(rows, "titulos")

    def title(self, path: dict[str, str], _body: Any) -> Any:
        for line in self._lines():
            for each in line.open_invoices():
                if _uuid(each.invoice.id) == path["uuid"]:
                    row = {
                        **self._title(line, each),
                        "linhadig": each.payload.line,
                        "pix": each.payload.pix,
                        "url": None,
                    }
                    return {"dados": row} if "bare_lists" in self.world.oddities else row
        return {"mensagem": SAID["none"]}

    # -- doing

    def edit(self, _path: Any, body: dict[str, str]) -> Any:
        line = next((one for one in self._lines() if _uuid(one.id) == body.get("uuid")), None)
        if line is None:
            return {"mensagem": SAID["none"]}
        if body.get("bloqueado") == "nao" and line.status in BLOCKED:
            self.world.unlock(line, limited=False)
        return {"status": "sucesso", "mensagem": SAID["saved"]}

    def open_case(self, _path: Any, body: dict[str, str]) -> Any:
        line = next((one for one in self._lines() if one.demo.contract.access.login == body.get("login")), None)
        if line is None:
            return {"mensagem": SAID["none"]}
        case = self.world.open_case(line, body.get("assunto", ""), body.get("mensagem", ""))
        return {"status": "sucesso", "mensagem": SAID["opened"], "dados": {"chamado": case.number}}

    # -- shapes

    def _enveloped(self, rows: list[dict[str, Any]], name: str) -> Any:
        rows = self.world.listed(rows)
        if not rows and "not_found_404" in self.world.oddities:
            return JSONResponse({"mensagem": SAID["none"]}, status_code=404)
        if "bare_lists" in self.world.oddities:
            return rows
        if not rows:
            return {"mensagem": SAID["none"]}
        return {"total_registros": len(rows), "total_paginas": 1, name: rows}

    def _lines(self) -> list[Line]:
        return [line for each in self.world.subscribers() for line in self.world.lines_of(each)]

    def _registration(self, line: Line) -> dict[str, Any]:
        one, contract = line.subscriber.subscriber, line.demo.contract
        phones = [phone[3:] for phone in one.phones] + ["", ""]
        return {
            "id": line.number,
            "uuid_cliente": _uuid(line.id),
            "login": contract.access.login,
            "senha": "not-to-be-read",
            "nome": one.name,
            "cpf_cnpj": one.document,
            "nascimento": f"20/05/{one.birth_year}" if one.birth_year else "",
            "celular": phones[0],
            "fone": phones[1],
            "email": one.emails[0] if one.emails else "",
            "cli_ativado": "n" if line.status is ContractStatus.CANCELLED else "s",
            "bloqueado": "sim" if line.status in BLOCKED else "nao",
            "endereco": contract.street,
            "numero": contract.house,
            "bairro": contract.neighbourhood,
            "cidade": contract.city,
            "plano": contract.plan,
            "onu_ont": contract.access.onu,
            "armario_olt": contract.access.olt,
            "porta_olt": contract.access.pon,
            "caixa_herm": contract.access.cto,
        }

    def _title(self, line: Line, each: DemoInvoice) -> dict[str, Any]:
        return {
            "uuid": _uuid(each.invoice.id),
            "titulo": each.invoice.id,
            "login": line.demo.contract.access.login,
            "valor": f"{each.invoice.amount:.2f}",
            "datavenc": f"{each.invoice.due_on:%Y-%m-%d} 00:00:00",
        }

    def _case(self, case: Case) -> dict[str, Any]:
        line = self.world.by_id(case.contract_id)
        row = {
            "chamado": case.number,
            "login": line.demo.contract.access.login if line else "",
            "assunto": case.kind,
            "mensagem": case.text,
            "abertura": f"{case.opened_at:%Y-%m-%d %H:%M:%S}",
            "status": "aberto",
        }
        if "no_texts" in self.world.oddities:
            del row["mensagem"]
        return row

    def _plans(self) -> list[dict[str, Any]]:
        names = sorted({line.demo.contract.plan for line in self.world.lines.values()})
        return [
            {"uuid": _uuid(f"9{at}"), "nome": name, "valor": f"{79 + at}.90", "veldown": str(200000 * (at + 1))}
            for at, name in enumerate(names)
        ]


def _uuid(value: str) -> str:
    return f"AE91D370-DFAB-41CF-81C9-{value:0>12}"


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
