"""Where may whoever has an invoice by text message open its document? An address that is signed and ends by itself.

It names a message of ours by its id, and nothing of a person: who finds it in somebody's history learns nothing once it
has ended. 48 signs after the slash, since an SMS is paid by its length: id (16 bytes), end (4), signature (16).
"""

import base64
import binascii
from datetime import UTC, datetime, timedelta

from ura.crypto import Keyring

PATH = "/2via/"
VALID_FOR = timedelta(days=7)
_ID_BYTES, _END_BYTES = 16, 4
_TOKEN_LENGTH = 48


class InvoiceLinks:
    """`public_url`: where browsers reach the API from outside, ending in a slash (PROSA_PUBLIC_URL)."""

    def __init__(self, keyring: Keyring, public_url: str) -> None:
        self._keyring = keyring
        self._start = public_url.rstrip("/") + PATH

    def make(self, message_id: str, now: datetime) -> str:
        ends = int((now + VALID_FOR).timestamp())
        what = bytes.fromhex(message_id) + ends.to_bytes(_END_BYTES)
        return self._start + base64.urlsafe_b64encode(what + self._keyring.sign(what)).decode()

    def find_message_id(self, token: str, now: datetime) -> str | None:
        """None for what we did not sign and for what has ended, and nobody is told which."""
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        what, signature = raw[: _ID_BYTES + _END_BYTES], raw[_ID_BYTES + _END_BYTES :]
        if len(token) != _TOKEN_LENGTH or not self._keyring.has_signed(what, signature):
            return None
        ends = datetime.fromtimestamp(int.from_bytes(what[_ID_BYTES:]), UTC)
        return what[:_ID_BYTES].hex() if now < ends else None
