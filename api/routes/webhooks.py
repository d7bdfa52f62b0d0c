"""Webhooks: other programs that hear what happens, what each was told, and once more what did not arrive."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, JsonValue, StrictBool
from sqlalchemy.ext.asyncio import AsyncSession

from api import etags
from api.deps import SessionDep, WebhookKeeper, WiredDep
from api.errors import Forbidden, described
from api.etags import IfMatch, tagged
from api.idempotency import Once, id_for
from api.schemas import Answer, Cursor, IdempotencyKey, Limit, Listed
from ura import audit, webhooks
from ura.crypto import Keyring
from ura.event_permissions import may_hear
from ura.models import DeliveryState, EventKind, Webhook, WebhookDelivery
from ura.users import Actor
from ura.webhooks import WebhookChange

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=Once)

Url = Annotated[str, Field(max_length=500, description="http or https, without a log-in in it.")]
Kinds = Annotated[list[EventKind], Field(min_length=1, max_length=len(EventKind))]
Description = Annotated[str, Field(max_length=200, description="For people.")]
EXAMPLE: dict[str, JsonValue] = {
    "url": "https://receiver.example/prosa",
    "kinds": ["ticket.opened", "ticket.closed"],
    "description": "Painel da diretoria",
}


class NewWebhook(BaseModel):
    url: Url
    kinds: Kinds
    description: Description = ""
    model_config = {"extra": "forbid", "json_schema_extra": {"example": EXAMPLE}}


class ChangedWebhook(BaseModel):
    """What is left out stays as it is."""

    url: Url | None = None
    kinds: Kinds | None = None
    description: Description | None = None
    active: StrictBool | None = Field(default=None, description="False: nothing is sent, nor kept for it.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"active": False}}}


class WebhookAnswer(Answer):
    id: str
    url: str
    kinds: list[EventKind]
    description: str
    active: bool
    created_by: str
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(WebhookAnswer):
    secret: str = Field(description="Signs what is sent. Shown now and never again: keep it.")


class DeliveryAnswer(Answer):
    id: str
    event_key: str = Field(description="Sent as `webhook-id`: the same at every try.")
    kind: str = Field(description="What it tells; `webhook.test` for a test.")
    state: DeliveryState
    attempts: int = Field(description="How often it was tried, since it was last sent again.")
    status: int | None = Field(description="HTTP's, of the last answer; null when there was none.")
    last_error: str = Field(description="Why the last try failed; empty when it did not.")
    next_at: datetime | None = Field(description="When it is tried next; null when it is not.")
    created_at: datetime
    delivered_at: datetime | None


class DeliveryDetail(DeliveryAnswer):
    body: str = Field(description="As it is signed and sent.")


@router.get("", summary="List webhooks, newest first", responses=described())
async def list_webhooks(
    actor: WebhookKeeper, session: SessionDep, cursor: Cursor = "", limit: Limit = 50
) -> Listed[WebhookAnswer]:
    page = await webhooks.list_webhooks(session, cursor=cursor, limit=limit)
    return Listed(items=[WebhookAnswer.model_validate(each) for each in page.items], next_cursor=page.next_cursor)


@router.post("", status_code=201, summary="Send events to another program", responses=described(409))
async def create_webhook(
    actor: WebhookKeeper,
    session: SessionDep,
    things: WiredDep,
    response: Response,
    wanted: NewWebhook,
    key: IdempotencyKey = None,
) -> WebhookWithSecret:
    """Of kinds that you may read yourself. Private addresses are refused when an event is sent, unless the installer
    has allowed them: send a test."""
    _check_kinds(actor, wanted.kinds)
    webhook, secret = await webhooks.create_webhook(
        session,
        Keyring.of(things.settings),
        **wanted.model_dump(),
        created_by=actor.name,
        now=datetime.now(UTC),
        webhook_id=id_for(actor, "webhook", key),
    )
    await _note(session, actor, "webhook.create", webhook)
    response.headers["Location"] = f"/api/v1/webhooks/{webhook.id}"
    return WebhookWithSecret(**WebhookAnswer.model_validate(webhook).model_dump(), secret=secret)


@router.get("/{webhook_id}", summary="One webhook", responses=described(404))
async def get_webhook(actor: WebhookKeeper, session: SessionDep, response: Response, webhook_id: str) -> WebhookAnswer:
    return tagged(response, await _answer(session, webhook_id))


@router.patch("/{webhook_id}", summary="Change a webhook, or switch it off", responses=described(404, 412))
async def change_webhook(
    actor: WebhookKeeper,
    session: SessionDep,
    response: Response,
    webhook_id: str,
    wanted: ChangedWebhook,
    if_match: IfMatch = None,
) -> WebhookAnswer:
    """What waits goes to the new address. Switched on again, it hears what happens from then on, and what waited."""
    await etags.check(session, if_match, f"webhook {webhook_id}", lambda: _answer(session, webhook_id))
    webhook = await webhooks.get_webhook(session, webhook_id)
    _check_kinds(actor, wanted.kinds or [])
    change = WebhookChange(**wanted.model_dump())
    changed = await webhooks.change_webhook(session, webhook, change, now=datetime.now(UTC))
    if changed:
        await _note(session, actor, "webhook.change", webhook, changed=changed)
    return tagged(response, WebhookAnswer.model_validate(webhook))


@router.delete("/{webhook_id}", status_code=204, summary="Delete a webhook", responses=described(404))
async def delete_webhook(actor: WebhookKeeper, session: SessionDep, webhook_id: str) -> None:
    """And the list of what it was told, and what it was still to be told."""
    webhook = await webhooks.get_webhook(session, webhook_id)
    await webhooks.delete_webhook(session, webhook)
    await _note(session, actor, "webhook.delete", webhook)


@router.post(
    "/{webhook_id}/test", status_code=201, summary="Send it an event that tells nothing", responses=described(404, 409)
)
async def send_test_event(
    actor: WebhookKeeper, session: SessionDep, webhook_id: str, key: IdempotencyKey = None
) -> DeliveryDetail:
    """At once. Read the delivery a moment later: `state`, `status` and `last_error` say what came of it."""
    webhook = await webhooks.get_webhook(session, webhook_id)
    once = id_for(actor, f"webhook test {webhook_id}", key)
    delivery = await webhooks.send_test(session, webhook, now=datetime.now(UTC), key=once)
    await _note(session, actor, "webhook.test", webhook)
    return _detail(delivery)


@router.get("/{webhook_id}/deliveries", summary="What it was told, newest first", responses=described(404))
async def list_deliveries(
    actor: WebhookKeeper,
    session: SessionDep,
    webhook_id: str,
    state: DeliveryState | None = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[DeliveryAnswer]:
    """With `state=failed`: those that are not tried again by themselves."""
    webhook = await webhooks.get_webhook(session, webhook_id)
    page = await webhooks.list_deliveries(session, webhook, state=state, cursor=cursor, limit=limit)
    return Listed(items=[_delivery(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/{webhook_id}/deliveries/{delivery_id}", summary="One of them, with its body", responses=described(404))
async def get_delivery(actor: WebhookKeeper, session: SessionDep, webhook_id: str, delivery_id: str) -> DeliveryDetail:
    webhook = await webhooks.get_webhook(session, webhook_id)
    return _detail(await webhooks.get_delivery(session, webhook, delivery_id))


@router.post("/{webhook_id}/deliveries/{delivery_id}/again", summary="Send it once more", responses=described(404, 409))
async def send_delivery_again(
    actor: WebhookKeeper, session: SessionDep, webhook_id: str, delivery_id: str, key: IdempotencyKey = None
) -> DeliveryDetail:
    """One more round of tries, at once, with the same `webhook-id`; also of one that arrived."""
    webhook = await webhooks.get_webhook(session, webhook_id)
    delivery = await webhooks.send_again(session, webhook, delivery_id, now=datetime.now(UTC))
    await _note(session, actor, "webhook.again", webhook, delivery=delivery_id)
    return _detail(delivery)


async def _answer(session: AsyncSession, webhook_id: str) -> WebhookAnswer:
    return WebhookAnswer.model_validate(await webhooks.get_webhook(session, webhook_id))


def _delivery(delivery: WebhookDelivery) -> DeliveryAnswer:
    waits = delivery.state is DeliveryState.QUEUED
    return DeliveryAnswer.model_validate(delivery).model_copy(update={"next_at": delivery.next_at if waits else None})


def _detail(delivery: WebhookDelivery) -> DeliveryDetail:
    return DeliveryDetail(**_delivery(delivery).model_dump(), body=delivery.body)


def _check_kinds(actor: Actor, kinds: list[EventKind]) -> None:
    """Nobody may have told to a program what they may not read."""
    if unheard := {kind.value for kind in kinds} - may_hear(actor, kinds):
        raise Forbidden(f"You may not read what these tell of: {', '.join(sorted(unheard))}.")


async def _note(session: AsyncSession, actor: Actor, what: str, webhook: Webhook, **more: object) -> None:
    """Of the address the host only: some receivers have their key in the rest."""
    detail = {"host": urlsplit(webhook.url).hostname, "kinds": webhook.kinds, "active": webhook.active, **more}
    await audit.record(session, actor=actor.name, action=what, subject=webhook.id, detail=detail, at=datetime.now(UTC))
