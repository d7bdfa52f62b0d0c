"""JSON of the phone side: what comes out is what went in, and nothing that a caller can send breaks it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ura import compact_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_it_reads_what_it_wrote_and_so_does_python(value: Any) -> None:
    written = compact_json.dump(value)
    assert compact_json.load(written) == value
    assert json.loads(written) == value
    assert b"\n" not in written


def test_half_a_character_becomes_a_question_mark() -> None:
    assert compact_json.dump(["a\ud800", {"\udfff": ("b\ud800", 1)}]) == b'["a?",{"?":["b?",1]}]'


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":}', b"\xff"])
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"at line 1|EOF"):
        compact_json.load(text)


def test_what_json_cannot_hold_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="serialize"):
        compact_json.dump({"open": object()})
