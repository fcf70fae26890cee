"""What a column can be made to mean: units, marks, zones, lists, purposes, alternatives."""

from pathlib import Path

import pytest

from recsys.errors import ConfigError
from tests.recsys.data.small_logs import COLUMNS, events, refused, shown, source, write, write_json, write_parquet


def with_columns(path: Path, **columns: object):
    return source(path, columns={**COLUMNS, **columns})


def test_cents_and_totals_become_what_one_unit_cost(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,buy,ann,i,2,1999,5998", "2024-01-01,buy,ann,i,0,1999,5998")
    table = with_columns(
        path, price={"column": "price", "scale": 0.01}, list_price={"column": "note", "per": "quantity"}
    )
    assert shown(table, "price", "list_price") == [(19.99, 2999.0)]
    assert [reason for _, reason, _ in refused(table)] == ["quantity is not positive"]


def test_a_negative_total_of_a_negative_quantity_is_a_positive_price(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,return,ann,i,-2,-5,", "2024-01-01,return,ann,i,-2,5,")
    table = with_columns(path, price={"column": "price", "per": "quantity"})
    assert shown(table, "quantity", "price") == [(2.0, 2.5), (2.0, 2.5)]


def test_german_numbers_and_signs_of_currency_are_read_where_the_settings_say_so(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", '2024-01-01,buy,ann,i,"1,5","€ 1.234,50",2.5')
    columns = {**COLUMNS, "price": {"column": "price", "strip": "€"}, "list_price": {"column": "note", "decimal": "."}}
    table = source(path, columns=columns, decimal=",", thousands=None)
    assert [reason for _, reason, _ in refused(table)] == ["price is not a number"]
    columns["price"] = {"column": "price", "strip": ["€", "EUR"], "thousands": "."}
    assert shown(source(path, columns=columns, decimal=","), "quantity", "price", "list_price") == [(1.5, 1234.5, 2.5)]
    columns["price"] = "price"
    table = source(path, columns=columns, decimal=",", thousands=".", strip=["€", "EUR"])
    assert shown(table, "quantity", "price", "list_price") == [(1.5, 1234.5, 2.5)]


def test_ranks_that_begin_at_one_are_moved_and_ranks_below_zero_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", *(f"2024-01-01,view,ann,i,1,2,{rank}" for rank in ("1", "3.0", "0", "1.5", "")))
    table = with_columns(path, position={"column": "note", "add": -1})
    assert shown(table, "position") == [(0,), (2,), (None,)]
    assert [(row, reason) for row, reason, _ in refused(table)] == [
        (4, "position is not a whole number from 0"), (5, "position is not a whole number from 0"),
    ]  # fmt: skip


def test_date_and_time_in_two_columns_are_one_stamp(tmp_path: Path) -> None:
    header = "date,time,what,who,item,units,price"
    rows = ["31.01.2024,9:05,buy,ann,i,1,2", "31.01.2024,,buy,ann,i,1,2", "31.02.2024,9:05,buy,ann,i,1,2"]
    table = source(
        write(tmp_path / "l.csv", *rows, header=header),
        columns={**COLUMNS, "occurred_at": ["date", "time"]},
        time_format="%d.%m.%Y %H:%M",
        stamp_zone="Europe/Berlin",
    )
    assert shown(table, "occurred_at") == [("08:05",)]
    assert [reason for _, reason, _ in refused(table)] == ["time is missing", "time is unreadable"]


def test_each_row_may_say_its_zone(tmp_path: Path) -> None:
    zones = ("Europe/Berlin", "America/New_York", "+02:00", "Mars/Base", "")
    path = write(tmp_path / "l.csv", *(f"2024-01-01 12:00:00,buy,ann,i,1,2,{zone}" for zone in zones))
    table = with_columns(path, occurred_at={"column": "when", "zone_column": "note"})
    assert shown(table, "occurred_at") == [("11:00",), ("17:00",), ("10:00",)]
    assert [reason for _, reason, _ in refused(table)] == ["time is unreadable"] * 2


def test_one_column_may_have_a_format_and_zone_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "01/02/2024 03:00 PM,buy,ann,i,1,2,")
    reading = {"column": "when", "format": "%m/%d/%Y %I:%M %p", "zone": "Asia/Tokyo"}
    assert shown(with_columns(path, occurred_at=reading), "occurred_at") == [("06:00",)]


def test_the_first_column_that_has_something_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,buy,ann,i,1,2,x", "2024-01-01,buy,,i,1,2,x", "2024-01-01,buy,,i,1,2,")
    assert shown(with_columns(path, user_id={"first": ["who", "note"]}), "user_id") == [("ann",), ("x",)]


def test_of_alternatives_a_file_needs_one_and_of_optional_columns_none(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,buy,ann,i,1,2,x")
    table = with_columns(
        path, user_id={"first": ["Customer", "who"]}, device={"column": "ua", "optional": True}, store="note"
    )
    assert shown(table, "user_id", "device", "store") == [("ann", None, "x")]


def test_several_columns_of_an_id_are_joined_and_endings_taken_off(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,buy,17850.0,i,1,2,7", "2024-01-01,buy,17850,i,1,2,")
    table = with_columns(path, user_id={"column": "who", "strip": ".0"}, session_id=["who", "note"])
    assert shown(table, "user_id", "session_id") == [("17850", "17850.0-7"), ("17850", None)]


def test_words_of_a_column_can_be_replaced(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", *(f"2024-01-01,buy,ann,i,1,2,{word}" for word in ("1", "2", "kiosk", "")))
    table = with_columns(path, channel={"column": "note", "values": {1: "store", "2": "web"}})
    assert shown(table, "channel") == [("store",), ("web",), ("kiosk",), (None,)]


def test_filters_are_lists_texts_with_separators_or_named_columns(tmp_path: Path) -> None:
    rows = ["2024-01-01,search,ann,,,,brand:Lux | size:XL|", "2024-01-01,search,ann,,,,"]
    path = write(tmp_path / "l.csv", *rows)
    split = with_columns(path, filters={"column": "note", "separator": "|"})
    assert shown(split, "filters") == [(["brand:Lux", "size:XL"],), (None,)]
    rows = [{"when": "2024-01-01", "who": "a", "f": {"tags": ["x", "y"], "brand": "Lux", "size": None}}]
    log = write_json(tmp_path / "l.jsonl", *rows, {"when": "2024-01-01", "who": "a", "f": {}})
    base = {"occurred_at": "when", "user_id": "who", "item_id": {"column": "item", "optional": True}}
    for setting, expected in (
        ("f.tags", [(["x", "y"],), (None,)]),
        ("f.tags[]", [(["x", "y"],), (None,)]),
        ({"named": {"brand": "f.brand", "size": "f.size"}}, [(["brand:Lux"],), (None,)]),
    ):
        table = source(log, columns={**base, "filters": setting}, type_values={}, constants={"type": "search"})
        assert shown(table, "filters") == expected


def test_consent_names_the_purposes_that_were_agreed_to(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "l.parquet",
        when=["2024-01-01"] * 4,
        what=["view"] * 4,
        who=["ann"] * 4,
        item=["i"] * 4,
        ads=[True, False, None, None],
        stats=["Yes", "No", "Unset", None],
    )
    columns = {key: value for key, value in COLUMNS.items() if key not in ("quantity", "price")}
    table = source(path, columns={**columns, "consent": {"agreed": {"ads": "ads", "analytics": "stats"}}})
    assert shown(table, "consent") == [(["ads", "analytics"],), ([],), ([],), (None,)]
    always = source(path, columns=columns, constants={"consent": ["ads"]})
    assert shown(always, "consent") == [(["ads"],)] * 4


def test_ratings_offers_and_links_need_what_makes_them(tmp_path: Path) -> None:
    header = "when,what,who,cookie,item,stars,offer"
    rows = [
        "rating,ann,,i,4.5,", "rating,ann,,i,,", "rating,ann,,i,many,", "offer,ann,,,,spring", "offer,ann,,i,,",
        "redeem,ann,,,,spring", "link,ann,c1,,,", "unlink,ann,c1,,,", "link,ann,,,,",
    ]  # fmt: skip
    path = write(tmp_path / "l.csv", *(f"2024-01-01,{row}" for row in rows), header=header)
    columns = {
        "occurred_at": "when", "type": "what", "user_id": "who", "anonymous_id": "cookie", "item_id": "item",
        "rating": "stars", "offer_id": "offer",
    }  # fmt: skip
    table = source(path, columns=columns, type_values={})
    assert shown(table, "type", "rating", "offer_id") == [
        ("rating", 4.5, None), ("offer", None, "spring"), ("redeem", None, "spring"),
        ("link", None, None), ("unlink", None, None),
    ]  # fmt: skip
    assert [(row, reason) for row, reason, _ in refused(table)] == [
        (3, "rating is missing"), (4, "rating is not a number"), (6, "offer is missing"),
        (10, "a link needs user_id and anonymous_id"),
    ]  # fmt: skip


def test_words_for_nothing_are_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,buy,NULL,i,1,\\N,", "2024-01-01,buy,ann,i,\\N,\\N,NULL")
    table = source(path, columns={**COLUMNS, "query": "note"}, missing=["NULL", "\\N"])
    assert shown(table, "user_id", "quantity", "price", "query") == [("ann", 1.0, None, None)]
    assert [reason for _, reason, _ in refused(table)] == ["shopper is missing"]


def test_any_other_word_for_a_type_can_be_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l.csv", *(f"2024-01-01,{w},ann,i,1,2," for w in ("buy", "scroll", "view", "ping", "scroll", ""))
    )
    table = source(path, type_values={"buy": "purchase", "*": None})
    (chunk,) = [chunk for part in table.parts() for chunk in part.chunks()]
    assert [event["type"] for event in events(table)] == ["purchase", "view"]
    assert chunk.excluded == {"type scroll": 2, "type ping": 1}
    assert [reason for _, reason, _ in refused(table)] == ["type is unknown"]
    taken = source(path, type_values={"buy": "purchase", "*": "click"})
    assert [event["type"] for event in events(taken)] == ["purchase", "click", "view", "click", "click"]


def test_files_from_windows_are_read_in_their_encoding(tmp_path: Path) -> None:
    text = "when,what,who,item,units,price,note\n2024-01-01,buy,Jörg,i,1,2,\n"
    for encoding in ("cp1252", "utf-16", "latin-1"):
        (tmp_path / "l.csv").write_bytes(text.encode(encoding))
        assert shown(source(tmp_path / "l.csv", encoding=encoding), "user_id") == [("Jörg",)]


def test_null_takes_an_inherited_column_or_constant_away(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,buy,ann,i,1,2,x")
    table = source(
        path,
        columns={**COLUMNS, "session_id": None, "price": None, "currency": "note"},
        constants={"currency": None, "store": None},
        item_columns={"title": None},
        item_attributes={"size": None},
    )
    assert shown(table, "session_id", "price", "currency") == [(None, None, "x")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"price": {"column": "price", "scael": 2}}, r"data\.columns\.price has no 'scael'; is it 'scale'\?"),
        ({"price": {"column": "price", "scale": 0}}, r"price\.scale is 0; give a number that is not 0"),
        ({"price": {"column": "price", "per": "units"}}, "a total can be divided by: quantity"),
        ({"quantity": {"column": "units", "per": "quantity"}}, "cannot be divided by the quantity"),
        ({"price": {"column": "price", "decimal": ",", "thousands": ","}}, "decimal is '.' or ','"),
        ({"price": ["a", "b"]}, "names 2 columns; it takes one"),
        ({"price": {"scale": 2}}, "needs either column: NAME or first:"),
        ({"price": {"column": "a", "first": ["b"]}}, "needs either column: NAME or first:"),
        ({"price": 7}, "is 7; give a column's name"),
        ({"device": {"column": "d", "scale": 2}}, r"device has no 'scale'"),
        ({"device": {"column": "d", "optional": "yes"}}, r"device\.optional is 'yes'; write true or false"),
        ({"device": {"column": "d", "values": {True: "x"}}}, "read as yes or no; put it in quotes"),
        ({"position": {"rank_in": "l", "column": "a"}}, r"position has no 'column'"),
        ({"occurred_at": {"column": "w", "format": "unix"}}, r"occurred_at\.format is 'unix'; use iso"),
        ({"occurred_at": {"column": "w", "zone": "Berlin"}}, r"occurred_at\.zone is 'Berlin', which is no IANA zone"),
        ({"filters": ["a", "b"]}, r"names 2 columns"),
        ({"usre_id": "who"}, r"data\.columns has no 'usre_id'; is it 'user_id'\?"),
    ],
)
def test_columns_that_cannot_be_read_are_refused_with_what_was_meant(columns: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_columns(Path("log.csv"), **columns)
