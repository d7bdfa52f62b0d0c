"""Who is asked about a line, and who ends its session: put together from the settings."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ura import network, outages
from ura.adapters.accounting import RadiusAccounting
from ura.adapters.genieacs import GenieAcs
from ura.adapters.radius import RadiusReset
from ura.db import Sessions
from ura.erp import Contract, Erp, Reply, Unsupported
from ura.errors import Unavailable
from ura.network import OutageFacts, Restart, SignalLimits, Sources
from ura.settings import Settings

NAME = "network"


@dataclass(slots=True)
class Network:
    """One a process. `reset` ends a session at the NAS, else restarts the device by what can."""

    sources: Sources
    limits: SignalLimits
    erp: Erp
    radius: RadiusReset | None = None
    genieacs: GenieAcs | None = None
    accounting: RadiusAccounting | None = field(default=None, repr=False)

    async def diagnose(self, contract: Contract, *, as_of: datetime | None = None) -> network.Diagnosis:
        now = datetime.now(UTC)
        found = await network.diagnose(contract, self.sources, now=now, limits=self.limits, as_of=as_of)
        return replace(found, restart=self.restart_of(contract))

    def restart_of(self, contract: Contract) -> Restart:
        """What `reset` would do: the caller agrees to that, and to nothing else."""
        if self.radius is not None and contract.access.login:
            return Restart.SESSION
        if self.erp.reboots_devices or (self.genieacs is not None and contract.access.onu):
            return Restart.DEVICE
        return Restart.NOTHING

    async def reset(self, contract: Contract, *, key: str) -> Reply[bool]:
        if self.radius is not None and contract.access.login:
            return await self.radius.reset(contract, key=key)
        reply = await self.erp.reboot_cpe(contract, key=key)
        if isinstance(reply, Unsupported) and self.genieacs is not None:
            return await self.genieacs.reboot_cpe(contract, key=key)
        return reply

    async def close(self) -> None:
        if self.accounting is not None:
            await self.accounting.close()
        if self.genieacs is not None:
            await self.genieacs.close()


def from_settings(settings: Settings, sessions: Sessions, erp: Erp) -> Network:
    url = settings.radius_accounting_url.get_secret_value()
    accounting = RadiusAccounting(url, interim_s=settings.radius_interim_s) if url else None
    secret = settings.radius_coa_secret.get_secret_value()
    acs = GenieAcs(settings.genieacs_url) if settings.genieacs_url else None
    return Network(
        sources=Sources(
            own_outages=_OwnOutages(sessions),
            notices=(erp,),
            sessions=(erp, *([accounting] if accounting else [])),
            signals=(erp, *([acs] if acs else [])),
        ),
        limits=SignalLimits(settings.signal_watch_dbm, settings.signal_bad_dbm),
        erp=erp,
        radius=RadiusReset(accounting, secret=secret, port=settings.radius_coa_port) if accounting and secret else None,
        genieacs=acs,
        accounting=accounting,
    )


class _OwnOutages:
    """Ours, from the database. Raises Unavailable when it is away."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def __call__(self, contract: Contract) -> OutageFacts | None:
        try:
            async with self._sessions() as session:
                now = datetime.now(UTC)
                found = await outages.find_for(session, contract, now=now)
                said = await outages.texts(session, [found.id]) if found else {}
        except Exception as error:
            raise Unavailable(f"outages cannot be read: {type(error).__name__}") from error
        if found is None:
            return None
        ends_at = found.ends_at if found.ends_at is not None and found.ends_at > now else None
        return OutageFacts(found.id, found.cause.value, found.started_at, ends_at, text=said.get(found.id, ""))
