"""A call as it is shown: its stage, the path through the flow as stops, and names instead of keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from ura import calls, logs, phones
from ura.calls import CallFilter
from ura.models import Call, CallStep, Door, Outcome, StepAnswer, StepResult
from ura.users import Actor, Permission


class Stage(StrEnum):
    FLOW = "flow"
    QUEUE = "queue"
    TALKING = "talking"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Names:
    """Titles of what the record names by key only."""

    dids: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    flows: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[tuple[str, int | None], Mapping[str, str]] = field(default_factory=dict)  # also "node/step"


WORTH_A_WORD = frozenset({"no_input", "lookup_failed", "act_failed", "hung_up", "queue_left"})


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened at a node. The panel has the words for each `kind`."""

    kind: str
    number: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """One visit to one node: what happened there, and the seconds until the next."""

    node: str
    title: str
    at: datetime
    notes: tuple[Note, ...]
    seconds: int | None

    @property
    def keys(self) -> list[str]:
        return [note.text for note in self.notes if note.kind == "key"]

    @property
    def silent(self) -> bool:
        """The caller noticed nothing of it: something was looked up or stored."""
        return not self.notes and self.seconds == 0


@dataclass(frozen=True, slots=True)
class CallView:
    id: str
    protocol: str
    caller: str
    did: str
    did_label: str
    door: Door
    flow_key: str
    flow_title: str
    flow_version: int | None
    opened_at: datetime
    queued_at: datetime | None
    queue_title: str
    answered_at: datetime | None
    attendant: str
    ended_at: datetime | None
    outcome: Outcome | None
    stage: Stage
    seconds: int
    stops: tuple[Stop, ...]

    @property
    def opened_ms(self) -> int:
        """For the running clock in the browser."""
        return int(self.opened_at.timestamp() * 1000)


def stage_of(call: Call) -> Stage:
    if call.ended_at:
        return Stage.ENDED
    if call.answered_at:
        return Stage.TALKING
    # The flow says "to the queue" a moment before Asterisk says "in the queue".
    return Stage.QUEUE if call.queued_at or call.outcome is Outcome.QUEUE else Stage.FLOW


def view(call: Call, steps: Sequence[CallStep], names: Names, now: datetime) -> CallView:
    titles = names.nodes.get((call.flow_key, call.flow_version), {})
    return CallView(
        id=call.id,
        protocol=call.protocol or "",
        caller=call.caller,
        did=call.did,
        did_label=names.dids.get(call.did, call.did),
        door=call.door,
        flow_key=call.flow_key,
        flow_title=names.flows.get(call.flow_key, call.flow_key),
        flow_version=call.flow_version,
        opened_at=call.opened_at,
        queued_at=call.queued_at,
        queue_title=names.queues.get(call.queue, call.queue),
        answered_at=call.answered_at,
        attendant=call.attendant,
        ended_at=call.ended_at,
        outcome=call.outcome,
        stage=stage_of(call),
        seconds=max(0, round(((call.ended_at or now) - call.opened_at).total_seconds())),
        stops=stops(steps, titles, until=call.queued_at or call.ended_at),
    )


def stops(steps: Sequence[CallStep], titles: Mapping[str, str], *, until: datetime | None) -> tuple[Stop, ...]:
    """The path. A step tells what ended a wait at its node and where the call went: so a visit begins with the step
    before it. Steps that follow each other in one node are one stop; the last stop lasts `until`, or is not over."""
    if not steps:
        return ()
    visits: list[tuple[str, datetime, list[CallStep]]] = []
    entered = steps[0].at
    for step in steps:
        if not visits or visits[-1][0] != step.node:
            visits.append((step.node, entered, []))
        visits[-1][2].append(step)
        entered = step.at
    if (here := str(steps[-1].detail.get("to") or steps[-1].node)) != steps[-1].node:
        visits.append((here, steps[-1].at, []))
    ends = [at for _, at, _ in visits[1:]] + [until]
    return tuple(
        Stop(
            node=node,
            title=titles.get(node) or node.rpartition(".")[2].replace("_", " "),
            at=at,
            notes=tuple(note for step in told if (note := _note(step))),
            seconds=max(0, round((end - at).total_seconds())) if end else None,
        )
        for (node, at, told), end in zip(visits, ends, strict=True)
    )


def _note(step: CallStep) -> Note | None:
    """What is worth a word. Keys of a document or a phone number are only counted in the record."""
    if keys := str(step.detail.get("keys") or ""):
        return Note("key", text=keys)
    if step.event == "digits":
        return Note("typed", int(step.detail.get("count") or 0))
    if step.event == "recorded":
        return Note("recorded", round(float(step.detail.get("seconds") or 0)))
    return Note(step.event) if step.event in WORTH_A_WORD else None


async def views(session: AsyncSession, found: Sequence[Call], names: Names, now: datetime) -> list[CallView]:
    """The calls with their paths, in two queries however many they are."""
    if not found:
        return []
    paths = await calls.list_steps(session, [call.id for call in found])
    return [view(call, paths[call.id], names, now) for call in found]


def first_aid(
    answers: Sequence[StepAnswer], titles: Mapping[str, str]
) -> list[tuple[str, list[tuple[str, StepResult]]]]:
    """Title of each guided list with (step, answer), in the order of the flow; by key what the flow does not know."""
    order = {key: place for place, key in enumerate(titles)}
    lists: dict[str, list[tuple[str, StepResult]]] = {}
    for each in sorted(answers, key=lambda each: order.get(f"{each.node}/{each.step}", len(order))):
        step = titles.get(f"{each.node}/{each.step}") or each.step
        lists.setdefault(titles.get(each.node) or each.node, []).append((step, each.answer))
    return list(lists.items())


def fits(call: CallView, wanted: CallFilter, stage: Stage | None) -> bool:
    """Would this call be in a list with this filter? The same question that `calls.list_calls` asks the database."""
    checks = (
        not wanted.caller or call.caller == wanted.caller,
        not wanted.did or call.did == wanted.did,
        not wanted.protocol or call.protocol == wanted.protocol,
        wanted.door is None or call.door == wanted.door,
        wanted.outcome is None or call.outcome == wanted.outcome,
        wanted.live is None or (call.ended_at is None) == wanted.live,
        wanted.opened_from is None or call.opened_at >= wanted.opened_from,
        wanted.opened_before is None or call.opened_at < wanted.opened_before,
        stage is None or call.stage == stage,
    )
    return all(checks)


def phone_for(actor: Actor, phone: str) -> str:
    """The number, masked for whoever may not ring it."""
    return phone if actor.may(Permission.PHONES_SEE) or not phone else phones.mask(phone)


def text_for(actor: Actor, text: str) -> str:
    """What somebody typed, with the telephone numbers and documents in it masked for whoever may not see them."""
    return text if actor.may(Permission.PHONES_SEE) else logs.redact(text)


def address_for(actor: Actor, address: str) -> str:
    """Where a message went: a number as `phone_for` shows it; of an e-mail address the first letter and the domain."""
    if "@" not in address or actor.may(Permission.PHONES_SEE):
        return phone_for(actor, address)
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}***@{domain}"
