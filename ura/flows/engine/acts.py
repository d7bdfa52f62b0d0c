"""Nodes that ask the house or change something: lookup, hours, lead, waiting list, ticket, proof, callback, message,
queue."""

from collections.abc import Callable
from typing import Any

from ura.flows.effects import Lookup, Play, Record, SendToQueue
from ura.flows.engine.cursor import Cursor, Handler, Move
from ura.flows.engine.lead import forward_lead, lead_args, lead_at_queue, lead_saved
from ura.flows.engine.state import Json
from ura.flows.engine.talk import missing_protocol, spoken
from ura.flows.events import ActDone, ActFailed, Event, LookupDone, LookupFailed, QueueLeft, Recorded
from ura.flows.nodes import (
    BaseNode,
    Callback,
    FactRef,
    Hours,
    Lead,
    LookupNode,
    Message,
    Proof,
    Queue,
    SendPlans,
    Ticket,
    WaitingList,
)

SHORTEST_MESSAGE_S = 1.0


# -- lookups


def put_lookup(c: Cursor, node: LookupNode) -> Move:
    args = {name: c.fact(arg.fact) if isinstance(arg, FactRef) else arg for name, arg in node.args.items()}
    return Lookup(node.name, args, node.filler, deadline_s=node.deadline_s, early=True)


def hear_lookup(c: Cursor, node: LookupNode, event: Event) -> Move | None:
    match event:
        case LookupDone(name, result) if name == node.name:
            c.learn(node.into, result)
            return c.to(node.next)
        case LookupFailed():
            return c.to(node.failed)
    return None


def put_hours(c: Cursor, node: Hours) -> Move:
    return Lookup("opening", {"queue": node.queue})


def hear_hours(c: Cursor, node: Hours, event: Event) -> Move | None:
    match event:
        case LookupDone("opening", result):
            c.facts["opening"] = result
            return c.to(node.on.open if result.get("open") is True else node.on.closed)
        case LookupFailed():
            return c.to(node.on.failed)
    return None


# -- acts: one effect, then `next` or `failed`


def acting(
    name: str,
    args: Callable[[Cursor, Any], dict[str, Json]],
    done: Callable[[Cursor, Any, dict[str, Json]], None],
) -> Handler:
    def put(c: Cursor, node: BaseNode) -> Move:
        return c.act(name, args(c, node))

    def hear(c: Cursor, node: Any, event: Event) -> Move | None:
        match event:
            case ActDone(heard, result) if heard == name:
                done(c, node, result)
                return c.to(node.next)
            case ActFailed():
                return c.to(node.failed)
        return None

    return Handler(put, hear)


def waiting_args(c: Cursor, node: WaitingList) -> dict[str, Json]:
    return {"phone": c.phone(), "neighbourhood_id": c.fact("neighbourhood.id")}


def settle(c: Cursor, node: object, result: dict[str, Json]) -> None:
    c.settled = True


def ticket_args(c: Cursor, node: Ticket) -> dict[str, Json]:
    args = {"category": node.category, "summary": node.summary, "queue": node.queue, "phone": c.phone()}
    contract_id = c.fact("contract.id")
    return args | {"contract_id": contract_id} if contract_id else args


def ticket_opened(c: Cursor, node: Ticket, result: dict[str, Json]) -> None:
    c.facts["ticket"] = result | {"category": node.category}
    c.settled = True
    forward_lead(c)


def callback_args(c: Cursor, node: Callback) -> dict[str, Json]:
    return {"queue": node.queue, "phone": c.phone(), "not_before": c.fact("opening.opens_at")}


def callback_requested(c: Cursor, node: Callback, result: dict[str, Json]) -> None:
    c.facts["callback"] = result
    c.settled = True
    forward_lead(c)


def send_args(c: Cursor, node: SendPlans) -> dict[str, Json]:
    plan_id = c.fact("plan.id")
    return {"plan_ids": [plan_id] if plan_id is not None else c.facts.get("plan_ids", []), "to": c.phone()}


# -- proof


def put_proof(c: Cursor, node: Proof) -> Move:
    if not c.mobile():
        return c.to(node.on.no_mobile)
    if not c.fact("ticket.ticket_id"):
        return c.act("send_protocol", {"to": c.mobile()})
    ticket = {name: c.fact(f"ticket.{name}") for name in ("ticket_id", "category")}
    return c.act("send_proof", ticket | {"to": c.mobile()})


def hear_proof(c: Cursor, node: Proof, event: Event) -> Move | None:
    match event:
        case ActDone("send_proof" | "send_protocol"):
            return c.to(node.on.queued)
        case ActFailed():
            return c.to(node.on.failed)
    return None


# -- message


def put_message(c: Cursor, node: Message) -> Move:
    if c.phase == "save":
        return c.act("save_recording", dict(c.data))
    keys = c.flow.keys
    return Record(c.say(node.prompts), node.max_s, c.say(node.tone), keys.repeat + keys.back + keys.person)


def keep_said(c: Cursor, recorded: Recorded) -> None:
    """Who asks for a person in the middle of a message has said something all the same."""
    if recorded.seconds >= SHORTEST_MESSAGE_S:
        c.owe("save_recording", {"recording_id": recorded.recording_id, "seconds": recorded.seconds})


def hear_message(c: Cursor, node: Message, event: Event) -> Move | None:
    match event:
        case Recorded(_, seconds) if not c.phase and seconds < SHORTEST_MESSAGE_S:
            return c.to(node.empty)
        case Recorded(recording_id, seconds) if not c.phase:
            c.turn("save")
            c.data = {"recording_id": recording_id, "seconds": seconds}
            return put_message(c, node)
        case ActDone() if c.phase:
            c.facts["recording_id"] = c.data["recording_id"]
            c.settled = True
            forward_lead(c)
            return c.to(node.next)
        case ActFailed():
            return c.to(node.failed)
    return None


# -- queue


def put_queue(c: Cursor, node: Queue) -> Move:
    if act := c.next_owed():
        return act
    if not c.phase:
        c.phase = "spoken"
        prompts = missing_protocol(c) + c.say(node.prompts)
        if prompts:
            return Play(prompts)
    if c.phase == "spoken":
        c.phase = "leaving"
        if act := lead_at_queue(c):
            return act
    c.phase = "sent"
    return SendToQueue(node.queue, node.priority + bool(c.facts.get("frustrated")))


def hear_queue(c: Cursor, node: Queue, event: Event) -> Move | None:
    match event:
        case QueueLeft(_, reason) if c.phase == "sent":
            c.facts["queue_left"] = reason
            edge = reason if reason in type(node.on).model_fields else "failed"
            return c.to(getattr(node.on, edge))
        case ActDone() | ActFailed() if c.phase in ("", "leaving"):
            return put_queue(c, node)
    if c.phase == "spoken" and spoken(c, event):
        c.ahead = ""  # keys pressed into "one moment" answer nothing
        return put_queue(c, node)
    return None


HANDLERS: dict[type[BaseNode], Handler] = {
    LookupNode: Handler(put_lookup, hear_lookup),
    Hours: Handler(put_hours, hear_hours),
    Lead: acting("save_lead", lead_args, lead_saved),
    WaitingList: acting("join_waiting_list", waiting_args, settle),
    Ticket: acting("open_ticket", ticket_args, ticket_opened),
    Callback: acting("request_callback", callback_args, callback_requested),
    SendPlans: acting("send_plans", send_args, settle),
    Proof: Handler(put_proof, hear_proof),
    Message: Handler(put_message, hear_message),
    Queue: Handler(put_queue, hear_queue),
}
