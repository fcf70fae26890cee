"""Diginetica: a hand-written excerpt of the six files of the training set."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.data.diginetica import Diginetica
from recsys.errors import SourceError
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.data.raw_sets import at, chunks, events, items, lay, parts_that_change, reads_the_same_again, refused
from tests.recsys.data.raw_sets import shown as values

VIEWS = ["1;NA;81;526309;2016-05-09", "1;NA;82;1031018;2016-05-09", "2;17;83;0;2016-05-10"]
DAMAGED_VIEWS = {
    "1;NA;81;soon;2016-05-09": "timeframe is not a number",
    "1;NA;81;-4;2016-05-09": "timeframe is negative",
    "1;NA;81;NA;2016-05-09": "time is unreadable",
    "1;NA;81;526309;2016-05-39": "time is unreadable",
    "1;NA;81;99999999999999999;2016-05-09": "time is unreadable",
    "NA;NA;81;526309;2016-05-09": "shopper is missing",
    "1;NA;NA;526309;2016-05-09": "item is missing",
    "1;NA;81": "too few fields",
}
PURCHASES = ["2;17;600250;2016-05-10;5001;83", "2;17;600250;2016-05-10;5001;84", "2;17;600250;2016-05-10;5001;84"]
DAMAGED_PURCHASES = {"2;17;600250;2916-05-10;5001;83": "time is in the future"}
QUERIES = [
    "10;1;NA;1000;311;2016-05-09;501,502;0;82,81,90;FALSE",
    "11;1;NA;61000;NA;2016-05-09;NA;23;83;TRUE",
    "12;2;17;5;40;2016-05-10;777;NA;NA;FALSE",
]
DAMAGED_QUERIES = {
    "13;1;NA;1000;311;2016-05-09;501;0;82,,90;FALSE": "an item of the list is missing",
    "NA;1;NA;1000;311;2016-05-09;501;0;82,90;FALSE": "query is missing",
    "14;1;NA;1000;311;1916-05-09;501;0;82,90;FALSE": "time is before 1990",
}
CLICKS = ["10;12500;81", "10;12500;81", "12;800;84"]
DAMAGED_CLICKS = {"13;12500;81": "query is unknown", "99;12500;81": "query is unknown", "10;12500;": "item is missing"}


@pytest.fixture
def shop(tmp_path: Path) -> Diginetica:
    lay(tmp_path / "train-item-views.csv", "sessionId;userId;itemId;timeframe;eventdate", *VIEWS, *DAMAGED_VIEWS)
    header = "sessionId;userId;timeframe;eventdate;ordernumber;itemId"
    lay(tmp_path / "train-purchases.csv", header, *PURCHASES, *DAMAGED_PURCHASES)
    header = "queryId;sessionId;userId;timeframe;duration;eventdate;searchstring.tokens;categoryId;items;is.test"
    lay(tmp_path / "train-queries.csv", header, *QUERIES, *DAMAGED_QUERIES)
    lay(tmp_path / "train-clicks.csv", "queryId;timeframe;itemId", *CLICKS, *DAMAGED_CLICKS)
    lay(
        tmp_path / "products.csv", "itemId;pricelog2;product.name.tokens", "81;10;7,8,8", "82;0;", "83;3.5;9", "84;NA;6"
    )
    lay(tmp_path / "product-categories.csv", "itemId;categoryId", "83;23", "81;1096")
    return Diginetica(cutoff="2016-05-10", folder=str(tmp_path))  # type: ignore[arg-type]


def of_type(shop: Diginetica, event_type: str) -> list[dict[str, object]]:
    return [event for event in events(shop) if event["type"] == event_type]


def test_milliseconds_count_from_midnight_of_the_day(shop: Diginetica):
    first, second, third = of_type(shop, "view")
    assert values(first, "occurred_at", "item_id") == (at("2016-05-09T00:08:46.309"), "81")
    assert values(second, "occurred_at", "item_id") == (at("2016-05-09T00:17:11.018"), "82")
    assert third["occurred_at"] == at("2016-05-10")


def test_a_session_is_an_anonymous_shopper_linked_to_the_user_where_one_is_known(shop: Diginetica):
    first, _, third = of_type(shop, "view")
    assert values(first, "anonymous_id", "session_id", "user_id") == ("1", "1", None)
    assert values(third, "anonymous_id", "session_id", "user_id") == ("2", "2", "17")


def test_a_query_is_a_search_by_words_or_in_a_category(shop: Diginetica):
    words, browsing, without_list = of_type(shop, "search")
    assert values(words, "query", "filters", "placement") == ("501 502", None, "search"), "category 0 is none"
    assert values(browsing, "query", "filters", "placement") == (None, ["category:23"], "category")
    assert values(without_list, "query", "recommendation_id", "item_id") == ("777", "12", None)


def test_every_item_of_the_list_is_an_impression_at_the_instant_of_its_query(shop: Diginetica):
    shown = of_type(shop, "impression")
    assert [values(e, "recommendation_id", "position", "item_id") for e in shown] == [
        ("10", 0, "82"),
        ("10", 1, "81"),
        ("10", 2, "90"),
        ("11", 0, "83"),
    ]
    assert {values(e, "occurred_at", "anonymous_id", "placement") for e in shown[:3]} == {
        (at("2016-05-09T00:00:01"), "1", "search")
    }
    assert sum(chunk.unfolded for chunk in chunks(shop)) == 4


def test_a_click_has_the_shopper_and_day_of_its_query(shop: Diginetica):
    first, twice, other = of_type(shop, "click")
    assert values(first, "occurred_at", "anonymous_id", "item_id") == (at("2016-05-09T00:00:12.500"), "1", "81")
    assert values(first, "recommendation_id", "placement") == ("10", "search")
    assert first["event_id"] == twice["event_id"]
    assert values(other, "occurred_at", "user_id", "session_id") == (at("2016-05-10T00:00:00.800"), "17", "2")


def test_the_lines_of_an_order_are_one_moment_and_a_repeated_line_has_one_id(shop: Diginetica):
    bought = of_type(shop, "purchase")
    assert {values(e, "occurred_at", "user_id") for e in bought} == {(at("2016-05-10T00:10:00.250"), "17")}
    assert Counter(e["item_id"] for e in bought) == {"83": 1, "84": 2}
    assert len({e["event_id"] for e in bought}) == 2


def test_damaged_rows_are_refused_with_reason_and_original_text(shop: Diginetica):
    found = refused(shop)
    expected = DAMAGED_VIEWS | DAMAGED_PURCHASES | DAMAGED_QUERIES | DAMAGED_CLICKS
    assert {raw: reason for _, _, reason, raw in found} == expected
    assert [row for origin, row, _, _ in found if origin == "train-queries.csv"] == [5, 6, 7]
    read = {part.name: sum(chunk.rows_in for chunk in part.chunks()) for part in shop.parts()}
    assert read == {
        "train-item-views.csv": 11, "train-purchases.csv": 4, "train-queries.csv": 6, "train-clicks.csv": 6,
        "items: products.csv": 0, "items: product-categories.csv": 0,
    }  # fmt: skip


def test_lists_can_be_left_out(shop: Diginetica):
    plain = replace(shop, impressions=False)
    assert Counter(e["type"] for e in events(plain)) == {"view": 3, "purchase": 3, "search": 3, "click": 3}
    assert plain.fingerprint() != shop.fingerprint()


def test_items_have_prices_out_of_their_logarithm_and_name_tokens_as_text(shop: Diginetica):
    assert [values(row, "item_id", "category", "price", "text") for row in items(shop)] == [
        ("81", ["1096"], 1024.0, "7 8 8"),
        ("82", [], None, None),
        ("83", ["23"], pytest.approx(11.3137, abs=1e-4), "9"),
        ("84", [], None, "6"),
        ("90", [], None, None),
    ], "90 was only shown"


def test_clicks_are_read_anew_when_the_queries_they_belong_to_change(shop: Diginetica):
    changed = parts_that_change(shop, shop.folder / "train-queries.csv", "99;3;NA;0;0;2016-05-09;1;0;81;FALSE")
    assert changed == ["train-queries.csv", "train-clicks.csv"]


def test_a_log_takes_over_a_new_price_though_no_event_came(shop: Diginetica, tmp_path: Path):
    write_log(shop, tmp_path / "log")
    assert parts_that_change(shop, shop.folder / "products.csv", "81;11;7,8,8") == ["items: products.csv"]
    write_log(shop, tmp_path / "log")
    items = {item["item_id"]: item["price"] for item in EventLog(tmp_path / "log").items().to_pylist()}
    assert items["81"] == 2048.0


def test_reading_again_gives_identical_tables(shop: Diginetica):
    assert reads_the_same_again(shop)


@pytest.mark.parametrize("name", ["train-queries.csv", "product-categories.csv"])
def test_each_missing_file_is_named_with_address_and_place_before_anything_is_read(shop: Diginetica, name: str):
    (shop.folder / name).unlink()
    address = r"https://competitions\.codalab\.org/competitions/11161"
    with pytest.raises(SourceError, match=rf"{name} is missing; download {name} from {address} .* and put it into"):
        shop.parts()
