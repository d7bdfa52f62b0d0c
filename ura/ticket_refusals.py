"""Why a move of a ticket is refused (ura.ticket_rules): each with a code of its own, for programs."""

from ura.errors import Refused


class OfAnotherTier(Refused):
    code = "ticket-of-another-tier"


class TicketAlreadyClosed(Refused):
    code = "ticket-already-closed"


class TicketIsOpen(Refused):
    code = "ticket-is-open"


class TicketIsWaiting(Refused):
    code = "ticket-is-waiting"


class TicketIsNotWaiting(Refused):
    code = "ticket-is-not-waiting"


class WordsMissing(Refused):
    code = "words-missing"


class ReportMissing(Refused):
    code = "report-missing"


class DeadlineNotTold(Refused):
    code = "deadline-not-told"


class DeadlineIsPast(Refused):
    code = "deadline-is-past"


class DeadlineTooLate(Refused):
    code = "deadline-too-late"


class NothingTriedYet(Refused):
    code = "nothing-tried-yet"


class NoContactHere(Refused):
    code = "no-contact-here"


class OnlyL1Closes(Refused):
    code = "only-l1-closes"


class L3ClosesNothing(Refused):
    code = "l3-closes-nothing"


class VisitStillBooked(Refused):
    code = "visit-still-booked"


class ReopenedTooLate(Refused):
    code = "reopened-too-late"


class NobodyToTakeIt(Refused):
    code = "nobody-to-take-it"


class UnfitAssignee(Refused):
    code = "unfit-assignee"
