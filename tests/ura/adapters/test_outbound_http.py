"""R55: an address that somebody typed in leads nowhere inside, whatever its name, its redirects and its DNS say."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpcore
import httpx
import pytest

from tests.http_gateway import Asked, HttpGateway, Said
from ura import addresses
from ura.adapters import posting
from ura.adapters.outbound_http import CONFIGURED, GuardedBackend, GuardedTransport, Reach, client
from ura.errors import BadInput
from ura.gateways import TryLater

OUTSIDE = "93.184.216.34"
INSIDE = [
    *("127.0.0.1", "127.8.9.10", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0"),
    *("10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", "fc00::1", "fd12:3456::1", "fec0::1"),
    *("224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),  # IPv4-mapped
    *("2002:0a00:0001::1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "::7f00:1"),  # 6to4, NAT64, and the old way
]


class Net(httpcore.AsyncNetworkBackend):
    """A network where everybody answers; what was connected to, in its order."""

    def __init__(self, *, dead: Sequence[str] = ()) -> None:
        self.connected: list[str] = []
        self._dead = dead

    async def connect_tcp(self, host: str, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if host in self._dead:
            raise httpcore.ConnectError("nobody there")
        return httpcore.AsyncMockStream([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"])


def guarded(net: Net, *answers: Sequence[str], reach: Reach | None = None) -> httpx.AsyncClient:
    """A client whose name server gives these answers, one after the other."""
    told = iter(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return next(told)

    backend = GuardedBackend(reach or Reach(), resolve=resolve, network=net)
    return httpx.AsyncClient(transport=GuardedTransport(Reach(), backend=backend), trust_env=False)


@pytest.mark.parametrize("address", INSIDE)
async def test_what_leads_inside_is_refused_before_anything_is_connected(address: str) -> None:
    net = Net()
    async with guarded(net, [address], [address]) as http:
        for scheme in ("http", "https"):
            with pytest.raises(httpx.ConnectError, match="inside"):
                await http.post(f"{scheme}://receiver.example/hook")
    assert net.connected == []


@pytest.mark.parametrize("written", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "localhost"])
async def test_this_machine_under_any_of_its_names_is_refused(written: str) -> None:
    gateway = HttpGateway()
    port = gateway.url.rpartition(":")[2]
    async with client(Reach()) as http:
        with pytest.raises(httpx.ConnectError):
            await http.post(f"http://{written}:{port}/hook")
    assert gateway.asked == []
    gateway.close()


async def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    net = Net()
    async with guarded(net, [OUTSIDE], ["127.0.0.1"]) as http:
        assert (await http.post("http://rebinding.example/")).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await http.post("http://rebinding.example/")
    assert net.connected == [OUTSIDE]  # the address that was judged, and not the name once more


async def test_of_several_addresses_only_those_outside_are_tried() -> None:
    net = Net(dead=["93.184.216.1"])
    async with guarded(net, ["10.0.0.9", "93.184.216.1", OUTSIDE]) as http:
        assert (await http.post("http://receiver.example/")).text == "ok"
    assert net.connected == ["93.184.216.1", OUTSIDE]


async def test_a_network_that_is_allowed_is_reached_and_its_neighbours_are_not() -> None:
    net, reach = Net(), Reach.of(["10.20.0.0/16", "fd00:1::/32"])
    allowed = (["10.20.1.1"], ["fd00:1::5"], ["::ffff:10.20.1.1"])
    async with guarded(net, *allowed, ["10.21.1.1"], reach=reach) as http:
        for _ in allowed:
            assert (await http.post("http://receiver.example/")).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await http.post("http://receiver.example/")
    assert len(net.connected) == 3


def test_settings_may_name_what_is_inside_but_never_a_clouds_metadata() -> None:
    assert all(CONFIGURED.allows(each) for each in ("127.0.0.1", "::1", "10.0.0.5", "192.168.1.9", "fd12::1", OUTSIDE))
    assert not any(CONFIGURED.allows(each) for each in ("169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1"))
    assert not CONFIGURED.allows("::ffff:169.254.169.254")


@pytest.fixture
async def gateway() -> AsyncIterator[HttpGateway]:
    made = HttpGateway()
    yield made
    made.close()


async def test_a_redirect_is_an_answer_and_is_not_followed(gateway: HttpGateway) -> None:
    gateway.says(302, headers={"Location": f"{gateway.url}/inside"})
    async with client(Reach.of(["127.0.0.0/8"])) as http:
        answer, _ = await posting.post(http, f"{gateway.url}/hook", content=b"{}")
    assert answer.status_code == 302
    assert [asked.path for asked in gateway.asked] == ["/hook"]


async def test_a_long_answer_and_a_slow_one_are_cut(gateway: HttpGateway) -> None:
    async with client(Reach.of(["127.0.0.0/8"])) as http:
        gateway.says(200, b"x" * (posting.LARGEST_ANSWER + 1))
        with pytest.raises(TryLater, match="too long"):
            await posting.post(http, gateway.url, content=b"{}")
        gateway.answer = lambda asked: Said(after_s=30)
        with pytest.raises(TryLater, match="Timeout"):
            await posting.post(http, gateway.url, content=b"{}", deadline_s=0.3)


async def test_a_name_server_that_is_silent_or_knows_nothing_is_a_failure_to_connect() -> None:
    async def silent(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    for resolve, raised in ((silent, httpx.ConnectTimeout), (unknown, httpx.ConnectError)):
        backend = GuardedBackend(Reach(), resolve=resolve, network=Net())
        transport = GuardedTransport(Reach(), backend=backend)
        async with httpx.AsyncClient(transport=transport, timeout=0.2) as http:
            with pytest.raises(raised):
                await http.get("http://receiver.example/")


async def test_a_proxy_in_the_environment_is_not_asked(gateway: HttpGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Asked] = []
    proxy = HttpGateway(lambda asked: seen.append(asked) or Said())  # type: ignore[func-returns-value]  # append gives None, so Said() answers
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    async with client(Reach.of(["127.0.0.0/8"])) as http:
        assert (await http.post(gateway.url)).status_code == 200
    proxy.close()
    assert (seen, len(gateway.asked)) == ([], 1)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "gopher://receiver.example/", "ftp://receiver.example/", "unix:///run/x", "//host/x"),
        *("https://", "https://user:secret@receiver.example/", "https://receiver.example:99999/", "receiver.example"),
        *("https://receiver.example/#part", "http://[::1", "https://receiver.example/a b", "https://réceiver.example/"),
    ],
)
async def test_what_is_no_web_address_is_refused_when_it_is_saved_and_when_it_is_used(url: str) -> None:
    with pytest.raises(BadInput):
        addresses.outward(url)
    if url.partition(":")[0] in ("file", "gopher", "ftp", "unix"):
        async with client(Reach(inside=True)) as http:
            with pytest.raises(TryLater, match="UnsupportedProtocol"):
                await posting.post(http, url, content=b"")


def test_networks_are_read_from_a_setting() -> None:
    assert [str(each) for each in addresses.networks(" 10.20.0.0/16, fd00::/8 ,")] == ["10.20.0.0/16", "fd00::/8"]
    with pytest.raises(BadInput):
        addresses.networks("10.20.0.1/16")
