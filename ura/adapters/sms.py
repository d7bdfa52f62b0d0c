"""A text message through any gateway that takes JSON over HTTP: one POST `{"id", "to", "text"}`.

`id` is the message's own: a gateway that was asked twice can tell. Receipts, templates and the gateways with an API of
their own come with the messages of billing.
"""

from typing import Any

import httpx


class SmsRefused(Exception):
    """The gateway will never take this message (4xx): trying again is useless."""


class SmsNotTaken(Exception):
    """No answer, or 5xx: try again later."""


class HttpSms:
    """Deadlines: 5 s in all. Redirects are not followed, answers over 64 KiB not read."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def send(self, *, message_id: str, to: str, text: str) -> None:
        """Return once the gateway said 2xx. Raises SmsRefused or SmsNotTaken, without the number in the message."""
        body: dict[str, Any] = {"id": message_id, "to": to, "text": text}
        try:
            answer = await self._client.post(self._url, json=body, timeout=5, follow_redirects=False)
        except httpx.HTTPError as error:
            raise SmsNotTaken(type(error).__name__) from error
        if answer.is_success:
            return
        failure = SmsRefused if 400 <= answer.status_code < 500 and answer.status_code != 429 else SmsNotTaken
        raise failure(f"HTTP {answer.status_code}")
