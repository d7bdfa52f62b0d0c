"""Who wants no messages: by channel and address. Asked again before each message goes out."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import audit, paging, phones, upsert
from ura.erp import SendChannel
from ura.errors import BadInput, NotFound
from ura.models import OptOut
from ura.paging import Page

BY_REPLY = "reply"
LONGEST_ADDRESS = 120  # outbox.to


class OptOutNotFound(NotFound):
    code = "opt-out-not-found"


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody wrote back to a message."""

    channel: SendChannel
    sender: str = field(repr=False)
    text: str = field(repr=False)


def address(channel: SendChannel, written: str) -> str:
    """As it is stored: E.164, or an e-mail address in small letters. Raises BadInput."""
    if channel is SendChannel.EMAIL:
        found = written.strip().lower()
        name, _, domain = found.partition("@")
        sound = name and "." in domain and "@" not in domain and found.isprintable() and " " not in found
        if not sound or len(found) > LONGEST_ADDRESS:
            raise BadInput("This is no e-mail address. Write it as ana@example.com.")
        return found
    if not (phone := phones.to_e164(written)):
        raise BadInput("This is no telephone number. Write it with its area code, as 11933330002.")
    return phone


def masked(channel: SendChannel, target: str) -> str:
    """Enough to tell two apart, not enough to reach one: "+5511*****0002", "a***@example.com"."""
    if channel is not SendChannel.EMAIL:
        return phones.mask(target)
    name, _, domain = target.partition("@")
    return f"{name[:1]}***@{domain}"


async def has_opted_out(session: AsyncSession, *, channel: SendChannel, to: str) -> bool:
    return await session.get(OptOut, (channel, to.lower())) is not None


async def opt_out(session: AsyncSession, *, channel: SendChannel, target: str, by: str, now: datetime) -> OptOut:
    """`target` as `address` gives it. Twice is once: the first line stays. Written down in the audit, masked."""
    if found := await session.get(OptOut, (channel, target)):
        return found
    row = {"id": uuid4().hex, "channel": channel, "target": target, "by": by, "at": now}
    await upsert.add_new(session, OptOut, [row])
    await audit.record(session, actor=by, action="opted-out", subject=masked(channel, target), detail={"on": channel})
    return await session.get_one(OptOut, (channel, target))


async def opt_in(session: AsyncSession, *, channel: SendChannel, target: str, by: str) -> None:
    """Messages may go there again."""
    gone = delete(OptOut).where(OptOut.channel == channel, OptOut.target == target).returning(OptOut.id)
    if await session.scalar(gone) is None:
        return
    await audit.record(session, actor=by, action="opted-in", subject=masked(channel, target), detail={"on": channel})


async def hear(
    session: AsyncSession, reply: Reply, *, stop: Collection[str], start: Collection[str], now: datetime
) -> bool:
    """A reply that is one of the words `stop` or `start`, and nothing else, does it. Returns whether it was."""
    said = _bare(reply.text)
    if said not in {_bare(word) for word in (*stop, *start)}:
        return False
    try:
        target = address(reply.channel, reply.sender)
    except BadInput:
        return False
    if said in {_bare(word) for word in stop}:
        await opt_out(session, channel=reply.channel, target=target, by=BY_REPLY, now=now)
    else:
        await opt_in(session, channel=reply.channel, target=target, by=BY_REPLY)
    return True


async def get_opt_out(session: AsyncSession, opt_out_id: str) -> OptOut:
    found: OptOut | None = await session.scalar(select(OptOut).where(OptOut.id == opt_out_id))
    if found is None:
        raise OptOutNotFound("Nobody with this id is in the list.")
    return found


async def list_opt_outs(
    session: AsyncSession,
    *,
    channel: SendChannel | None = None,
    target: str = "",
    cursor: str = "",
    limit: int = 100,
) -> Page[OptOut]:
    """Newest first."""
    conditions = [OptOut.channel == channel] if channel else []
    conditions += [OptOut.target == target] if target else []
    return await paging.fetch(session, OptOut, conditions, by=(OptOut.at, OptOut.id), cursor=cursor, limit=limit)


def _bare(text: str) -> str:
    """ "Pare!" and " PARE " are the same word."""
    letters = unicodedata.normalize("NFKD", text[:40]).casefold()
    return "".join(sign for sign in letters if sign.isalnum())
