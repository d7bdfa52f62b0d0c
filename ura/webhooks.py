"""Events to other programs, over HTTP, signed (Standard Webhooks 1.0): who hears what, and what is still to be told.

A delivery is written in the transaction that gives an event its number (`spread`), so each event becomes one delivery a
webhook, exactly; it then goes out at least once, always with the same `webhook-id`.
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ura import addresses, domain_events, paging, upsert
from ura.claims import Claims, pause_after
from ura.crypto import Keyring, Sealed
from ura.errors import BadInput, NotFound, Refused
from ura.models import DeliveryState, DomainEvent, EventKind, Webhook, WebhookDelivery
from ura.paging import Page

MOST_ATTEMPTS = 14  # the longest pause, a day, lies before the last, two and a half days after the first
MOST_WEBHOOKS = 50
SECRET_BYTES = 32
TEST = "webhook.test"
KEPT = timedelta(days=30)

_CLAIMS = Claims(WebhookDelivery, waiting=DeliveryState.QUEUED, taken=DeliveryState.SENDING)


class WebhookNotFound(NotFound):
    code = "webhook-not-found"


class DeliveryNotFound(NotFound):
    code = "delivery-not-found"


class TooManyWebhooks(Refused):
    code = "too-many-webhooks"


class WebhookIsOff(Refused):
    code = "webhook-is-off"


class DeliveryNotFailed(Refused):
    code = "delivery-not-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """None: stays as it is."""

    url: str | None = None
    kinds: Collection[str] | None = None
    description: str | None = None
    active: bool | None = None


# -- webhooks ---------------------------------------------------------------------------------------------------------


async def create_webhook(
    session: AsyncSession,
    keyring: Keyring,
    *,
    url: str,
    kinds: Collection[str],
    description: str,
    created_by: str,
    now: datetime,
    webhook_id: str = "",
) -> tuple[Webhook, str]:
    """It and its secret, which is not shown again. By its id: asked twice, the first stays and is given back, with its
    secret. Raises BadInput, TooManyWebhooks."""
    if webhook_id and (known := await session.get(Webhook, webhook_id)) is not None:
        return known, keyring.open(known.secret)
    if (await session.scalar(select(func.count()).select_from(Webhook)) or 0) >= MOST_WEBHOOKS:
        raise TooManyWebhooks(f"There are {MOST_WEBHOOKS} webhooks already. Delete one that nobody needs.")
    secret = "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    webhook = Webhook(
        id=webhook_id or uuid4().hex,
        url=addresses.outward(url),
        kinds=_known(kinds),
        description=description.strip(),
        active=True,
        secret=keyring.seal(secret),
        created_by=created_by,
        created_at=now,
        updated_at=now,
    )
    session.add(webhook)
    await session.flush()
    return webhook, secret


async def change_webhook(session: AsyncSession, webhook: Webhook, change: WebhookChange, *, now: datetime) -> list[str]:
    """Returns the names of what changed. Raises BadInput. What waits goes to the new address; switched off, it waits
    until it is on again, and nothing new is written for it."""
    wanted: dict[str, Any] = {
        "url": change.url and addresses.outward(change.url),
        "kinds": None if change.kinds is None else _known(change.kinds),
        "description": None if change.description is None else change.description.strip(),
        "active": change.active,
    }
    changed = [name for name, value in wanted.items() if value is not None and getattr(webhook, name) != value]
    for name in changed:
        setattr(webhook, name, wanted[name])
    if changed:
        webhook.updated_at = now
        await session.flush()
    return changed


async def delete_webhook(session: AsyncSession, webhook: Webhook) -> None:
    """And all that was told through it, or is still to be."""
    await session.execute(delete(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook.id))
    await session.delete(webhook)
    await session.flush()


async def get_webhook(session: AsyncSession, webhook_id: str) -> Webhook:
    webhook = await session.get(Webhook, webhook_id)
    if webhook is None:
        raise WebhookNotFound("There is no such webhook.")
    return webhook


async def list_webhooks(session: AsyncSession, *, cursor: str = "", limit: int = 100) -> Page[Webhook]:
    """Newest first."""
    return await paging.fetch(session, Webhook, [], by=(Webhook.created_at, Webhook.id), cursor=cursor, limit=limit)


async def reseal(session: AsyncSession, keyring: Keyring) -> int:
    """Secrets that a former key sealed are sealed anew; returns how many."""
    old = [each for each in await session.scalars(select(Webhook)) if not keyring.is_current(each.secret)]
    for webhook in old:
        webhook.secret = Sealed(keyring.seal(keyring.open(webhook.secret)).token)
    await session.flush()
    return len(old)


def _known(kinds: Collection[str]) -> list[str]:
    unknown = set(kinds) - set(EventKind)
    if unknown or not kinds:
        raise BadInput(f"Unknown or no kind {', '.join(sorted(unknown))}. Choose among: {', '.join(EventKind)}.")
    return sorted(set(kinds))


# -- deliveries -------------------------------------------------------------------------------------------------------


async def spread(session: AsyncSession, *, now: datetime, limit: int = 500) -> Sequence[DomainEvent]:
    """Number the new events and write each down for every webhook that wants its kind. Returns the events."""
    new = await domain_events.number_new(session, limit=limit)
    if new:
        hooks = (await session.scalars(select(Webhook).where(Webhook.active))).all()
        rows = [
            _row(hook.id, event.key, event.kind, domain_events.told(event), now=now)
            for event in new
            for hook in hooks
            if event.kind in hook.kinds
        ]
        await upsert.add_new(session, WebhookDelivery, rows)
    return new


async def send_test(session: AsyncSession, webhook: Webhook, *, now: datetime, key: str = "") -> WebhookDelivery:
    """An event that tells nothing, at once. `key`: asked twice with the same, it is one. Raises WebhookIsOff."""
    _check_on(webhook)
    key = key or uuid4().hex
    said = {"id": key, "type": TEST, "timestamp": now.isoformat(), "subject": webhook.id, "data": {}}
    row = _row(webhook.id, key, TEST, said, now=now)
    await upsert.add_new(session, WebhookDelivery, [row])
    return await session.get_one(WebhookDelivery, row["id"])


async def send_again(session: AsyncSession, webhook: Webhook, delivery_id: str, *, now: datetime) -> WebhookDelivery:
    """A person asks for one more round of tries, of one that failed or arrived; one that waits goes at once. The
    receiver sees the same `webhook-id`. Raises WebhookIsOff, DeliveryNotFound, DeliveryNotFailed while it is on its
    way."""
    _check_on(webhook)
    await get_delivery(session, webhook, delivery_id)
    change = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery_id, WebhookDelivery.state != DeliveryState.SENDING)
        .values(state=DeliveryState.QUEUED, attempts=0, next_at=now)
        .returning(WebhookDelivery)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    delivery: WebhookDelivery | None = await session.scalar(change)
    if delivery is None:
        raise DeliveryNotFailed("It is on its way just now. Look again in a moment.")
    return delivery


async def get_delivery(session: AsyncSession, webhook: Webhook, delivery_id: str) -> WebhookDelivery:
    delivery = await session.get(WebhookDelivery, delivery_id)
    if delivery is None or delivery.webhook_id != webhook.id:
        raise DeliveryNotFound("There is no such delivery of this webhook.")
    return delivery


async def list_deliveries(
    session: AsyncSession, webhook: Webhook, *, state: DeliveryState | None = None, cursor: str = "", limit: int = 100
) -> Page[WebhookDelivery]:
    """Newest first. Those that failed are the list for "send again"."""
    conditions = [WebhookDelivery.webhook_id == webhook.id]
    if state is not None:
        conditions.append(WebhookDelivery.state == state)
    by = (WebhookDelivery.created_at, WebhookDelivery.id)
    return await paging.fetch(session, WebhookDelivery, conditions, by=by, cursor=cursor, limit=limit)


async def due(session: AsyncSession, *, now: datetime) -> list[str]:
    """Webhooks, switched on, with something to send now. Read only."""
    waiting = select(WebhookDelivery.webhook_id).where(
        WebhookDelivery.state == DeliveryState.QUEUED, WebhookDelivery.next_at <= now
    )
    query = select(Webhook.id).where(Webhook.active, Webhook.id.in_(waiting)).order_by(Webhook.id)
    return list(await session.scalars(query))


async def claim(
    session: AsyncSession, webhook_id: str, *, worker: str, now: datetime, limit: int
) -> Sequence[WebhookDelivery]:
    """Take deliveries that are due; commit before sending."""
    only = WebhookDelivery.webhook_id == webhook_id
    return await _CLAIMS.claim(session, worker=worker, now=now, limit=limit, only=only)


async def mark_delivered(session: AsyncSession, delivery: WebhookDelivery, *, status: int, now: datetime) -> bool:
    values = {"state": DeliveryState.DELIVERED, "delivered_at": now, "status": status, "last_error": ""}
    return await _CLAIMS.settle(session, delivery, **values)


async def mark_failed(
    session: AsyncSession,
    delivery: WebhookDelivery,
    *,
    error: str,
    now: datetime,
    status: int | None = None,
    after: timedelta | None = None,
) -> bool:
    """Try again later; give up after MOST_ATTEMPTS. `after`: the receiver asked for that much time."""
    if delivery.attempts >= MOST_ATTEMPTS:
        failed = {"state": DeliveryState.FAILED, "last_error": error[:2000], "status": status}
        return await _CLAIMS.settle(session, delivery, **failed)
    pause = max(pause_after(delivery.attempts), after or timedelta(0))
    waits = {"state": DeliveryState.QUEUED, "next_at": now + pause, "last_error": error[:2000], "status": status}
    return await _CLAIMS.settle(session, delivery, **waits)


async def switch_off(session: AsyncSession, webhook_id: str, *, now: datetime) -> bool:
    """The receiver said that it is gone for good (410). False: it was off already."""
    change = (
        update(Webhook)
        .where(Webhook.id == webhook_id, Webhook.active)
        .values(active=False, updated_at=now)
        .returning(Webhook.id)
        .execution_options(synchronize_session=False)
    )
    return await session.scalar(change) is not None


async def release_stale(session: AsyncSession, *, claimed_before: datetime, now: datetime) -> int:
    return await _CLAIMS.release_stale(session, claimed_before=claimed_before, now=now)


async def forget(session: AsyncSession, *, now: datetime, limit: int = 5000) -> int:
    """Delete deliveries older than KEPT, whatever became of them, some at a time. Returns how many."""
    old = select(WebhookDelivery.id).where(
        WebhookDelivery.created_at < now - KEPT, WebhookDelivery.state != DeliveryState.SENDING
    )
    change = delete(WebhookDelivery).where(WebhookDelivery.id.in_(old.limit(limit))).returning(WebhookDelivery.id)
    return len((await session.scalars(change.execution_options(synchronize_session=False))).all())


def _check_on(webhook: Webhook) -> None:
    if not webhook.active:
        raise WebhookIsOff("This webhook is switched off. Switch it on first.")


def _row(webhook_id: str, event_key: str, kind: str, said: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    return {
        "id": sha256(f"{webhook_id}\n{event_key}".encode()).hexdigest()[:32],
        "webhook_id": webhook_id,
        "event_key": event_key,
        "kind": kind,
        "body": json.dumps(said, ensure_ascii=False, separators=(",", ":")),
        "state": DeliveryState.QUEUED,
        "attempts": 0,
        "next_at": now,
        "claimed_by": "",
        "last_error": "",
        "created_at": now,
    }
