"""What became of what the caller wanted done? Waited for as long as a call can wait, and only the truth is told."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from ura import erp_requests, outbox
from ura.caller_lookups.callers import Args, Callers, Json

POLL_S, LONGEST_POLL_S = 0.1, 0.5
ANSWER_WITHIN_S = 7.5


async def erp_result(callers: Callers, args: Args) -> dict[str, Json]:
    """`state` "done", "failed", or "queued": not yet, it goes on without the call."""
    request_id = str(args["request_id"])

    async def look() -> dict[str, Json] | None:
        async with callers.house.sessions() as session:
            found = await erp_requests.find_result(session, request_id)
        if found["state"] == "queued":
            return None
        with suppress(SQLAlchemyError):  # then it is told twice
            async with callers.house.sessions.begin() as session:
                await erp_requests.heard(session, request_id)
        return found

    answer = await until(look, wait=callers.wait) or {"state": "queued", "result": None}
    result = answer["result"]
    if isinstance(result, dict) and result.get("until"):
        result = result | {"until": callers.local(datetime.fromisoformat(result["until"]))}
    callers.doubt(str(args.get("subscriber_id")))  # who was unlocked is no longer blocked
    return {"state": answer["state"], "result": result}


async def message_state(callers: Callers, args: Args) -> dict[str, Json]:
    """`state` "sent" only when the gateway confirmed it: of one that answers "accepted" its receipt is waited for, and
    where none can come nobody waits."""
    message_id = str(args["message_id"])

    async def look() -> dict[str, Json] | None:
        async with callers.house.sessions() as session:
            found = await outbox.message_state(session, message_id)
        if found.word == "queued":
            return None
        if found.word == "sent" and not found.confirmed and found.provider in callers.house.confirming:
            return None if callers.house.confirming[found.provider] else {"state": "queued"}
        return {"state": found.word}

    return await until(look, wait=callers.wait) or {"state": "queued"}


async def until(
    look: Callable[[], Awaitable[dict[str, Json] | None]], *, wait: Callable[[float], Awaitable[None]]
) -> dict[str, Json] | None:
    """What `look` finds, as soon as it finds something; None when it took too long for a call."""
    waited_s, pause_s = 0.0, POLL_S
    while (found := await look()) is None and waited_s < ANSWER_WITHIN_S:
        await wait(pause_s)
        waited_s += pause_s
        pause_s = min(LONGEST_POLL_S, pause_s * 1.5)
    return found
