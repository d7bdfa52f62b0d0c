"""Our own book of trust unlocks, for a system that counts none (MK-Auth): `UnlockLedger` of ura.adapters.erp.mkauth."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from ura import billing
from ura.billing import Policy
from ura.db import Sessions
from ura.erp import Answer, ErpUnavailable, Invoice, Reply, Unlock, UnlockVerdict
from ura.models import TrustUnlock

OpenInvoices = Callable[[str], Awaitable[Reply[tuple[Invoice, ...]]]]


class Ledger:
    """`source`: whose contracts. `asks`: that system's open invoices, for the age of the debt; set after it is made,
    since each needs the other. Raises ErpUnavailable when our database does not answer: unwritten, nothing is done."""

    asks: OpenInvoices

    def __init__(
        self,
        sessions: Sessions,
        policy: Policy,
        *,
        source: str,
        zone: ZoneInfo,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._sessions = sessions
        self._policy = policy
        self._source = source
        self._zone = zone
        self._clock = clock or (lambda: datetime.now(UTC))

    async def may(self, contract_id: str) -> Unlock:
        """ALLOWED, or why not by our rules. Whether the contract is blocked at all, the system knows."""
        now = self._now()
        used = await self._used(contract_id, now)
        if used:
            return _refusal(used, now)
        reply = await self.asks(contract_id)
        invoices = reply.value if isinstance(reply, Answer) else ()
        oldest = min((invoice.due_on for invoice in invoices), default=now.date())
        if now.date() - oldest > timedelta(days=self._policy.oldest_debt_days):
            return Unlock(UnlockVerdict.POLICY_REFUSED)
        return Unlock(UnlockVerdict.ALLOWED)

    async def running(self, contract_id: str) -> datetime | None:
        """Until when one of ours holds. Asks nobody else."""
        now = self._now()
        used = await self._used(contract_id, now)
        return used.until if used and used.until > now else None

    async def find(self, key: str) -> Unlock | None:
        try:
            async with self._sessions() as session:
                done = await billing.find_wish(session, key)
        except (SQLAlchemyError, OSError) as error:
            raise _away(error) from error
        return _granted(done) if done else None

    async def write(self, contract_id: str, key: str) -> Unlock:
        """GRANTED; or why not, when another wish was faster by a moment."""
        now = self._now()
        try:
            async with self._sessions.begin() as session:
                written = await billing.write_unlock(
                    session,
                    wish=key,
                    source=self._source,
                    contract_ref=contract_id,
                    now=now,
                    today=now.date(),
                    policy=self._policy,
                )
        except (SQLAlchemyError, OSError) as error:
            raise _away(error) from error
        return _granted(written) if written.wish == key else _refusal(written, now)

    async def strike(self, key: str) -> None:
        try:
            async with self._sessions.begin() as session:
                await billing.strike_unlock(session, key)
        except (SQLAlchemyError, OSError) as error:
            raise _away(error) from error

    async def _used(self, contract_id: str, now: datetime) -> TrustUnlock | None:
        try:
            async with self._sessions() as session:
                running = await billing.running_unlock(session, source=self._source, contract_ref=contract_id, now=now)
                return running or await billing.find_unlock(
                    session, source=self._source, contract_ref=contract_id, period=billing.period_of(now.date())
                )
        except (SQLAlchemyError, OSError) as error:
            raise _away(error) from error

    def _now(self) -> datetime:
        return self._clock().astimezone(self._zone)


def _granted(unlock: TrustUnlock) -> Unlock:
    return Unlock(UnlockVerdict.GRANTED, unlock.until, unlock.protocol)


def _refusal(unlock: TrustUnlock, now: datetime) -> Unlock:
    runs = unlock.until > now
    verdict = UnlockVerdict.ALREADY_ACTIVE if runs else UnlockVerdict.USED_THIS_PERIOD
    return Unlock(verdict, unlock.until if runs else None)


def _away(error: Exception) -> ErpUnavailable:
    return ErpUnavailable(f"the ledger of unlocks did not answer: {type(error).__name__}")
