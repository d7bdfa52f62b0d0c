"""Mail through the provider's own SMTP server: STARTTLS or TLS, log-in, PDF attached.

The Message-ID is made from the message's own id and is the same at every try: mail programs show two copies as one.
"""

import asyncio
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Literal

import aiosmtplib
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from ura import logs
from ura.gateways import NeverTaken, Outgoing, TryLater, UnknownAddress

NAME = "smtp"
DEADLINE_S = 15.0  # for all of it; a document takes a while
NO_SUCH_BOX = frozenset({550, 551, 553})
Security = Literal["starttls", "tls", "none"]


class Mail:
    name = NAME

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: Security,
        sender: str,
        user: str = "",
        password: str = "",
        trust: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """`sender`: `Provedor <nao-responda@provedor.example>`. `trust`: whose certificates count."""
        self._host = host
        self._port = port
        self._security = security
        self._sender = sender
        self._user = user
        self._password = password
        self._trust = trust
        self._deadline_s = deadline_s

    async def send(self, message: Outgoing) -> str:
        letter = self._letter(message)
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            username=self._user or None,
            password=self._password or None,
            tls_context=self._trust,
            timeout=self._deadline_s,
        )
        handed_over = False
        try:
            async with asyncio.timeout(self._deadline_s):
                try:
                    await client.connect()
                    handed_over = True
                    await client.send_message(letter)
                finally:
                    client.close()
        except (SMTPException, OSError, TimeoutError) as error:
            raise _refusal(error, handed_over) from error
        return str(letter["Message-ID"])

    def _letter(self, message: Outgoing) -> EmailMessage:
        letter = EmailMessage()
        domain = parseaddr(self._sender)[1].partition("@")[2]
        try:
            letter["From"] = self._sender
            letter["To"] = message.to
            letter["Subject"] = message.subject
        except ValueError as error:  # a line break: somebody tries to write headers of their own
            raise NeverTaken("the address or subject cannot stand in a mail") from error
        letter["Date"] = format_datetime(datetime.now(UTC))
        letter["Message-ID"] = f"<{message.id}@{domain}>"
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: out-of-office programs do not answer it
        letter.set_content(message.text)
        for each in message.attachments:
            kind, _, form = each.content_type.partition("/")
            letter.add_attachment(each.content, maintype=kind, subtype=form, filename=each.name)
        return letter


def _refusal(error: Exception, handed_over: bool) -> Exception:
    match error:
        case SMTPRecipientsRefused():
            first = error.recipients[0]
            words = _words(first.code, first.message)
            if first.code < 500:
                return TryLater(words)
            return UnknownAddress(words) if first.code in NO_SUCH_BOX else NeverTaken(words)
        case SMTPAuthenticationError() | SMTPSenderRefused():  # our own account: nothing is wrong with the message
            return TryLater(_words(error.code, error.message))
        case SMTPResponseException() if handed_over and error.code >= 500:
            return NeverTaken(_words(error.code, error.message))
        case SMTPResponseException():
            return TryLater(_words(error.code, error.message))
        case SMTPNotSupported() if handed_over:
            return NeverTaken("the server cannot take this address")
        case SMTPTimeoutError() | SMTPServerDisconnected() | TimeoutError():
            return TryLater(type(error).__name__, maybe_taken=handed_over)
        case _:
            return TryLater(type(error).__name__)


def _words(code: int, message: str) -> str:
    return f"{code} {logs.redact(message)}"[:300]
