"""Vocabularies of channels and devices."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import ConfigError
from recsys.feature.coding import FIRST, NONE, UNSEEN, Vocabulary

NAMES = st.lists(st.sampled_from(["web", "app", "store", "phone", "", None]), max_size=20)


def test_the_most_frequent_name_comes_first_and_ties_go_by_name() -> None:
    column = pa.array(["web", "store", "app", "web", None, "", "app", "kiosk"])
    assert Vocabulary.of([column]).names == ("app", "web", "kiosk", "store")


def test_names_are_counted_over_all_columns() -> None:
    assert Vocabulary.of([pa.array(["a", "b"]), pa.chunked_array([["b"], ["c"]])]).names == ("b", "a", "c")


def test_only_so_many_names_are_kept_and_the_rest_is_unseen() -> None:
    known = Vocabulary.of([pa.array(["a", "a", "b", "b", "c"])], at_most=2)
    assert known.size == 4
    assert [known.code(name) for name in ("a", "b", "c", "d", "", None)] == [2, 3, UNSEEN, UNSEEN, NONE, NONE]


def test_a_column_without_any_name_has_codes_too() -> None:
    assert Vocabulary(("a",)).codes(pa.nulls(3, pa.string())).tolist() == [NONE] * 3
    assert Vocabulary().codes(pa.array([], pa.string())).tolist() == []


@given(seen=NAMES, asked=NAMES, at_most=st.integers(0, 4))
def test_a_column_is_coded_as_its_names_are_one_by_one(
    seen: list[str | None], asked: list[str | None], at_most: int
) -> None:
    known = Vocabulary.of([pa.array(seen, pa.string())], at_most=at_most)
    column = pa.array(asked, pa.string())
    one_by_one = [known.code(name) for name in asked]
    assert known.codes(column).tolist() == one_by_one
    assert known.codes(pa.chunked_array([column, column])).tolist() == one_by_one * 2
    assert known.codes(column.dictionary_encode()).tolist() == one_by_one
    assert all(code < known.size for code in one_by_one)


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        Vocabulary(("a", "a"))


def test_more_names_than_codes_are_refused() -> None:
    with pytest.raises(ConfigError, match=f"{127 - FIRST + 1} names"):
        Vocabulary(tuple(str(number) for number in range(127 - FIRST + 1)))
