"""The event log: every row accounted for, whole or not at all, read back in order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from recsys.clock import DAY, HOUR
from recsys.data.chunk import SourceChunk, SourcePart
from recsys.errors import ConfigError, DataError, RecsysError, SourceError
from recsys.event import QUARANTINE_SCHEMA, EventType
from recsys.log.reader import EventLog
from recsys.log.writer import log_folder, write_log
from tests.recsys.by_hand import event_table, items_table


def sale(event_id: str, at: int, user: str | None = "ann", **more: object) -> dict[str, object]:
    return {"event_id": event_id, "occurred_at": at, "user_id": user, "item_id": "a", **more}


@dataclass
class Shop:
    """A source written by hand; it claims to have read `unseen` rows more than it hands over."""

    rows: list[dict[str, object]]
    refused: list[str] = field(default_factory=list)
    excluded: Mapping[str, int] = field(default_factory=dict)
    unseen: int = 0
    version: str = "1"
    read: int = 0
    name: str = "shop"
    licence: str = "made up"
    time_zone: str = "UTC"
    cutoff: int = 0
    order_only: bool = False

    def fingerprint(self) -> str:
        return f"shop-{self.version}"

    def parts(self) -> list[SourcePart]:
        return [SourcePart(name="rows", digest=f"rows-{self.version}", chunks=self._chunks)]

    def _chunks(self) -> Iterator[SourceChunk]:
        self.read += 1
        events = event_table(self.rows)
        half = len(self.rows) // 2
        yield SourceChunk(rows_in=half, events=events.slice(0, half), quarantine=QUARANTINE_SCHEMA.empty_table())
        bad = [{"origin": "f", "row": n, "reason": reason, "raw": "?"} for n, reason in enumerate(self.refused)]
        yield SourceChunk(
            rows_in=len(self.rows) - half + len(bad) + sum(self.excluded.values()) + self.unseen,
            events=events.slice(half),
            quarantine=pa.Table.from_pylist(bad, schema=QUARANTINE_SCHEMA),
            excluded=self.excluded,
        )

    def items(self) -> pa.Table:
        return items_table(["a", "b"])


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    rows = [sale("1", 0), sale("2", 0, item_id="b"), sale("1", 5), sale("3", DAY, "bob", type="view")]
    shop = Shop(rows, refused=["no price", "no price", "no item"], excluded={"fuel": 4})
    summary = write_log(shop, tmp_path / "log")
    assert (summary.rows_in, summary.events, summary.duplicates) == (11, 3, 1)
    assert (summary.quarantined, summary.excluded) == (3, 4)
    assert summary.quarantine_reasons == {"no price": 2, "no item": 1}
    assert summary.excluded_reasons == {"fuel": 4}
    assert summary.types == {"purchase": 2, "view": 1}
    assert (summary.shoppers, summary.items, summary.moments) == (2, 2, 2)
    assert (summary.first, summary.last) == ("1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00")


def test_of_two_rows_with_one_id_the_first_is_kept(tmp_path: Path) -> None:
    write_log(Shop([sale("1", 7, item_id="a"), sale("1", 3, item_id="b")]), tmp_path / "log")
    assert EventLog(tmp_path / "log").events()["item_id"].to_pylist() == ["a"]


def test_events_come_back_by_shopper_instant_and_id_whatever_the_date(tmp_path: Path) -> None:
    rows = [
        sale("9", 2 * DAY, "bob"),
        sale("5", DAY, "ann"),
        sale("8", 2 * HOUR, "bob"),
        sale("2", DAY, "ann"),
        sale("7", 3 * DAY, None, anonymous_id="aaa"),
        sale("1", DAY + 1, "ann", anonymous_id="zzz"),
    ]
    write_log(Shop(rows), tmp_path / "log")
    events = EventLog(tmp_path / "log").events()
    assert events["event_id"].to_pylist() == ["2", "5", "1", "7", "8", "9"]
    assert events["shopper"].to_pylist() == ["ann", "ann", "ann", "anonymous:aaa", "bob", "bob"]


def test_a_visitor_and_a_user_of_the_same_id_are_two_shoppers(tmp_path: Path) -> None:
    summary = write_log(Shop([sale("1", 0, "17"), sale("2", 0, None, anonymous_id="17")]), tmp_path / "log")
    assert summary.shoppers == 2
    assert EventLog(tmp_path / "log").events()["shopper"].to_pylist() == ["17", "anonymous:17"]


def test_events_can_be_read_by_type(tmp_path: Path) -> None:
    write_log(Shop([sale("1", 0), sale("2", 0, type="view"), sale("3", 0, type="search")]), tmp_path / "log")
    events = EventLog(tmp_path / "log").events(EventType.VIEW, EventType.PURCHASE)
    assert events["event_id"].to_pylist() == ["1", "2"]


def test_items_and_quarantine_lie_beside_the_events(tmp_path: Path) -> None:
    write_log(Shop([sale("1", 0)], refused=["no price"]), tmp_path / "log")
    assert EventLog(tmp_path / "log").items()["item_id"].to_pylist() == ["a", "b"]
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == [
        "events",
        "items.parquet",
        "quarantine.parquet",
        "summary.json",
    ]


def test_the_same_source_is_not_read_twice_and_another_is(tmp_path: Path) -> None:
    shop = Shop([sale("1", 0)])
    first = write_log(shop, tmp_path / "log")
    written = (tmp_path / "log" / "summary.json").stat().st_mtime_ns
    assert write_log(shop, tmp_path / "log") == first
    assert (shop.read, (tmp_path / "log" / "summary.json").stat().st_mtime_ns) == (1, written)
    changed = Shop([sale("1", 0), sale("2", 0)], version="2")
    assert write_log(changed, tmp_path / "log").events == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"source": "of another release"}'])
def test_a_summary_that_cannot_be_read_is_written_anew(tmp_path: Path, content: str) -> None:
    shop = Shop([sale("1", 0)])
    write_log(shop, tmp_path / "log")
    (tmp_path / "log" / "summary.json").write_text(content)
    assert write_log(shop, tmp_path / "log").events == 1
    assert shop.read == 2


def test_a_source_that_loses_rows_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'shop' read 3 rows but accounts for 2 accepted .* loses rows"):
        write_log(Shop([sale("1", 0), sale("2", 0)], unseen=1), tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_a_source_without_a_usable_row_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no usable event out of 2 rows; quarantined: \{'no price': 2\}"):
        write_log(Shop([], refused=["no price"] * 2), tmp_path / "log")


def test_a_source_that_breaks_on_the_way_leaves_the_old_log_as_it_was(tmp_path: Path) -> None:
    class Broken(Shop):
        def items(self) -> pa.Table:
            raise SourceError("the item file is torn")

    write_log(Shop([sale("1", 0)]), tmp_path / "log")
    with pytest.raises(SourceError, match="torn"):
        write_log(Broken([sale("1", 0), sale("2", 0)], version="2"), tmp_path / "log")
    assert EventLog(tmp_path / "log").events().num_rows == 1
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file, not a folder")
    with pytest.raises(ConfigError, match=r"occupied/log .*set outputs=") as caught:
        write_log(Shop([sale("1", 0)]), tmp_path / "occupied" / "log")
    assert isinstance(caught.value, RecsysError)


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no event log"):
        EventLog(tmp_path)


def test_other_data_has_another_folder(tmp_path: Path) -> None:
    assert log_folder(Shop([]), tmp_path) == tmp_path / "log" / "shop-shop-1"
    assert log_folder(Shop([], version="2"), tmp_path) != log_folder(Shop([]), tmp_path)
