"""Messages leave through a real HTTP server; "sent" is what it confirmed and nothing else."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from ura import outbox
from ura.adapters.sms import HttpSms
from ura.db import Sessions
from ura.models import Call, OutboxMessage, OutboxState, Plan
from ura.models.plan import Audience
from worker.deliveries import Deliveries

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Gateway:
    """A text message gateway: keeps what it was given and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[dict[str, Any]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                gateway.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(gateway.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/sms"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    gateway.close()


async def _plans_wanted(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Call(id="c" * 32, protocol="263260000179", opened_at=NOW))
        session.add(
            Plan(
                id=1,
                audience=Audience.HOME,
                name="Fibra 500",
                speed_mbps=500,
                price=Decimal("1099.90"),
                setup_price=Decimal(0),
                valid_from=NOW.date(),
            )
        )
        await outbox.enqueue(
            session,
            kind="plans",
            to="+5511987654321",
            payload={"plan_ids": [1]},
            now=NOW,
            message_id="d" * 32,
            call_id="c" * 32,
        )


async def _state(sessions: Sessions) -> OutboxMessage:
    async with sessions() as session:
        return await session.get_one(OutboxMessage, "d" * 32)


async def test_the_plans_a_caller_asked_for_arrive_with_price_and_protocol(
    sessions: Sessions, gateway: Gateway
) -> None:
    await _plans_wanted(sessions)
    async with httpx.AsyncClient() as client:
        assert await Deliveries(sessions, HttpSms(gateway.url, client)).step(NOW) == 1
    [message] = gateway.taken
    assert message["to"] == "+5511987654321"
    assert "Fibra 500, 500 mega, R$ 1.099,90 por mês, instalação grátis" in message["text"]
    assert "263260000179" in message["text"]
    assert (await _state(sessions)).state is OutboxState.SENT


async def test_a_gateway_in_trouble_is_tried_again_later_and_then_with_the_same_id(
    sessions: Sessions, gateway: Gateway
) -> None:
    await _plans_wanted(sessions)
    gateway.status = 503
    async with httpx.AsyncClient() as client:
        deliveries = Deliveries(sessions, HttpSms(gateway.url, client))
        await deliveries.step(NOW)
        state = await _state(sessions)
        assert (state.state, state.last_error) == (OutboxState.QUEUED, "HTTP 503")
        assert await deliveries.step(NOW) == 0
        gateway.status = 202
        await deliveries.step(state.next_at + timedelta(seconds=1))
    assert [message["id"] for message in gateway.taken] == ["d" * 32] * 2
    assert (await _state(sessions)).state is OutboxState.SENT


async def test_a_gateway_that_is_gone_loses_nothing(sessions: Sessions, gateway: Gateway) -> None:
    await _plans_wanted(sessions)
    gateway.close()
    async with httpx.AsyncClient() as client:
        await Deliveries(sessions, HttpSms(gateway.url, client)).step(NOW)
    assert (await _state(sessions)).state is OutboxState.QUEUED


@pytest.mark.parametrize("status", [400, 404])
async def test_what_the_gateway_will_never_take_is_shown_as_failed(
    sessions: Sessions, gateway: Gateway, status: int
) -> None:
    await _plans_wanted(sessions)
    gateway.status = status
    async with httpx.AsyncClient() as client:
        await Deliveries(sessions, HttpSms(gateway.url, client)).step(NOW)
    assert (await _state(sessions)).state is OutboxState.FAILED
