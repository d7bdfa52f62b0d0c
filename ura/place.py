"""Where is the provider? What is due depends on its clock and on its holidays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

SAO_PAULO = ZoneInfo("America/Sao_Paulo")


@dataclass(frozen=True, slots=True)
class Place:
    """`state_uf`: whose holidays are kept. The defaults are those of the settings."""

    zone: ZoneInfo = SAO_PAULO
    state_uf: str = "SP"


def of(info: Mapping[Any, Any]) -> Place:
    """The one that the sessions were made with (ura.db.make_sessions)."""
    found: Place = info["place"]
    return found
