"""One delivery to a webhook: signed by Standard Webhooks, posted through the guarded network."""

from datetime import UTC, datetime, timedelta

import httpx
from standardwebhooks import Webhook as Signer

from ura.adapters.posting import DEADLINE_S, post, retry_after
from ura.gateways import TryLater

GONE = 410


class NotTaken(Exception):
    """Anything but 2xx, in words for whoever looks at the list. `status` None: there was no answer."""

    def __init__(self, message: str, *, status: int | None = None, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.after = after


class WebhookPost:
    """Takes a client of ura/adapters/outbound_http.py."""

    def __init__(self, client: httpx.AsyncClient, *, deadline_s: float = DEADLINE_S) -> None:
        self._client = client
        self._deadline_s = deadline_s

    async def __call__(self, url: str, *, secret: str, message_id: str, body: str, now: datetime) -> int:
        """The status of an answer that said yes. Raises NotTaken. Each try is signed with its own moment, so that a
        receiver can refuse what somebody recorded and plays again."""
        moment = now.astimezone(UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": "prosa",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Signer(secret).sign(message_id, moment, body),
        }
        try:
            answer, _ = await post(
                self._client, url, deadline_s=self._deadline_s, content=body.encode(), headers=headers
            )
        except TryLater as trouble:
            cause = trouble.__cause__
            why = f": {cause}" if isinstance(cause, httpx.ConnectError) else ""
            raise NotTaken(f"{trouble}{why}"[:300]) from trouble
        if not answer.is_success:
            status = answer.status_code
            raise NotTaken(f"HTTP {status}", status=status, after=retry_after(answer))
        return answer.status_code
