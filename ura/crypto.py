"""How are documents kept so that a copy of the database tells nobody's? Sealed (AES-256-GCM), found by a keyed hash.

    keyring = Keyring.of(settings)
    row.document, row.document_hash = keyring.seal(document), keyring.index(document)
    select(…).where(row.document_hash.in_(keyring.indexes(document)))
    keyring.open(row.document)

The keys come from PROSA_SECRET_KEY by HKDF. To change it: put the old value into PROSA_SECRET_KEYS_BEFORE, the new
one into PROSA_SECRET_KEY, restart, run `prosa db reseal`, then take the old one away. Until then both open and search.
"""

import base64
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Dialect, String, Text, TypeDecorator

from ura.errors import UraError
from ura.settings import Settings

INDEX_LENGTH = 32
SIGNATURE_BYTES = 16
_NONCE_BYTES, _NAME_BYTES = 12, 4
_VERSION = "1"
_ABOUT = b"prosa document"  # bound to every sealed text: it opens as nothing else


class CannotOpen(UraError):
    """Sealed with a key that is not here, or damaged. 500: somebody changed the secret without keeping the old one."""

    code = "cannot-open"


@dataclass(frozen=True, slots=True)
class Sealed:
    """`token`: version, name of the key, nonce and text, in base64."""

    token: str


class SealedText(TypeDecorator[Sealed]):
    """A column that takes nothing but Sealed: a document cannot be stored in the clear by mistake."""

    impl = String(120)
    cache_ok = True

    def process_bind_param(self, value: Sealed | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not isinstance(value, Sealed):
            raise TypeError("only what a keyring sealed may be stored here")
        return value.token

    def process_result_value(self, value: str | None, dialect: Dialect) -> Sealed | None:
        return None if value is None else Sealed(value)


class SealedNote(SealedText):
    """The same, of any length."""

    impl = Text  # type: ignore[assignment]  # the stubs take the first class's for the only one
    cache_ok = True


class Keyring:
    """The first secret seals; all of them open and search."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets or not all(secrets):
            raise ValueError("a keyring needs a secret, and no empty one")
        self._keys = [_Key.of(secret) for secret in secrets]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls([settings.secret("secret_key"), *settings.former_secret_keys])

    def seal(self, text: str) -> Sealed:
        key = self._keys[0]
        nonce = os.urandom(_NONCE_BYTES)
        body = nonce + key.cipher.encrypt(nonce, text.encode(), _ABOUT)
        return Sealed(f"{_VERSION}:{key.name}:{base64.urlsafe_b64encode(body).decode()}")

    def open(self, sealed: Sealed) -> str:
        """Raises CannotOpen."""
        version, _, rest = sealed.token.partition(":")
        name, _, body = rest.partition(":")
        for key in self._keys:
            if version == _VERSION and key.name == name:
                try:
                    raw = base64.urlsafe_b64decode(body)
                    return key.cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _ABOUT).decode()
                except (InvalidTag, ValueError) as error:
                    raise CannotOpen("a sealed text is damaged") from error
        raise CannotOpen("sealed with a key that is not here: is PROSA_SECRET_KEYS_BEFORE set?")

    def is_current(self, sealed: Sealed) -> bool:
        """Sealed with the first secret?"""
        return sealed.token.startswith(f"{_VERSION}:{self._keys[0].name}:")

    def index(self, text: str) -> str:
        """A keyed hash, the same for the same text: to find a row without opening any."""
        return self._keys[0].index(text)

    def indexes(self, text: str) -> list[str]:
        """Under every secret: rows that were not sealed anew yet are found, too."""
        return [key.index(text) for key in self._keys]

    def sign(self, what: bytes) -> bytes:
        """SIGNATURE_BYTES that nobody makes without the secret."""
        return self._keys[0].sign(what)

    def has_signed(self, what: bytes, signature: bytes) -> bool:
        """Under any of the secrets: a link outlives their change."""
        return any([hmac.compare_digest(key.sign(what), signature) for key in self._keys])


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    cipher: AESGCM
    secret_of_index: bytes
    secret_of_signing: bytes

    @classmethod
    def of(cls, secret: str) -> Self:
        name = _derive(secret, "name", _NAME_BYTES).hex()
        return cls(
            name, AESGCM(_derive(secret, "seal", 32)), _derive(secret, "index", 32), _derive(secret, "signing", 32)
        )

    def index(self, text: str) -> str:
        return hmac.new(self.secret_of_index, text.encode(), sha256).hexdigest()[:INDEX_LENGTH]

    def sign(self, what: bytes) -> bytes:
        return hmac.new(self.secret_of_signing, what, sha256).digest()[:SIGNATURE_BYTES]


def _derive(secret: str, purpose: str, length: int) -> bytes:
    """A key of its own for each purpose (RFC 5869); what one of them tells says nothing of the others."""
    return HKDF(SHA256(), length=length, salt=None, info=f"prosa documents {purpose}".encode()).derive(secret.encode())
