"""Run one simulated system: `prosa erp-sim sgp --port 9101 --control-port 9151`."""

import asyncio
import socket
from collections.abc import Callable, Mapping

import uvicorn

from prosa.erp_sim import hubsoft, ixc, mkauth, sgp
from prosa.erp_sim.faults import Gate
from prosa.erp_sim.world import World

MAKERS: dict[str, Callable[[World], Gate]] = {
    "sgp": sgp.make,
    "hubsoft": hubsoft.make,
    "ixc": ixc.make,
    "mkauth": mkauth.make,
}
SETTINGS: dict[str, Mapping[str, str]] = {
    "sgp": sgp.SETTINGS,
    "hubsoft": hubsoft.SETTINGS,
    "ixc": ixc.SETTINGS,
    "mkauth": mkauth.SETTINGS,
}


def make_gate(system: str, oddities: set[str]) -> Gate:
    """Raises ValueError for an oddity that this system does not have."""
    world = World()
    gate = MAKERS[system](world)
    if unknown := oddities - gate.known:
        raise ValueError(f"{', '.join(sorted(unknown))}: {system} has {', '.join(sorted(gate.known))}")
    world.oddities |= oddities
    return gate


def settings_for(system: str, port: int) -> dict[str, str]:
    """What to set so that prosa asks this simulator."""
    return {"PROSA_ERP": system, "PROSA_ERP_URL": f"http://127.0.0.1:{port}", **SETTINGS[system]}


async def serve(gate: Gate, *, port: int, control_port: int = 0) -> None:
    """Until a signal. With a control port the system can refuse connections and still be told to stop that."""
    main = _Listener(gate, port)
    if control_port:
        control = _Listener(gate, control_port)
        await control.open()
        gate.door = main
    await main.open()
    await (control if control_port else main).ended()


class _Listener:
    def __init__(self, gate: Gate, port: int) -> None:
        self._port = port
        self._config = uvicorn.Config(gate, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises OSError when the port is taken."""
        if self._server is not None:
            return
        # asyncio asks for TCP_NODELAY only on sockets that say they are TCP (base_events.py, _set_nodelay).
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        self._server = _Server(self._config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.ready.wait()

    async def shut(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        self._server = None

    async def ended(self) -> None:
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
