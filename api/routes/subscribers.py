"""Subscribers, masked; in full only one by one, with a reason that the audit keeps."""

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from api.call_views import address_for, phone_for
from api.deps import SessionDep, SubscriberReader, SubscriberRevealer, Wired, WiredDep
from api.errors import Forbidden, described
from api.idempotency import Once
from api.records import opened
from api.routes.calls import searched_phone
from api.schemas import Answer, Cursor, Limit, Listed
from ura import audit, documents, subscriber_records
from ura.erp import ContractStatus, Kind
from ura.errors import BadInput, Refused
from ura.models import AccessHow, Audience, RecordKind
from ura.subscriber_records import Record, SubscriberFilter
from ura.users import Actor, Permission

router = APIRouter(prefix="/subscribers", tags=["subscribers"], route_class=Once)

SubscriberId = Annotated[int, Path(ge=1, le=2**63 - 1)]
_MANY_DIGITS = re.compile(r"\d{5}|@")


class KeptElsewhere(Refused):
    code = "subscribers-kept-elsewhere"


class ContractAnswer(Answer):
    number: str
    status: ContractStatus
    plan: str
    segment: Audience
    neighbourhood: str
    city: str
    address: str = Field(description="Street and house; empty without phones:see.")


class SubscriberAnswer(Answer):
    id: int
    name: str
    kind: Kind
    document: str = Field(description="CPF or CNPJ, masked; `reveal` tells it in full.")
    phones: list[str]
    emails: list[str]
    contracts: list[ContractAnswer]


class Reason(BaseModel):
    reason: str = Field(min_length=5, max_length=200, description="For the audit: no numbers of the person.")
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"reason": "Troca de titularidade"}}}


class Revealed(BaseModel):
    id: int
    document: str
    phones: list[str]
    emails: list[str]
    addresses: list[str] = Field(description="Of the contracts, in their order.")


@router.get("", summary="Find subscribers", responses=described(409))
async def list_subscribers(
    actor: SubscriberReader,
    session: SessionDep,
    things: WiredDep,
    document: Annotated[str, Query(max_length=20, description="A whole CPF or CNPJ. Needs subscribers:reveal.")] = "",
    phone: Annotated[str, Query(max_length=40, description="In any usual form. Needs phones:see.")] = "",
    name: Annotated[str, Query(max_length=80, description="How the name begins.")] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[SubscriberAnswer]:
    """Only where our own tables are the provider's system; otherwise look in that system (409)."""
    _check_kept_here(things)
    wanted = SubscriberFilter(document=_searched(actor, document), phone=searched_phone(actor, phone), name=name)
    page = await subscriber_records.list_records(session, things.keyring, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[_answer(actor, record) for record in page.items], next_cursor=page.next_cursor)


@router.get("/{subscriber_id}", summary="One subscriber", responses=described(404, 409))
async def get_subscriber(
    actor: SubscriberReader, session: SessionDep, things: WiredDep, subscriber_id: SubscriberId
) -> SubscriberAnswer:
    """The access log says who opened it."""
    _check_kept_here(things)
    record = await subscriber_records.get_record(session, things.keyring, subscriber_id)
    await opened(session, things, actor, RecordKind.SUBSCRIBER, str(record.id))
    return _answer(actor, record)


@router.post("/{subscriber_id}/reveal", summary="Document and contacts in full", responses=described(404, 409))
async def reveal_subscriber(
    actor: SubscriberRevealer, session: SessionDep, things: WiredDep, subscriber_id: SubscriberId, wanted: Reason
) -> Revealed:
    """Audit and access log say who, and why."""
    _check_kept_here(things)
    if _MANY_DIGITS.search(wanted.reason):
        raise BadInput("Say why in words: the audit keeps no numbers and addresses of a person.")
    record = await subscriber_records.get_record(session, things.keyring, subscriber_id)
    now = datetime.now(UTC)
    await opened(session, things, actor, RecordKind.SUBSCRIBER, str(record.id), how=AccessHow.REVEALED)
    await audit.record(
        session,
        actor=actor.name,
        action="subscriber.reveal",
        subject=f"subscriber {record.id}",
        detail={"reason": wanted.reason},
        at=now,
    )
    return Revealed(
        id=record.id,
        document=record.document,
        phones=list(record.phones),
        emails=list(record.emails),
        addresses=[f"{each.street} {each.house}".strip() for each in record.contracts],
    )


def _check_kept_here(things: Wired) -> None:
    if things.settings.erp != "local":
        raise KeptElsewhere(f"Subscribers are kept in the provider's own system ({things.settings.erp}). Look there.")


def _searched(actor: Actor, document: str) -> str:
    """Whoever may not see a document may not find out by asking either."""
    if not document:
        return ""
    if not actor.may(Permission.SUBSCRIBERS_REVEAL):
        raise Forbidden("Searching by document needs the permission subscribers:reveal.")
    return documents.parse(document)


def _answer(actor: Actor, record: Record) -> SubscriberAnswer:
    sees = actor.may(Permission.PHONES_SEE)
    return SubscriberAnswer(
        id=record.id,
        name=record.name,
        kind=record.kind,
        document=documents.mask(record.document),
        phones=[phone_for(actor, phone) for phone in record.phones],
        emails=[address_for(actor, email) for email in record.emails],
        contracts=[
            ContractAnswer(
                number=each.number,
                status=each.status,
                plan=each.plan,
                segment=each.segment,
                neighbourhood=each.neighbourhood,
                city=each.city,
                address=f"{each.street} {each.house}".strip() if sees else "",
            )
            for each in record.contracts
        ],
    )
