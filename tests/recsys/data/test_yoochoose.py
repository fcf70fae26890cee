"""Yoochoose: hand-written excerpts of both layouts, and real clicks as the GRU4Rec script prepares them."""

import gzip
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.data.yoochoose import ORIGIN, Yoochoose
from recsys.errors import SourceError
from tests.recsys.data.raw_sets import (
    at,
    chunks,
    event_table,
    events,
    ingested,
    items,
    lay,
    reads_the_same_again,
    real,
    refused,
)
from tests.recsys.data.raw_sets import shown as values

CLICKS = [
    "1,2014-04-07T10:51:09.100Z,501,0",
    "1,2014-04-07T10:54:09.868Z,502,S",
    "1,2014-04-07T10:54:09.868Z,502,S",
    "9,2014-06-02T08:00:00.000Z,501,7",
    "7,2014-06-01T08:00:00.000Z,501,3",
    "7,2014-06-01T08:01:00.000Z,501,2088610737",
    "8,2014-06-03T08:00:00.000Z,501,3",
]
BUYS = [
    "1,2014-04-07T10:56:00.000Z,502,12462,1",
    "7,2014-06-01T08:02:00.000Z,502,12462,2",
    "8,2014-06-03T08:02:00.000Z,502,0,0",
    "9,2014-06-04T08:02:00.000Z,502,9900,1",
    "9,2014-06-04T08:02:00.000Z,503,500,1",
]
DAMAGED_CLICKS = {
    "1,yesterday,501,0": "time is unreadable",
    "1,0014-04-07T10:51:09.277Z,501,0": "time is before 1990",
    "1,3014-04-07T10:51:09.277Z,501,0": "time is in the future",
    ",2014-04-07T10:51:09.277Z,501,0": "shopper is missing",
    "1,2014-04-07T10:51:09.277Z,,0": "item is missing",
    "1,2014-04-07T10:51:09.277Z,501": "too few fields",
}
DAMAGED_BUYS = {
    "1,2014-04-07T10:51:09.277Z,501,much,1": "price is not a number",
    "1,2014-04-07T10:51:09.277Z,501,-5,1": "price is negative",
    "1,2014-04-07T10:51:09.277Z,501,5,few": "quantity is not a number",
    "1,2014-04-07T10:51:09.277Z,501,5,-1": "quantity is negative",
    "1,2014-04-07T10:51:09.277Z,501,5,1,1": "too many fields",
}


@pytest.fixture
def shop(tmp_path: Path) -> Yoochoose:
    lay(tmp_path / "yoochoose-clicks.dat", *CLICKS, *DAMAGED_CLICKS)
    lines = [*BUYS, *DAMAGED_BUYS]
    (tmp_path / "yoochoose-buys.dat.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return Yoochoose(cutoff="2014-06-01", folder=str(tmp_path))  # type: ignore[arg-type]


@pytest.fixture
def prepared(tmp_path: Path) -> Yoochoose:
    header = "SessionId\tItemId\tTime"
    lay(
        tmp_path / "rsc15_train_full.txt", header, "1\t501\t1396860669.1", "1\t502\t1396860849.868", "2\t\t1396860669.1"
    )
    lay(tmp_path / "rsc15_test.txt", header, "3\t501\t1396947069")
    return Yoochoose(cutoff="2014-04-08", folder=tmp_path)  # type: ignore[arg-type]


def test_a_session_is_an_anonymous_shopper(shop: Yoochoose):
    first = events(shop)[0]
    assert values(first, "type", "anonymous_id", "session_id", "user_id") == ("click", "1", "1", None)
    assert values(first, "occurred_at", "item_id", "price") == (at("2014-04-07T10:51:09.100"), "501", None)


def test_a_purchase_has_price_and_quantity_and_zero_stands_for_not_noted_down(shop: Yoochoose):
    bought = [values(e, "item_id", "price", "quantity") for e in events(shop) if e["type"] == "purchase"]
    assert bought == [
        ("502", 12462.0, 1.0), ("502", 12462.0, 2.0), ("502", None, 1.0), ("502", 9900.0, 1.0), ("503", 500.0, 1.0),
    ]  # fmt: skip


def test_a_click_that_is_there_twice_has_one_id(shop: Yoochoose):
    ids = Counter(event["event_id"] for event in events(shop))
    assert [event_id for event_id, count in ids.items() if count == 2] == ["1-1396868049868-click-502"]
    assert len(ids) == len(CLICKS) + len(BUYS) - 1


def test_damaged_rows_are_refused_with_reason_and_original_text(shop: Yoochoose):
    found = refused(shop)
    assert {raw: reason for _, _, reason, raw in found} == DAMAGED_CLICKS | DAMAGED_BUYS
    assert [row for _, row, _, _ in found] == [*range(8, 14), *range(6, 11)]
    assert [(part.name, sum(c.rows_in for c in part.chunks())) for part in shop.parts()] == [
        ("yoochoose-clicks.dat", 13),
        ("yoochoose-buys.dat", 10),
    ]


def test_items_get_the_first_category_and_brand_they_were_clicked_under_and_prices_as_paid(shop: Yoochoose):
    assert [values(row, "item_id", "category", "brand", "price", "valid_from") for row in items(shop)] == [
        ("501", ["3"], None, None, at("2014-06-01T08:00:00.000001")),
        ("501", ["3"], "2088610737", None, at("2014-06-01T08:01:00.000001")),
        ("502", [], None, 12462.0, at("2014-04-07T10:56:00.000001")),
        ("502", [], None, 9900.0, at("2014-06-04T08:02:00.000001")),
        ("503", [], None, 500.0, at("2014-06-04T08:02:00.000001")),
    ], "an offer is no category, a second category does not count, a price of nothing changes nothing"


def test_prepared_clicks_get_back_the_hours_that_their_preparation_lost(prepared: Yoochoose):
    first, second, test = events(prepared)
    assert first["occurred_at"] == at("2014-04-07T10:51:09.100"), "08:51:09 was two hours early"
    assert values(second, "occurred_at", "anonymous_id") == (at("2014-04-07T10:54:09.868"), "1")
    assert values(test, "occurred_at", "item_id") == (at("2014-04-08T10:51:09"), "501")
    in_utc = events(replace(prepared, prepared_zone="UTC"))[0]
    assert in_utc["occurred_at"] == at("2014-04-07T08:51:09.100")
    assert replace(prepared, prepared_zone="UTC").fingerprint() != prepared.fingerprint()


def test_prepared_clicks_are_parts_of_their_own_and_know_nothing_of_items(prepared: Yoochoose):
    assert [part.name for part in prepared.parts()] == ["rsc15_train_full.txt", "rsc15_test.txt"]
    assert refused(prepared) == [("rsc15_train_full.txt", 4, "item is missing", "2\t\t1396860669.1")]
    assert [values(row, "item_id", "title", "category") for row in items(prepared)] == [
        ("501", "501", []),
        ("502", "502", []),
    ]


def test_the_original_is_read_where_both_layouts_lie(shop: Yoochoose):
    lay(shop.folder / "rsc15_train_full.txt", "SessionId\tItemId\tTime")
    assert shop.parts()[0].name == "yoochoose-clicks.dat"


def test_reading_again_gives_identical_tables(shop: Yoochoose):
    assert reads_the_same_again(shop)


@pytest.mark.parametrize("name", ["yoochoose-clicks.dat", "yoochoose-buys.dat.gz"])
def test_a_missing_file_is_named_with_address_and_place(shop: Yoochoose, name: str):
    (shop.folder / name).unlink()
    plain = name.removesuffix(".gz")
    with pytest.raises(SourceError, match=rf"{plain} is missing; download {plain} from {ORIGIN} and put it into"):
        shop.parts()


def test_real_prepared_clicks_are_all_events_at_their_true_times(tmp_path: Path):
    train, test = real("yoochoose-100k/clicks_train_full.txt.gz", "yoochoose-100k/clicks_test.txt.gz")
    (tmp_path / "rsc15_train_full.txt.gz").symlink_to(train)
    (tmp_path / "rsc15_test.txt.gz").symlink_to(test)
    shop = Yoochoose(cutoff="2014-04-07T03:00:00Z", folder=tmp_path)  # type: ignore[arg-type]
    assert [sum(c.rows_in for c in part.chunks()) for part in shop.parts()] == [70_278, 13_568]
    assert refused(shop) == []
    read = event_table(shop)
    assert read.num_rows - len(set(read["event_id"].to_pylist())) == 1, "one click is there twice"
    assert sum(len(chunk.events) for chunk in chunks(shop)) == 83_846
    first_and_last = min(read["occurred_at"].to_pylist()), max(read["occurred_at"].to_pylist())
    assert first_and_last == (at("2014-04-01T03:02:21.719"), at("2014-04-08T02:50:01.534"))
    assert shop.items().num_rows == 2_933


def test_prepared_clicks_of_another_name_are_read_though_the_original_lies_there(shop: Yoochoose):
    lay(shop.folder / "clicks.txt", "SessionId\tItemId\tTime", "1\t599\t1396860669.1")
    lay(shop.folder / "more.txt", "SessionId\tItemId\tTime", "2\t598\t1396860669.1")
    alone = replace(shop, file="clicks.txt")
    assert [part.name for part in alone.parts()] == ["clicks.txt"]
    assert [event["item_id"] for event in events(alone)] == [item["item_id"] for item in items(alone)] == ["599"]
    both = replace(shop, file=["clicks.txt", "more.txt"])
    assert [event["item_id"] for event in events(both)] == ["599", "598"]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("clicks_train_full", "70,278 rows in = 70,277 events + 1 duplicates"),
        ("clicks_test", "13,568 rows in = 13,568"),
    ],
)
def test_real_prepared_clicks_are_ingested_by_their_path_alone(tmp_path: Path, name: str, rows: str):
    (clicks,) = real(f"yoochoose-100k/{name}.txt.gz")
    assert rows in ingested("yoochoose", clicks, tmp_path)
