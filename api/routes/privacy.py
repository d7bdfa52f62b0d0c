"""What people may ask for about their own data, what must not be erased, and what was purged."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from api.deps import PrivacyManager, SessionDep, WiredDep
from api.errors import described
from api.idempotency import Once, id_for
from api.routes.tickets import KeyReused
from api.schemas import Answer, Cursor, IdempotencyKey, Limit, Listed, Uuid
from ura import legal_holds, people, person_requests, purges
from ura.crypto import CannotOpen, Keyring, Sealed
from ura.errors import BadInput
from ura.models import HoldKind, LegalHold, PersonRequest, PersonRequestKind, PersonRequestState
from ura.people import Person
from ura.person_requests import PersonRequestFilter

router = APIRouter(tags=["privacy"], route_class=Once)

MEDIA_TYPE = "application/zip"


class NewPersonRequest(BaseModel):
    """By a telephone number, or by a document: exactly one. Neither proves who asks; you have made sure of that."""

    kind: PersonRequestKind
    phone: str = Field(default="", max_length=40)
    document: str = Field(default="", max_length=20)
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"kind": "package", "phone": "11933330002"}},
    }


class RowsAnswer(Answer):
    what: str
    rows: int
    kept: int
    why: str
    until: datetime | None


class PersonRequestAnswer(Answer):
    id: str
    kind: PersonRequestKind
    state: PersonRequestState
    about: str
    asked_by: str
    asked_at: datetime
    due_at: datetime
    answered_at: datetime | None
    late: bool
    result: list[RowsAnswer]
    href: str
    sha256: str
    size_bytes: int
    kept_until: datetime | None


class NewHold(BaseModel):
    """A person by `phone` or `document`; a ticket or a recording by its `id`."""

    kind: HoldKind
    id: Annotated[Uuid | None, Field(description="Of the ticket or the recording.")] = None
    phone: str = Field(default="", max_length=40)
    document: str = Field(default="", max_length=20)
    reason: str = Field(min_length=1, max_length=500, description="The lawsuit or complaint, by its number: no names.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "example": {"kind": "person", "phone": "11933330002", "reason": "Processo 0001234-56.2027.8.26.0100"}
        },
    }


class HoldAnswer(Answer):
    id: str
    kind: HoldKind
    subject: str
    reason: str
    set_by: str
    set_at: datetime
    lifted_by: str
    lifted_at: datetime | None


class PurgeAnswer(Answer):
    id: int
    at: datetime
    on_day: date
    kind: str
    rows: int
    previous: str
    hash: str


class PurgeLog(Answer):
    items: list[PurgeAnswer]
    next_before: int | None
    whole: bool | None
    broken_at: int | None


@router.post(
    "/person-requests", status_code=202, summary="Pack or erase what we have of a person", responses=described(409)
)
async def open_person_request(
    actor: PrivacyManager,
    session: SessionDep,
    things: WiredDep,
    response: Response,
    wanted: NewPersonRequest,
    key: IdempotencyKey = None,
) -> PersonRequestAnswer:
    """The worker does it; ask again for how far it is. An erasure tells what the law or a hold keeps, why and until
    when, and goes on by itself when that is over."""
    person = people.named(phone=wanted.phone, document=wanted.document)
    keyring = Keyring.of(things.settings)
    request = await person_requests.ask(
        session,
        request_id=id_for(actor, "person-request", key),
        kind=wanted.kind,
        person=person,
        actor=actor.name,
        keyring=keyring,
        now=datetime.now(UTC),
    )
    if request.kind is not wanted.kind or request.about not in person.abouts(keyring):
        raise KeyReused("This Idempotency-Key was sent before with other contents. Use a new key for a new request.")
    response.headers["Location"] = f"/api/v1/person-requests/{request.id}"
    return shown(request, keyring)


@router.get("/person-requests", summary="List requests of people, newest first", responses=described())
async def list_person_requests(
    _actor: PrivacyManager,
    session: SessionDep,
    things: WiredDep,
    kind: PersonRequestKind | None = None,
    state: PersonRequestState | None = None,
    answered: Annotated[bool | None, Query(description="false: those whose clock runs.")] = None,
    phone: Annotated[str, Query(max_length=40, description="Asked by this number, in any usual form.")] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[PersonRequestAnswer]:
    keyring = Keyring.of(things.settings)
    about = people.named(phone=phone).abouts(keyring) if phone else ()
    wanted = PersonRequestFilter(kind=kind, state=state, about=about, answered=answered)
    page = await person_requests.list_requests(session, filters=wanted, cursor=cursor, limit=limit)
    return Listed(items=[shown(each, keyring) for each in page.items], next_cursor=page.next_cursor)


@router.get("/person-requests/{request_id}", summary="One request of a person", responses=described(404))
async def get_person_request(
    _actor: PrivacyManager, session: SessionDep, things: WiredDep, request_id: str
) -> PersonRequestAnswer:
    return shown(await person_requests.get_request(session, request_id), Keyring.of(things.settings))


@router.get(
    "/person-requests/{request_id}/package",
    summary="The package as a zip file",
    response_class=FileResponse,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The package."}, **described(404, 409)},
)
async def download_package(
    actor: PrivacyManager, session: SessionDep, things: WiredDep, request_id: str
) -> FileResponse:
    """The audit says who took it, each time. Its SHA-256 is in the request."""
    request = await person_requests.get_request(session, request_id)
    file = await person_requests.download(
        session, request, folder=things.settings.packages_dir, actor=actor.name, now=datetime.now(UTC)
    )
    return FileResponse(file, media_type=MEDIA_TYPE, filename=f"dados-{request.id[:8]}.zip")


@router.post("/legal-holds", status_code=201, summary="Keep something from being erased", responses=described(409))
async def set_hold(
    actor: PrivacyManager,
    session: SessionDep,
    things: WiredDep,
    response: Response,
    wanted: NewHold,
    key: IdempotencyKey = None,
) -> HoldAnswer:
    keyring = Keyring.of(things.settings)
    person = _held_person(wanted)
    hold = await legal_holds.set_hold(
        session,
        hold_id=id_for(actor, "legal-hold", key),
        kind=wanted.kind,
        subject=wanted.id or "",
        person=person,
        reason=wanted.reason,
        actor=actor.name,
        keyring=keyring,
        now=datetime.now(UTC),
    )
    subjects = person.abouts(keyring) if person else [wanted.id or ""]
    if (hold.kind, hold.reason) != (wanted.kind, wanted.reason.strip()) or hold.subject not in subjects:
        raise KeyReused("This Idempotency-Key was sent before with other contents. Use a new key for a new hold.")
    response.headers["Location"] = f"/api/v1/legal-holds/{hold.id}"
    return shown_hold(hold, keyring)


@router.get("/legal-holds", summary="List legal holds, newest first", responses=described())
async def list_holds(
    _actor: PrivacyManager,
    session: SessionDep,
    things: WiredDep,
    lifted: Annotated[bool | None, Query(description="false: only those in force.")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Listed[HoldAnswer]:
    keyring = Keyring.of(things.settings)
    page = await legal_holds.list_holds(session, lifted=lifted, cursor=cursor, limit=limit)
    return Listed(items=[shown_hold(each, keyring) for each in page.items], next_cursor=page.next_cursor)


@router.post("/legal-holds/{hold_id}/lift", summary="Nobody needs it any more", responses=described(404))
async def lift_hold(
    actor: PrivacyManager, session: SessionDep, things: WiredDep, hold_id: str, _key: IdempotencyKey = None
) -> HoldAnswer:
    """Lifted again, it stays as it was. What has had its time goes at the worker's next look."""
    hold = await legal_holds.get_hold(session, hold_id)
    await legal_holds.lift(session, hold, actor=actor.name, now=datetime.now(UTC))
    return shown_hold(hold, Keyring.of(things.settings))


@router.get("/purges", summary="What was deleted since its time had come, newest first", responses=described())
async def list_purges(
    _actor: PrivacyManager,
    session: SessionDep,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="Only lines before this one.")] = None,
    check: Annotated[bool, Query(description="Walk the whole chain, and say whether it is whole.")] = False,
    limit: Limit = 50,
) -> PurgeLog:
    lines = await purges.list_purges(session, before_id=before, limit=limit)
    broken = await purges.find_break(session) if check else None
    return PurgeLog(
        items=[PurgeAnswer.model_validate(line) for line in lines],
        next_before=lines[-1].id if len(lines) == limit else None,
        whole=broken is None if check else None,
        broken_at=broken,
    )


def _held_person(wanted: NewHold) -> Person | None:
    if wanted.kind is HoldKind.PERSON:
        if wanted.id:
            raise BadInput("A person is named by `phone` or `document`, not by an id.")
        return people.named(phone=wanted.phone, document=wanted.document)
    if not wanted.id or wanted.phone or wanted.document:
        raise BadInput(f"Give the `id` of the {wanted.kind}, and no `phone` or `document`.")
    return None


def _masked(keyring: Keyring, sealed: Sealed | None) -> str:
    """Enough to know which request it is, for whoever may read all of it anyhow."""
    if sealed is None:
        return ""
    try:
        return people.unseal(keyring, sealed).masked
    except CannotOpen:
        return ""


def shown(request: PersonRequest, keyring: Keyring) -> PersonRequestAnswer:
    now = datetime.now(UTC)
    ready = request.kind is PersonRequestKind.PACKAGE and request.state is PersonRequestState.DONE
    there = ready and request.kept_until is not None and now < request.kept_until
    values: dict[str, Any] = {
        name: getattr(request, name)
        for name in PersonRequestAnswer.model_fields
        if name not in ("about", "late", "href", "result")
    }
    return PersonRequestAnswer(
        **values,
        about=_masked(keyring, request.person),
        late=(request.answered_at or now) > request.due_at,
        result=[RowsAnswer.model_validate(each) for each in request.result],
        href=f"/api/v1/person-requests/{request.id}/package" if there else "",
    )


def shown_hold(hold: LegalHold, keyring: Keyring) -> HoldAnswer:
    answer = HoldAnswer.model_validate(hold)
    if hold.kind is HoldKind.PERSON:
        answer.subject = _masked(keyring, hold.person)
    return answer
