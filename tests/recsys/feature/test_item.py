"""Facts of items, as known before the cut-off."""

import numpy as np
import pyarrow as pa
import pytest

from recsys.clock import DAY
from recsys.feature.item import AGES, NEVER, PRICES, WORDS, ItemFacts, first_seen, price_classes
from recsys.feature.query import tokens
from tests.recsys.by_hand import items_table


def facts(**changed: np.ndarray) -> ItemFacts:
    """Three items: two kinds of coffee and a cup."""
    items = items_table(["a", "b", "c"], [["Food", "Coffee", "Beans"], ["Food", "Coffee"], ["Home"]])
    brand = items.schema.get_field_index("brand")
    items = items.set_column(brand, "brand", [["North", None, "East"]])
    given = {"usual_price": np.array([np.nan, 9.0, 3.0, np.nan]), "first_seen": np.full(4, NEVER), **changed}
    return ItemFacts.learn(items, **given)


def test_every_level_of_the_path_has_codes_of_its_own_and_a_shorter_path_ends_in_zeros() -> None:
    assert facts().path.tolist() == [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 0], [2, 0, 0, 0]]


def test_the_same_name_under_another_parent_is_another_category() -> None:
    items = items_table(["a", "b"], [["Food", "Other"], ["Home", "Other"]])
    path = ItemFacts.learn(items, usual_price=np.full(3, np.nan), first_seen=np.full(3, NEVER)).path
    assert path[1:, 1].tolist() == [1, 2]


def test_brands_are_numbered_by_name_and_none_is_zero() -> None:
    assert facts().brand.tolist() == [0, 2, 0, 1]


def test_text_is_the_title_and_the_description() -> None:
    assert facts().text[1].tolist() == list(tokens("Title of a", count=WORDS))
    assert not facts().text[0].any()


def test_prices_fall_into_classes_of_equally_many_items() -> None:
    prices = np.array([np.nan, *range(1, 41)])
    found = price_classes(prices)
    assert found[0] == 0
    assert np.bincount(found).tolist() == [1] + [2] * (PRICES - 1)
    assert (np.diff(found[1:]) >= 0).all(), "cheapest first"
    assert price_classes(np.full(3, np.nan)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("days", "expected"), [(-1, 0), (0, 1), (0.9, 1), (1, 2), (2, 2), (3, 3), (7, 4), (9_999, 14)])
def test_an_age_doubles_from_class_to_class_and_before_birth_is_unknown(days: float, expected: int) -> None:
    born = facts(first_seen=np.array([NEVER, 5 * DAY, NEVER, 5 * DAY]))
    assert born.age_class(np.array([1]), np.array([int((5 + days) * DAY)])).tolist() == [expected]


def test_ages_end_somewhere_and_items_nobody_knows_have_none() -> None:
    born = facts(first_seen=np.array([NEVER, 0, NEVER, NEVER]))
    assert born.age_class(np.array([1, 2, 0]), np.full(3, 10**17)).tolist() == [AGES - 1, 0, 0]


def test_the_shops_own_birthday_of_an_item_counts_if_it_is_earlier() -> None:
    items = items_table(["a", "b"])
    created = items.schema.get_field_index("created_at")
    field = items.schema.field(created)
    items = items.set_column(created, field, pa.array([7, 7], field.type))
    born = ItemFacts.learn(items, usual_price=np.full(3, np.nan), first_seen=np.array([NEVER, 5, 9])).born
    assert born.tolist() == [NEVER, 5, 7]


def test_items_are_first_seen_at_their_earliest_event() -> None:
    seen = first_seen(np.array([2, 1, 2, 0]), np.array([9, 8, 3, 1]), 4)
    assert seen.tolist() == [NEVER, 8, 3, NEVER]
