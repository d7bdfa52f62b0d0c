"""Mail to a real SMTP server (aiosmtpd) in a thread of its own, plain and with TLS."""

import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import free_port
from ura.adapters.mail import Mail
from ura.gateways import Attachment, NeverTaken, Outgoing, TryLater, UnknownAddress

ID = "d" * 32
PDF = Attachment("fatura-2026-12-10.pdf", "application/pdf", b"%PDF-1.7 \xe2\xe3")
MESSAGE = Outgoing(ID, "ana@casa.example", "Fatura até amanhã", subject="Sua fatura de março", attachments=(PDF,))


class Postbox:
    """Keeps letters; `rcpt` and `data` are what it answers there. `stuck`: it never answers DATA."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.rcpt = "250 OK"
        self.data = "250 OK"
        self.users: list[bytes] = []
        self.encrypted: list[bool] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.rcpt.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.encrypted.append(session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None)
        if self.data.startswith("2"):
            self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.data

    def log_in(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.users.append(given.login)
        return AuthResult(success=given == LoginPassword(b"prosa", b"right"), handled=False)


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


Serve = Callable[..., AbstractContextManager[int]]


@pytest.fixture
def serve(postbox: Postbox) -> Serve:
    """`with serve(**how) as port`"""

    @contextmanager
    def serving(**how: Any) -> Iterator[int]:
        controller = Controller(postbox, hostname="127.0.0.1", port=free_port(), **how)
        controller.start()
        try:
            yield controller.port
        finally:
            controller.stop()

    return serving


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the server, and what a client trusts then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "mail.pem"
    unlocked = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, unlocked) + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


def mail(port: int, **how: Any) -> Mail:
    how = {"security": "none", "sender": "Vale Verde <nao-responda@vv.example>", "deadline_s": 5.0, **how}
    return Mail(host="127.0.0.1", port=port, **how)


async def test_a_letter_arrives_with_its_document(serve: Serve, postbox: Postbox) -> None:
    with serve() as port:
        sent = await mail(port).send(MESSAGE)
    [letter] = postbox.letters
    assert sent == letter["Message-ID"] == f"<{ID}@vv.example>"
    assert (letter["From"], letter["To"]) == ("Vale Verde <nao-responda@vv.example>", "ana@casa.example")
    assert letter["Subject"] == "Sua fatura de março"
    assert letter["Auto-Submitted"] == "auto-generated"
    body = letter.get_body()
    assert body is not None
    assert body.get_content().strip() == "Fatura até amanhã"
    [document] = letter.iter_attachments()
    assert (document.get_filename(), document.get_content_type()) == (PDF.name, "application/pdf")
    assert document.get_content() == PDF.content


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the whole connection is TLS there
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_goes_encrypted_and_logged_in(
    serve: Serve, postbox: Postbox, certificate: tuple[ssl.SSLContext, ssl.SSLContext], security: str
) -> None:
    server, trust = certificate
    how = {"authenticator": postbox.log_in, "auth_required": True, "auth_require_tls": security == "starttls"}
    how |= {"tls_context": server, "require_starttls": True} if security == "starttls" else {"ssl_context": server}
    with serve(**how) as port:
        await mail(port, security=security, user="prosa", password="right", trust=trust).send(MESSAGE)
    assert postbox.users == [b"prosa"]
    assert postbox.encrypted == [True]
    assert len(postbox.letters) == 1


async def test_a_server_that_nobody_vouches_for_gets_neither_password_nor_letter(
    serve: Serve, postbox: Postbox, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, _ = certificate
    with serve(tls_context=server, authenticator=postbox.log_in) as port, pytest.raises(TryLater):
        await mail(port, security="starttls", user="prosa", password="right").send(MESSAGE)
    assert postbox.users == []
    assert postbox.letters == []


async def test_a_server_without_encryption_is_not_used_when_it_is_asked_for(serve: Serve, postbox: Postbox) -> None:
    with serve() as port, pytest.raises(TryLater):
        await mail(port, security="starttls", user="prosa", password="right").send(MESSAGE)
    assert postbox.letters == []


async def test_a_wrong_password_of_ours_fails_no_message(
    serve: Serve, postbox: Postbox, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, trust = certificate
    asked_for = {"tls_context": server, "authenticator": postbox.log_in, "auth_required": True}
    with serve(**asked_for) as port, pytest.raises(TryLater) as refusal:
        await mail(port, security="starttls", user="prosa", password="wrong", trust=trust).send(MESSAGE)
    assert str(refusal.value).startswith("535")


@pytest.mark.parametrize(
    ("rcpt", "data", "outcome"),
    [
        ("550 5.1.1 no such user ana@casa.example", "250 OK", UnknownAddress),
        ("553 5.1.3 bad address", "250 OK", UnknownAddress),
        ("554 5.7.1 not wanted", "250 OK", NeverTaken),
        ("450 4.2.1 mailbox busy", "250 OK", TryLater),
        ("452 4.2.2 mailbox full", "250 OK", TryLater),
        ("250 OK", "554 5.7.1 spam", NeverTaken),
        ("250 OK", "552 5.3.4 too big", NeverTaken),
        ("250 OK", "451 4.3.0 later", TryLater),
    ],
)
async def test_refusals_are_told_apart(
    serve: Serve, postbox: Postbox, rcpt: str, data: str, outcome: type[Exception]
) -> None:
    postbox.rcpt, postbox.data = rcpt, data
    with serve() as port, pytest.raises(outcome) as refusal:
        await mail(port).send(MESSAGE)
    assert type(refusal.value) is outcome
    assert str(refusal.value)[:3] == (rcpt if outcome is UnknownAddress or data == "250 OK" else data)[:3]


async def test_a_server_that_is_away_surely_has_nothing() -> None:
    with pytest.raises(TryLater) as refusal:
        await mail(free_port()).send(MESSAGE)
    assert not refusal.value.maybe_taken


async def test_a_server_that_falls_silent_may_have_it(serve: Serve, postbox: Postbox) -> None:
    released = threading.Event()

    class Silent(Postbox):
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            server.loop.call_soon(released.set)
            server.transport.abort()
            return "250 OK"

    silent = Controller(Silent(), hostname="127.0.0.1", port=free_port())
    silent.start()
    try:
        with pytest.raises(TryLater) as refusal:
            await mail(silent.port, deadline_s=1.0).send(MESSAGE)
    finally:
        silent.stop()
    assert released.is_set()
    assert refusal.value.maybe_taken


@pytest.mark.parametrize("to", ["ana@casa.example\r\nBcc: all@casa.example", "ana@casa.example\nX: y"])
async def test_nobody_writes_headers_of_their_own(serve: Serve, postbox: Postbox, to: str) -> None:
    with serve() as port, pytest.raises(NeverTaken):
        await mail(port).send(Outgoing(ID, to, "text", subject="s"))
    assert postbox.letters == []
