"""What tickets are about: the categories that we ship (ticket_categories.yaml), and what an admin made of them.

A row in the table stands before the shipped one of the same key; so a new version may bring new ones.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import yaml
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ura import rulebook, ticket_forms
from ura.errors import BadInput, NotFound, Refused
from ura.models import Category, TicketCategory, Tier
from ura.ticket_forms import Field

LONGEST_TITLE = 80
FIRST_QUEUE = "l1"


class CategoryUnknown(BadInput):
    code = "ticket-category-unknown"


class CategoryNotFound(NotFound):
    code = "ticket-category-not-found"


class CategoryIsNeeded(Refused):
    code = "ticket-category-is-needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One category. `queue`: whose work its tickets are when nobody says otherwise."""

    key: str
    title: str
    first_tier: Tier = Tier.L1
    queue: str = FIRST_QUEUE
    form: tuple[Field, ...] = ()
    active: bool = True


@cache
def shipped() -> dict[str, Kind]:
    told = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return {
        key: Kind(key=key, title=each["title"], form=ticket_forms.from_json(each.get("form", [])))
        for key, each in told.items()
    }


async def find(session: AsyncSession, key: str) -> Kind | None:
    row = await session.get(TicketCategory, key)
    return _kind(row) if row else shipped().get(key)


async def get(session: AsyncSession, key: str) -> Kind:
    found = await find(session, key)
    if found is None:
        raise CategoryNotFound(f"There is no ticket category '{key}'.")
    return found


async def to_open(session: AsyncSession, key: str) -> Kind:
    """One that opens tickets. Raises CategoryUnknown, naming those that do."""
    found = await rulebook.of(session.info).read(("category", key), partial(find, session, key))
    if found is None or not found.active:
        known = ", ".join(sorted(each.key for each in await list_all(session) if each.active))
        raise CategoryUnknown(f"There is no such ticket category. Choose among: {known}.")
    return found


async def form_of(session: AsyncSession, key: str) -> tuple[Field, ...]:
    """Nothing is asked in a category that is unknown: it may have come from the telephone before it was here."""
    found = await find(session, key)
    return found.form if found else ()


async def titles(session: AsyncSession, keys: Collection[str]) -> dict[str, str]:
    """Of one that is unknown, its key."""
    found = {key: await find(session, key) for key in keys}
    return {key: kind.title if kind else key for key, kind in found.items()}


async def list_all(session: AsyncSession) -> Sequence[Kind]:
    """By title."""
    rows = {row.key: _kind(row) for row in await session.scalars(select(TicketCategory))}
    return sorted({**shipped(), **rows}.values(), key=lambda kind: (kind.title, kind.key))


async def save(session: AsyncSession, kind: Kind) -> None:
    """New, or all of one that is there. Raises BadInput, CategoryIsNeeded."""
    if not ticket_forms.KEY.fullmatch(kind.key):
        raise BadInput("A category has a key of small letters, digits and _.")
    if not 0 < len(kind.title.strip()) <= LONGEST_TITLE:
        raise BadInput(f"Give the category a title of 1 to {LONGEST_TITLE} letters.")
    if not kind.active and kind.key in set(Category):
        raise CategoryIsNeeded("The telephone opens tickets of this category: it stays active.")
    ticket_forms.check_form(kind.form)
    row = await session.get(TicketCategory, kind.key) or TicketCategory(key=kind.key)
    row.title, row.first_tier, row.queue = kind.title.strip(), kind.first_tier, kind.queue
    row.form, row.active = ticket_forms.to_json(kind.form), kind.active
    session.add(row)
    await session.flush()


def _kind(row: TicketCategory) -> Kind:
    return Kind(
        key=row.key,
        title=row.title,
        first_tier=row.first_tier,
        queue=row.queue,
        form=ticket_forms.from_json(row.form),
        active=row.active,
    )
