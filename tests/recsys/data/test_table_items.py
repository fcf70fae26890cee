"""What is known of items, and since when."""

from pathlib import Path

import pytest

from recsys.clock import parse_instant
from recsys.errors import ConfigError
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.data.small_logs import COLUMNS, source, versions, write, write_json

VIEW = "2024-01-0{},view,ann,{},1,{},{}"
TITLED = {"title": "note", "price": "price"}


def test_a_title_first_seen_after_the_cut_off_was_not_known_before(tmp_path: Path) -> None:
    rows = [VIEW.format(1, "i", 2, "Lamp"), VIEW.format(3, "i", 2, "Red lamp"), VIEW.format(5, "i", 4, "")]
    table = source(write(tmp_path / "l.csv", *reversed(rows)), item_columns=TITLED)
    assert versions(table, "title", "price", "valid_from") == [("Lamp", 2, 1), ("Red lamp", 2, 3), ("Red lamp", 4, 5)]
    write_log(table, tmp_path / "log")
    log = EventLog(tmp_path / "log")
    at = [parse_instant(f"2024-01-0{day}T00:00:01Z") for day in (1, 3, 5)]
    assert [log.items(before=instant)["title"].to_pylist() for instant in at] == [["Lamp"], ["Red lamp"], ["Red lamp"]]
    assert log.items(before=parse_instant("2024-01-01"))["title"].to_pylist() == []


def test_rows_that_are_no_events_describe_nothing(tmp_path: Path) -> None:
    rows = [VIEW.format(1, "i", 2, "Lamp"), VIEW.format(2, "i", -2, "Wrong"), VIEW.format(2, "j", -2, "Never")]
    table = source(write(tmp_path / "l.csv", *rows), item_columns=TITLED)
    assert versions(table, "item_id", "title") == [("i", "Lamp")]


def test_the_same_versions_come_of_parts_read_before_and_of_parts_read_now(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        write(tmp_path / f"{day}.csv", VIEW.format(day, "i", day, f"t{day % 2}"), VIEW.format(day, "j", 1, f"t{day}"))
    fresh = source(tmp_path / "*.csv", item_columns=TITLED)
    used = source(tmp_path / "*.csv", item_columns=TITLED)
    for part in reversed(used.parts()):
        list(part.chunks())
    begun = source(tmp_path / "*.csv", item_columns=TITLED)
    next(iter(begun.parts()[1].chunks()))
    assert fresh.items() == used.items() == begun.items()
    assert used.items() == used.items()


def test_an_item_file_may_say_since_when_a_row_is_true(tmp_path: Path) -> None:
    log = write(tmp_path / "l.csv", VIEW.format(2, "i", 2, ""), VIEW.format(4, "k", 2, ""))
    header = "sku,name,since,price"
    rows = ["i,Lamp,01.01.2024,2", "i,,03.01.2024,3", "j,Tea,,1", "k,Cup,06.01.2024,5", "x,Bad,soon,1", ",Nobody,,1"]
    write(tmp_path / "items.csv", *rows, header=header)
    table = source(
        log,
        item_files=str(tmp_path / "items.csv"),
        item_columns={
            "item_id": "sku", "title": "name", "price": "price",
            "valid_from": {"column": "since", "format": "%d.%m.%Y", "zone": "UTC"},
        },
    )  # fmt: skip
    assert versions(table, "item_id", "title", "price", "valid_from") == [
        ("i", "Lamp", 2, 1), ("i", "Lamp", 3, 3), ("j", "Tea", 1, None), ("k", "k", None, 4), ("k", "Cup", 5, 6),
    ]  # fmt: skip


def test_item_files_may_be_written_otherwise_and_hold_objects(tmp_path: Path) -> None:
    log = write(tmp_path / "l.csv", VIEW.format(2, "1", 2, ""))
    (tmp_path / "items.csv").write_text("1;Tea;2.5\n")
    flat = source(
        log,
        item_files=str(tmp_path / "items.csv"),
        item_delimiter=";",
        item_header=["sku", "name", "cost"],
        item_columns={"item_id": "sku", "title": "name", "price": {"column": "cost", "scale": 2}},
    )
    assert versions(flat, "item_id", "title", "price", "valid_from") == [("1", "Tea", 5.0, None)]
    nested = {"id": 1, "name": {"en": "Tea"}, "path": ["Food", "Drinks"], "props": {"size": "L", "hue": None}}
    write_json(tmp_path / "items.jsonl", nested)
    deep = source(
        log,
        item_files=str(tmp_path / "items.jsonl"),
        item_columns={"item_id": "id", "title": "name.en", "category": "path"},
        item_attributes={"size": "props.size", "colour": "props.hue"},
    )
    assert versions(deep, "item_id", "title", "category", "attributes") == [
        ("1", "Tea", ["Food", "Drinks"], [("size", "L")])
    ]


def test_items_of_an_orders_lines_are_described_by_the_lines(tmp_path: Path) -> None:
    lines = [{"sku": "a", "name": "Tea", "cats": ["Food", "Drinks"]}, {"sku": "b", "name": None}]
    path = write_json(tmp_path / "o.jsonl", {"at": "2024-01-01", "who": "ann", "lines": lines, "shop": "S"})
    table = source(
        path,
        columns={"occurred_at": "at", "user_id": "who", "item_id": "lines[].sku"},
        constants={"type": "purchase", "currency": "EUR"},
        explode="lines",
        item_columns={"title": "lines[].name", "brand": "shop"},
        item_attributes=["shop"],
    )
    assert versions(table, "item_id", "title", "brand", "currency", "attributes") == [
        ("a", "Tea", "S", "EUR", [("shop", "S")]), ("b", "b", "S", "EUR", [("shop", "S")]),
    ]  # fmt: skip


def test_levels_of_a_category_come_from_columns_or_one_text(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", VIEW.format(1, "i", 2, "Food > Drinks >"), VIEW.format(1, "j", 2, ""))
    split = source(path, item_columns={"category": "note"}, category_separator=">")
    assert versions(split, "item_id", "category") == [("i", ["Food", "Drinks"]), ("j", [])]
    levels = source(path, item_columns={"category": ["what", "note", "who"]}, category_separator=">")
    assert versions(levels, "item_id", "category") == [
        ("i", ["view", "Food > Drinks >", "ann"]), ("j", ["view", "ann"]),
    ]  # fmt: skip


def test_the_price_of_an_item_may_be_a_total_by_the_quantity(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,buy,ann,i,4,10,", "2024-01-02,return,ann,i,-2,-6,")
    dust = write(tmp_path / "d.csv", "2024-01-01,buy,ann,i,1,6.49,", "2024-01-02,buy,ann,i,3,19.47,")
    priced = {"item_id": None, "price": {"column": "price", "per": "quantity"}}
    assert versions(source(path, item_columns=priced), "price", "valid_from") == [(2.5, 1), (3.0, 2)]
    assert versions(source(dust, item_columns=priced), "price", "valid_from") == [(6.49, 1)]
    with pytest.raises(ConfigError, match=r"item_columns\.price has per, but data\.item_files have no quantity"):
        source(path, item_files="i.csv", item_columns=priced | {"item_id": "sku"})


def test_descriptions_that_cannot_be_read_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "l.csv", VIEW.format(1, "i", 2, "5 €"))
    assert versions(source(path, item_columns={"price": "note", "brand": "note"}), "brand", "price") == [("5 €", None)]
    assert "no price of an item could be read; look at data.item_columns" in caplog.text
    settings = {"item_files": str(path), "item_columns": {"item_id": "item", "created_at": "note"}}
    source(path, **settings).items()
    assert "no created_at in a piece of l.csv could be read" in caplog.text


def test_a_search_describes_no_item(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,search,ann,,,,tea", VIEW.format(1, "i", 2, ""))
    table = source(path, columns={**COLUMNS, "query": "note"}, item_columns={"title": "note"})
    assert versions(table, "item_id", "title") == [("i", "i")]
