"""Systems that a provider has beside us, imitated on this machine: its ERP, and GenieACS. Both can be made to stall."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SOCK_STREAM
from typing import Any

import httpx

from prosa.erp_sim.serve import settings_for
from tests.conftest import free_port
from ura.settings import ROOT

READY_S = 30
STALL_S = 10.0


@dataclass(frozen=True, slots=True)
class ErpSim:
    """`settings`: what makes prosa ask it."""

    settings: dict[str, Any]
    _control: httpx.Client

    def stall(self, fault: str = "stall", seconds: float = STALL_S) -> None:
        """From now on every question: answered never (`stall`) or rightly, but so much later (`stall_after`)."""
        self._tell({"fault": fault, "seconds": seconds})

    def recover(self) -> None:
        self._tell({"fault": "none"})

    def _tell(self, wish: dict[str, Any]) -> None:
        self._control.post("/_sim/fault", json=wish).raise_for_status()


@contextmanager
def sgp() -> Iterator[ErpSim]:
    """`prosa erp-sim sgp`, in a process of its own."""
    port, control_port = free_port(SOCK_STREAM), free_port(SOCK_STREAM)
    command = [sys.executable, "-m", "prosa.main", "erp-sim", "sgp", f"--port={port}", f"--control-port={control_port}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{control_port}", trust_env=False) as control:
            _until_ready(process, control)
            given = {name.removeprefix("PROSA_").lower(): text for name, text in settings_for("sgp", port).items()}
            yield ErpSim(given, control)
    finally:
        process.terminate()
        process.wait(10)


def _until_ready(process: "subprocess.Popen[bytes]", control: httpx.Client) -> None:
    ends_at = time.monotonic() + READY_S
    while True:
        try:
            control.post("/_sim/reset").raise_for_status()
        except httpx.HTTPError:
            if process.poll() is not None or time.monotonic() > ends_at:
                raise
            time.sleep(0.1)  # between two questions whether the simulator is up; READY_S ends them
        else:
            return


class GenieAcs:
    """Its north-bound interface with one device, whose received power is well. Stalls while `well` is not set."""

    def __init__(self, serial: str) -> None:
        self.well = threading.Event()
        self.well.set()
        acs = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet: two would wait for each other (Nagle)

            def do_GET(self) -> None:
                acs.well.wait(STALL_S)
                power = {"X_GponInterfaceConfig": {"RXPower": {"_value": -19.5}}}
                device = {
                    "_id": f"00259E-EG8145V5-{serial}",
                    "_lastInform": datetime.now(UTC).isoformat(),
                    "InternetGatewayDevice": {"WANDevice": {"1": power}},
                }
                content = json.dumps([device]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Who asked has gone meanwhile: that is what a stall is for."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.well.set()
        self._server.shutdown()
        self._server.server_close()
