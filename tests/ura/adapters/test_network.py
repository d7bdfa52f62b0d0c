"""What can be restarted from here, and that it is what is restarted."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from tests.factories import NOON
from ura.adapters.genieacs import GenieAcs
from ura.adapters.network import Network
from ura.adapters.radius import RadiusReset
from ura.erp import Access, Answer, Contract, ContractStatus, Erp, Reply, Unsupported
from ura.network import OutageFacts, Restart, SignalLimits, Sources, Verdict

DIALS, KNOWN_ONU = Access(login="casa1"), Access(login="casa1", onu="ZTEG00000001")


@dataclass
class System:
    """One that can, or cannot, restart something. `done`: what it did."""

    name: str
    reboots_devices: bool = True
    done: list[str] = field(default_factory=list)

    async def reset(self, contract: Contract, *, key: str) -> Reply[bool]:
        return self._do("session")

    async def reboot_cpe(self, contract: Contract, *, key: str, again: bool = False) -> Reply[bool]:
        is_able = self.reboots_devices and (self.name != "genieacs" or contract.access.onu != "")
        return self._do("device") if is_able else Unsupported(self.name, "reboot_cpe")

    def _do(self, what: str) -> Reply[bool]:
        self.done.append(f"{self.name} {what}")
        return Answer(True, self.name, NOON)


async def no_outage(contract: Contract) -> OutageFacts | None:
    return None


def line(access: Access) -> Contract:
    return Contract("7", "1", "1007", ContractStatus.ACTIVE, access=access)


@pytest.mark.parametrize(
    ("has_radius", "erp_reboots", "has_acs", "access", "restart", "done"),
    [
        (True, True, True, KNOWN_ONU, Restart.SESSION, ["radius session"]),
        (True, True, True, Access(), Restart.DEVICE, ["erp device"]),
        (False, True, True, DIALS, Restart.DEVICE, ["erp device"]),
        (False, False, True, KNOWN_ONU, Restart.DEVICE, ["genieacs device"]),
        (False, False, True, DIALS, Restart.NOTHING, []),
        (False, False, False, KNOWN_ONU, Restart.NOTHING, []),
        (True, False, False, Access(), Restart.NOTHING, []),
    ],
)
async def test_what_is_offered_is_what_is_restarted(
    has_radius: bool, erp_reboots: bool, has_acs: bool, access: Access, restart: Restart, done: list[str]
) -> None:
    did: list[str] = []
    network = Network(
        Sources(no_outage),
        SignalLimits(),
        cast(Erp, System("erp", erp_reboots, did)),
        radius=cast(RadiusReset, System("radius", done=did)) if has_radius else None,
        genieacs=cast(GenieAcs, System("genieacs", done=did)) if has_acs else None,
    )
    found = await network.diagnose(line(access))
    assert (found.verdict, found.restart) == (Verdict.UNKNOWN, restart)
    reply = await network.reset(line(access), key="k")
    assert did == done
    assert isinstance(reply, Answer) == bool(done)
