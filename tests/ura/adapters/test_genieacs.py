"""What GenieACS's north-bound interface answers (docs.genieacs.com, API reference), from a real HTTP server."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ura.adapters.genieacs import GenieAcs
from ura.erp import Access, Answer, Contract, ContractStatus, ErpUnavailable, Optical, Unsupported

LINE = Contract("7", "1", "1007", ContractStatus.ACTIVE, access=Access(onu="ZTEGC8F1A2B3"))
DEVICE = "00259E-EG8145V5-ZTEGC8F1A2B3"
INFORMED = "2026-11-22T11:58:30.120Z"


class Nbi:
    """Devices, tasks; what was asked is kept. `level`: the parameter tree with the optical level."""

    def __init__(self) -> None:
        self.devices: Any = [{"_id": DEVICE, "_lastInform": INFORMED}]
        self.reachable = True
        self.asked: list[tuple[str, str, dict[str, list[str]], Any]] = []
        nbi = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self, status: int, body: Any) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _keep(self, body: Any = None) -> None:
                parts = urlsplit(self.path)
                nbi.asked.append((self.command, parts.path, parse_qs(parts.query, keep_blank_values=True), body))

            def do_GET(self) -> None:
                self._keep()
                self._answer(200, nbi.devices)

            def do_POST(self) -> None:
                self._keep(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(200 if nbi.reachable else 202, {"_id": "65f0", "name": "reboot", "device": DEVICE})

            def do_DELETE(self) -> None:
                self._keep()
                self._answer(200, None)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def level(self, value: Any, path: str = "InternetGatewayDevice.WANDevice.1.X_GponInterafceConfig.RXPower") -> None:
        tree: Any = {"_value": value}
        for part in reversed(path.split(".")):
            tree = {part: tree}
        self.devices = [{"_id": DEVICE, "_lastInform": INFORMED, **tree}]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def nbi() -> Iterator[Nbi]:
    nbi = Nbi()
    yield nbi
    nbi.close()


@pytest.fixture
async def acs(nbi: Nbi) -> AsyncIterator[GenieAcs]:
    acs = GenieAcs(nbi.url)
    yield acs
    await acs.close()


@pytest.mark.parametrize(
    ("value", "level"),
    [(-21.3, -21.3), ("-21.30", -21.3), ("-21.3 dBm", -21.3), (-2130, None), (71, None), (0, None), ("N/A", None)],
)
async def test_the_level_as_of_the_last_inform_and_only_when_it_can_be_dbm(
    nbi: Nbi, acs: GenieAcs, value: Any, level: float | None
) -> None:
    nbi.level(value)
    answer = await acs.optical(LINE)
    as_of = datetime(2026, 11, 22, 11, 58, 30, 120_000, tzinfo=UTC)
    assert answer == Answer(Optical(level), "genieacs", as_of)
    _, path, query, _ = nbi.asked[0]
    assert path == "/devices/"
    assert json.loads(query["query"][0]) == {"_deviceId._SerialNumber": "ZTEGC8F1A2B3"}


async def test_another_maker_keeps_it_elsewhere(nbi: Nbi, acs: GenieAcs) -> None:
    nbi.level(-24.0, "Device.Optical.Interface.1.OpticalSignalLevel")
    answer = await acs.optical(LINE)
    assert isinstance(answer, Answer)
    assert answer.value.rx_dbm == -24.0


async def test_a_device_that_nobody_knows_says_nothing(nbi: Nbi, acs: GenieAcs) -> None:
    nbi.devices = []
    for answer, value in ((await acs.optical(LINE), Optical()), (await acs.reboot_cpe(LINE, key="k"), False)):
        assert isinstance(answer, Answer)
        assert answer.value == value
    nameless = Contract("8", "1", "1008", ContractStatus.ACTIVE)
    assert isinstance(await acs.optical(nameless), Unsupported)
    assert isinstance(await acs.reboot_cpe(nameless, key="k"), Unsupported)


async def test_a_device_that_can_be_reached_restarts(nbi: Nbi, acs: GenieAcs) -> None:
    answer = await acs.reboot_cpe(LINE, key="k")
    assert isinstance(answer, Answer)
    assert answer.value is True
    method, path, query, body = nbi.asked[-1]
    assert (method, path, body) == ("POST", f"/devices/{DEVICE}/tasks", {"name": "reboot"})
    assert "connection_request" in query


async def test_one_that_cannot_be_reached_now_is_not_restarted_some_day(nbi: Nbi, acs: GenieAcs) -> None:
    nbi.reachable = False
    answer = await acs.reboot_cpe(LINE, key="k")
    assert isinstance(answer, Answer)
    assert answer.value is False
    assert nbi.asked[-1][:2] == ("DELETE", "/tasks/65f0")


@pytest.mark.parametrize("devices", [{"error": "x"}, [1], [{"_id": DEVICE}], [{"_id": DEVICE, "_lastInform": "?"}]])
async def test_what_cannot_be_read_is_no_answer(nbi: Nbi, acs: GenieAcs, devices: Any) -> None:
    nbi.devices = devices
    with pytest.raises(ErpUnavailable):
        await acs.optical(LINE)
