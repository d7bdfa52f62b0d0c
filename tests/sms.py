"""Does a text fit into one SMS? Counted as the network does (3GPP TS 23.038, 6.2.1)."""

from ura.gsm7 import BASIC, EXTENDED

ONE_MESSAGE = 160


def septets(text: str) -> int | None:
    """Places it takes; None when it has a sign that the alphabet does not have."""
    if not BASIC.union(EXTENDED).issuperset(text):
        return None
    return sum(2 if sign in EXTENDED else 1 for sign in text)
