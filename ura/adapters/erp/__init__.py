"""The provider's own system, spoken to: which one it is, is in the settings."""

from ura.adapters.erp.breaker import ErpMetrics, GuardedErp
from ura.adapters.erp.local import LocalErp
from ura.billing import Policy
from ura.crypto import Keyring
from ura.db import Sessions
from ura.errors import BadInput
from ura.settings import Settings


def from_settings(settings: Settings, sessions: Sessions, *, metrics: ErpMetrics | None = None) -> GuardedErp:
    """The one behind PROSA_ERP, guarded; somebody has to close it. Raises BadInput for one that is not there yet."""
    if settings.erp != "local":
        raise BadInput(f"PROSA_ERP={settings.erp}: there is no adapter for it yet")
    local = LocalErp(sessions, Keyring.of(settings), Policy.of(settings), zone=settings.zone)
    return GuardedErp(local, metrics=metrics)
