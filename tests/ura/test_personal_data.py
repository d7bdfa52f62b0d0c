"""Every column that could tell of a person is classified, and whatever tells of a caller has a way out of the house."""

from sqlalchemy import JSON, Column, Integer, String, Text

import ura.models
from ura.db import Base
from ura.personal_data import COLUMNS, Held, looks_personal

assert ura.models.__all__
TABLES = Base.metadata.tables


def test_every_column_that_looks_personal_is_classified() -> None:
    forgotten = [
        f"{table.name}.{column.name}"
        for table in TABLES.values()
        for column in table.columns
        if looks_personal(column) and column.name not in COLUMNS.get(table.name, {})
    ]
    assert forgotten == [], "say in ura/personal_data.py what is in them; then ura/disposal.py knows what to do with it"


def test_nothing_is_classified_that_is_not_there() -> None:
    gone = [
        f"{table}.{name}"
        for table, columns in COLUMNS.items()
        for name in columns
        if table not in TABLES or name not in TABLES[table].columns
    ]
    assert gone == []


def test_a_new_column_with_such_a_name_or_with_any_text_would_be_found() -> None:
    for name in ("mobile_phone", "caller", "to", "e_mail", "closed_by", "customer_name", "ip", "contract_ref"):
        assert looks_personal(Column(name, String(40))), name
    assert looks_personal(Column("anything", Text()))
    assert looks_personal(Column("anything", JSON()))
    assert not looks_personal(Column("max_wait_s", Integer()))
    assert not looks_personal(Column("flow_key", String(64)))


def test_the_tables_of_callers_are_those_we_think_of() -> None:
    """A table that is new here needs a shelf in ura/disposal.py, which is tested for every one of these."""
    assert {table for table, columns in COLUMNS.items() if Held.PERSON in columns.values()} >= {
        "call",
        "ticket",
        "subscriber",
        "outbox",
    }
