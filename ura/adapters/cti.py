"""One push to a helpdesk's caller list: a form by POST, within posting.py's limits."""

from collections.abc import Mapping

import httpx

from ura.adapters.posting import DEADLINE_S, post, refuse


class CtiPush:
    """`url` with the helpdesk's own token in it. Takes a client of ura/adapters/outbound_http.py."""

    def __init__(self, client: httpx.AsyncClient, url: str, *, deadline_s: float = DEADLINE_S) -> None:
        self._client = client
        self._url = url
        self._deadline_s = deadline_s

    async def __call__(self, fields: Mapping[str, str]) -> None:
        """Raises TryLater, NeverTaken."""
        answer, _ = await post(self._client, self._url, deadline_s=self._deadline_s, data=dict(fields))
        refuse(answer)
