"""A stranger has the reference and a token: the client that is made from the one works with the other."""

import importlib
import runpy
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests.api.conftest import HERE
from ura import tickets, users
from ura.db import Sessions
from ura.models import TicketStatus, Tier
from ura.settings import ROOT
from ura.users import Permission

EXAMPLE = ROOT / "docs/examples/ticket.py"
SCOPES = (Permission.TICKETS_READ, Permission.TICKETS_WRITE, Permission.TICKETS_L1, Permission.TICKETS_L2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the package `prosa_client` is, made from the routes as they are now."""
    folder = tmp_path_factory.mktemp("client")
    made = subprocess.run([ROOT / "scripts/make-client.sh", folder / "prosa_client"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "prosa_client"]:
        del sys.modules[name]


async def program(app: FastAPI, sessions: Sessions, *scopes: Permission) -> Any:
    """The client with a token; it asks the application without a network."""
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        token = await users.create_api_token(
            session, name="stranger", scopes=scopes, expires_at=now + timedelta(days=1), now=now, actor="test"
        )
    client = importlib.import_module("prosa_client").AuthenticatedClient(base_url=HERE, token=token)
    headers = {"Authorization": f"Bearer {token}"}
    return client.set_async_httpx_client(AsyncClient(transport=ASGITransport(app), base_url=HERE, headers=headers))


async def test_a_stranger_opens_moves_and_closes_a_ticket(
    folder: Path, app: FastAPI, sessions: Sessions, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the example does it, which is what a stranger reads."""
    example = runpy.run_path(str(EXAMPLE))
    async with await program(app, sessions, *SCOPES) as client:
        closed = await example["report_no_signal"](client, "11933330002")
    assert f"opened, protocol {closed.protocol}" in capsys.readouterr().out
    assert (closed.status.value, closed.tier.value) == ("closed", "l2")
    async with sessions() as session:
        ticket = await tickets.get_ticket(session, closed.id)
        history = [line.kind.value for line in await tickets.list_events(session, ticket)]
    assert (ticket.status, ticket.tier, ticket.opened_by) == (TicketStatus.CLOSED, Tier.L2, "token stranger")
    assert [line.kind.value for line in closed.events] == history


async def test_a_problem_has_its_type_too(folder: Path, app: FastAPI, sessions: Sessions) -> None:
    """Without the scope nothing is opened, and the client says why."""
    example = runpy.run_path(str(EXAMPLE))
    async with await program(app, sessions, Permission.TICKETS_READ) as client:
        with pytest.raises(RuntimeError, match="forbidden"):
            await example["report_no_signal"](client, "11933330002")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_lists_come_page_by_page(folder: Path, app: FastAPI, sessions: Sessions) -> None:
    listing = importlib.import_module("prosa_client.api.tickets.list_tickets")
    opening = importlib.import_module("prosa_client.api.tickets.open_ticket")
    new = importlib.import_module("prosa_client.models.new_ticket").NewTicket
    async with await program(app, sessions, *SCOPES) as client:
        opened = [
            (await opening.asyncio(client=client, body=new(category="support", summary=f"Chamado {n}"))).id
            for n in range(5)
        ]
        page = await listing.asyncio(client=client, limit=2)
        found = [ticket.id for ticket in page.items]
        while page.next_cursor:
            page = await listing.asyncio(client=client, limit=2, cursor=page.next_cursor)
            found += [ticket.id for ticket in page.items]
    assert sorted(found) == sorted(opened)


def test_a_type_checker_follows_the_example(folder: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", str(EXAMPLE)],
        env={"MYPYPATH": str(folder), "PATH": ""}, cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
