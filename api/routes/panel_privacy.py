"""The panel's page of what people ask about their own data, with the day it is due, and of what must not be erased."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import pages
from api.deps import PrivacyManager, SessionDep, Wired, WiredDep
from api.idempotency import id_for
from api.routes import privacy
from ura import legal_holds, people, person_requests
from ura.crypto import Keyring
from ura.errors import BadInput, Refused
from ura.models import HoldKind, PersonRequestKind
from ura.person_requests import PersonRequestFilter

router = APIRouter(prefix="/panel/privacy", include_in_schema=False, default_response_class=HTMLResponse)

HERE = "/panel/privacy"
SHOWN = 100
Written = Annotated[str, Form(max_length=40)]
Once = Annotated[str, Form(max_length=100)]


@router.get("")
async def show_privacy(request: Request, session: SessionDep, things: WiredDep, actor: PrivacyManager) -> Response:
    return await _page(request, session, things)


@router.post("/requests")
async def ask(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: PrivacyManager,
    kind: Annotated[PersonRequestKind, Form()],
    phone: Written = "",
    document: Written = "",
    sure: Annotated[bool, Form()] = False,
    once: Once = "",
) -> Response:
    """An erasure takes two looks: what is gone does not come back."""
    try:
        person = people.named(phone=phone.strip(), document=document.strip())
        if kind is PersonRequestKind.ERASE and not sure:
            raise NotSure("An erasure is confirmed first.")
        await person_requests.ask(
            session,
            request_id=id_for(actor, f"person-request {kind}", once or None),
            kind=kind,
            person=person,
            actor=actor.name,
            keyring=Keyring.of(things.settings),
            now=datetime.now(UTC),
        )
    except BadInput as error:
        written = {"kind": kind.value, "phone": phone, "document": document}
        return await _page(request, session, things, error=error, form="ask", **written)
    return RedirectResponse(HERE, status_code=303)


@router.get("/requests/{request_id}/package", response_class=FileResponse)
async def download(session: SessionDep, things: WiredDep, actor: PrivacyManager, request_id: str) -> FileResponse:
    """The audit says who took it, each time."""
    return await privacy.download_package(actor, session, things, request_id)


@router.post("/holds")
async def hold(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    actor: PrivacyManager,
    phone: Written = "",
    document: Written = "",
    reason: Annotated[str, Form(max_length=500)] = "",
    once: Once = "",
) -> Response:
    try:
        await legal_holds.set_hold(
            session,
            hold_id=id_for(actor, "legal-hold", once or None),
            kind=HoldKind.PERSON,
            subject="",
            person=people.named(phone=phone.strip(), document=document.strip()),
            reason=reason,
            actor=actor.name,
            keyring=Keyring.of(things.settings),
            now=datetime.now(UTC),
        )
    except (BadInput, Refused) as error:
        written = {"reason": reason, "phone": phone, "document": document}
        return await _page(request, session, things, error=error, form="hold", **written)
    return RedirectResponse(HERE, status_code=303)


@router.post("/holds/{hold_id}/lift")
async def lift(session: SessionDep, actor: PrivacyManager, hold_id: str) -> Response:
    found = await legal_holds.get_hold(session, hold_id)
    await legal_holds.lift(session, found, actor=actor.name, now=datetime.now(UTC))
    return RedirectResponse(HERE, status_code=303)


class NotSure(BadInput):
    code = "not-sure"


async def _page(
    request: Request,
    session: AsyncSession,
    things: Wired,
    *,
    error: BadInput | Refused | None = None,
    form: str = "",
    **written: str,
) -> Response:
    """`written`: what stands in the form that was refused."""
    position = await things.broadcaster.position()  # before reading: what comes after it will be told
    keyring = Keyring.of(things.settings)
    asked = await person_requests.list_requests(session, filters=PersonRequestFilter(), limit=SHOWN)
    held = await legal_holds.list_holds(session, lifted=False, limit=SHOWN)
    return pages.page(
        request,
        "privacy.html",
        status=error.http_status if error else 200,
        here="privacy",
        position=position,
        asked=[privacy.shown(each, keyring) for each in asked.items],
        held=[privacy.shown_hold(each, keyring) for each in held.items],
        problem=error.code if error else "",
        asked_in=form,
        written={"kind": "", "phone": "", "document": "", "reason": "", **written},
        once=uuid4().hex,
    )
