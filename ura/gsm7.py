"""A text in the signs that an SMS has 160 of: a single one outside of the GSM alphabet makes it 70.

The GSM alphabet (3GPP TS 23.038, 6.2.1) has é, à, Ç and ñ, but neither ã, õ, á, ê nor ç. A Portuguese text as it is
written costs two messages; without its accents everybody still reads it, and it costs one.
"""

import string
import unicodedata

BASIC = frozenset(
    string.ascii_letters + string.digits + "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà" + " \n\r"
)
EXTENDED = frozenset("^{}\\[~]|€\f")  # each takes two places
_OTHER = str.maketrans({"–": "-", "—": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "…": "...", "ª": "a", "º": "o"})


def plain(text: str) -> str:
    """The same words in the GSM alphabet, as far as it goes: signs that have no near relative stay."""
    return "".join(_nearest(sign) for sign in text.translate(_OTHER))


def _nearest(sign: str) -> str:
    if sign in BASIC or sign in EXTENDED:
        return sign
    bare = "".join(part for part in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(part))
    return bare if bare and BASIC.issuperset(bare) else sign
