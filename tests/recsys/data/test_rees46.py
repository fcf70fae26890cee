"""REES46: a hand-written excerpt in the owner's layout, and the beginning of the real log."""

import gzip
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.data.rees46 import ORIGIN, Rees46
from recsys.errors import SourceError
from recsys.protocols import Source
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

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
BRICKS = "11,900,toys.building_set,brickco"
OCTOBER = [
    f"2019-10-30 00:00:00 UTC,view,{BRICKS},10.00,7,s-1",
    f"2019-10-30 00:00:05 UTC,cart,{BRICKS},10.00,7,s-1",
    f"2019-10-30 00:00:05 UTC,cart,{BRICKS},10.00,7,s-1",
    f"2019-10-30 00:01:00 UTC,remove_from_cart,{BRICKS},12.50,7,s-1",
    "2019-10-30 00:02:00 UTC,view,12,901,,,0.00,8,",
    f"2019-10-30 00:03:00 UTC,purchase,{BRICKS},12.50,7,s-1",
]
DAMAGED = {
    f"2019-13-30 00:00:00 UTC,view,{BRICKS},10.00,7,s-1": "time is unreadable",
    f"1970-01-18 00:00:00 UTC,view,{BRICKS},10.00,7,s-1": "time is before 1990",
    f"2919-10-30 00:00:00 UTC,view,{BRICKS},10.00,7,s-1": "time is in the future",
    f"2019-10-30 00:04:00 UTC,haggle,{BRICKS},10.00,7,s-1": "type is unknown",
    f"2019-10-30 00:04:00 UTC,view,{BRICKS},10.00,,s-1": "shopper is missing",
    "2019-10-30 00:04:00 UTC,view,,900,toys.building_set,brickco,10.00,7,s-1": "item is missing",
    f"2019-10-30 00:04:00 UTC,view,{BRICKS},cheap,7,s-1": "price is not a number",
    f"2019-10-30 00:04:00 UTC,view,{BRICKS},nan,7,s-1": "price is not a number",
    f"2019-10-30 00:04:00 UTC,view,{BRICKS},-1.00,7,s-1": "price is negative",
    "2019-10-30 00:04:00 UTC,view,13,900,toys.building_set,brickco,99.00,7": "too few fields",
}
NOVEMBER = ["2019-11-02 09:00:00 UTC,view,11,2900,construction.bricks,brickco,12.50,9,s-3"]


@pytest.fixture
def shop(tmp_path: Path) -> Rees46:
    lay(tmp_path / "2019-Oct.csv", HEADER, *OCTOBER, *DAMAGED)
    (tmp_path / "2019-Nov.csv.gz").write_bytes(gzip.compress("\n".join([HEADER, *NOVEMBER]).encode()))
    lay(tmp_path / "notes.csv", "these are", "no events")
    return Rees46(cutoff="2019-11-01", folder=str(tmp_path))  # type: ignore[arg-type]


def test_a_row_is_an_event_of_a_known_user_with_the_price_shown(shop: Rees46):
    first, cart, *_ = events(shop)
    assert values(first, "type", "user_id", "session_id", "item_id") == ("view", "7", "s-1", "11")
    assert values(first, "occurred_at", "price", "quantity") == (at("2019-10-30T00:00:00"), 10.0, 1.0)
    assert values(first, "anonymous_id", "currency", "list_price") == (None, None, None)
    assert cart["type"] == "add_to_cart"


def test_each_kind_of_action_has_its_type_and_a_missing_session_or_price_is_no_fault(shop: Rees46):
    _, _, _, taken_out, bare, bought, later = events(shop)
    assert (taken_out["type"], bought["type"], later["user_id"]) == ("remove_from_cart", "purchase", "9")
    assert values(bare, "item_id", "session_id", "price") == ("12", None, None)


def test_rows_that_the_log_repeats_have_one_id_and_others_do_not(shop: Rees46):
    ids = Counter(event["event_id"] for event in events(shop))
    assert ids == {**Counter(ids.keys()), "7-s-1-1572393605-add_to_cart-11": 2}
    assert len(ids) == 6


def test_damaged_rows_are_refused_with_reason_and_original_text(shop: Rees46):
    found = refused(shop)
    assert {raw: reason for _, _, reason, raw in found} == DAMAGED
    assert [(origin, row) for origin, row, _, _ in found] == [("2019-Oct.csv", 8 + n) for n in range(len(DAMAGED))]
    assert sum(chunk.rows_in for chunk in chunks(shop)) == 7 + len(DAMAGED)


def test_months_are_parts_in_order_of_time_and_other_files_are_none(shop: Rees46):
    lay(shop.folder / "2020-Jan.csv", HEADER)
    assert [part.name for part in shop.parts()] == ["2019-Oct.csv", "2019-Nov.csv", "2020-Jan.csv"]


def test_items_change_with_what_the_events_show_from_the_microsecond_after(shop: Rees46):
    versions = items(shop)
    assert [values(row, "item_id", "price", "category", "valid_from") for row in versions] == [
        ("11", 10.0, ["toys", "building_set"], at("2019-10-30T00:00:00.000001")),
        ("11", 12.5, ["toys", "building_set"], at("2019-10-30T00:01:00.000001")),
        ("11", 12.5, ["construction", "bricks"], at("2019-11-02T09:00:00.000001")),
        ("12", None, ["901"], at("2019-10-30T00:02:00.000001")),
    ]
    assert [values(row, "title", "brand") for row in versions[1:]] == [
        ("building set, brickco", "brickco"),
        ("bricks, brickco", "brickco"),
        ("12", None),
    ]


def test_reading_again_gives_identical_tables(shop: Rees46):
    assert reads_the_same_again(shop)


def test_a_folder_without_a_month_is_refused_with_address_and_place(tmp_path: Path):
    with pytest.raises(SourceError, match=rf"2019-Oct\.csv is missing; download .* from {ORIGIN} and put it into"):
        Rees46(cutoff=0, folder=tmp_path).parts()


def test_a_file_of_another_layout_is_refused_with_the_columns_it_lacks(tmp_path: Path):
    lay(tmp_path / "2019-Oct.csv", "event_time,event_type,product_id", "x,y,z")
    with pytest.raises(SourceError, match=r"has no column 'brand', 'category_code'"):
        Rees46(cutoff=0, folder=tmp_path).parts()


def test_the_fingerprint_follows_the_settings_but_neither_cutoff_nor_place(tmp_path: Path):
    source: Source = Rees46(cutoff=0, folder=tmp_path)
    assert source.fingerprint() == Rees46(cutoff=5, folder=tmp_path / "elsewhere").fingerprint()
    assert source.fingerprint() != Rees46(cutoff=0, time_zone="Asia/Almaty").fingerprint()


def test_the_beginning_of_the_real_log_is_read_but_for_its_torn_last_row(tmp_path: Path):
    (sample,) = real("rees46-sample/2019-Oct-sample.csv.gz")
    (tmp_path / "2019-Oct.csv.gz").symlink_to(sample)
    shop = Rees46(cutoff="2019-10-01T02:00:00", folder=tmp_path)  # type: ignore[arg-type]
    read = event_table(shop)
    assert sum(chunk.rows_in for chunk in chunks(shop)) == 17_435
    assert Counter(read["type"].to_pylist()) == {"view": 17_055, "purchase": 214, "add_to_cart": 165}
    assert len(set(read["event_id"].to_pylist())) == 17_434 - 5, "five rows are there twice"
    assert read["price"].null_count == 19, "prices of nothing"
    assert len(set(read["user_id"].to_pylist())) == 4_504
    ((_, row, reason, raw),) = refused(shop)
    assert (row, reason) == (17_436, "too few fields")
    assert raw.endswith(",52040330")
    versions = shop.items()
    assert versions.num_rows == len(set(read["item_id"].to_pylist())) == 6_493, "in three hours nothing changed"
    assert min(versions["valid_from"].to_pylist()) == at("2019-10-01T00:00:00.000001")


def test_a_file_that_is_called_otherwise_is_read_instead_of_the_months(shop: Rees46):
    lay(shop.folder / "cosmetics.csv", HEADER, *NOVEMBER)
    alone = replace(shop, file="cosmetics.csv")
    assert [part.name for part in alone.parts()] == ["cosmetics.csv"]
    assert [event["user_id"] for event in events(alone)] == ["9"]
    assert [item["item_id"] for item in items(alone)] == ["11"]
    both = replace(shop, file=["2019-Oct.csv", "cosmetics.csv"])
    assert [part.name for part in both.parts()] == ["2019-Oct.csv", "cosmetics.csv"]
    assert items(both) == items(shop)


def test_the_real_sample_is_ingested_by_its_path_alone(tmp_path: Path):
    (sample,) = real("rees46-sample/2019-Oct-sample.csv.gz")
    result = ingested("rees46", sample, tmp_path)
    assert "17,435 rows in = 17,429 events + 5 duplicates + 1 quarantined + 0 excluded" in result
