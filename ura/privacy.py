"""What may be told or done, at which certainty of who is calling? Pure: engine, lookups and panels ask the same table.

A caller's number can be forged (it is a hint, never a proof), and lists of documents are sold. So the number alone
opens what harms nobody, a document what goes to registered contacts, and only a second factor what is said aloud.
"""

from enum import StrEnum


class Level(StrEnum):
    """How sure we are, from not at all."""

    PUBLIC = "public"
    NUMBER = "number"  # the caller's number, or a contract's number that was keyed: both can be known to others
    DOCUMENT = "document"  # a CPF or CNPJ that was keyed
    VERIFIED = "verified"  # a document or contract, and a birth year or the last digits of another registered phone


class Wish(StrEnum):
    OUTAGE_NEWS = "outage_news"  # "there is an outage where you live"
    STREET = "street"  # "is it about the contract in …?": never the house, never a name
    SUPPORT = "support"  # the diagnosis, the steps, a ticket
    SEND_TO_REGISTERED = "send_to_registered"  # an invoice to a contact that we had before the call
    UNLOCK = "unlock"
    PROMISE = "promise"
    DISPUTE = "dispute"
    HEAR_AMOUNTS = "hear_amounts"  # what is owed and since when
    HEAR_LINE = "hear_line"  # the digits of a boleto, read aloud


_ORDER = list(Level)
# (level, must the caller have confirmed the contract by its street when only the number is known?)
_NEEDED: dict[Wish, tuple[Level, bool]] = {
    Wish.OUTAGE_NEWS: (Level.NUMBER, False),
    Wish.STREET: (Level.NUMBER, False),
    Wish.SUPPORT: (Level.NUMBER, True),
    Wish.SEND_TO_REGISTERED: (Level.NUMBER, True),
    Wish.UNLOCK: (Level.NUMBER, True),
    Wish.PROMISE: (Level.DOCUMENT, False),
    Wish.DISPUTE: (Level.DOCUMENT, False),
    Wish.HEAR_AMOUNTS: (Level.VERIFIED, False),
    Wish.HEAR_LINE: (Level.VERIFIED, False),
}


def may(level: Level, wish: Wish, *, confirmed: bool = False) -> bool:
    """`confirmed`: the caller said yes to the contract's street."""
    needed, needs_street = _NEEDED[wish]
    if _ORDER.index(level) > _ORDER.index(needed):
        return True
    return level is needed and (confirmed or not needs_street)


def level_needed(wish: Wish) -> Level:
    """To say what is missing: "for that I need your CPF"."""
    return _NEEDED[wish][0]
