"""R19: a name server that takes every question and answers none, and each system that we call by a name.

Whoever asks waits in a thread of its own, so that the loop with the calls in it turns; and is told within its deadline
that nothing is known, as when the system itself is silent (R18).
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from ura.adapters.accounting import RadiusAccounting, RadiusSession
from ura.adapters.erp.http import ErpHttp
from ura.adapters.erp.sgp import Sgp
from ura.adapters.genieacs import GenieAcs
from ura.adapters.mail import Mail
from ura.adapters.radius import RadiusReset
from ura.adapters.sms import HttpSms, SmsApi
from ura.adapters.whatsapp import WhatsApp
from ura.adapters.zenvia import Zenvia
from ura.erp import Access, Contract, ContractStatus, ErpUnavailable
from ura.gateways import Outgoing, TryLater

NAME = "sistema.prosa.test"
DEADLINE_S = 0.3
LINE = Contract("7", "1", "1007", ContractStatus.ACTIVE, access=Access(login="ana", onu="ZTEGC8F1A2B3"))
TEXT = Outgoing("d" * 32, "+5511987654321", "text", template="prosa_text")
LETTER = Outgoing("d" * 32, "ana@casa.example", "text", subject="text")


@dataclass
class NameServer:
    """`silent` until it is released: then there is no such name."""

    asked: list[str] = field(default_factory=list)
    in_threads: set[int] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)

    def getaddrinfo(self, host: Any, *_: Any, **__: Any) -> Any:
        self.asked.append(host.decode() if isinstance(host, bytes) else host)
        self.in_threads.add(threading.get_ident())
        assert self.released.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.released.set()


class Dialled:
    """The accounting knows the session; its NAS has a name."""

    async def find_session(self, login: str) -> RadiusSession | None:
        at = datetime(2026, 11, 22, 12, tzinfo=UTC)
        return RadiusSession("1", NAME, "", at, at, None)


Use = Callable[[AsyncExitStack], Awaitable[Awaitable[Any]]]


async def _client(stack: AsyncExitStack) -> httpx.AsyncClient:
    return await stack.enter_async_context(httpx.AsyncClient())


async def _erp(stack: AsyncExitStack) -> Awaitable[Any]:
    http = ErpHttp(f"https://{NAME}", deadline_s=DEADLINE_S)
    stack.push_async_callback(http.close)
    return Sgp(http, token="t", app="a", zone=ZoneInfo("America/Sao_Paulo")).find_by_phone("+5511987654321")


async def _genieacs(stack: AsyncExitStack) -> Awaitable[Any]:
    acs = GenieAcs(f"https://{NAME}:7557", deadline_s=DEADLINE_S)
    stack.push_async_callback(acs.close)
    return acs.optical(LINE)


async def _whatsapp(stack: AsyncExitStack) -> Awaitable[Any]:
    url = f"https://{NAME}/v23.0"
    return WhatsApp(await _client(stack), url=url, phone_id="1", token="t", deadline_s=DEADLINE_S).send(TEXT)


async def _sms(stack: AsyncExitStack) -> Awaitable[Any]:
    return HttpSms(SmsApi(url=f"https://{NAME}/send"), await _client(stack), deadline_s=DEADLINE_S).send(TEXT)


async def _zenvia(stack: AsyncExitStack) -> Awaitable[Any]:
    gateway = Zenvia(await _client(stack), url=f"https://{NAME}", token="t", sender="p", deadline_s=DEADLINE_S)
    return gateway.send(TEXT)


async def _smtp(_stack: AsyncExitStack) -> Awaitable[Any]:
    sender = "Provedor <nao-responda@provedor.example>"
    return Mail(host=NAME, port=25, security="none", sender=sender, deadline_s=DEADLINE_S).send(LETTER)


async def _accounting(stack: AsyncExitStack) -> Awaitable[Any]:
    accounting = RadiusAccounting(f"mysql+aiomysql://root@{NAME}/radius", interim_s=300)
    stack.push_async_callback(accounting.close)
    return accounting.connection(LINE)


@pytest.mark.parametrize("use", [_erp, _genieacs, _whatsapp, _sms, _zenvia, _smtp, _accounting])
async def test_a_name_that_nobody_resolves_is_given_up_in_time_and_stops_no_loop(names: NameServer, use: Use) -> None:
    async with AsyncExitStack() as stack:
        asked = await use(stack)
        with pytest.raises((ErpUnavailable, TryLater)):
            async with asyncio.timeout(30):  # its own deadline is a hundredth of this; the name server never answers
                await asked
        assert not names.released.is_set()
        names.released.set()
    assert set(names.asked) == {NAME}
    assert threading.get_ident() not in names.in_threads


async def test_a_nas_that_nobody_finds_stops_no_loop_either(names: NameServer) -> None:
    """pyrad's client asks by itself, so this one waits as long as the machine's resolver does."""
    ending = asyncio.create_task(RadiusReset(Dialled(), secret="s").reset(LINE, key="k"))
    async with asyncio.timeout(30):
        while not names.asked:
            await asyncio.sleep(0)
    assert not ending.done()
    names.released.set()
    with pytest.raises(ErpUnavailable):
        await ending
    assert threading.get_ident() not in names.in_threads
