"""How well items are described."""

import pyarrow as pa

from recsys.event import ITEM_SCHEMA
from tests.recsys.by_hand import items_table
from tests.recsys.card.logs import act, card


def versions(*titles: tuple[str, str]) -> pa.Table:
    """Rows of (item, title), one for each change."""
    rows = items_table([item for item, _ in titles])
    return rows.set_column(1, ITEM_SCHEMA.field("title"), pa.array([title for _, title in titles]))


def test_fields_are_counted_by_items_taken_and_by_interactions() -> None:
    items = items_table(["a", "b", "c"], [["food", "fruit"], ["food"], []])
    items = items.set_column(3, ITEM_SCHEMA.field("brand"), pa.array(["x", None, "x"]))
    found = card([act(0), act(1), act(2), act(3, item="b"), act(4, item="unheard-of")], items=items).catalogue
    assert (found.items, found.untaken, found.undescribed) == (3, 1, 1)
    assert found.filled["category"] == 2 / 3
    assert found.weighted["category"] == 0.8
    assert found.weighted["category 2"] == 0.6
    assert found.weighted["brand"] == 0.6
    assert found.weighted["text"] == 0.0
    assert found.categories == (1, 1)
    assert found.top == {"food": 4, "(no category)": 1}


def test_equal_names_on_different_paths_are_two_categories() -> None:
    items = items_table(["a", "b", "c"], [["men", "shoes"], ["women", "shoes"], ["men", "shoes"]])
    assert card([act(0)], items=items).catalogue.categories == (2, 2)


def test_a_title_that_repeats_the_id_is_none() -> None:
    items = items_table(["a", "b"]).set_column(1, ITEM_SCHEMA.field("title"), pa.array(["a", "Tea"]))
    assert card([act(0), act(1, item="b")], items=items).catalogue.filled["title"] == 0.5


def test_an_item_is_renamed_if_no_word_stays() -> None:
    told = [("a", "Green tea"), ("a", "Green Tea, large"), ("b", "Shirt"), ("b", "Lamp"), ("c", "Pen"), ("c", "Pen")]
    found = card([act(0)], items=items_table(["a", "b", "c"]), versions=versions(*told)).catalogue
    assert (found.versions, found.renamed) == (6, 1)


def test_no_items_at_all() -> None:
    found = card([act(0)], items=items_table([])).catalogue
    assert (found.items, found.undescribed, found.categories, found.top) == (0, 1, (), {"(no category)": 1})
