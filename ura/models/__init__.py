"""Every table, one file each. Importing this package fills `Base.metadata`."""

from ura.models.access import Access
from ura.models.api_token import ApiToken
from ura.models.attendant import Attendant
from ura.models.audit import AuditEntry
from ura.models.business_hours import BusinessHours
from ura.models.call import Call, Door, Outcome, Witness
from ura.models.call_step import CallStep
from ura.models.callback import Callback, CallbackState
from ura.models.caller_block import CallerBlock
from ura.models.city import City
from ura.models.contract import Contract
from ura.models.did import Did, DidKind
from ura.models.dispute import Dispute
from ura.models.dropped_call import DroppedCall, Recovery
from ura.models.emergency import Emergency, EmergencyPin
from ura.models.erp_request import ErpRequest, ErpRequestState, Operation
from ura.models.event import Event
from ura.models.flow import Flow
from ura.models.flow_version import FlowState, FlowVersion
from ura.models.holiday import Holiday
from ura.models.identification_attempt import AttemptKind, IdentificationAttempt
from ura.models.invoice import Invoice, InvoiceStatus
from ura.models.journal_offset import JournalOffset
from ura.models.lead import Lead, LeadSource, LeadStatus, LostReason
from ura.models.neighbourhood import Coverage, Neighbourhood
from ura.models.noticed_outage import NoticedOutage
from ura.models.opt_out import OptOut
from ura.models.outage import Cause, Outage, OutageScope
from ura.models.outage_call import OutageCall
from ura.models.outbox import OutboxMessage, OutboxState, Problem
from ura.models.payment_promise import PaymentPromise, PromiseOutcome
from ura.models.plan import Audience, Plan
from ura.models.plan_offer import PlanOffer
from ura.models.priority_number import PriorityNumber
from ura.models.prompt import Prompt, PromptKind
from ura.models.queue import Queue
from ura.models.recording import Recording
from ura.models.session import LoginSession
from ura.models.step_answer import StepAnswer, StepResult
from ura.models.subscriber import Subscriber
from ura.models.subscriber_phone import SubscriberPhone
from ura.models.survey_answer import SurveyAnswer
from ura.models.ticket import Category, Ticket, TicketStatus, Tier
from ura.models.ticket_event import TicketEvent, TicketEventKind
from ura.models.trust_unlock import TrustUnlock
from ura.models.user import Role, User
from ura.models.waiting_list import WaitingListEntry

__all__ = [
    "Access",
    "ApiToken",
    "AttemptKind",
    "Attendant",
    "Audience",
    "AuditEntry",
    "BusinessHours",
    "Call",
    "CallStep",
    "Callback",
    "CallbackState",
    "CallerBlock",
    "Category",
    "Cause",
    "City",
    "Contract",
    "Coverage",
    "Did",
    "DidKind",
    "Dispute",
    "Door",
    "DroppedCall",
    "Emergency",
    "EmergencyPin",
    "ErpRequest",
    "ErpRequestState",
    "Event",
    "Flow",
    "FlowState",
    "FlowVersion",
    "Holiday",
    "IdentificationAttempt",
    "Invoice",
    "InvoiceStatus",
    "JournalOffset",
    "Lead",
    "LeadSource",
    "LeadStatus",
    "LoginSession",
    "LostReason",
    "Neighbourhood",
    "NoticedOutage",
    "Operation",
    "OptOut",
    "Outage",
    "OutageCall",
    "OutageScope",
    "OutboxMessage",
    "OutboxState",
    "Outcome",
    "PaymentPromise",
    "Plan",
    "PlanOffer",
    "PriorityNumber",
    "Problem",
    "PromiseOutcome",
    "Prompt",
    "PromptKind",
    "Queue",
    "Recording",
    "Recovery",
    "Role",
    "StepAnswer",
    "StepResult",
    "Subscriber",
    "SubscriberPhone",
    "SurveyAnswer",
    "Ticket",
    "TicketEvent",
    "TicketEventKind",
    "TicketStatus",
    "Tier",
    "TrustUnlock",
    "User",
    "WaitingListEntry",
    "Witness",
]
