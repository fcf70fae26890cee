"""Attributes are texts that show their type."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import DataError
from recsys.retrieval.filter.attribute import attribute_number, attribute_text, attribute_values


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        ("red", "red", math.nan),
        (True, "true", math.nan),
        (250, "250", 250.0),
        (250.0, "250", 250.0),
        (-2.5, "-2.5", -2.5),
        (1e300, "1e+300", 1e300),
        (["S", "M"], '["S", "M"]', math.nan),
        ("007", "007", 7.0),
        ("nan", "nan", math.nan),
        ("1_000", "1_000", math.nan),
        ("1e999", "1e999", math.nan),
    ],
)
def test_a_value_is_stored_as_a_text_that_may_be_a_number(value: Any, text: str, number: float) -> None:
    assert attribute_text(value) == text
    assert attribute_number(text) == pytest.approx(number, nan_ok=True)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15))
def test_every_finite_number_survives_as_text(number: float) -> None:
    assert attribute_number(attribute_text(number)) == number


@given(st.lists(st.text(max_size=4), max_size=4))
def test_a_list_of_texts_survives_as_text(texts: list[str]) -> None:
    assert attribute_values(attribute_text(texts)) == tuple(texts)


@pytest.mark.parametrize("text", ["[", "[1]", "[red]", "", "red"])
def test_what_is_no_list_of_texts_is_one_text(text: str) -> None:
    assert attribute_values(text) == (text,)


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": 1}, [1], b"x", None])
def test_what_has_no_type_is_refused(value: Any) -> None:
    with pytest.raises(DataError, match="give a text, a finite number, true, false or a list of texts"):
        attribute_text(value)
