"""HTTP to addresses that somebody typed in: which of them may be reached is decided at the moment of connecting.

By the address that the name resolves to, and it is that address which is connected to: a name that answers otherwise a
moment later changes nothing. TLS still checks the name. No redirects, no proxy, nothing but http and https; the caller
of the client sets the limits (ura/adapters/posting.py: 5 s, 64 KiB).
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore
import httpx

from ura.addresses import Network

CONNECTIONS = 40
CONNECT_S = 5.0
NAT64 = IPv6Network("64:ff9b::/96")  # leads to the IPv4 address in its last 32 bits

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses may be connected to. `networks`: allowed whatever they are. `inside`: also the private ones and
    this machine, for addresses that stand in the settings: whoever writes those has the machine already."""

    networks: tuple[Network, ...] = ()
    inside: bool = False

    @classmethod
    def of(cls, networks: Iterable[str]) -> "Reach":
        return cls(tuple(ip_network(each) for each in networks))

    def allows(self, text: str) -> bool:
        """Of an address in IPv6 that carries one of IPv4 in it, both must be allowed."""
        address = ip_address(text.partition("%")[0])
        return all(self._allows(each) for each in (address, *_carried(address)))

    def _allows(self, address: Address) -> bool:
        if isinstance(address, IPv6Address) and _carried(address):
            return True  # it is told by what it carries
        if any(address.version == network.version and address in network for network in self.networks):
            return True
        if self.inside and address.is_loopback:
            return True
        if address.is_multicast or address.is_unspecified or address.is_link_local or address.is_reserved:
            return False  # 169.254.169.254 tells a cloud machine's secrets to whoever asks; never an ERP, never a hook
        if isinstance(address, IPv6Address) and address.is_site_local:
            return False
        return address.is_global or (self.inside and address.is_private)


CONFIGURED = Reach(inside=True)


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """::ffff:10.0.0.1, 2002:0a00:0001::, 64:ff9b::a00:1 and Teredo lead to an address of IPv4."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


async def resolve(host: str, port: int) -> Sequence[str]:
    """Addresses of a host, in the order in which they are to be tried."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Between the pool of connections and the network: resolves, judges, connects to what was judged."""

    def __init__(
        self, reach: Reach, *, resolve: Resolve = resolve, network: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._reach = reach
        self._resolve = resolve
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises httpcore.ConnectError, as for any other host that cannot be reached."""
        try:
            async with asyncio.timeout(CONNECT_S if timeout is None else timeout):
                found = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name server does not answer") from error
        except OSError as error:
            raise httpcore.ConnectError("no such host") from error
        allowed = [address for address in found if self._reach.allows(address)]
        if not allowed:
            raise httpcore.ConnectError("an address inside: refused (PROSA_OUTBOUND_NETWORKS names those allowed)")
        for address in allowed[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the next of its addresses
        return await self._network.connect_tcp(allowed[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own, with another way to the network under its pool, which httpx 0.28 has no argument for."""

    def __init__(
        self,
        reach: Reach,
        *,
        verify: ssl.SSLContext | None = None,
        limits: httpx.Limits | None = None,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        context = verify or httpx.create_ssl_context(trust_env=False)
        limits = limits or httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS // 2)
        super().__init__(verify=context, limits=limits, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend or GuardedBackend(reach),
        )


def client(reach: Reach) -> httpx.AsyncClient:
    """Somebody has to close it."""
    return httpx.AsyncClient(transport=GuardedTransport(reach), trust_env=False, follow_redirects=False)
