"""Ids outside, indices inside."""

import pyarrow as pa
import pytest

from recsys.catalogue import Catalogue
from recsys.errors import DataError, UnknownItemError
from tests.recsys.by_hand import catalogue_of, items_table


def test_indices_start_at_one_and_unknown_is_zero() -> None:
    catalogue = catalogue_of(3)
    assert [catalogue.index_of(item_id) for item_id in ("a", "b", "c", "d", None)] == [1, 2, 3, 0, 0]
    assert catalogue.indices_of(pa.array(["c", None, "nope", "a"])).tolist() == [3, 0, 0, 1]
    assert catalogue.size == 4


@pytest.mark.parametrize("index", [0, -1, 4])
def test_an_index_outside_the_catalogue_is_refused(index: int) -> None:
    with pytest.raises(UnknownItemError, match=rf"index {index} is outside 1\.\.3"):
        catalogue_of(3).id_of(index)


def test_an_item_is_shown_with_its_title_category_and_price() -> None:
    item = catalogue_of(2).item(2)
    assert (item.item_id, item.title, item.category, item.brand, item.price) == ("b", "Title of b", ("b",), None, 1.5)
    assert catalogue_of(2).title(1) == "Title of a"


def test_two_rows_of_one_id_are_refused() -> None:
    with pytest.raises(DataError, match="1 item ids occur twice"):
        Catalogue(items_table(["a", "b", "a"]))


def test_only_the_items_with_events_are_kept_in_the_order_of_their_ids() -> None:
    catalogue = Catalogue.of_table(items_table(["z", "m", "a"]), ["z", "a", "z"])
    assert [catalogue.id_of(1), catalogue.id_of(2)] == ["a", "z"]
    assert catalogue.size == 3


def test_an_item_with_events_but_no_row_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="the first is 'ghost'"):
        Catalogue.of_table(items_table(["a"]), ["a", "ghost"])


def test_categories_are_cut_at_a_depth_and_none_is_zero() -> None:
    paths = [["Food", "Bread", "Rolls"], ["Food", "Milk"], [], ["Food", "Bread", "Toast"]]
    catalogue = Catalogue(items_table(["a", "b", "c", "d"], paths))
    number, names = catalogue.categories(2)
    assert names == ("", "Food > Bread", "Food > Milk")
    assert number.tolist() == [0, 1, 2, 0, 1]
    assert catalogue.categories(1)[0].tolist() == [0, 1, 1, 0, 1]
