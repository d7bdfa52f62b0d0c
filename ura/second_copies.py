"""What does whoever follows the link of a text message get? The second copy as it stands now, as a document.

Looked up when it is opened: nothing is kept for it, and an invoice that was paid meanwhile is no longer there.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import structlog

from ura import invoice_copies, outbox
from ura.db import Sessions
from ura.erp import Erp
from ura.errors import BadInput, NotFound, UraError
from ura.invoice_links import InvoiceLinks
from ura.messages import InvoiceToSend

log = structlog.get_logger(__name__)

OPENINGS = 10  # of one link, in WINDOW: a telephone asks twice, and again when the page is turned
WRONG = 60  # from one source: behind a proxy that is everybody, so who has a right link is never counted here
WINDOW = timedelta(minutes=10)
AT_ONCE = 2  # a page is drawn by the processor that also answers the panel


class NoSuchCopy(NotFound):
    """Wrong, ended, paid, deleted: whoever guesses cannot tell."""

    code = "no-such-copy"


class TooOften(UraError):
    code = "too-often"
    http_status = 429


@dataclass(frozen=True, slots=True)
class Document:
    due_on: date
    pdf: bytes = field(repr=False)


class Limit:
    """At most `most` in `window` for each key, counted in memory; of very many keys the one not seen longest goes."""

    def __init__(self, most: int, window: timedelta, *, remembered: int = 10_000) -> None:
        self._most = most
        self._window = window
        self._remembered = remembered
        self._seen: OrderedDict[str, deque[datetime]] = OrderedDict()

    def take(self, key: str, now: datetime) -> bool:
        """False: that was one too many."""
        seen = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        while seen and seen[0] <= now - self._window:
            seen.popleft()
        if len(seen) >= self._most:
            return False
        seen.append(now)
        return True


def utc_now() -> datetime:
    return datetime.now(UTC)


class SecondCopies:
    """One a process. `payee`: who stands on the page as the one who is paid."""

    def __init__(
        self,
        sessions: Sessions,
        erp: Erp,
        links: InvoiceLinks,
        *,
        payee: str,
        zone: tzinfo,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._sessions = sessions
        self._erp = erp
        self._links = links
        self._payee = payee
        self._zone = zone
        self._now = now
        self._openings = Limit(OPENINGS, WINDOW)
        self._wrong = Limit(WRONG, WINDOW)
        self._drawing = asyncio.Semaphore(AT_ONCE)

    async def open(self, token: str, *, source: str) -> Document:
        """`source`: who asks, as far as we can tell. Raises NoSuchCopy, TooOften, ErpUnavailable."""
        now = self._now()
        message_id = self._links.find_message_id(token, now)
        if message_id is None:
            if not self._wrong.take(source, now):
                raise TooOften("Too many links that are none. Wait ten minutes.")
            raise NoSuchCopy("There is nothing here, or no longer.")
        if not self._openings.take(message_id, now):
            raise TooOften("This link was opened too often. Wait ten minutes.")
        try:
            copy = await self._copy(message_id, now)
        except (BadInput, NotFound) as error:
            log.info("the link of an invoice leads nowhere", message_id=message_id, reason=error.code)
            raise NoSuchCopy("There is nothing here, or no longer.") from error
        log.info("an invoice was opened by its link", message_id=message_id)
        return Document(copy.due_on, copy.pdf)

    async def _copy(self, message_id: str, now: datetime) -> InvoiceToSend:
        async with self._sessions() as session:
            message = await outbox.get_message(session, message_id)
        wanted: dict[str, Any] = dict(message.payload)
        if message.kind != "invoice" or message.forgotten_at is not None:
            raise BadInput("this message tells of no invoice, or no longer")
        today = now.astimezone(self._zone).date()
        copy = await invoice_copies.find_copy(self._erp, wanted, today=today)
        async with self._drawing:
            with_document = await asyncio.to_thread(_with_document)
            copy = await with_document(copy, self._erp, wanted, payee=self._payee, today=today)
        if not copy.pdf:
            raise BadInput("there is nothing of this invoice that could stand on a page")
        return copy


def _with_document() -> Callable[..., Awaitable[InvoiceToSend]]:
    """Not at the top: what draws a page costs the API 36 MB and half a second, and most never draw one."""
    from ura.invoice_documents import with_document

    return with_document
