"""The provider's own system, spoken to: which one it is, and with what credentials, is in the settings."""

from pydantic import SecretStr

from ura.adapters.erp.breaker import ErpMetrics, GuardedErp
from ura.adapters.erp.http import DEADLINE_S, ErpHttp
from ura.adapters.erp.hubsoft import HubSoft
from ura.adapters.erp.ixc import Ixc
from ura.adapters.erp.ledger import Ledger
from ura.adapters.erp.local import LocalErp
from ura.adapters.erp.mkauth import MkAuth, UnlockLedger
from ura.adapters.erp.remote import RemoteErp
from ura.adapters.erp.sgp import Sgp
from ura.billing import Policy
from ura.crypto import Keyring
from ura.db import Sessions
from ura.errors import BadInput
from ura.settings import Settings


def from_settings(settings: Settings, sessions: Sessions, *, metrics: ErpMetrics | None = None) -> GuardedErp:
    """The one behind PROSA_ERP, guarded; somebody has to close it. Raises BadInput naming a missing setting."""
    policy = Policy.of(settings)
    if settings.erp == "local":
        local = LocalErp(sessions, Keyring.of(settings), policy, zone=settings.zone)
        return GuardedErp(local, metrics=metrics)
    ledger = Ledger(sessions, policy, source=settings.erp, zone=settings.zone)
    remote = remote_erp(settings, ledger=ledger)
    ledger.asks = remote.open_invoices
    return GuardedErp(remote, metrics=metrics)


def remote_erp(settings: Settings, *, ledger: UnlockLedger, deadline_s: float = DEADLINE_S) -> RemoteErp:
    """The system behind PROSA_ERP when that is not `local`; somebody has to close it. `ledger`: for the systems that
    count no trust unlocks. Raises BadInput with the name of the setting that is missing."""

    def http() -> ErpHttp:
        return ErpHttp(_given(settings, "erp_url"), ca_file=settings.erp_ca_file, deadline_s=deadline_s)

    match settings.erp:
        case "sgp":
            return Sgp(
                http(),
                token=_given(settings, "sgp_token"),
                app=_given(settings, "sgp_app"),
                ticket_type=settings.sgp_ticket_type,
                order_type=settings.sgp_order_type,
                zone=settings.zone,
            )
        case "hubsoft":
            return HubSoft(
                http(),
                client_id=_given(settings, "hubsoft_client_id"),
                client_secret=_given(settings, "hubsoft_client_secret"),
                user=_given(settings, "hubsoft_user"),
                password=_given(settings, "hubsoft_password"),
                unlock_days=settings.hubsoft_unlock_days,
                cep=settings.hubsoft_cep,
                zone=settings.zone,
            )
        case "ixc":
            return Ixc(
                http(),
                token=_given(settings, "ixc_token"),
                subject=settings.ixc_subject,
                department=settings.ixc_department,
                branch=settings.ixc_branch,
                zone=settings.zone,
            )
        case "mkauth":
            return MkAuth(
                http(),
                client_id=_given(settings, "mkauth_client_id"),
                client_secret=_given(settings, "mkauth_client_secret"),
                ledger=ledger,
                zone=settings.zone,
            )
        case "local":
            raise BadInput("PROSA_ERP is local: there is no other system")


def _given(settings: Settings, name: str) -> str:
    value: str | SecretStr = getattr(settings, name)
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not text:
        raise BadInput(f"PROSA_{name.upper()} is not set, and PROSA_ERP={settings.erp} needs it")
    return text
