"""Reading a log: by day in order, cut in time, and items as they were known."""

from pathlib import Path

import pyarrow as pa

from recsys.clock import DAY, HOUR
from recsys.event import EventType
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.by_hand import items_table
from tests.recsys.log.by_hand import Part, Shop, sale, shop


def test_days_come_in_order_and_within_a_day_shoppers_instants_and_ids_do(tmp_path: Path) -> None:
    rows = [sale("5", DAY), sale("1", DAY + HOUR, "bob"), sale("9", 0, "zoe"), sale("3", DAY), sale("4", 9 * DAY, "al")]
    write_log(shop(*rows), tmp_path / "log")
    days = [table["event_id"].to_pylist() for table in EventLog(tmp_path / "log").days()]
    assert days == [["9"], ["3", "5", "1"], ["4"]]


def test_days_give_the_columns_types_and_instants_asked_for(tmp_path: Path) -> None:
    rows = [
        sale("1", DAY - 1),
        sale("2", DAY),
        sale("3", DAY + 1, type="view"),
        sale("4", 2 * DAY - 1, None, anonymous_id="x"),
        sale("5", 2 * DAY),
    ]
    write_log(shop(*rows), tmp_path / "log")
    log = EventLog(tmp_path / "log")
    (table,) = log.days(["shopper", "event_id"], types=[EventType.PURCHASE], since=DAY, until=2 * DAY)
    assert table.to_pydict() == {"shopper": ["ann", "anonymous:x"], "event_id": ["2", "4"]}
    assert [t["event_id"].to_pylist() for t in log.days(since=2 * DAY)] == [["5"]]
    assert [t["event_id"].to_pylist() for t in log.days(until=DAY)] == [["1"]]


def test_an_item_is_what_was_last_known_of_it_before_an_instant(tmp_path: Path) -> None:
    class Changing(Shop):
        def items(self) -> pa.Table:
            table = items_table(["b", "a", "a", "a", "c"])
            valid_from = pa.array([None, 20, None, 10, 30], pa.timestamp("us", tz="UTC"))
            return table.set_column(table.schema.get_field_index("valid_from"), "valid_from", valid_from).set_column(
                1, "title", pa.array(["b", "a from 20", "a of old", "a from 10", "c from 30"])
            )

    write_log(Changing({"rows": Part([sale("1", 0)])}), tmp_path / "log")
    log = EventLog(tmp_path / "log")
    assert log.items()["title"].to_pylist() == ["b", "a from 20", "c from 30"]
    assert log.items(before=20)["title"].to_pylist() == ["b", "a from 10"]
    assert log.items(before=21)["title"].to_pylist() == ["b", "a from 20"]
    assert log.items(before=10)["title"].to_pylist() == ["b", "a of old"]
    assert log.item_versions().num_rows == 5
