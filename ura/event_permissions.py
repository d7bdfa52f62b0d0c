"""Who may hear of what: the permission that reading a thing takes is the one that hearing of it takes."""

from collections.abc import Collection, Mapping

from ura.models import EventKind
from ura.users import Actor, Permission

_READ_BY = {
    "call": Permission.CALLS_READ,
    "lead": Permission.LEADS_READ,
    "ticket": Permission.TICKETS_READ,
    "callback": Permission.CALLBACKS_READ,
    "outage": Permission.OUTAGES_READ,
    "incident": Permission.OUTAGES_READ,
    "message": Permission.MESSAGES_READ,
}
PERMISSIONS: Mapping[str, Permission] = {kind.value: _READ_BY[kind.partition(".")[0]] for kind in EventKind}


def may_hear(actor: Actor, kinds: Collection[str]) -> frozenset[str]:
    """Those of the kinds that this actor may hear of."""
    return frozenset(kind for kind in kinds if actor.may(PERMISSIONS[kind]))
