"""Every table, one file each. Importing this package fills `Base.metadata`."""

from ura.models.access import Access
from ura.models.answered_request import AnsweredRequest
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
from ura.models.domain_event import DomainEvent, EventKind
from ura.models.dropped_call import DroppedCall, Recovery
from ura.models.emergency import Emergency, EmergencyPin
from ura.models.erp_request import ErpRequest, ErpRequestState, Operation
from ura.models.event import Event
from ura.models.flow import Flow
from ura.models.flow_version import FlowState, FlowVersion
from ura.models.holiday import Holiday
from ura.models.identification_attempt import AttemptKind, IdentificationAttempt
from ura.models.incident_complaint import IncidentComplaint
from ura.models.incident_ticket import Explained, IncidentTicket
from ura.models.incident_update import IncidentUpdate
from ura.models.invoice import Invoice, InvoiceStatus
from ura.models.journal_offset import JournalOffset
from ura.models.lead import Lead, LeadSource, LeadStatus, LostReason
from ura.models.legal_hold import HoldKind, LegalHold
from ura.models.neighbourhood import Coverage, Neighbourhood
from ura.models.noticed_outage import NoticedOutage
from ura.models.opt_out import OptOut
from ura.models.outage import Cause, Outage, OutageScope
from ura.models.outage_call import OutageCall
from ura.models.outbox import OutboxMessage, OutboxState, Problem
from ura.models.payment_promise import PaymentPromise, PromiseOutcome
from ura.models.person_request import PersonRequest, PersonRequestKind, PersonRequestState
from ura.models.plan import Audience, Plan
from ura.models.plan_offer import PlanOffer
from ura.models.priority_number import PriorityNumber
from ura.models.prompt import Prompt, PromptKind
from ura.models.purge import Purge
from ura.models.queue import Queue
from ura.models.record_access import AccessHow, RecordAccess, RecordKind
from ura.models.recording import Recording
from ura.models.saved_filter import SavedFilter
from ura.models.session import LoginSession
from ura.models.sla_policy import CountedBy, SlaPolicy
from ura.models.step_answer import StepAnswer, StepResult
from ura.models.subscriber import Subscriber
from ura.models.subscriber_phone import SubscriberPhone
from ura.models.survey_answer import SurveyAnswer
from ura.models.technician import Technician
from ura.models.ticket import Category, Ticket, TicketStatus, Tier
from ura.models.ticket_category import TicketCategory
from ura.models.ticket_event import TicketEvent, TicketEventKind
from ura.models.trust_unlock import TrustUnlock
from ura.models.user import Role, User
from ura.models.visit import Visit, VisitKind, VisitStatus
from ura.models.waiting_list import WaitingListEntry
from ura.models.webhook import Webhook
from ura.models.webhook_delivery import DeliveryState, WebhookDelivery

__all__ = [
    "Access",
    "AccessHow",
    "AnsweredRequest",
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
    "CountedBy",
    "Coverage",
    "DeliveryState",
    "Did",
    "DidKind",
    "Dispute",
    "DomainEvent",
    "Door",
    "DroppedCall",
    "Emergency",
    "EmergencyPin",
    "ErpRequest",
    "ErpRequestState",
    "Event",
    "EventKind",
    "Explained",
    "Flow",
    "FlowState",
    "FlowVersion",
    "HoldKind",
    "Holiday",
    "IdentificationAttempt",
    "IncidentComplaint",
    "IncidentTicket",
    "IncidentUpdate",
    "Invoice",
    "InvoiceStatus",
    "JournalOffset",
    "Lead",
    "LeadSource",
    "LeadStatus",
    "LegalHold",
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
    "PersonRequest",
    "PersonRequestKind",
    "PersonRequestState",
    "Plan",
    "PlanOffer",
    "PriorityNumber",
    "Problem",
    "PromiseOutcome",
    "Prompt",
    "PromptKind",
    "Purge",
    "Queue",
    "RecordAccess",
    "RecordKind",
    "Recording",
    "Recovery",
    "Role",
    "SavedFilter",
    "SlaPolicy",
    "StepAnswer",
    "StepResult",
    "Subscriber",
    "SubscriberPhone",
    "SurveyAnswer",
    "Technician",
    "Ticket",
    "TicketCategory",
    "TicketEvent",
    "TicketEventKind",
    "TicketStatus",
    "Tier",
    "TrustUnlock",
    "User",
    "Visit",
    "VisitKind",
    "VisitStatus",
    "WaitingListEntry",
    "Webhook",
    "WebhookDelivery",
    "Witness",
]
