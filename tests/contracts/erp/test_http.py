"""The wire itself, against small servers of our own: what a system behind HTTP can do to us, and must not."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ura.adapters.erp.http import BODY_LIMIT, ErpHttp
from ura.erp import ErpUnavailable
from ura.errors import BadInput

Handle = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """One answer a connection; `handle` gets the request as it came."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(await reader.readuntil(b"\r\n\r\n"), writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"


def answering(body: bytes, *headers: str, status: str = "200 OK") -> Handle:
    async def handle(_request: bytes, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return handle


async def ask(url: str, **more: object) -> object:
    wire = ErpHttp(url, deadline_s=2)
    try:
        return (await wire.send("GET", "x", **more)).json()
    finally:
        await wire.close()


async def test_what_is_packed_is_unpacked() -> None:
    async with server(answering(gzip.compress(b'{"a": 1.10}'), "content-encoding: gzip")) as url:
        assert str(await ask(url)) == "{'a': Decimal('1.10')}"


async def test_a_small_body_that_grows_without_end_is_cut_off() -> None:
    bomb = gzip.compress(b" " * (BODY_LIMIT * 20))
    assert len(bomb) < BODY_LIMIT / 20
    async with server(answering(bomb, "content-encoding: gzip")) as url:
        with pytest.raises(ErpUnavailable, match="more than"):
            await ask(url)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe", b"", b"<html>", b"  <br />Warning"])
async def test_what_is_no_data_is_trouble(body: bytes) -> None:
    async with server(answering(body)) as url:
        with pytest.raises(ErpUnavailable):
            await ask(url)


async def test_a_redirect_is_no_answer_and_nobody_follows_it() -> None:
    elsewhere = answering(b"", "location: /login", status="302 Found")
    async with server(elsewhere) as url:
        with pytest.raises(ErpUnavailable, match="HTTP 302"):
            await ask(url)


async def test_no_cookie_is_given_back() -> None:
    seen: list[bytes] = []

    async def handle(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        await answering(b"{}", "set-cookie: PHPSESSID=1; path=/")(request, writer)

    async with server(handle) as url:
        wire = ErpHttp(url)
        for _ in range(2):
            await wire.send("GET", "x")
        await wire.close()
    assert len(seen) == 2
    assert not any(b"cookie" in request.lower() for request in seen)


async def test_one_byte_a_second_does_not_keep_anybody_waiting() -> None:
    async def handle(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        for _ in range(100):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.2)

    async with server(handle) as url:
        wire = ErpHttp(url, deadline_s=0.5)
        started = asyncio.get_running_loop().time()
        with pytest.raises(ErpUnavailable, match="in time"):
            await wire.send("GET", "x")
        assert asyncio.get_running_loop().time() - started < 1.5
        await wire.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server that nobody knows, and what one would have to know."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mk-auth.provedor.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / "ca.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return context, file


async def test_a_certificate_that_nobody_knows_is_refused_unless_it_was_given(tmp_path: Path) -> None:
    tls, file = certificate(tmp_path)
    async with server(answering(b'{"a": 1}'), tls) as url:
        with pytest.raises(ErpUnavailable) as raised:
            await ask(url, changes=True)
        assert not raised.value.maybe_done
        trusting = ErpHttp(url, ca_file=file)
        assert (await trusting.send("GET", "x")).json() == {"a": 1}
        await trusting.close()


@pytest.mark.parametrize(
    "address",
    ["", "provedor.example", "http://provedor.example", "ftp://provedor.example", "https://u:p@provedor.example",
     "https://provedor.example/?token=1", "http://8.8.8.8"],
)  # fmt: skip
def test_an_address_that_would_send_passwords_in_the_open_is_refused(address: str) -> None:
    with pytest.raises(BadInput):
        ErpHttp(address)


@pytest.mark.parametrize("address", ["https://provedor.example", "https://provedor.example/sgp/", "http://192.168.1.5"])
async def test_an_address_with_tls_or_in_the_house_is_taken(address: str) -> None:
    await ErpHttp(address).close()
