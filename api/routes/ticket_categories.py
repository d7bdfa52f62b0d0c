"""What tickets are about, and what each category asks: for whoever opens tickets, changed by an administrator."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, StrictBool

from api.deps import RulesMayChange, SessionDep, TicketReader, TicketSetter
from api.errors import described
from api.schemas import Answer, Words
from ura import audit, ticket_categories, ticket_forms
from ura.models import Tier
from ura.ticket_categories import Kind
from ura.ticket_forms import FieldKind

router = APIRouter(prefix="/ticket-categories", tags=["tickets"], dependencies=[RulesMayChange])

Key = Annotated[str, Path(max_length=64, pattern=ticket_forms.KEY.pattern)]


class FormField(BaseModel):
    """One question of a category."""

    key: str = Field(max_length=64, description="Its name in `form`: small letters, digits and _.")
    title: Words = Field(max_length=ticket_forms.LONGEST_TITLE)
    kind: FieldKind = Field(description="What an answer is.")
    required: StrictBool = Field(default=False, description="No ticket is opened or goes to L2 without an answer.")
    choices: list[Words] = Field(default_factory=list, description="Of a choice: what it is among.")
    personal: StrictBool = Field(default=False, description="L3 does not see the answer.")
    model_config = {"extra": "forbid", "from_attributes": True}


class CategoryAnswer(Answer):
    key: str
    title: str
    first_tier: Tier
    queue: str
    form: list[FormField]
    active: bool


class NewCategory(BaseModel):
    """All of it: what is left out is as it is here."""

    title: Words = Field(min_length=1, max_length=ticket_categories.LONGEST_TITLE)
    first_tier: Tier = Tier.L1
    queue: Words = Field(default=ticket_categories.FIRST_QUEUE, max_length=64)
    form: list[FormField] = Field(default_factory=list, max_length=ticket_forms.MOST_FIELDS)
    active: StrictBool = Field(default=True, description="One that is not opens no more tickets; those it has keep it.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "example": {
                "title": "Lentidão",
                "form": [{"key": "measured_mbps", "title": "Velocidade medida", "kind": "number", "required": True}],
            }
        },
    }


@router.get("", summary="List ticket categories", responses=described())
async def list_ticket_categories(_actor: TicketReader, session: SessionDep) -> list[CategoryAnswer]:
    return [CategoryAnswer.model_validate(each) for each in await ticket_categories.list_all(session)]


@router.get("/{key}", summary="One ticket category with its form", responses=described(404))
async def get_ticket_category(_actor: TicketReader, session: SessionDep, key: Key) -> CategoryAnswer:
    return CategoryAnswer.model_validate(await ticket_categories.get(session, key))


@router.put("/{key}", summary="Set a ticket category, new or known", responses=described(409))
async def set_ticket_category(
    actor: TicketSetter, session: SessionDep, key: Key, wanted: NewCategory
) -> CategoryAnswer:
    """Those that the telephone opens stay active."""
    form = tuple(ticket_forms.from_json([field.model_dump() for field in wanted.form]))
    kind = Kind(key=key, **(wanted.model_dump() | {"form": form}))
    await ticket_categories.save(session, kind)
    detail = {"active": kind.active, "fields": len(kind.form)}
    await audit.record(session, actor=actor.name, action="ticket-category.set", subject=key, detail=detail)
    return CategoryAnswer.model_validate(await ticket_categories.get(session, key))
