"""What a call changes: each act is a journal record, on disk before the caller hears that it was done.

Ids are made from the call and the act's key, so that an act repeated by another process (which took the call over) is
the same act.
"""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar, Protocol
from uuid import UUID, uuid5

from ura import phones
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.models import Audience, Category, LeadStatus, Operation, StepResult

Json = Any
Args = dict[str, Json]
NAMESPACE = UUID("6f6f8d0e-6d0c-4c0e-9a1b-5b8f6b6f7a51")


class UnknownAct(BadInput):
    code = "unknown-act"


class NoNumberToReach(BadInput):
    """The caller hides the number and gave no other: nothing that needs one may be promised."""

    code = "no-number-to-reach"


class CallFacts(Protocol):
    """The call an act belongs to."""

    @property
    def call_id(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def caller(self) -> str: ...


class DurableLog(Protocol):
    """ura.journal.Journal, as far as it is used here."""

    def append(self, kind: str, key: str, data: dict[str, Any]) -> None: ...
    async def sync(self) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


class Acts:
    """One a call. `zone` is the local time of `not_before` given without one."""

    def __init__(
        self, journal: DurableLog, call: CallFacts, *, zone: tzinfo = UTC, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._journal = journal
        self._call = call
        self._zone = zone
        self._now = now

    async def __call__(self, name: str, args: Args, *, key: str = "") -> dict[str, Json]:
        """Raises BadInput for what cannot be done, Unavailable when the disk refuses: then nothing may be promised."""
        act = self._acts.get(name)
        if act is None:
            raise UnknownAct(f"no act is called {name!r}")
        try:
            kind, data, result = act(self, args, f"{name}:{key}")
        except (KeyError, ValueError, TypeError) as error:
            raise BadInput(f"{name} got arguments it cannot use: {error!r}") from error
        data = {"call_id": self._call.call_id, **data, "at": self._now().astimezone(UTC).isoformat()}
        self._journal.append(kind, next(iter(result.values()), f"{self._call.call_id}:{key}"), data)
        await self._journal.sync()
        return result

    def _save_lead(self, args: Args, key: str) -> "_Done":
        lead_id = args.get("lead_id") or self._id("lead")  # one a call: the same wish, told in parts
        audience = args.get("audience")
        data = {
            "lead_id": lead_id,
            "phone": self._phone(args.get("phone"), needed=False),
            "audience": Audience(audience).value if audience else None,
            "city_id": args.get("city_id"),
            "neighbourhood_id": args.get("neighbourhood_id"),
            "plan_id": args.get("plan_id"),
            "status": LeadStatus(args.get("status") or LeadStatus.NEW).value,
            "wants_message": bool(args.get("wants_message")),
        }
        return "lead_saved", data, {"lead_id": lead_id}

    def _join_waiting_list(self, args: Args, key: str) -> "_Done":
        entry_id = self._id(f"waiting:{args['neighbourhood_id']}")  # once a call and neighbourhood
        data = {
            "entry_id": entry_id,
            "phone": self._phone(args.get("phone")),
            "neighbourhood_id": int(args["neighbourhood_id"]),
        }
        return "waiting_list_joined", data, {"entry_id": entry_id}

    def _open_ticket(self, args: Args, key: str) -> "_Done":
        ticket_id = self._id(key)
        protocol = self._protocol(args)
        data = {
            "ticket_id": ticket_id,
            "protocol": protocol,
            "category": Category(args["category"]).value,
            "summary": str(args.get("summary", "")),
            "phone": self._phone(args.get("phone"), needed=False),
            "queue": str(args.get("queue", "")),
            "contract_id": str(args.get("contract_id") or ""),
        }
        return "ticket_opened", data, {"ticket_id": ticket_id, "protocol": protocol}

    def _request_callback(self, args: Args, key: str) -> "_Done":
        callback_id = self._id(key)
        data = {
            "callback_id": callback_id,
            "phone": self._phone(args.get("phone")),
            "queue": str(args["queue"]),
            "not_before": self._moment(args.get("not_before")),
        }
        return "callback_requested", data, {"callback_id": callback_id}

    def _send_plans(self, args: Args, key: str) -> "_Done":
        message_id = self._id(key)
        plan_ids = [int(plan_id) for plan_id in args.get("plan_ids") or []]
        if not plan_ids:
            raise BadInput("there is no plan to send")
        data = {
            "message_id": message_id,
            "kind": "plans",
            "to": self._phone(args.get("to")),
            "payload": {"plan_ids": plan_ids},
        }
        return "message_queued", data, {"message_id": message_id}

    def _send_proof(self, args: Args, key: str) -> "_Done":
        """`at` is local: it is what the message tells."""
        message_id = self._id(key)
        data = {
            "message_id": message_id,
            "kind": "proof",
            "to": self._phone(args.get("to")),
            "payload": {
                "category": Category(args["category"]).value,
                "ticket_id": str(args["ticket_id"]),
                "protocol": self._protocol(args),
                "at": self._now().astimezone(self._zone).isoformat(timespec="minutes"),
            },
        }
        return "message_queued", data, {"message_id": message_id}

    def _send_protocol(self, args: Args, key: str) -> "_Done":
        message_id = self._id(key)
        data = {
            "message_id": message_id,
            "kind": "protocol",
            "to": self._phone(args.get("to")),
            "payload": {"protocol": self._protocol(args)},
        }
        return "message_queued", data, {"message_id": message_id}

    def _send_invoice(self, args: Args, key: str) -> "_Done":
        """To an address that was registered before the call: `target` is one of what the lookup `targets` gave. The
        address itself is looked up when the message goes out (ura.contacts), and is in no record."""
        message_id = self._id(key)
        target = args["target"]
        contract_id = str(args["contract_id"])
        contact = {
            "subscriber_id": str(args["subscriber_id"]),
            "contract_id": contract_id,
            "channel": SendChannel(target["channel"]).value,
            "tail": str(target.get("tail") or ""),
        }
        data = {
            "message_id": message_id,
            "kind": "invoice",
            "channel": contact["channel"],
            "to": "",
            "payload": {"invoice_id": str(args["invoice_id"]), "contract_id": contract_id, "contact": contact},
        }
        return "message_queued", data, {"message_id": message_id}

    def _dispute_invoice(self, args: Args, key: str) -> "_Done":
        """A complaint about one charge; while it is open nobody is reminded of that charge."""
        ticket_id = self._id(key)
        data = {
            "ticket_id": ticket_id,
            "protocol": self._protocol(args),
            "summary": str(args.get("summary", "")),
            "phone": self._phone(args.get("phone"), needed=False),
            "queue": str(args.get("queue", "")),
            "source": str(args["source"]),
            "contract_id": str(args["contract_id"]),
            "invoice_id": str(args["invoice_id"]),
        }
        return "invoice_disputed", data, {"ticket_id": ticket_id, "protocol": self._protocol(args)}

    def _save_steps(self, args: Args, key: str) -> "_Done":
        answers = {str(step): StepResult(answer).value for step, answer in args["answers"].items()}
        return "steps_answered", {"node": str(args["node"]), "answers": answers}, {}

    def _save_recording(self, args: Args, key: str) -> "_Done":
        recording_id = str(args["recording_id"])
        data = {
            "recording_id": recording_id,
            "path": str(args.get("path") or f"{recording_id}.wav"),
            "seconds": float(args["seconds"]),
        }
        return "recording_saved", data, {"recording_id": recording_id}

    def _answer_survey(self, args: Args, key: str) -> "_Done":
        answer_id = self._id(key)
        data = {"answer_id": answer_id, "question": str(args["question"]), "value": str(args["value"])}
        return "survey_answered", data, {"answer_id": answer_id}

    def _request_erp(self, args: Args, key: str) -> "_Done":
        """What the provider's system shall do; the worker asks it, the lookup `erp_result` knows how it went."""
        request_id = self._id(key)
        data = {
            "request_id": request_id,
            "operation": Operation(args["operation"]).value,
            "args": dict(args["args"]),
            "protocol": self._protocol(args),
        }
        return "erp_requested", data, {"request_id": request_id}

    def _hear_outage(self, args: Args, key: str) -> "_Done":
        """This call is explained by an outage. `wants_news`: tell the number when it is over; `notice`: what the
        provider's system says of one that only it knows."""
        data = {
            "outage_id": str(args["outage_id"]),
            "contract_id": str(args.get("contract_id") or ""),
            "phone": self._phone(args.get("phone"), needed=bool(args.get("wants_news"))),
            "wants_news": bool(args.get("wants_news")),
        }
        if notice := args.get("notice"):
            data["notice"] = {name: notice[name] for name in ("source", "reference", "text", "ends_at")}
            data["subscriber_id"] = str(args.get("subscriber_id") or "")
        return "outage_heard", data, {"outage_id": data["outage_id"]}

    def _report_ticket(self, args: Args, key: str) -> "_Done":
        """What the caller says of a ticket that is there; "it takes too long" once a call and ticket."""
        said, ticket_id = str(args["said"]), str(args["ticket_id"])
        event_id = self._id(f"{said}:{ticket_id}" if said == "delay" else key)
        data = {"event_id": event_id, "ticket_id": ticket_id, "said": said}
        if recording_id := args.get("recording_id"):
            data["recording_id"] = str(recording_id)
        return "ticket_reported", data, {"event_id": event_id}

    def _move_visit(self, args: Args, key: str) -> "_Done":
        """To one of the slots that the lookup `visit_slots` gave; `changes` as it said them."""
        event_id = self._id(key)
        data = {
            "event_id": event_id,
            "visit_id": str(args["visit_id"]),
            "technician_id": int(args["technician_id"]),
            "starts_at": self._moment(args["starts_at"]),
            "changes": int(args["changes"]),
        }
        return "visit_move_wanted", data, {"event_id": event_id}

    def _still_down(self, args: Args, key: str) -> "_Done":
        """An incident is over, and this caller says that it is not: somebody calls back."""
        incident_id = str(args["incident_id"])
        complaint_id = self._id(f"still_down:{incident_id}")
        data = {
            "complaint_id": complaint_id,
            "incident_id": incident_id,
            "protocol": self._protocol(args),
            "phone": self._phone(args.get("phone")),
        }
        return "still_down", data, {"complaint_id": complaint_id}

    def _protocol(self, args: Args) -> str:
        """The call's own, or that of the ticket which it is about: then the flow names it."""
        return str(args.get("protocol") or self._call.protocol)

    def _id(self, what: str) -> str:
        return uuid5(NAMESPACE, f"{self._call.call_id}:{what}").hex

    def _phone(self, given: Json, *, needed: bool = True) -> str:
        phone = phones.to_e164(str(given or "")) or phones.to_e164(self._call.caller)
        if needed and not phone:
            raise NoNumberToReach("the caller's number is hidden; ask for one first")
        return phone

    def _moment(self, given: Json) -> str | None:
        if not given:
            return None
        moment = datetime.fromisoformat(str(given))
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).astimezone(UTC).isoformat()

    _acts: ClassVar["dict[str, Callable[[Acts, Args, str], _Done]]"] = {
        "save_lead": _save_lead,
        "join_waiting_list": _join_waiting_list,
        "open_ticket": _open_ticket,
        "request_callback": _request_callback,
        "send_plans": _send_plans,
        "send_proof": _send_proof,
        "send_protocol": _send_protocol,
        "send_invoice": _send_invoice,
        "dispute_invoice": _dispute_invoice,
        "save_steps": _save_steps,
        "save_recording": _save_recording,
        "answer_survey": _answer_survey,
        "request_erp": _request_erp,
        "hear_outage": _hear_outage,
        "report_ticket": _report_ticket,
        "move_visit": _move_visit,
        "still_down": _still_down,
    }


_Done = tuple[str, dict[str, Json], dict[str, Json]]  # kind of record, its data, what the flow learns
