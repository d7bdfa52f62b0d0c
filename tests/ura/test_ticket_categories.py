"""Categories and their forms are data: shipped, changed by an admin, and asked for when a ticket is opened."""

from dataclasses import replace
from typing import Any

import pytest

from ura import ticket_categories, ticket_forms
from ura.db import Sessions
from ura.errors import BadInput
from ura.models import Category, Tier
from ura.ticket_categories import CategoryIsNeeded, CategoryNotFound, CategoryUnknown, Kind
from ura.ticket_forms import Field, FieldKind, FormIncomplete, FormNotUnderstood

FORM = (
    Field("where", "Onde", FieldKind.TEXT, required=True, personal=True),
    Field("mbps", "Velocidade", FieldKind.NUMBER, required=True),
    Field("cabled", "Por cabo", FieldKind.YES_NO),
    Field("when", "Quando", FieldKind.CHOICE, choices=("manhã", "noite")),
    Field("since", "Desde", FieldKind.DATE),
)


def test_the_shipped_ones_have_the_telephones_among_them_and_forms_that_are_forms() -> None:
    shipped = ticket_categories.shipped()
    assert set(Category) <= set(shipped)
    assert {"visit", "address_change", "slow_link", "retrieval"} <= set(shipped)
    for kind in shipped.values():
        ticket_forms.check_form(kind.form)
        assert ticket_forms.KEY.fullmatch(kind.key)
        assert len(kind.title) <= ticket_categories.LONGEST_TITLE
    assert not any(field.required for key in Category for field in shipped[key].form)


@pytest.mark.parametrize(
    "given",
    [
        {"where": "x" * 501},
        {"where": "a\0b"},
        {"where": 7},
        {"mbps": "7"},
        {"mbps": True},
        {"mbps": float("nan")},
        {"mbps": 10**400},
        {"cabled": "sim"},
        {"cabled": 1},
        {"when": "tarde"},
        {"when": ["manhã"]},
        {"since": "23/11/2026"},
        {"since": "20261123"},
        {"since": "2026-02-30"},
        {"colour": "blue"},
    ],
)
def test_what_is_no_answer_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(FormNotUnderstood, match=next(iter(given))):
        ticket_forms.checked(FORM, given)


def test_answers_are_kept_as_they_were_meant() -> None:
    given = {"where": " Sala ", "mbps": 3.5, "cabled": False, "when": "noite", "since": "2026-11-23"}
    assert ticket_forms.checked(FORM, given) == given | {"where": "Sala"}
    assert ticket_forms.checked(FORM, {"where": "", "since": None}) == {}


def test_every_answer_that_is_missing_is_named() -> None:
    with pytest.raises(FormIncomplete, match="where, mbps"):
        ticket_forms.check_complete(FORM, {"cabled": True})
    ticket_forms.check_complete(FORM, {"where": "Sala", "mbps": 0})


def test_a_form_is_the_same_after_it_was_stored() -> None:
    assert ticket_forms.from_json(ticket_forms.to_json(FORM)) == FORM


@pytest.mark.parametrize(
    "form",
    [
        (FORM[0], FORM[0]),
        (replace(FORM[0], key="Where"),),
        (replace(FORM[0], title=" "),),
        (replace(FORM[0], title="x" * 81),),
        (replace(FORM[0], choices=("a",)),),
        (replace(FORM[3], choices=()),),
        (replace(FORM[3], choices=("a", "a")),),
        (replace(FORM[3], choices=("a", " ")),),
        (replace(FORM[3], choices=tuple(str(n) for n in range(41))),),
        tuple(replace(FORM[0], key=f"k{n}") for n in range(41)),
    ],
)
def test_what_is_no_form_is_refused(form: tuple[Field, ...]) -> None:
    with pytest.raises(BadInput):
        ticket_forms.check_form(form)


async def test_what_an_admin_made_of_a_category_stands_before_the_shipped_one(sessions: Sessions) -> None:
    own = Kind(key="tv", title=" TV ", queue="tv", form=FORM, first_tier=Tier.L3)
    async with sessions.begin() as session:
        assert (await ticket_categories.get(session, "slow_link")).title == "Lentidão"
        with pytest.raises(CategoryNotFound):
            await ticket_categories.get(session, "tv")
        await ticket_categories.save(session, own)
        await ticket_categories.save(session, Kind(key="slow_link", title="Lenta", active=False))
    async with sessions() as session:
        assert await ticket_categories.get(session, "tv") == replace(own, title="TV")
        assert await ticket_categories.form_of(session, "tv") == FORM
        listed = {kind.key: kind for kind in await ticket_categories.list_all(session)}
        assert (listed["slow_link"].title, listed["slow_link"].active) == ("Lenta", False)
        assert set(listed) == {*ticket_categories.shipped(), "tv"}
        for closed in ("slow_link", "gossip"):
            with pytest.raises(CategoryUnknown, match="support, tv, visit"):
                await ticket_categories.to_open(session, closed)


async def test_a_category_that_the_telephone_opens_stays(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        with pytest.raises(CategoryIsNeeded):
            await ticket_categories.save(session, Kind(key="complaint", title="Reclamação", active=False))
        for wrong in (Kind(key="A b", title="x"), Kind(key="ab", title=""), Kind(key="ab", title="x" * 81)):
            with pytest.raises(BadInput):
                await ticket_categories.save(session, wrong)
