"""What the phone side would have written: records as the projector applies them."""

import math
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from ura.db import Sessions
from ura.journal import Record
from ura.models import Did, DidKind
from ura.projection import apply_batch

CALLER = "+5511933330002"
DID = "551133330001"


def moment(seconds_ago: float = 0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


def record(kind: str, /, **data: Any) -> Record:
    return Record(kind=kind, key=f"{data.get('call_id', '')}:{data.get('seq', kind)}", at=moment(), data=data)


def opened(call_id: str, *, seconds_ago: float = 30, protocol: str = "", **data: Any) -> Record:
    given = {
        "uniqueid": f"{uuid4().int % 10**10}.1",
        "linkedid": "1.1",
        "protocol": protocol or str(uuid4().int)[:12],
        "caller": CALLER,
        "did": DID,
        "door": "flow",
        "flow_key": "provedor",
        "flow_version": 1,
    }
    return record("call_opened", call_id=call_id, opened_at=moment(seconds_ago), **given | data)


def step(call_id: str, seq: int, node: str, event: str, *, to: str, seconds_ago: float, **detail: Any) -> Record:
    return record(
        "call_step",
        call_id=call_id,
        seq=seq,
        node=node,
        event=event,
        detail=detail | {"to": to},
        at=moment(seconds_ago),
    )


def walked(call_id: str, *, seconds_ago: float = 30) -> list[Record]:
    """Greeting, "1" in the first menu, then the question home or business."""
    return [
        step(call_id, 1, "greeting", "started", to="greeting", seconds_ago=seconds_ago),
        step(call_id, 2, "greeting", "played", to="main", seconds_ago=seconds_ago - 4),
        step(call_id, 3, "main", "digits", to="audience", seconds_ago=seconds_ago - 10, keys="1"),
    ]


def closed(call_id: str, outcome: str = "done") -> Record:
    return record("call_closed", call_id=call_id, outcome=outcome, ended_at=moment(), last_node="audience")


async def write(sessions: Sessions, *records: Record) -> None:
    async with sessions.begin() as session:
        await apply_batch(session, records)


async def write_line(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Did(number=DID, label="Fixo", kind=DidKind.LANDLINE, flow_key="provedor"))


def new_id() -> str:
    return uuid4().hex


RESCUED = "menu: down"  # as agi/rescue.py writes it


def left(call_id: str, *, recording_id: str, lead: str = "proposal") -> list[Record]:
    """Everything that a call can leave behind."""
    at = moment(5)
    return [
        record("ticket_opened", call_id=call_id, ticket_id=new_id(), protocol="263260000174", category="fallback",
               summary=RESCUED, phone=CALLER, queue="l1", at=at),
        record("lead_saved", call_id=call_id, lead_id=new_id(), phone=CALLER, audience="home", city_id=None,
               neighbourhood_id=None, plan_id=None, status=lead, wants_message=True, at=at),
        record("recording_saved", call_id=call_id, recording_id=recording_id, path=f"{recording_id}.wav", seconds=2.0,
               at=at),
        record("message_queued", call_id=call_id, message_id=new_id(), kind="plans", to=CALLER,
               payload={"plan_ids": [1]}, at=at),
        record("callback_requested", call_id=call_id, callback_id=new_id(), phone=CALLER, queue="l1", not_before=None,
               at=at),
        record("erp_requested", call_id=call_id, request_id=new_id(), operation="trust_unlock", args={}, at=at),
        record("steps_answered", call_id=call_id, node="no_signal", answers={"power": "done", "outlet": "not_done"},
               at=at),
        record("survey_answered", call_id=call_id, answer_id=new_id(), question="csat", value="5", at=at),
    ]  # fmt: skip


def write_sound(folder: Path, recording_id: str, *, seconds: float = 2.0) -> bytes:
    """A tone, as Asterisk records one: 8 kHz, 16 bits, mono. Returns the file's bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{recording_id}.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        samples = (round(8000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(round(8000 * seconds)))
        sound.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
    return file.read_bytes()
