"""The path of one call, written to the journal: `ura.flows.conduct.Recorder` on `ura.journal`."""

from datetime import UTC, datetime
from typing import Any

import structlog

from ura.errors import Unavailable
from ura.journal import Journal

log = structlog.get_logger("agi.record")

Json = Any
RESUMED_STRIDE = (
    1000  # steps after a take-over count from the next thousand: those since the last save keep their place
)


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class CallRecord:
    """`seq` is the number of the last step; a call that was taken over goes on after it."""

    def __init__(self, journal: Journal, call_id: str, *, seq: int = 0) -> None:
        self._journal = journal
        self._call_id = call_id
        self.seq = seq
        self.refused = False  # the disk did not take something of this call

    def _append(self, kind: str, key: str, data: dict[str, Json]) -> None:
        try:
            self._journal.append(kind, key, data)
        except Unavailable:
            self.refused = True
            raise

    def opened(self, **data: Json) -> None:
        self._append("call_opened", self._call_id, {"call_id": self._call_id, **data})

    def step(self, node: str, event: str, detail: dict[str, Json]) -> None:
        self.seq += 1
        data = {"call_id": self._call_id, "seq": self.seq, "node": node, "event": event, "detail": detail}
        self._append("call_step", f"{self._call_id}:{self.seq}", {**data, "at": utc_now()})

    def close(self, outcome: str, last_node: str) -> None:
        data = {"call_id": self._call_id, "outcome": outcome, "ended_at": utc_now(), "last_node": last_node}
        self._append("call_closed", self._call_id, data)

    def close_quietly(self, outcome: str, last_node: str) -> None:
        """As `close`, for where nobody is left to tell that the disk refused."""
        try:
            self.close(outcome, last_node)
        except Unavailable as error:
            log.error("end of the call not recorded", call_id=self._call_id, reason=str(error))


def resumed(seq: int) -> int:
    return (seq // RESUMED_STRIDE + 1) * RESUMED_STRIDE
