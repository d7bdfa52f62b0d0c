"""SMS through Zenvia's API v2.

POST /v2/channels/sms/messages with `X-API-TOKEN`; 200 means "accepted", how it went comes by webhook. The message's own
id goes along as `externalId` and comes back in each status. 409 DUPLICATED: they have it already.
https://zenvia.github.io/zenvia-openapi-spec/v2/
"""

from typing import Any

import httpx

from ura import logs
from ura.adapters.posting import DEADLINE_S, list_at, parsed, post, refuse, text_at
from ura.erp import SendChannel
from ura.gateways import Outgoing, UnknownAddress
from ura.models import OutboxState, Problem
from ura.opt_outs import Reply
from ura.receipts import Receipt, Told

NAME = "zenvia"
STATES: dict[str, Told] = {
    "SENT": OutboxState.SENT,
    "DELIVERED": OutboxState.DELIVERED,
    "READ": OutboxState.READ,
    "CLICKED": OutboxState.READ,
    "REJECTED": OutboxState.FAILED,
    "NOT_DELIVERED": OutboxState.FAILED,
}


class Zenvia:
    name = NAME

    def __init__(
        self, client: httpx.AsyncClient, *, url: str, token: str, sender: str, deadline_s: float = DEADLINE_S
    ) -> None:
        """`url`: `https://api.zenvia.com`. `sender`: the id that Zenvia gave to this account's SMS channel."""
        self._client = client
        self._url = f"{url.rstrip('/')}/v2/channels/sms/messages"
        self._headers = {"X-API-TOKEN": token}
        self._sender = sender
        self._deadline_s = deadline_s

    async def send(self, message: Outgoing) -> str:
        answer, body = await post(
            self._client,
            self._url,
            deadline_s=self._deadline_s,
            headers=self._headers,
            json={
                "from": self._sender,
                "to": message.to.removeprefix("+"),
                "externalId": message.id,
                "contents": [{"type": "text", "text": message.text}],
            },
        )
        said = parsed(body)
        if answer.status_code == 409:
            return ""
        if answer.status_code == 400 and any(text_at(each, "path") == "to" for each in list_at(said, "details")):
            raise UnknownAddress("VALIDATION_ERROR to")
        refuse(answer, f"{text_at(said, 'code')} {text_at(said, 'message')}")
        return text_at(said, "id")[:200]


def read_hook(data: Any) -> list[Receipt | Reply]:
    """One event: MESSAGE_STATUS, or MESSAGE with what somebody wrote back."""
    if text_at(data, "type") == "MESSAGE_STATUS":
        code = text_at(data, "messageStatus.code")
        if code not in STATES:
            return []
        cause = text_at(data, "messageStatus.causes.0.details") or text_at(data, "messageStatus.description")
        return [
            Receipt(
                NAME,
                STATES[code],
                provider_id=(text_at(data, "message.id") or text_at(data, "messageId"))[:200],
                message_id=text_at(data, "message.externalId"),
                problem=Problem.UNDELIVERED,
                detail=logs.redact(f"{code} {cause}")[:300],
            )
        ]
    if text_at(data, "type") == "MESSAGE" and text_at(data, "message.direction") == "IN":
        channel = {"sms": SendChannel.SMS, "whatsapp": SendChannel.WHATSAPP}.get(text_at(data, "message.channel"))
        texts = [text_at(each, "text") for each in list_at(data, "message.contents")]
        if channel and texts:
            return [Reply(channel, text_at(data, "message.from"), " ".join(texts))]
    return []
