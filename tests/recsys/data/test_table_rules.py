"""One row to several events, or to another one: lists taken apart, rules, cancellations."""

from pathlib import Path

import pytest

from recsys.data.chunk import SourceChunk
from recsys.errors import ConfigError
from tests.recsys.data.small_logs import events, refused, shown, single, source, write, write_json, write_parquet

ORDERS = {"occurred_at": "at", "user_id": "who", "item_id": "lines[].sku", "price": "lines[].price"}
LISTED = {"occurred_at": "when", "user_id": "who", "item_id": "shown[]", "position": {"rank_in": "shown"}}


def orders(path: Path, **settings: object):
    defaults: dict[str, object] = {
        "columns": ORDERS, "constants": {"type": "purchase"}, "type_values": {}, "explode": "lines",
    }  # fmt: skip
    return source(path, **{**defaults, **settings})


def adds_up(chunk: SourceChunk) -> bool:
    """The promise of `SourceChunk`."""
    left = chunk.events.num_rows + chunk.quarantine.num_rows + sum(chunk.excluded.values())
    return chunk.rows_in + chunk.unfolded == left


def test_the_lines_of_an_order_become_events_of_one_moment(tmp_path: Path) -> None:
    lines = [{"sku": "a", "price": 1}, {"sku": "b"}, {"sku": "c", "price": 2.5}]
    path = write_json(tmp_path / "o.jsonl", {"at": "2024-01-01T10:00:00Z", "who": "ann", "lines": lines})
    table = orders(path)
    assert shown(table, "occurred_at", "user_id", "item_id", "price") == [
        ("10:00", "ann", "a", 1.0), ("10:00", "ann", "b", None), ("10:00", "ann", "c", 2.5),
    ]  # fmt: skip
    assert (single(table).rows_in, single(table).unfolded) == (1, 2)
    assert adds_up(single(table))


def test_a_bad_line_of_an_order_is_refused_alone_and_an_order_without_lines_too(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "o.jsonl",
        {"at": "2024-01-01", "who": "ann", "lines": [{"sku": "a"}, {"sku": "b", "price": -1}, {}]},
        {"at": "2024-01-01", "who": "ann", "lines": []},
        {"at": "2024-01-01", "who": "ann"},
    )
    chunk = single(orders(path))
    assert chunk.events["item_id"].to_pylist() == ["a"]
    assert [(row, reason) for row, reason, _ in refused(orders(path))] == [
        (1, "price is negative"), (1, "item is missing"), (2, "item is missing"), (3, "item is missing"),
    ]  # fmt: skip
    assert (chunk.rows_in, chunk.unfolded) == (3, 2)
    assert adds_up(chunk)


def test_ids_of_a_rows_events_are_distinct_and_stay(tmp_path: Path) -> None:
    row = {"at": "2024-01-01", "who": "ann", "id": "o1", "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}
    path = write_json(tmp_path / "o.jsonl", row, {**row, "id": "o2"})
    derived = [event["event_id"] for event in events(orders(path))]
    assert len(set(derived)) == 4
    assert derived[1] == f"{derived[0]}#1"
    own = orders(path, columns={**ORDERS, "event_id": "id"})
    assert [event["event_id"] for event in events(own)] == ["o1", "o1#1", "o2", "o2#1"]
    by_line = orders(path, columns={**ORDERS, "event_id": ["id", "lines[].n"]})
    assert [event["event_id"] for event in events(by_line)] == ["o1-1", "o1-2", "o2-1", "o2-2"]
    write_json(path, row, {**row, "id": "o2"}, {**row, "id": "o3"})
    assert [event["event_id"] for event in events(orders(path))][:4] == derived


def test_a_list_in_one_text_is_taken_apart_with_ranks(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "2024-01-01,ann,a| b|c|", "2024-01-01,bob,", header="when,who,shown")
    table = source(
        path,
        columns=LISTED,
        constants={"type": "impression"},
        type_values={},
        explode={"column": "shown", "separator": "|"},
    )
    assert shown(table, "item_id", "position") == [("a", 0), ("b", 1), ("c", 2)]
    assert [reason for _, reason, _ in refused(table)] == ["item is missing"]


def test_lists_side_by_side_are_walked_in_step_and_must_be_equally_long(tmp_path: Path) -> None:
    header = "when,who,skus,prices"
    path = write(tmp_path / "l.csv", "2024-01-01,ann,a|b,1|2", "2024-01-01,ann,a|b,1", header=header)
    table = source(
        path,
        columns={"occurred_at": "when", "user_id": "who", "item_id": "skus[]", "price": "prices[]"},
        constants={"type": "view"},
        type_values={},
        explode={"column": ["skus", "prices"], "separator": "|"},
    )
    assert shown(table, "item_id", "price") == [("a", 1.0), ("b", 2.0)]
    assert [reason for _, reason, _ in refused(table)] == ["lists differ in length"]
    assert adds_up(single(table))


CLICKED = {
    "columns": {"occurred_at": "when", "type": "what", "user_id": "who", "item_id": "item", "price": "price"},
    "type_values": {},
    "rules": [
        {
            "when": {"column": "what", "equals": "click"},
            "events": [
                {
                    "type": "impression",
                    "explode": {"column": "shown", "separator": "|"},
                    "columns": {"item_id": "shown[]", "position": {"rank_in": "shown"}, "price": None},
                },
                {"type": "click", "columns": {"position": {"rank_in": "shown"}}},
            ],
        },
        {"when": {"column": "what", "equals": "checkout"}, "type": ["view", "purchase"]},
    ],
}


def test_a_click_with_the_list_that_was_shown_gives_impressions_and_the_click(tmp_path: Path) -> None:
    header = "when,what,who,item,price,shown"
    rows = ["2024-01-01,click,ann,b,2,a|b|c", "2024-01-01,view,ann,d,3,", "2024-01-01,click,ann,b,2,"]
    table = source(write(tmp_path / "l.csv", *rows, header=header), **CLICKED)
    assert shown(table, "type", "item_id", "position", "price") == [
        ("impression", "a", 0, None), ("impression", "b", 1, None), ("impression", "c", 2, None),
        ("click", "b", 1, 2.0), ("view", "d", None, 3.0), ("click", "b", None, 2.0),
    ]  # fmt: skip
    assert (single(table).rows_in, single(table).unfolded) == (3, 3)
    assert len({event["event_id"] for event in events(table)}) == 6
    assert adds_up(single(table))


def test_a_checkout_is_a_view_and_a_purchase(tmp_path: Path) -> None:
    header = "when,what,who,item,price,shown"
    path = write(tmp_path / "l.csv", "2024-01-01,checkout,ann,b,2,", "2024-01-01,checkout,ann,,2,", header=header)
    table = source(path, **CLICKED)
    assert shown(table, "type", "item_id") == [("view", "b"), ("purchase", "b")]
    assert [(row, reason) for row, reason, _ in refused(table)] == [(3, "item is missing")] * 2
    assert adds_up(single(table))


def test_rules_look_at_the_elements_where_lists_are_taken_apart_first(tmp_path: Path) -> None:
    lines = [{"sku": "a", "n": 2, "price": 1}, {"sku": "b", "n": -3, "price": -2}, {"sku": "fee", "n": 1}]
    path = write_json(tmp_path / "o.jsonl", {"at": "2024-01-01", "who": "ann", "lines": lines})
    table = orders(
        path,
        columns={**ORDERS, "quantity": "lines[].n"},
        rules=[
            {"when": {"column": "lines[].sku", "equals": "fee"}, "type": None},
            {"when": {"column": "lines[].n", "below": 0}, "type": "return"},
        ],
    )
    assert shown(table, "type", "item_id", "quantity", "price") == [("purchase", "a", 2, 1), ("return", "b", 3, 2)]
    assert single(table).excluded == {"rule lines[].sku equals fee": 1}
    assert adds_up(single(table))


@pytest.mark.parametrize(
    ("when", "fitting"),
    [
        ({"column": "item", "starts_with": "C"}, "a"),
        ({"column": "item", "ends_with": "9"}, "ad"),
        ({"column": "item", "equals": "C9"}, "a"),
        ({"column": "item", "in": ["C9", "D1"]}, "ab"),
        ({"column": "units", "below": 0}, "ac"),
        ({"column": "units", "above": 1.5}, "d"),
        ({"column": "units", "equals": -1}, "ac"),
        ({"column": "units", "in": [2, 1]}, "bd"),
        ({"column": "note", "missing": True}, "bc"),
        ({"column": "note", "missing": False}, "ad"),
        ([{"column": "units", "below": 0}, {"column": "item", "starts_with": "C"}], "a"),
        (None, "abcd"),
    ],
)
def test_a_rule_fits_where_its_conditions_hold(tmp_path: Path, when: object, fitting: str) -> None:
    rows = ["a,C9,-1.0,x", "b,D1,1,", "c,D2,-1,", "d,c9,2,y"]
    path = write(
        tmp_path / "l.csv",
        *(f"2024-01-01,view,{who},{item},{units},2,{note}" for who, item, units, note in (r.split(",") for r in rows)),
    )
    table = source(path, rules=[{"when": when, "type": "return"}])
    assert "".join(str(event["user_id"]) for event in events(table) if event["type"] == "return") == fitting


def test_numbers_in_rules_are_read_like_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", '2024-01-01,buy,ann,i,"-1.000,5",2,', '2024-01-01,buy,ann,i,"1,5",2,')
    table = source(
        path, decimal=",", thousands=".", rules=[{"when": {"column": "units", "below": 0}, "type": "return"}]
    )
    assert shown(table, "type", "quantity") == [("return", 1000.5), ("purchase", 1.5)]


def test_a_returns_quantity_and_price_count_without_their_sign_and_nothing_elses_does(tmp_path: Path) -> None:
    rows = ["return,a,-2,-3", "return,b,2,-3", "purchase,c,-2,3", "return,d,0,3"]
    path = write(
        tmp_path / "l.csv", *(f"2024-01-01,{w},ann,{i},{u},{p}," for w, i, u, p in (r.split(",") for r in rows))
    )
    table = source(path)
    assert shown(table, "item_id", "quantity", "price") == [("a", 2, 3), ("b", 2, 3)]
    assert [reason for _, reason, _ in refused(table)] == ["quantity is not positive"] * 2


def test_parquet_lists_of_objects_are_taken_apart(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "o.parquet",
        at=["2024-01-01", "2024-01-02"],
        who=["ann", "bob"],
        lines=[[{"sku": "a", "price": 1.5}, {"sku": "b", "price": None}], None],
    )
    table = orders(path)
    assert shown(table, "user_id", "item_id", "price") == [("ann", "a", 1.5), ("ann", "b", None)]
    assert refused(table) == [(1, "item is missing", "2024-01-02,,,bob")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"explode": "items"},
            r"takes 'items' apart, but no column reads its elements; write columns.item_id: items\[\]",
        ),
        ({"explode": "lines[]"}, r"data\.explode is 'lines\[\]'; name the list itself"),
        ({"explode": {"column": "lines", "seperator": "|"}}, r"no 'seperator'; is it 'separator'\?"),
        ({"rules": [{"when": {"column": "a", "equal": 1}, "type": "view"}]}, r"no test 'equal'; is it 'equals'\?"),
        ({"rules": [{"when": {"equals": 1}, "type": "view"}]}, r"write \{column: NAME, TEST: VALUE\}"),
        ({"rules": [{"when": {"column": "a", "below": 1, "above": 0}, "type": "view"}]}, "2 tests of 'a'; give one"),
        (
            {"rules": [{"when": {"column": "a", "below": "1"}, "type": "view"}]},
            "compares with '1', which is not a number",
        ),
        ({"rules": [{"when": {"column": "a", "missing": "no"}, "type": "view"}]}, "write missing: true or"),
        ({"rules": [{"when": {"column": "a", "equals": 1}}]}, r"rules\[0\] needs either type: .* or events"),
        ({"rules": [{"type": "viewed"}]}, r"rules\[0\]\.events\[0\]\.type is 'viewed'"),
        ({"rules": [{"then": 1}]}, r"rules\[0\] has no 'then'"),
        ({"rules": [{"events": []}]}, r"rules\[0\]\.events is \[\]; give a list"),
        ({"rules": [{"events": [{"explode": "x", "columns": {"item_id": "x[]"}}]}]}, "comes on top of data.explode"),
        ({"rules": ["return"]}, r"rules\[0\] is 'return'; write"),
    ],
)
def test_rules_that_cannot_work_are_refused_with_what_was_meant(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        orders(Path("log.jsonl"), **settings)
