"""Where gateways tell what became of a message, and what people wrote back.

Whoever asks proves first that it is the gateway; of what it sends at most so much is read. What is told twice, or is
about nothing of ours, is answered 200 like the rest: a gateway that is told "no" sends it again for a day.
"""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse

from api.deps import Rule, SessionDep, Wired, WiredDep
from ura import messages, opt_outs, receipts
from ura.adapters import sms, whatsapp, zenvia
from ura.adapters.sms import SmsApi
from ura.errors import BadInput, UraError
from ura.opt_outs import Reply
from ura.receipts import Receipt

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/hooks", include_in_schema=False)

LARGEST_FROM_META = 3 * 1024 * 1024  # Meta's own limit: up to a thousand changes in one body
LARGEST = 64 * 1024
SIGNATURE = "X-Hub-Signature-256"
SHARED_WORD = "X-Prosa-Secret"


class NotSigned(UraError):
    code = "bad-signature"
    http_status = 401


class TooLarge(UraError):
    code = "too-large"
    http_status = 413


@dataclass(frozen=True)
class SignedByMeta(Rule):
    """The body, once its signature is right."""

    async def __call__(self, request: Request, things: WiredDep) -> bytes:
        secret = things.settings.whatsapp_app_secret.get_secret_value()
        signature = request.headers.get(SIGNATURE, "")
        if not secret or not signature:
            raise NotSigned("This address is for Meta, which signs what it sends.")
        body = await _read(request, LARGEST_FROM_META)
        if not whatsapp.signature_is_right(secret, body, signature):
            raise NotSigned("The signature is not the one of this app.")
        return body


@dataclass(frozen=True)
class KnowsTheWord(Rule):
    """Meta's question when the webhook is entered there; the answer is what it asked us to say."""

    async def __call__(
        self,
        things: WiredDep,
        mode: Annotated[str, Query(alias="hub.mode", max_length=20)] = "",
        word: Annotated[str, Query(alias="hub.verify_token", max_length=200)] = "",
        challenge: Annotated[str, Query(alias="hub.challenge", max_length=200)] = "",
    ) -> str:
        wanted = things.settings.whatsapp_verify_token.get_secret_value()
        if not wanted or mode != "subscribe" or not _same(word, wanted):
            raise NotSigned("This address is for Meta's webhook.")
        return challenge


@dataclass(frozen=True)
class KnowsTheSecret(Rule):
    """The body, once the secret is right: in a header, or in the address for gateways that can send no header."""

    setting: str

    async def __call__(
        self, request: Request, things: WiredDep, secret: Annotated[str, Query(max_length=200)] = ""
    ) -> bytes:
        wanted: str = getattr(things.settings, self.setting).get_secret_value()
        given = request.headers.get(SHARED_WORD) or secret
        if not wanted or not _same(given, wanted):
            raise NotSigned("This address is for the gateway, which knows a secret.")
        return await _read(request, LARGEST)


@router.get("/whatsapp", response_class=PlainTextResponse)
async def answer_meta(challenge: Annotated[str, Depends(KnowsTheWord())]) -> str:
    return challenge


@router.post("/whatsapp")
async def hear_whatsapp(session: SessionDep, body: Annotated[bytes, Depends(SignedByMeta())]) -> dict[str, int]:
    return await _hear(session, whatsapp.read_hook(_json(body)))


@router.post("/zenvia")
async def hear_zenvia(
    session: SessionDep, body: Annotated[bytes, Depends(KnowsTheSecret("zenvia_hook_secret"))]
) -> dict[str, int]:
    return await _hear(session, zenvia.read_hook(_json(body)))


@router.post("/sms")
async def hear_sms(
    session: SessionDep, things: WiredDep, body: Annotated[bytes, Depends(KnowsTheSecret("sms_hook_secret"))]
) -> dict[str, int]:
    return await _hear(session, sms.read_hook(_sms_api(things), _json(body)))


async def _hear(session: SessionDep, told: Sequence[Receipt | Reply]) -> dict[str, int]:
    now = datetime.now(UTC)
    known = 0
    for each in told:
        if isinstance(each, Receipt):
            known += await receipts.apply(session, each, now=now)
        else:
            words = {"stop": messages.stop_words(), "start": messages.start_words()}
            known += await opt_outs.hear(session, each, now=now, **words)
    log.info("a gateway told", told=len(told), new=known)
    return {"told": len(told)}


def _sms_api(things: Wired) -> SmsApi:
    return SmsApi.from_settings(things.settings)


async def _read(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise TooLarge(f"Send at most {most} bytes at once.")
    return bytes(body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput("Send JSON.") from error


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
