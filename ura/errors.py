"""The errors of the house.

UraError                 code, message, http_status: anything a door may show
├── NotFound             404
├── Refused              409: a business rule says no; the message names the rule
├── BadInput             422: the message says what to do
└── Unavailable          503: another system, or the database, did not answer in time
HungUp                   the caller has gone; not an error, ends a call quietly
"""


class UraError(Exception):
    """Expected trouble. `code` is a stable slug for programs, the message is for people."""

    code = "error"
    http_status = 500

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.code)
        self.message = message or self.code


class NotFound(UraError):
    code = "not-found"
    http_status = 404


class Refused(UraError):
    code = "refused"
    http_status = 409


class BadInput(UraError):
    code = "bad-input"
    http_status = 422


class Unavailable(UraError):
    code = "unavailable"
    http_status = 503


class HungUp(Exception):
    """The caller has gone. Raised by a Channel at whatever command was running."""
