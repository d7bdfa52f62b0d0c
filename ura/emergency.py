"""Is there something that every caller must hear of first? Begun and ended with one touch, in the panel, through the
API or with a PIN on a telephone of ours; over by itself after a while, so that nobody forgets it."""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit
from ura.db import Sessions
from ura.errors import BadInput, Unavailable
from ura.models import Emergency, EmergencyPin
from ura.prompts import clean_name, name_key

SHIPPED_PROMPT = "emergency.general"
LONGEST = timedelta(hours=24)
LONGEST_TEXT = 400
PIN = re.compile(r"[0-9]{4,12}", re.ASCII)
MOST_TRIES = 5
LOCKED_FOR = timedelta(minutes=30)
DESK_WITHIN_S = 3.0
_ONE = 1


async def begin(
    session: AsyncSession, *, by: str, now: datetime, lasts: timedelta, text: str = "", to_person: bool = False
) -> Emergency:
    """One that is on ends with this. `text`: what is said instead of the shipped sentence, once it is rendered (whoever
    opened the transaction sees to that). Raises BadInput."""
    if not timedelta(0) < lasts <= LONGEST:
        raise BadInput("An emergency lasts from one minute to 24 hours.")
    text = clean_name(text)
    if len(text) > LONGEST_TEXT:
        raise BadInput(f"At most {LONGEST_TEXT} characters: longer than that nobody listens.")
    await end(session, by=by, now=now)
    begun = Emergency(
        id=uuid4().hex,
        text=text,
        prompt_key=name_key(text) if text else SHIPPED_PROMPT,
        to_person=to_person,
        began_by=by,
        began_at=now,
        until_at=now + lasts,
    )
    session.add(begun)
    await session.flush()
    detail = {"text": text, "to_person": to_person, "minutes": round(lasts / timedelta(minutes=1))}
    await audit.record(session, actor=by, action="emergency.begin", subject=begun.id, detail=detail, at=now)
    return begun


async def end(session: AsyncSession, *, by: str, now: datetime) -> bool:
    """False: none was on."""
    found = await find_current(session, now=now)
    if found is None:
        return False
    found.ended_at, found.ended_by = now, by
    await session.flush()
    await audit.record(session, actor=by, action="emergency.end", subject=found.id, detail={}, at=now)
    return True


async def find_current(session: AsyncSession, *, now: datetime) -> Emergency | None:
    current = select(Emergency).where(Emergency.ended_at.is_(None), Emergency.until_at > now)
    found: Emergency | None = await session.scalar(current.order_by(Emergency.began_at.desc()).limit(1))
    return found


# -- the PIN ----------------------------------------------------------------------------------------------------------


async def set_pin(session: AsyncSession, pin: str, *, by: str, now: datetime) -> None:
    """An empty one takes the PIN away: then no telephone can begin or end one. Raises BadInput."""
    if pin and not PIN.fullmatch(pin):
        raise BadInput("A PIN has 4 to 12 digits.")
    found = await session.get(EmergencyPin, _ONE)
    if found is not None:
        await session.delete(found)
        await session.flush()
    if pin:
        hashed = await asyncio.to_thread(_hash, pin, secrets.token_bytes(16))
        session.add(EmergencyPin(id=_ONE, hashed=hashed, set_by=by, set_at=now, tries=0))
        await session.flush()
    await audit.record(session, actor=by, action="emergency.pin", subject="pin", detail={"set": bool(pin)}, at=now)


async def has_pin(session: AsyncSession) -> bool:
    return await session.get(EmergencyPin, _ONE) is not None


async def check_pin(session: AsyncSession, keyed: str, *, by: str, now: datetime) -> bool:
    """After MOST_TRIES wrong ones in a row, from whichever telephone, none is right for LOCKED_FOR. The caller commits,
    the wrong ones too: they are counted."""
    found = await session.get(EmergencyPin, _ONE, with_for_update=True)
    if found is None or (found.locked_until is not None and found.locked_until > now):
        return False
    is_pin = PIN.fullmatch(keyed) is not None
    if is_pin and await asyncio.to_thread(_is_right, keyed, found.hashed):
        found.tries, found.locked_until = 0, None
        return True
    found.tries += 1
    if found.tries >= MOST_TRIES:
        found.tries, found.locked_until = 0, now + LOCKED_FOR
        detail = {"minutes": round(LOCKED_FOR / timedelta(minutes=1))}
        await audit.record(session, actor=by, action="emergency.pin-locked", subject="pin", detail=detail, at=now)
    return False


def _hash(pin: str, salt: bytes) -> str:
    """scrypt with 4 MiB: a call checks it, and the phone door has no memory for more. So few digits are kept from
    guessing by MOST_TRIES, not by this."""
    return f"{salt.hex()}.{hashlib.scrypt(pin.encode(), salt=salt, n=2**12, r=8, p=1).hex()}"


def _is_right(keyed: str, hashed: str) -> bool:
    salt = bytes.fromhex(hashed.partition(".")[0])
    return hmac.compare_digest(_hash(keyed, salt), hashed)


# -- by telephone -----------------------------------------------------------------------------------------------------


class Desk:
    """What a telephone of ours asks for, each in a transaction of its own, within DESK_WITHIN_S. `lasts`: so long an
    emergency is on that was begun there."""

    def __init__(
        self, sessions: Sessions, *, lasts: timedelta, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._sessions = sessions
        self._lasts = lasts
        self._now = now

    async def is_right(self, keyed: str, *, by: str) -> bool:
        """Raises Unavailable."""
        async with self._transaction() as session:
            return await check_pin(session, keyed, by=by, now=self._now())

    async def switch(self, *, on: bool, by: str) -> None:
        """Raises Unavailable."""
        async with self._transaction() as session:
            if on:
                await begin(session, by=by, now=self._now(), lasts=self._lasts)
            else:
                await end(session, by=by, now=self._now())

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        try:
            async with asyncio.timeout(DESK_WITHIN_S), self._sessions.begin() as session:
                yield session
        except (SQLAlchemyError, OSError) as error:  # of which a timeout is one
            raise Unavailable(f"the emergency could not be reached: {type(error).__name__}") from error
