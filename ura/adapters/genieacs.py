"""What the subscriber's own device says, and a restart of it: GenieACS's north-bound interface (TR-069 behind it).

The optical level stands in another place at each maker; the paths that are tried can be set. Some count in
hundredths or tenths of a dBm, some in 0.1 µW: only a value that can be dBm is believed, the others are unknown.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ura.adapters.erp.http import ErpHttp, asked
from ura.erp import Answer, Contract, ErpUnavailable, Optical, Reply, Unsupported

NAME = "genieacs"
_WAN = "InternetGatewayDevice.WANDevice.1"
RX_PATHS = (
    f"{_WAN}.X_GponInterafceConfig.RXPower",  # ZTE and Nokia, misspelt as they spell it
    f"{_WAN}.X_GponInterfaceConfig.RXPower",
    f"{_WAN}.X_ZTE-COM_WANPONInterfaceConfig.RXPower",
    f"{_WAN}.X_CT-COM_GponInterfaceConfig.RXPower",
    "Device.Optical.Interface.1.OpticalSignalLevel",
)
WEAKEST_DBM, STRONGEST_DBM = -45.0, 5.0
RESTART_S = 5000  # GenieACS waits so long, in ms, for the device to do it before it answers 202


def utc_now() -> datetime:
    return datetime.now(UTC)


class GenieAcs:
    """`url` of the NBI, e.g. http://10.0.0.5:7557. A device is found by the ONU's serial number."""

    name = NAME

    def __init__(
        self,
        url: str,
        *,
        rx_paths: Sequence[str] = RX_PATHS,
        deadline_s: float = 8.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.http = ErpHttp(url, deadline_s=deadline_s)
        self._rx_paths = tuple(rx_paths)
        self._now = now

    @asked
    async def optical(self, contract: Contract) -> Reply[Optical]:
        """As of the device's last inform."""
        if not contract.access.onu:
            return Unsupported(NAME, "optical")
        device = await self._find(contract.access.onu)
        if device is None:
            return Answer(Optical(), NAME, self._now())
        try:
            informed = datetime.fromisoformat(str(device["_lastInform"]))
        except (KeyError, ValueError):
            raise ErpUnavailable("unreadable: _lastInform") from None
        return Answer(Optical(self._level(device)), NAME, informed if informed.tzinfo else informed.replace(tzinfo=UTC))

    @asked
    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        """True: the device has taken it. False: it is not reachable now; GenieACS keeps the task, we take it away,
        for a restart next Tuesday helps nobody."""
        if not contract.access.onu:
            return Unsupported(NAME, "reboot_cpe")
        device = await self._find(contract.access.onu)
        if device is None:
            return Answer(False, NAME, self._now())
        path = f"/devices/{quote(str(device['_id']), safe='')}/tasks"
        params = {"connection_request": "", "timeout": str(RESTART_S)}
        answer = await self.http.send("POST", path, params=params, body={"name": "reboot"}, changes=True)
        if answer.status == 202:
            await self._forget_task(answer.json())
            return Answer(False, NAME, self._now())
        return Answer(True, NAME, self._now())

    async def close(self) -> None:
        await self.http.close()

    async def _find(self, serial: str) -> dict[str, Any] | None:
        params = {
            "query": json.dumps({"_deviceId._SerialNumber": serial}),
            "projection": ",".join(("_id", "_lastInform", *self._rx_paths)),
        }
        found = (await self.http.send("GET", "/devices/", params=params)).json()
        if not isinstance(found, list) or not all(isinstance(device, dict) and "_id" in device for device in found):
            raise ErpUnavailable("unreadable: devices")
        return max(found, key=lambda device: str(device.get("_lastInform", ""))) if found else None

    def _level(self, device: dict[str, Any]) -> float | None:
        for path in self._rx_paths:
            at: Any = device
            for part in path.split("."):
                at = at.get(part) if isinstance(at, dict) else None
            value = at.get("_value") if isinstance(at, dict) else None
            try:
                level = float(str(value).split(" ", 1)[0])
            except ValueError:
                continue
            if WEAKEST_DBM <= level <= STRONGEST_DBM and level != 0:
                return level
        return None

    async def _forget_task(self, task: Any) -> None:
        if isinstance(task, dict) and "_id" in task:
            await self.http.send("DELETE", f"/tasks/{quote(str(task['_id']), safe='')}", readable=(404,))
