"""A text message through any gateway with an HTTP API: its URL, headers, body and where its answer says what are data.

Filled into URL and body: `{id}`, `{to}` (+5511…), `{digits}` (5511…), `{national}` (11…), `{text}`. `{id}` is the
message's own and the same at every try, and so is the header Idempotency-Key: a gateway that was asked twice can tell.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import httpx

from ura import logs
from ura.adapters.posting import DEADLINE_S, dig, parsed, post, refuse, text_at
from ura.erp import SendChannel
from ura.gateways import NeverTaken, Outgoing, TryLater, UnknownAddress
from ura.models import OutboxState, Problem
from ura.opt_outs import Reply
from ura.receipts import Receipt
from ura.settings import Settings

NAME = "http"
SLOT = re.compile(r"\{(id|to|digits|national|text)\}")
PLAIN_BODY = '{"id": "{id}", "to": "{to}", "text": "{text}"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsApi:
    """How one gateway is spoken to. Paths are `messages.0.id`; words are compared in small letters.

    `body`: JSON, or `a=b&c=d` for a form; empty: a GET, everything in the URL. With `status_path` the gateway's own
    word counts, not only its HTTP status: one of `taken_words` is yes, of `refused_words` never, of `unknown_words`
    "there is no such number"; any other is "try later". Receipts and replies come to the hook, read by the `hook_`
    paths.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: str = PLAIN_BODY
    id_path: str = "id"
    status_path: str = ""
    taken_words: Collection[str] = ()
    refused_words: Collection[str] = ()
    unknown_words: Collection[str] = ()
    hook_id_path: str = "id"
    hook_status_path: str = "status"
    hook_from_path: str = "from"
    hook_text_path: str = "text"
    delivered_words: Collection[str] = ()
    undelivered_words: Collection[str] = ()

    @classmethod
    def from_settings(cls, config: Settings) -> "SmsApi":
        return cls(
            url=config.sms_url,
            headers=json.loads(config.sms_headers.get_secret_value()),
            body=config.sms_body,
            id_path=config.sms_id_path,
            status_path=config.sms_status_path,
            taken_words=_words(config.sms_taken_words),
            refused_words=_words(config.sms_refused_words),
            unknown_words=_words(config.sms_unknown_words),
            hook_id_path=config.sms_hook_id_path,
            hook_status_path=config.sms_hook_status_path,
            hook_from_path=config.sms_hook_from_path,
            hook_text_path=config.sms_hook_text_path,
            delivered_words=_words(config.sms_delivered_words),
            undelivered_words=_words(config.sms_undelivered_words),
        )


class HttpSms:
    name = NAME

    def __init__(self, api: SmsApi, client: httpx.AsyncClient, *, deadline_s: float = DEADLINE_S) -> None:
        self._api = api
        self._client = client
        self._deadline_s = deadline_s

    async def send(self, message: Outgoing) -> str:
        digits = message.to.removeprefix("+")
        slots = {
            "id": message.id,
            "to": message.to,
            "digits": digits,
            "national": digits.removeprefix("55"),
            "text": message.text,
        }
        api = self._api
        answer, body = await post(
            self._client,
            SLOT.sub(lambda found: quote(slots[found[1]], safe=""), api.url),
            method="POST" if api.body else "GET",
            deadline_s=self._deadline_s,
            headers={"Idempotency-Key": message.id, **_kind_of(api.body), **api.headers},
            **_body(api.body, slots),
        )
        said = parsed(body)
        refuse(answer, text_at(said, api.status_path))
        self._judge(text_at(said, api.status_path).lower())
        return text_at(said, api.id_path)[:200]

    def _judge(self, word: str) -> None:
        api = self._api
        if not api.status_path or word in api.taken_words:
            return
        shown = logs.redact(word)[:100] or "nothing"
        if word in api.unknown_words:
            raise UnknownAddress(shown)
        if word in api.refused_words:
            raise NeverTaken(shown)
        raise TryLater(f"the gateway said {shown}", maybe_taken=True)


def _words(written: str) -> frozenset[str]:
    return frozenset(word.strip().lower() for word in written.split(",") if word.strip())


def _body(template: str, slots: Mapping[str, str]) -> dict[str, Any]:
    """The arguments for httpx. Filled in after parsing, so that no text can break out of its place."""
    if not template:
        return {}
    try:
        tree = json.loads(template)
    except ValueError:
        fields = parse_qsl(template, keep_blank_values=True)
        return {"content": urlencode([(name, _filled(value, slots)) for name, value in fields]).encode()}
    return {"json": _filled(tree, slots)}


def _kind_of(template: str) -> dict[str, str]:
    is_form = template and not template.lstrip().startswith(("{", "["))
    return {"Content-Type": "application/x-www-form-urlencoded"} if is_form else {}


def _filled(value: Any, slots: Mapping[str, str]) -> Any:
    match value:
        case str():
            return SLOT.sub(lambda found: slots[found[1]], value)
        case list():
            return [_filled(inner, slots) for inner in value]
        case dict():
            return {name: _filled(inner, slots) for name, inner in value.items()}
        case _:
            return value


def read_hook(api: SmsApi, data: Any) -> list[Receipt | Reply]:
    """A receipt or a reply, alone or in a list. The id in a receipt may be theirs or ours."""
    told: list[Receipt | Reply] = []
    for each in data if isinstance(data, list) else [data]:
        word = text_at(each, api.hook_status_path).lower()
        provider_id = text_at(each, api.hook_id_path)[:200]
        if word in api.delivered_words and provider_id:
            told.append(Receipt(NAME, OutboxState.DELIVERED, provider_id, provider_id))
        elif word in api.undelivered_words and provider_id:
            told.append(Receipt(NAME, OutboxState.FAILED, provider_id, provider_id, Problem.UNDELIVERED, word))
        elif (sender := text_at(each, api.hook_from_path)) and isinstance(dig(each, api.hook_text_path), str):
            told.append(Reply(SendChannel.SMS, sender, text_at(each, api.hook_text_path)))
    return told
