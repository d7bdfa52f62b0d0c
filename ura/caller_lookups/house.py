"""What the lookups ask, put together by the door that answers calls."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Protocol

from ura.billing import Policy
from ura.db import Sessions
from ura.erp import Contract, Erp, Reply, SendChannel, Subscriber
from ura.models import AttemptKind
from ura.network import Diagnosis
from ura.subscribers import Checked, Found
from ura.visits import Policy as VisitPolicy


class Identifies(Protocol):
    """ura.subscribers.Identification."""

    async def by_number(self, phone: str) -> Reply[tuple[Subscriber, ...]]: ...
    async def by_keys(self, kind: AttemptKind, digits: str, *, caller: str) -> Found: ...
    async def check_factor(self, subscriber: Subscriber, digits: str, *, source: str, caller: str) -> Checked: ...


class Diagnoses(Protocol):
    """ura.adapters.network.Network."""

    async def diagnose(self, contract: Contract, *, as_of: datetime | None = None) -> Diagnosis: ...


@dataclass(frozen=True, slots=True)
class House:
    """`channels`: those with a gateway, in the order in which they are offered; `confirming`: ura.gateways.confirming;
    `can_speak`: is there audio for this prompt key? `want_name`: have this name rendered for the next call."""

    erp: Erp
    identification: Identifies
    network: Diagnoses
    sessions: Sessions
    policy: Policy
    zone: tzinfo
    channels: Collection[SendChannel] = ()
    confirming: Mapping[str, bool] = field(default_factory=dict)
    can_speak: Callable[[str], bool] = lambda key: True
    want_name: Callable[[str], None] = lambda text: None
    visit_policy: VisitPolicy = field(default_factory=VisitPolicy)
