"""The provider's own system, spoken to: which one it is, and with what credentials, is in the settings."""

from typing import assert_never

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
from ura.settings import Settings

__all__ = ["ErpMetrics", "GuardedErp", "LocalErp", "from_settings", "remote_erp"]


def from_settings(settings: Settings, sessions: Sessions, *, metrics: ErpMetrics | None = None) -> GuardedErp:
    """The one behind PROSA_ERP, guarded; somebody has to close it."""
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
    count no trust unlocks. That nothing is missing, the settings have seen to."""
    if settings.erp == "local":
        raise ValueError("the tables of this installation are no other system")
    http = ErpHttp(settings.erp_url, ca_file=settings.erp_ca_file, deadline_s=deadline_s)
    match settings.erp:
        case "sgp":
            return Sgp(
                http,
                token=settings.sgp_token.get_secret_value(),
                app=settings.sgp_app,
                ticket_type=settings.sgp_ticket_type,
                order_type=settings.sgp_order_type,
                zone=settings.zone,
            )
        case "hubsoft":
            return HubSoft(
                http,
                client_id=settings.hubsoft_client_id,
                client_secret=settings.hubsoft_client_secret.get_secret_value(),
                user=settings.hubsoft_user,
                password=settings.hubsoft_password.get_secret_value(),
                unlock_days=settings.hubsoft_unlock_days,
                cep=settings.hubsoft_cep,
                zone=settings.zone,
            )
        case "ixc":
            return Ixc(
                http,
                token=settings.ixc_token.get_secret_value(),
                subject=settings.ixc_subject,
                department=settings.ixc_department,
                branch=settings.ixc_branch,
                zone=settings.zone,
            )
        case "mkauth":
            return MkAuth(
                http,
                client_id=settings.mkauth_client_id,
                client_secret=settings.mkauth_client_secret.get_secret_value(),
                ledger=ledger,
                zone=settings.zone,
            )
        case _:
            assert_never(settings.erp)
