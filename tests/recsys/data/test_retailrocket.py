"""RetailRocket: a hand-written excerpt in the publisher's layout."""

import bz2
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.data.retailrocket import ORIGIN, RetailRocket
from recsys.errors import SourceError
from tests.recsys.data.raw_sets import at, chunks, events, items, lay, parts_that_change, reads_the_same_again, refused
from tests.recsys.data.raw_sets import shown as values

JUNE_1, JUNE_8, JUNE_15 = "1433116800000", "1433721600000", "1434326400000"
"""Midnight UTC of three Mondays, in milliseconds."""

EVENTS = [
    "1433221332117,257,view,355,",
    "1433221400000,257,addtocart,355,",
    "1433221500250,257,transaction,355,4000",
    "1433221500250,257,transaction,356,4000",
    "1433221500250,257,transaction,356,4000",
    "1433222000000,99,view,777,",
]
DAMAGED = {
    "noon,257,view,355,": "time is unreadable",
    "1433221332,257,view,355,": "time is before 1990",
    "1433221332117000,257,view,355,": "time is in the future",
    "1433221332117,257,stare,355,": "type is unknown",
    "1433221332117,,view,355,": "shopper is missing",
    "1433221332117,257,view,,": "item is missing",
    "1433221332117,257,view": "too few fields",
}
PROPERTIES_1 = [
    f"{JUNE_8},355,available,0",
    f"{JUNE_1},355,categoryid,30",
    f"{JUNE_1},355,790,n15360.000",
    f"{JUNE_1},355,888,1116713 960601 n277.200",
    f"{JUNE_15},356,categoryid,41",
    f"{JUNE_8},358,888,12",
]
PROPERTIES_2 = [
    f"{JUNE_1},355,available,1",
    f"{JUNE_15},355,available,0",
    f"{JUNE_15},355,790,n1199999999.880",
    f"{JUNE_8},355,790,n14400.500",
    f"{JUNE_1},357,available,1",
    f"{JUNE_8},357,categoryid,99",
]
TREE = ["10,", "20,10", "30,20", "40,41", "41,40"]


@pytest.fixture
def shop(tmp_path: Path) -> RetailRocket:
    lay(tmp_path / "events.csv", "timestamp,visitorid,event,itemid,transactionid", *EVENTS, *DAMAGED)
    lay(tmp_path / "item_properties_part1.csv", "timestamp,itemid,property,value", *PROPERTIES_1)
    second = "\n".join(["timestamp,itemid,property,value", *PROPERTIES_2]).encode()
    (tmp_path / "item_properties_part2.csv.bz2").write_bytes(bz2.compress(second))
    lay(tmp_path / "category_tree.csv", "categoryid,parentid", *TREE)
    return RetailRocket(cutoff="2015-06-10", folder=str(tmp_path))  # type: ignore[arg-type]


def test_a_row_is_an_event_of_an_anonymous_visitor_to_the_millisecond(shop: RetailRocket):
    viewed, carted, bought, *_ = events(shop)
    assert values(viewed, "type", "anonymous_id", "user_id", "item_id") == ("view", "257", None, "355")
    assert viewed["occurred_at"] == at("2015-06-02T05:02:12.117")
    assert (carted["type"], bought["type"], bought["session_id"]) == ("add_to_cart", "purchase", None)


def test_the_lines_of_a_transaction_are_one_moment_and_a_repeated_line_has_the_same_id(shop: RetailRocket):
    bought = [event for event in events(shop) if event["type"] == "purchase"]
    assert {event["occurred_at"] for event in bought} == {at("2015-06-02T05:05:00.250")}
    ids = Counter(event["event_id"] for event in bought)
    assert sorted(ids.values()) == [1, 2]


def test_damaged_rows_are_refused_with_reason_and_original_text(shop: RetailRocket):
    found = refused(shop)
    assert {raw: reason for _, _, reason, raw in found} == DAMAGED
    assert [row for _, row, _, _ in found] == list(range(8, 15))
    assert [chunk.rows_in for chunk in chunks(shop)] == [13]


def test_items_have_a_version_for_every_change_of_category_or_stock(shop: RetailRocket):
    assert [values(row, "item_id", "category", "available", "price", "valid_from") for row in items(shop)] == [
        ("355", ["10", "20", "30"], True, None, at("2015-06-01")),
        ("355", ["10", "20", "30"], False, None, at("2015-06-08")),
        ("356", ["40", "41"], True, None, at("2015-06-15")),
        ("357", [], True, None, at("2015-06-01")),
        ("357", ["99"], True, None, at("2015-06-08")),
        ("777", [], True, None, None),
    ], "out of stock in the third week too is no change; 358 has hashed properties only; 777 was only seen"


def test_the_property_taken_for_the_price_gives_prices_and_more_versions(shop: RetailRocket):
    priced = items(replace(shop, price_property="790"))
    assert [values(row, "price", "available", "valid_from") for row in priced if row["item_id"] == "355"] == [
        (15360.0, True, at("2015-06-01")),
        (14400.5, False, at("2015-06-08")),
    ], "the number that stands for no price says nothing"
    assert replace(shop, price_property="790").fingerprint() != shop.fingerprint()


def test_a_torn_property_row_is_warned_about_and_the_rest_is_read(shop: RetailRocket, caplog: pytest.LogCaptureFixture):
    lay(
        shop.folder / "item_properties_part1.csv", "timestamp,itemid,property,value", f"{JUNE_1},355", "x,1,available,1"
    )
    assert [row["item_id"] for row in items(shop)] == ["355", "355", "356", "357", "357", "777"]
    assert "1 rows of item_properties_part1.csv describe no item; the first is row 2: too few fields" in caplog.text


def test_reading_again_gives_identical_tables(shop: RetailRocket):
    assert reads_the_same_again(replace(shop, price_property="790"))


@pytest.mark.parametrize("name", ["events", "item_properties_part1", "category_tree"])
def test_each_missing_file_is_named_with_address_and_place_before_anything_is_read(shop: RetailRocket, name: str):
    (shop.folder / f"{name}.csv").unlink()
    with pytest.raises(
        SourceError, match=rf"{name}\.csv is missing; download {name}\.csv from {ORIGIN} and put it into"
    ):
        shop.parts()


def test_making_the_source_does_not_look_at_the_disk():
    assert RetailRocket(cutoff=0, folder=Path("/nowhere/at/all")).folder == Path("/nowhere/at/all")


@pytest.mark.parametrize("name", ["item_properties_part1.csv", "category_tree.csv"])
def test_a_log_notices_that_a_file_of_items_changed(shop: RetailRocket, name: str):
    assert parts_that_change(shop, shop.folder / name, "") == [f"items: {name}"]
