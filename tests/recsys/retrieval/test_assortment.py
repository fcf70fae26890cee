"""What is on offer, while it changes."""

import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from recsys.catalogue import Catalogue
from recsys.errors import UnknownItemError
from recsys.event import ITEM_SCHEMA
from recsys.retrieval.assortment import Assortment, Change
from recsys.retrieval.filter.parse import parse
from recsys.retrieval.index.flat import FlatIndex

QUERY = np.array([[1.0, 0.1, 0.0]], np.float32)
"""Somebody after dairy."""


def rows(*items: dict[str, object]) -> pa.Table:
    plain = [{"title": "", "category": [], "available": True, **item} for item in items]
    return pa.Table.from_pylist([{name: row.get(name) for name in ITEM_SCHEMA.names} for row in plain], ITEM_SCHEMA)


def shop() -> Assortment:
    """Thirty items: ten of dairy along the first axis, ten breads along the second, ten lamps along the third."""
    kinds = [["food", "dairy"], ["food", "bread"], ["home", "lamps"]]
    items = [
        {"item_id": f"item-{n:02d}", "title": f"Item {n}", "category": kinds[n // 10], "price": float(n)}
        for n in range(30)
    ]
    vectors = np.zeros((31, 3), np.float32)
    for n in range(30):
        vectors[n + 1, n // 10] = 1 + (n % 10) / 100
    index = FlatIndex()
    index.build(vectors)
    return Assortment(Catalogue(rows(*items)), index, vectors)


def found(offer: Assortment, count: int = 100, *, place: str | None = None, wanted: object = None) -> list[str]:
    allowed = offer.allowed(None if wanted is None else parse(wanted), place=place)
    _, items = offer.search(QUERY, count, allowed)
    return [offer.id_of(index) for index in items[0].tolist() if index]


def test_a_new_item_is_found_at_once_beside_those_it_is_like() -> None:
    offer = shop()
    new = {"item_id": "oat", "title": "Oat drink", "category": ["food", "dairy"], "price": 2.0}
    offer.change(Change(items=rows(new)))
    assert "oat" in found(offer, 11), "among the dairy"
    assert offer.item(offer.index_of("oat")).title == "Oat drink"
    assert offer.index_of("oat") == offer.known == 31
    assert len(found(offer)) == 31


def test_what_is_gone_or_sold_out_is_not_found_until_it_is_back() -> None:
    offer = shop()
    offer.change(Change(items=rows({"item_id": "item-09", "category": ["food", "dairy"], "available": False})))
    offer.change(Change(gone=["item-08", "never-was"]))
    assert found(offer, 2) == ["item-07", "item-06"]
    offer.change(Change(items=rows({"item_id": "item-09", "category": ["food", "dairy"]})))
    offer.change(Change(items=rows({"item_id": "item-08", "category": ["food", "dairy"]})))
    assert found(offer, 2) == ["item-09", "item-08"], "where they lay before"


def test_a_new_item_that_is_gone_comes_back_too() -> None:
    offer = shop()
    new = rows({"item_id": "oat", "category": ["food", "dairy"]})
    offer.change(Change(items=new))
    offer.compact()
    offer.change(Change(gone=["oat"]))
    assert "oat" not in found(offer)
    offer.compact()
    offer.change(Change(items=new))
    assert "oat" in found(offer, 11)


def test_an_item_whose_content_changes_moves_and_one_whose_price_changes_stays() -> None:
    offer = shop()
    offer.change(Change(items=rows({"item_id": "new", "category": ["home", "lamps"]})))
    assert "new" not in found(offer, 11)
    offer.change(Change(items=rows({"item_id": "new", "category": ["food", "dairy"]})))
    assert "new" in found(offer, 11)
    pending = offer.pending
    offer.change(Change(items=rows({"item_id": "new", "category": ["food", "dairy"], "price": 3.0})))
    assert offer.pending == pending
    assert offer.item(offer.index_of("new")).price == 3.0
    offer.change(Change(items=rows({"item_id": "item-09", "category": ["home", "lamps"]})))
    assert found(offer, 1) == ["item-09"], "what training saw of an item outweighs what is said of it"


def test_a_store_that_is_out_of_stock_hides_the_item_there_alone() -> None:
    offer = shop()
    item = rows({"item_id": "item-09", "category": ["food", "dairy"]})
    offer.change(Change(items=item, available_in=[{"berlin": False}]))
    assert found(offer, 1, place="berlin") == ["item-08"]
    assert found(offer, 1, place="paris") == found(offer, 1) == ["item-09"]


def test_filters_see_what_changed_and_as_many_come_back_as_match() -> None:
    offer = shop()
    wanted = {"category": "home", "price": {"lt": 25}}
    assert sorted(found(offer, wanted=wanted)) == [f"item-{n}" for n in (20, 21, 22, 23, 24)]
    offer.change(Change(items=rows({"item_id": "item-24", "category": ["home", "lamps"], "price": 99.0})))
    offer.change(Change(items=rows({"item_id": "torch", "category": ["home", "lamps"], "price": 5.0})))
    assert sorted(found(offer, wanted=wanted)) == ["item-20", "item-21", "item-22", "item-23", "torch"]


def test_an_index_that_never_was_is_refused() -> None:
    offer = shop()
    assert offer.index_of("nobody") == 0
    assert offer.index_of(None) == 0
    with pytest.raises(UnknownItemError):
        offer.id_of(31)


def test_while_items_change_and_are_folded_in_no_search_fails_or_finds_what_is_gone() -> None:
    offer = shop()
    stop, faults = threading.Event(), []

    def change() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            name = f"new-{number % 50}"
            offer.change(Change(items=rows({"item_id": name, "category": ["food", "dairy"]})))
            offer.change(Change(gone=[name]))
            if name in found(offer):
                faults.append(name)

    def fold() -> None:
        while not stop.is_set():
            offer.compact()

    def search() -> None:
        while not stop.is_set():
            listed = found(offer)
            if not {f"item-{n:02d}" for n in range(30)} <= set(listed) or len(set(listed)) < len(listed):
                faults.append(str(listed))

    workers = [threading.Thread(target=work) for work in (change, fold, search)]
    for worker in workers:
        worker.start()
    time.sleep(1.5)
    stop.set()
    for worker in workers:
        worker.join(10)
    assert not faults
