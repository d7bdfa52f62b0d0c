"""The moves of a ticket as they are sent: one shape each, told apart by `type`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel
from sqlalchemy.ext.asyncio import AsyncSession

from api.schemas import Moment, Words
from ura import ticket_rules, users
from ura.errors import BadInput
from ura.ticket_rules import Move, WaitFor

Text = Annotated[Words, Field(min_length=1, max_length=5000)]
MaybeText = Annotated[Words, Field(max_length=5000)]
Form = Annotated[dict[str, Any], Field(description="Answers to the category's own questions, by key.")]


class AssigneeUnknown(BadInput):
    code = "assignee-unknown"


class _Body(BaseModel):
    model_config = {"extra": "forbid"}


class ReportBody(_Body):
    """L1 writes down what it found out."""

    type: Literal["report"]
    report: Text = Field(description="What the customer said, and what you saw.")
    form: Form = Field(default_factory=dict)


class ToL2Body(_Body):
    """From L1 to L2: with a report, and with the deadline that the customer was told."""

    type: Literal["to_l2"]
    report: MaybeText = Field(default="", description="Empty: the one that the ticket has.")
    told_deadline_at: Moment | None = Field(
        default=None, description="To come, and not after `due_at`. Left out: the one that the ticket has."
    )
    form: Form = Field(default_factory=dict)


class ToL3Body(_Body):
    """From L2 to L3."""

    type: Literal["to_l3"]
    reason: Text = Field(description="Why it is a matter of the network.")


class BackToL2Body(_Body):
    """From L3 back to L2."""

    type: Literal["back_to_l2"]
    finding: Text = Field(description="What L3 found.")


class BackToL1Body(_Body):
    """From L2 back to L1."""

    type: Literal["back_to_l1"]
    tell: Text = Field(description="What the customer shall be told.")


class TakeBody(_Body):
    """It is mine."""

    type: Literal["take"]


class AssignBody(_Body):
    """It is somebody's of the tier where the ticket is."""

    type: Literal["assign"]
    assignee: str = Field(max_length=120, description="A user's e-mail; empty: nobody's.")


class TryBody(_Body):
    """L2 writes down what it tried at a distance."""

    type: Literal["try"]
    text: Text = Field(description="What was tried, and what came of it.")


class WaitBody(_Body):
    """It waits, and its clock stands."""

    type: Literal["wait"]
    reason: WaitFor = Field(description="What it waits for.")
    text: MaybeText = ""


class ResumeBody(_Body):
    """It goes on."""

    type: Literal["resume"]
    text: MaybeText = ""


class CloseBody(_Body):
    """It is done."""

    type: Literal["close"]
    text: MaybeText = Field(default="", description="What was done.")


class ReopenBody(_Body):
    """It was not: back to L1."""

    type: Literal["reopen"]
    reason: Text = Field(description="What the customer says.")


class MoveBody(
    RootModel[
        Annotated[
            ReportBody
            | ToL2Body
            | ToL3Body
            | BackToL2Body
            | BackToL1Body
            | TakeBody
            | AssignBody
            | TryBody
            | WaitBody
            | ResumeBody
            | CloseBody
            | ReopenBody,
            Field(discriminator="type"),
        ]
    ]
):
    """One move; `type` says which."""

    model_config = {
        "json_schema_extra": {
            "example": {
                "type": "to_l2",
                "report": "Sem sinal desde ontem",
                "told_deadline_at": "2026-12-24T18:00:00-03:00",
            }
        }
    }

    async def move(self, session: AsyncSession) -> Move:
        """Raises AssigneeUnknown."""
        match self.root:
            case AssignBody(assignee=""):
                return ticket_rules.Assign(assignee_id=None)
            case AssignBody(assignee=email):
                user = await users.find_user(session, email=email)
                if user is None:
                    raise AssigneeUnknown("There is no such user. Give the e-mail that the user logs in with.")
                return ticket_rules.Assign(assignee_id=user.id)
            case body:
                move: Move = MOVES[body.type](**body.model_dump(exclude={"type"}))
                return move


MOVES: dict[str, type[Any]] = {
    move.type: move
    for move in (
        ticket_rules.Report,
        ticket_rules.ToL2,
        ticket_rules.ToL3,
        ticket_rules.BackToL2,
        ticket_rules.BackToL1,
        ticket_rules.Take,
        ticket_rules.Try,
        ticket_rules.Wait,
        ticket_rules.Resume,
        ticket_rules.Close,
        ticket_rules.Reopen,
    )
}
