"""Flow documents in YAML: what an author may write, and what he is told when it is wrong."""

import pytest

from ura.errors import BadInput
from ura.flows import documents


def test_on_off_and_no_stay_words() -> None:
    document = documents.load("on: {open: a}\nkey: off\nlist: [no, yes, true, false]\nday: 2026-11-23")
    assert document == {"on": {"open": "a"}, "key": "off", "list": ["no", "yes", True, False], "day": "2026-11-23"}


def test_a_choice_written_twice_is_refused_with_its_line() -> None:
    with pytest.raises(BadInput, match="'1' is written twice in the same block, at line 3"):
        documents.load('choices:\n  "1": {next: a}\n  "1": {next: b}\n')


def test_anchors_and_merges_work_more_than_once() -> None:
    document = documents.load("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\nd: {<<: *b}")
    assert document["c"] == {"x": 3, "y": 4}
    assert document["d"] == {"x": 3, "y": 2}


@pytest.mark.parametrize("text", ["a: [1", "", "- 1", "a: b: c", "\t- x", "!!python/object:os.system {}"])
def test_what_is_no_flow_document_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(BadInput):
        documents.load(text)


def test_the_shipped_flow_survives_writing_and_reading() -> None:
    document = documents.shipped("provedor")
    assert documents.load(documents.dump(document)) == document


def test_an_unknown_shipped_flow_is_named_with_those_there_are() -> None:
    with pytest.raises(documents.FlowNotFound, match=r"'../etc'.*provedor"):
        documents.shipped("../etc")


@pytest.mark.parametrize("document", [{}, {"key": "A B", "title": "x"}, {"key": "a", "title": " "}, {"key": 1}])
def test_even_a_draft_needs_key_and_title(document: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        documents.name_of(document)
