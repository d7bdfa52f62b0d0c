"""Gateways report back: only they, in any shape, as often as they like, and never to a 500."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from api.main import build
from api.routes.hooks import LARGEST
from ura import opt_outs, outbox
from ura.db import Sessions
from ura.erp import SendChannel
from ura.models import OutboxMessage, OutboxState
from ura.settings import Settings

ID = "d" * 32
WAMID = "wamid.HBgN"
APP_SECRET, WORD, ZENVIA, SMS = "app-secret", "our-word", "zenvia-secret", "sms-secret"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    given = {
        "whatsapp_app_secret": APP_SECRET,
        "whatsapp_verify_token": WORD,
        "zenvia_hook_secret": ZENVIA,
        "sms_hook_secret": SMS,
    }
    return Settings.model_validate({**settings.model_dump(), **given})


async def sent(sessions: Sessions, provider: str, provider_id: str = WAMID) -> None:
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        await outbox.enqueue(session, kind="protocol", to="+5511987654321", payload={}, now=now, message_id=ID)
        [message] = await outbox.claim(session, worker="w", now=now)
        await outbox.mark_sent(session, message, now=now, provider=provider, provider_id=provider_id)


async def state(sessions: Sessions) -> OutboxState:
    async with sessions() as session:
        return (await session.get_one(OutboxMessage, ID)).state


async def meta(client: AsyncClient, data: Any, *, secret: str = APP_SECRET, header: bytes | None = None) -> Response:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    signed = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = [(b"X-Hub-Signature-256", signed.encode() if header is None else header)]
    return await client.post("/hooks/whatsapp", content=body, headers=headers)


def changes(**value: Any) -> dict[str, Any]:
    return {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}


async def test_meta_tells_delivered_and_read_as_often_as_it_likes(stranger: AsyncClient, sessions: Sessions) -> None:
    await sent(sessions, "whatsapp")
    for status in ("delivered", "delivered", "read", "sent", "delivered"):
        answer = await meta(stranger, changes(statuses=[{"id": WAMID, "status": status}]))
        assert answer.status_code == 200
    assert await state(sessions) is OutboxState.READ


async def test_only_meta_is_believed(stranger: AsyncClient, sessions: Sessions) -> None:
    await sent(sessions, "whatsapp")
    data = changes(statuses=[{"id": WAMID, "status": "read"}])
    assert (await meta(stranger, data, secret="other")).status_code == 401
    assert (await meta(stranger, data, header=b"")).status_code == 401
    assert (await meta(stranger, data, header=b"sha256=\xe9")).status_code == 401
    assert await state(sessions) is OutboxState.SENT


async def test_metas_question_is_answered_to_whom_knows_our_word(stranger: AsyncClient) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": WORD, "hub.challenge": "1158201444"}
    answer = await stranger.get("/hooks/whatsapp", params=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    for wrong in ({"hub.verify_token": "x"}, {"hub.mode": "x"}, {"hub.verify_token": ""}):
        assert (await stranger.get("/hooks/whatsapp", params={**asked, **wrong})).status_code == 401


async def test_somebody_who_writes_pare_gets_no_more(stranger: AsyncClient, sessions: Sessions) -> None:
    message = {"from": "551187654321", "type": "text", "text": {"body": "Pare"}}
    assert (await meta(stranger, changes(messages=[message]))).status_code == 200
    async with sessions() as session:
        assert await opt_outs.has_opted_out(session, channel=SendChannel.WHATSAPP, to="+5511987654321")


async def test_zenvia_and_any_other_gateway_know_a_secret(stranger: AsyncClient, sessions: Sessions) -> None:
    await sent(sessions, "zenvia", "ac81")
    status = {"type": "MESSAGE_STATUS", "message": {"id": "ac81"}, "messageStatus": {"code": "DELIVERED"}}
    for wrong in ({}, {"X-Prosa-Secret": "x"}, {"X-Prosa-Secret": SMS}):
        assert (await stranger.post("/hooks/zenvia", json=status, headers=wrong)).status_code == 401
    assert await state(sessions) is OutboxState.SENT
    told = await stranger.post("/hooks/zenvia", json=status, headers={"X-Prosa-Secret": ZENVIA})
    assert (told.status_code, await state(sessions)) == (200, OutboxState.DELIVERED)


async def test_a_gateway_without_headers_has_the_secret_in_the_address(
    stranger: AsyncClient, sessions: Sessions
) -> None:
    await sent(sessions, "http", "77")
    body = {"id": 77, "status": "Undelivered"}
    assert (await stranger.post("/hooks/sms", params={"secret": "x"}, json=body)).status_code == 401
    assert (await stranger.post("/hooks/sms", params={"secret": SMS}, json=body)).status_code == 200
    assert await state(sessions) is OutboxState.FAILED


async def test_what_is_not_ours_is_answered_and_dropped(stranger: AsyncClient, sessions: Sessions) -> None:
    await sent(sessions, "whatsapp")
    assert (await meta(stranger, changes(statuses=[{"id": "wamid.other", "status": "read"}]))).status_code == 200
    assert await state(sessions) is OutboxState.SENT


async def test_too_much_is_not_read_and_no_json_is_said_to_be_none(stranger: AsyncClient) -> None:
    headers = {"X-Prosa-Secret": SMS}
    assert (await stranger.post("/hooks/sms", content=b" " * (LARGEST + 1), headers=headers)).status_code == 413
    for body in (b"", b"{", b"[" * 50_000, b"\xff\xfe"):
        assert (await stranger.post("/hooks/sms", content=body, headers=headers)).status_code == 422


async def test_without_a_secret_in_the_settings_the_doors_are_shut(settings: Settings, sessions: Sessions) -> None:
    shut = Settings.model_validate(
        {**settings.model_dump(), "whatsapp_app_secret": "", "whatsapp_verify_token": "", "sms_hook_secret": ""}
    )
    async with AsyncClient(transport=ASGITransport(build(shut)), base_url="http://panel.test") as client:
        assert (await meta(client, {}, secret="")).status_code == 401
        asked = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}
        assert (await client.get("/hooks/whatsapp", params=asked)).status_code == 401
        assert (await client.post("/hooks/sms", params={"secret": ""}, json={})).status_code == 401


WORDS = "read failed delivered messages PARE"
NAMES = """entry changes field value statuses messages id status errors code from text body type messageStatus message
direction channel contents biz_opaque_callback_data"""
text = st.text(max_size=20) | st.sampled_from([*WORDS.split(), WAMID, "\0", "\ud800"])
names = st.sampled_from(NAMES.split())
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@effort(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=anything, status=anything)
async def test_whatever_a_gateway_sends_it_is_never_our_failure(stranger: AsyncClient, data: Any, status: Any) -> None:
    for each in (data, changes(statuses=[status, {"id": status, "status": "failed"}], messages=[status])):
        body = json.dumps(each).encode()
        assert (await meta(stranger, body)).status_code == 200
        for path, secret in (("/hooks/zenvia", ZENVIA), ("/hooks/sms", SMS)):
            answer = await stranger.post(path, content=body, headers={"X-Prosa-Secret": secret})
            assert answer.status_code == 200
