"""Does a text fit into one SMS? 160 characters of the GSM alphabet; a single other one makes it 70.

The GSM alphabet (3GPP TS 23.038, 6.2.1) has é, à, Ç and ñ, but neither ã, õ, á, ê nor ç. A Portuguese text as it is
written costs two messages; without its accents everybody still reads it, and it costs one.
"""

import string
import unicodedata

BASIC = frozenset(
    string.ascii_letters + string.digits + "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà" + " \n\r"
)
EXTENDED = frozenset("^{}\\[~]|€\f")  # each takes two places
ONE_MESSAGE = 160
_OTHER = str.maketrans({"–": "-", "—": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "…": "...", "ª": "a", "º": "o"})


def plain(text: str) -> str:
    """The same words in the GSM alphabet, as far as it goes: signs that have no near relative stay."""
    return "".join(_nearest(sign) for sign in text.translate(_OTHER))


def septets(text: str) -> int | None:
    """Places it takes; None when it has a sign that the alphabet does not have."""
    if not BASIC.union(EXTENDED).issuperset(text):
        return None
    return sum(2 if sign in EXTENDED else 1 for sign in text)


def _nearest(sign: str) -> str:
    if sign in BASIC or sign in EXTENDED:
        return sign
    bare = "".join(part for part in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(part))
    return bare if bare and BASIC.issuperset(bare) else sign
