"""A helpdesk's caller list: what it is told of a call that reached people (Zammad's generic CTI push).

    newCall   the call waits for a person        answer   a person has it        hangup   it is over

Calls that the flow settles by itself are none of its business, and are not told. The customer's number is: it is the
point of it, so nothing is told unless the installer says where (PROSA_CTI_URL).
https://docs.zammad.org/en/latest/api/generic-cti/index.html
"""

from ura.models import Call, EventKind

ANONYMOUS = "anonymous"


def fields(kind: str, call: Call, *, attendant: str = "") -> dict[str, str] | None:
    """The form that is posted; None: nothing to tell. `attendant`: the name of who has `call.attendant`'s phone."""
    about = {
        "callId": call.id,
        "direction": "in",
        "from": call.caller.removeprefix("+") or ANONYMOUS,
        "to": call.did.removeprefix("+"),
    }
    match kind:
        case EventKind.CALL_QUEUED:
            return {"event": "newCall", **about, "queue": call.queue}
        case EventKind.CALL_ANSWERED:
            return {"event": "answer", **about, "answeringNumber": call.attendant, "user": attendant or call.attendant}
        case EventKind.CALL_ENDED if call.queued_at is not None:
            return {"event": "hangup", **about, "cause": "normalClearing" if call.answered_at else "cancel"}
        case _:
            return None
