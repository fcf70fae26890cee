"""Masks against brute force over plain items, while items change, come and go."""

import threading
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recsys.catalogue import Catalogue
from recsys.errors import DataError
from recsys.retrieval.filter.columns import ItemColumns
from recsys.retrieval.filter.masks import Mask, Masks, mask
from recsys.retrieval.filter.parse import parse
from tests.recsys.retrieval.filter import shop
from tests.recsys.retrieval.filter.shop import Thing

SHELF = [
    Thing("milk", ["Food", "Dairy", "Milk"], "Alpine", 1.19, True, {"fat": 3.5, "organic": True}),
    Thing("butter", ["Food", "Dairy"], "Meadow", 2.49, False, {"fat": "82"}),
    Thing("bread", ["Food", "Bread"], None, None, True),
    Thing("shirt", ["Clothing"], "Alpine", 19.99, True, {"size": ["S", "M"], "colour": "red"}),
]


def columns(things: list[Thing], **settings: Any) -> ItemColumns:
    return ItemColumns(Catalogue(shop.table(things)), **settings)


def matched(value: dict[str, Any], on: ItemColumns) -> list[str]:
    ids = {on.index_of(thing.item_id): thing.item_id for thing in SHELF}
    return [ids[index] for index in mask(parse(value), on).items().tolist()]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, ["milk", "butter", "bread", "shirt"]),
        ({"or": []}, []),
        ({"brand": []}, []),
        ({"category": "Food > Dairy"}, ["milk", "butter"]),
        ({"category": "Dairy"}, []),
        ({"category": ["Clothing", "Food > Bread"]}, ["bread", "shirt"]),
        ({"brand": "Alpine", "category": "Food"}, ["milk"]),
        ({"price": {"gte": 1.19, "lt": 19.99}}, ["milk", "butter"]),
        ({"price": {"gt": 1.19, "lte": 19.99}}, ["butter", "shirt"]),
        ({"price": {"gte": 1e300}}, []),
        ({"price": {"lte": 1e300}}, ["milk", "butter", "shirt"]),
        ({"available": False}, ["butter"]),
        ({"attributes": {"size": "M"}}, ["shirt"]),
        ({"attributes": {"fat": {"gt": 3}}}, ["milk", "butter"]),
        ({"attributes": {"fat": 82}}, ["butter"]),
        ({"attributes": {"fat": 3.5, "organic": True}}, ["milk"]),
        ({"item_id": ["shirt", "nothing"]}, ["shirt"]),
        ({"or": [{"brand": "Meadow"}, {"item_id": "bread"}]}, ["butter", "bread"]),
    ],
)
def test_a_filter_matches_what_its_words_say(value: dict[str, Any], expected: list[str]) -> None:
    assert matched(value, columns(SHELF)) == expected


def test_what_is_not_known_fulfils_no_condition_and_so_fulfils_the_not_of_each() -> None:
    on = columns(SHELF)
    assert matched({"price": {"gte": 0}}, on) == ["milk", "butter", "shirt"]
    assert matched({"not": {"price": {"gte": 0}}}, on) == ["bread"]
    assert matched({"not": {"brand": "Alpine"}}, on) == ["butter", "bread"]
    assert matched({"not": {"attributes": {"size": "S"}}}, on) == ["milk", "butter", "bread"]
    assert matched({"not": {"price": {"gt": 5}}, "price": {"gte": 0}}, on) == ["milk", "butter"]


def test_a_store_that_said_nothing_has_what_is_available_overall() -> None:
    on = columns(SHELF)
    milk, butter = on.index_of("milk"), on.index_of("butter")
    on.update(np.array([milk, butter]), available_in=[{"north": False}, {"north": True, "south": True}])
    assert matched({"available_in": "north"}, on) == ["butter", "bread", "shirt"]
    assert matched({"available_in": "south"}, on) == ["milk", "butter", "bread", "shirt"]
    assert matched({"available_in": "west"}, on) == ["milk", "bread", "shirt"]
    assert matched({"available_in": ["north", "west"]}, on) == ["milk", "butter", "bread", "shirt"]
    on.update(np.array([milk]), available_in=[{"north": None}])
    assert matched({"available_in": "north"}, on) == ["milk", "butter", "bread", "shirt"]


def test_a_list_longer_than_what_is_compared_one_by_one_finds_the_same() -> None:
    things = [Thing(f"i{number}", [f"c{number % 50}"], f"b{number % 50}") for number in range(200)]
    on = columns(things)
    brands, paths = [f"b{number}" for number in range(30)], [f"c{number}" for number in range(30)]
    assert mask(parse({"brand": brands}), on).count == mask(parse({"category": paths}), on).count == 120


def test_padding_never_matches_and_bits_are_little_endian_as_faiss_reads_them() -> None:
    on = columns(SHELF)
    found = mask(parse({"not": {"item_id": "butter"}}), on)
    assert found.matches.tolist() == [False, True, False, True, True]
    assert found.bits.tolist() == [0b11010]
    assert found.count == 3
    selector = faiss.IDSelectorBitmap(found.bits)
    assert [index for index in range(8) if selector.is_member(index)] == [1, 3, 4]


def test_only_attributes_that_may_be_asked_for_take_memory() -> None:
    on = columns(SHELF, attributes=["fat"])
    on.update(np.array([1]), attributes=[{"colour": "red", "fat": 1}])
    assert set(on.attributes) == {"fat"}
    assert matched({"attributes": {"colour": "red"}}, on) == []


@pytest.mark.parametrize("row", [0, 5, -1])
def test_changing_an_item_that_is_not_there_is_refused(row: int) -> None:
    on = columns(SHELF)
    with pytest.raises(DataError, match=f"no item at index {row}; indices go from 1 to 4"):
        on.update(np.array([1, row]), price=np.array([1.0, 1.0]))
    assert on.version == 0


def test_an_attribute_that_has_no_type_is_refused_before_anything_changes() -> None:
    on = columns(SHELF)
    with pytest.raises(DataError, match="an attribute cannot be"):
        on.update(np.array([1]), price=np.array([5.0]), attributes=[{"a": {"b": 1}}])  # type: ignore[dict-item]
    assert matched({"price": {"gte": 5}}, on) == ["shirt"]


def test_one_id_twice_in_a_change_is_refused() -> None:
    with pytest.raises(DataError, match="1 item ids occur twice"):
        columns(SHELF).put(shop.table([SHELF[0], SHELF[0]]))


def test_a_kept_mask_is_given_again_until_something_changes_and_then_only_that_is_read() -> None:
    on = columns(SHELF)
    masks = Masks(on, keep=1)
    cheap = parse({"price": {"lt": 2}})
    first = masks(cheap)
    assert masks(cheap) is first
    on.price[np.array([3])] = 1.0  # behind its back: nobody reads it
    on.update(np.array([4]), price=np.array([0.5]))
    second = masks(cheap)
    assert second.items().tolist() == [1, 4]
    assert first.items().tolist() == [1]
    masks(parse({}))  # drops the first, of which one is kept
    assert masks(cheap).items().tolist() == [1, 3, 4]


def test_a_mask_too_old_to_be_mended_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.retrieval.filter.columns._REMEMBERED", 3)
    on = columns(SHELF)
    masks = Masks(on)
    first = masks(parse({"available": True}))
    for row in (1, 2, 3, 4):
        on.update(np.array([row]), available=np.array([row == 2]))
    assert on.changed_since(first.version) is None
    assert on.changed_since(on.version - 3).tolist() == [2, 3, 4]  # type: ignore[union-attr]
    assert masks(parse({"available": True})).items().tolist() == [2]


def test_changes_made_together_are_one_version_and_are_seen_together() -> None:
    on = columns(SHELF)
    seen: list[Mask] = []
    with on.changing():
        on.update(np.array([1]), available=np.array([False]))
        reader = threading.Thread(target=lambda: seen.append(mask(parse({"available": True}), on)))
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()
        on.update(np.array([2]), available=np.array([True]))
    reader.join()
    assert seen[0].items().tolist() == [2, 3, 4]
    assert on.version == seen[0].version == 1


def test_readers_beside_writers_see_each_change_whole() -> None:
    count = 2_000
    on = columns([Thing(f"i{number}", ["A"], "A", 1.0) for number in range(count)])
    masks, rows, stop = Masks(on), np.arange(1, count + 1), threading.Event()
    wrong: list[int] = []

    def write() -> None:
        for turn in range(60):
            name = "AB"[turn % 2]
            on.update(rows, brand=[name] * count, category=[[name]] * count)
        stop.set()

    def read() -> None:
        while not stop.is_set():
            for value in ({"brand": "A", "category": "A"}, {"brand": "B", "category": "B"}):
                found = masks(parse(value)).count
                wrong.extend([found] if found not in (0, count) else [])
            wrong.extend([1] if masks(parse({"brand": "A", "category": "B"})).count else [])

    threads = [threading.Thread(target=write), *(threading.Thread(target=read) for _ in range(2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Shop(RuleBasedStateMachine):
    """Any sequence of changes; after each, masks new and kept say what brute force says."""

    @initialize(things=st.lists(shop.things, max_size=6, unique_by=lambda thing: thing.item_id))
    def opens(self, things: list[Thing]) -> None:
        self.columns = columns(things)
        self.masks = Masks(self.columns, keep=3)
        self.things = {thing.item_id: thing for thing in things}
        self.index = {thing.item_id: number for number, thing in enumerate(things, start=1)}
        self.asked: dict[str, Any] = {}

    @rule(things=st.lists(shop.things, max_size=4, unique_by=lambda thing: thing.item_id))
    def put(self, things: list[Thing]) -> None:
        for thing in things:
            self.index.setdefault(thing.item_id, len(self.index) + 1)
        rows = self.columns.put(shop.table(things))
        assert rows.tolist() == [self.index[thing.item_id] for thing in things]
        self.things |= {thing.item_id: thing for thing in things}

    @rule(data=st.data())
    def patch(self, data: st.DataObject) -> None:
        if not self.things:
            return
        changed = data.draw(st.lists(st.sampled_from(sorted(self.things)), max_size=3, unique=True))
        patch = data.draw(shop.patches)
        rows = np.array([self.index[item_id] for item_id in changed], np.int64)
        given: dict[str, Any] = {name: [value] * len(rows) for name, value in patch.items()}
        if "price" in patch:
            given["price"] = np.full(len(rows), np.nan if patch["price"] is None else patch["price"])
        if "available" in patch:
            given["available"] = np.array(given["available"], bool)
        if "places" in patch:
            given["available_in"] = given.pop("places")
        self.columns.update(rows, **given)
        self.things |= {item_id: self.things[item_id].patched(patch) for item_id in changed}

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if self.things:
            gone = data.draw(st.sampled_from(sorted(self.things)))
            self.columns.delete(np.array([self.index[gone]]))
            del self.things[gone]

    @rule(value=shop.filters)
    def ask(self, value: dict[str, Any]) -> None:
        self.asked = value

    @invariant()
    def masks_say_what_brute_force_says(self) -> None:
        expected = sorted(self.index[i] for i, thing in self.things.items() if shop.fulfils(thing, self.asked))
        for found in (mask(parse(self.asked), self.columns), self.masks(parse(self.asked))):
            assert found.items().tolist() == expected
            assert found.count == len(expected)
            assert found.bits.tolist() == np.packbits(found.matches, bitorder="little").tolist()
            assert len(found.matches) == self.columns.size == len(self.index) + 1


TestShop = Shop.TestCase
TestShop.settings = settings(max_examples=25, stateful_step_count=15)


@given(st.lists(shop.things, max_size=8, unique_by=lambda thing: thing.item_id), shop.filters)
def test_any_filter_over_any_items_matches_what_brute_force_does(things: list[Thing], value: dict[str, Any]) -> None:
    expected = [number for number, thing in enumerate(things, start=1) if shop.fulfils(thing, value)]
    on = columns(things)
    assert mask(parse(value), on).items().tolist() == expected
    inverse = mask(parse({"not": value}), on).items().tolist()
    assert sorted(expected + inverse) == list(range(1, len(things) + 1))
