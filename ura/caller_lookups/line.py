"""What is with the line? Its diagnosis, whether a reset helped, an outage where the caller lives."""

from datetime import timedelta

from ura import outages
from ura.caller_lookups.callers import Args, Callers, Json
from ura.network import OutageFacts, Verdict
from ura.prompts import name_key

LOOK_AGAIN_S = 2.0
RESET_TOOK = timedelta(seconds=30)
UP = (Verdict.GOOD, Verdict.WEAK)


async def diagnose(callers: Callers, args: Args) -> dict[str, Json]:
    known, contract = await callers.get_contract(args)
    found = await callers.house.network.diagnose(contract, as_of=known.as_of)
    return {
        "verdict": found.verdict.value,
        "signal": found.signal.value,
        "rx_dbm": found.rx_dbm,
        "since": callers.local(found.since),
        "sources": dict(found.sources),
        "restart": found.restart.value,
        "outage": _outage(callers, found.outage),
    }


async def session_back(callers: Callers, args: Args) -> dict[str, Json]:
    """After a reset, within `within_s`: online only when a session began since, or was seen to be gone before."""
    known, contract = await callers.get_contract(args)
    began, ends = callers.now() - RESET_TOOK, callers.now() + timedelta(seconds=float(args["within_s"]))
    was_gone = False
    while True:
        found = await callers.house.network.diagnose(contract, as_of=known.as_of)
        is_new = found.since is not None and found.since >= began
        if found.verdict in UP and (was_gone or is_new):
            return {"state": "online"}
        was_gone = was_gone or found.verdict in (Verdict.NO_SESSION, Verdict.LOS)
        if callers.now() + timedelta(seconds=LOOK_AGAIN_S) > ends:
            return {"state": "unknown" if found.verdict in (*UP, Verdict.UNKNOWN) else "offline"}
        await callers.wait(LOOK_AGAIN_S)


async def outage_for_caller(callers: Callers, args: Args) -> dict[str, Json]:
    """Before anybody was asked anything: the number alone. Most of the time there is no outage, and no question.

    Told only when whatever contract the call is about, it is touched, and by the same one; else `identify` comes first.
    `contract_id`: the first of them.
    """
    nothing: dict[str, Json] = {"outage": None}
    if not await callers.is_outage_anywhere():
        return nothing
    now = callers.now()
    contracts = [each for known in await callers.of_number(str(args["caller"] or "")) for each in known.contracts]
    async with callers.house.sessions() as session:
        touching = [await outages.find_for(session, contract, now=now) for contract in contracts]
        found = touching[0] if touching else None
        said = await outages.texts(session, [found.id]) if found else {}
    if found is None or any(other is None or other.id != found.id for other in touching):
        return nothing
    ends_at = found.ends_at if found.ends_at and found.ends_at > now else None
    facts = OutageFacts(found.id, found.cause, found.started_at, ends_at, text=said.get(found.id, ""))
    return {"outage": _outage(callers, facts), "contract_id": contracts[0].id}


def _outage(callers: Callers, found: OutageFacts | None) -> dict[str, Json] | None:
    if found is None:
        return None
    cause, text = f"outage.{found.cause}" if found.cause else "", name_key(found.text) if found.text else ""
    told: dict[str, Json] = {
        "id": found.id,
        "cause_prompt": cause if cause and callers.house.can_speak(cause) else "",
        "text_prompt": text if text and callers.house.can_speak(text) else "",  # else it is being rendered
        "ends_at": callers.local(found.ends_at),
    }
    if found.notice is None:
        return told
    ends_at = found.notice.ends_at
    notice = {
        "source": found.source,
        "reference": found.notice.reference,
        "text": found.notice.text,
        "ends_at": ends_at.isoformat() if ends_at else None,
    }
    return told | {"notice": notice}
