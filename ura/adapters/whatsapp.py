"""WhatsApp through Meta's Cloud API: templates that Meta has approved, with parameters and a document.

POST /{phone id}/messages; the answer's `messages.0.id` is their id. Our own id goes along as `biz_opaque_callback_data`
and comes back in each status, also when the answer to the POST never came. What went wrong is told by `error.code`, not
by the HTTP status. https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

import hmac
from datetime import timedelta
from typing import Any

import httpx

from ura import logs
from ura.adapters.posting import DEADLINE_S, dig, list_at, parsed, post, refuse, retry_after, text_at
from ura.erp import SendChannel
from ura.gateways import NeverTaken, Outgoing, TryLater, UnknownAddress
from ura.models import OutboxState, Problem
from ura.opt_outs import Reply
from ura.receipts import Receipt, Told

NAME = "whatsapp"
LANGUAGE = "pt_BR"
UPLOAD_DEADLINE_S = 15.0
UNKNOWN = frozenset({131026})  # "message undeliverable": mostly a number without WhatsApp
# Throttled, their trouble, our token, our bill, a template that is paused or not approved yet: all of it passes, or
# somebody can repair it while the message waits.
LATER = frozenset(
    {0, 1, 2, 3, 4, 10, 190, 368, 80007, 130429, 131000, 131005, 131016, 131031, 131042, 131048, 131049, 131056, 131057}
    | {132001, 132007, 132015, 132016, 133004, 133010, *range(200, 300)}
)
STATES: dict[str, Told] = {
    "sent": OutboxState.SENT,
    "delivered": OutboxState.DELIVERED,
    "read": OutboxState.READ,
    "played": OutboxState.READ,
    "failed": OutboxState.FAILED,
}


class WhatsApp:
    name = NAME

    def __init__(
        self, client: httpx.AsyncClient, *, url: str, phone_id: str, token: str, deadline_s: float = DEADLINE_S
    ) -> None:
        """`url` with the version: `https://graph.facebook.com/v23.0`. `phone_id`: Meta's id of our number."""
        self._client = client
        self._url = f"{url.rstrip('/')}/{phone_id}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._deadline_s = deadline_s

    async def send(self, message: Outgoing) -> str:
        parts: list[dict[str, Any]] = []
        for document in message.attachments[:1]:  # a template has one header
            media_id = await self._upload(document.name, document.content, document.content_type)
            header = {"type": "document", "document": {"id": media_id, "filename": document.name}}
            parts.append({"type": "header", "parameters": [header]})
        if message.parameters:
            told = [{"type": "text", "text": parameter} for parameter in message.parameters]
            parts.append({"type": "body", "parameters": told})
        answer, body = await post(
            self._client,
            f"{self._url}/messages",
            deadline_s=self._deadline_s,
            headers=self._headers,
            json={
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": message.to.removeprefix("+"),
                "type": "template",
                "template": {"name": message.template, "language": {"code": LANGUAGE}, "components": parts},
                "biz_opaque_callback_data": message.id,
            },
        )
        return self._id_in(answer, body, "messages.0.id")

    async def _upload(self, name: str, content: bytes, content_type: str) -> str:
        try:
            answer, body = await post(
                self._client,
                f"{self._url}/media",
                deadline_s=max(self._deadline_s, UPLOAD_DEADLINE_S),
                headers=self._headers,
                data={"messaging_product": "whatsapp", "type": content_type},
                files={"file": (name, content, content_type)},
            )
            return self._id_in(answer, body, "id")
        except TryLater as trouble:  # the document may be there; the message surely is not
            raise TryLater(str(trouble), after=trouble.after) from trouble

    def _id_in(self, answer: httpx.Response, body: bytes, path: str) -> str:
        said = parsed(body)
        code = dig(said, "error.code")
        if isinstance(code, int):
            details = text_at(said, "error.error_data.details") or text_at(said, "error.message")
            raise _refusal(code, f"{code} {logs.redact(details)}"[:300], retry_after(answer), answer.status_code)
        refuse(answer)
        found = text_at(said, path)
        if not found:
            raise TryLater("the answer has no id", maybe_taken=True)
        return found[:200]


def _refusal(code: int, words: str, after: timedelta | None, status: int) -> Exception:
    if code in UNKNOWN:
        return UnknownAddress(words)
    if code in LATER or status >= 500:
        return TryLater(words, after=after)
    return NeverTaken(words)


def signature_is_right(app_secret: str, body: bytes, header: str) -> bool:
    """`X-Hub-Signature-256: sha256=…` over the very bytes that came."""
    wanted = "sha256=" + hmac.new(app_secret.encode(), body, "sha256").hexdigest()
    return hmac.compare_digest(wanted.encode(), header.encode())


def read_hook(data: Any) -> list[Receipt | Reply]:
    """Many accounts, changes, statuses and messages in one body."""
    told: list[Receipt | Reply] = []
    for entry in list_at(data, "entry"):
        for change in list_at(entry, "changes"):
            if text_at(change, "field") == "messages":
                told += [
                    _receipt(each) for each in list_at(change, "value.statuses") if text_at(each, "status") in STATES
                ]
                told += [_reply(each) for each in list_at(change, "value.messages")]
    return told


def _receipt(status: Any) -> Receipt:
    code = dig(status, "errors.0.code")
    words = text_at(status, "errors.0.error_data.details") or text_at(status, "errors.0.title")
    return Receipt(
        NAME,
        STATES[text_at(status, "status")],
        provider_id=text_at(status, "id")[:200],
        message_id=text_at(status, "biz_opaque_callback_data"),
        problem=Problem.UNKNOWN_ADDRESS if code in UNKNOWN else Problem.UNDELIVERED,
        detail=logs.redact(f"{code or ''} {words}".strip())[:300],
    )


def _reply(message: Any) -> Reply:
    """A text, or the button of a template."""
    text = text_at(message, "text.body") or text_at(message, "button.text")
    return Reply(SendChannel.WHATSAPP, text_at(message, "from"), text)
