"""Logs of earlier releases are refused with the command to run, and migrated without loss."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.clock import DAY, parse_instant
from recsys.errors import DataError, SourceError
from recsys.event import EVENT_SCHEMA, ITEM_SCHEMA
from recsys.log.manifest import commit, read_manifest
from recsys.log.migrate import migrate
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.log.by_hand import Part, Shop, sale

UTC = pa.timestamp("us", tz="UTC")
FIRST_EVENTS = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("occurred_at", UTC, nullable=False),
        *(pa.field(name, pa.string()) for name in ("user_id", "anonymous_id", "session_id", "channel", "device")),
        *(pa.field(name, pa.string()) for name in ("store", "item_id")),
        pa.field("quantity", pa.float32()),
        pa.field("price", pa.float64()),
        pa.field("list_price", pa.float64()),
        *(pa.field(name, pa.string()) for name in ("currency", "query", "placement", "recommendation_id")),
        pa.field("position", pa.int32()),
        pa.field("consent", pa.list_(pa.string())),
    ],
    metadata={"attune.schema": "event", "attune.schema_version": "1"},
)
"""The schema of version 1, written out: what it was may not change with the code."""

MONDAY, TUESDAY = parse_instant("2017-01-02"), parse_instant("2017-01-03")


def first_events(*rows: tuple[str, int, str | None, str | None]) -> pa.Table:
    full = [
        {"event_id": n, "type": "purchase", "occurred_at": at, "user_id": u, "anonymous_id": v, "item_id": "a"}
        for n, at, u, v in rows
    ]
    return pa.table([pa.array([r.get(f.name) for r in full], f.type) for f in FIRST_EVENTS], schema=FIRST_EVENTS)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A log of version 1 as the releases before the manifest wrote it."""
    folder = tmp_path / "log" / "shop-1234"
    for date, table in {
        "2017-01-02": first_events(("2", MONDAY, "ann", None), ("1", MONDAY, "bob", "x"), ("3", MONDAY, None, "y")),
        "2017-01-03": first_events(("4", TUESDAY, "bob", None), ("5", TUESDAY, "bob", None)),
    }.items():
        (folder / "events" / f"date={date}").mkdir(parents=True)
        pq.write_table(table, folder / "events" / f"date={date}" / "part-0.parquet", compression="zstd")
    items = {
        "item_id": pa.array(["a"]),
        "title": pa.array(["A thing"]),
        "category": pa.array([["things"]]),
        "brand": pa.array([None], pa.string()),
        "price": pa.array([2.5]),
        "currency": pa.array(["EUR"]),
        "available": pa.array([True]),
        "created_at": pa.array([None], UTC),
        "attributes": pa.array([[("size", "8")]], pa.map_(pa.string(), pa.string())),
    }
    pq.write_table(pa.table(items), folder / "items.parquet")
    refused = {"origin": ["f.csv"], "row": [7], "reason": ["no price"], "raw": ["7,,,"]}
    pq.write_table(pa.table(refused), folder / "quarantine.parquet")
    summary = {
        "source": "shop",
        "licence": "mine",
        "fingerprint": "1234",
        "schema_version": 1,
        "rows_in": 9,
        "events": 5,
        "duplicates": 1,
        "quarantined": 1,
        "excluded": 2,
        "shoppers": 3,
        "items": 1,
        "moments": 4,
        "first": "2017-01-02T00:00:00+00:00",
        "last": "2017-01-03T00:00:00+00:00",
        "quarantine_reasons": {"no price": 1},
        "excluded_reasons": {"fuel": 2},
        "types": {"purchase": 5},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_a_log_of_version_1_is_refused_with_the_command_that_migrates_it(first: Path) -> None:
    with pytest.raises(DataError, match=rf"schema version 1.*run: python -m training.migrate log={first}"):
        EventLog(first)


def test_a_migrated_log_holds_what_it_held_and_nothing_in_the_new_columns(first: Path) -> None:
    assert migrate(first) == (1, 2)
    log = EventLog(first)
    events = log.events()
    assert events.schema.remove(events.schema.get_field_index("shopper")).equals(EVENT_SCHEMA)
    assert events["event_id"].to_pylist() == ["2", "3", "1", "4", "5"]
    assert events["shopper"].to_pylist() == ["ann", "anonymous:y", "bob", "bob", "bob"]
    assert [events[name].null_count for name in ("filters", "rating", "offer_id")] == [5, 5, 5]
    assert log.items().schema.equals(ITEM_SCHEMA)
    assert log.items().to_pylist()[0]["attributes"] == [("size", "8")]
    assert log.items(before=0)["item_id"].to_pylist() == ["a"], "what was known is taken as always known"
    assert log.quarantine()["raw"].to_pylist() == ["7,,,"]
    summary = log.summary
    assert (summary.schema_version, summary.fingerprint == "1234") == (2, True)
    assert (summary.rows_in, summary.events, summary.duplicates, summary.excluded) == (9, 5, 1, 2)
    assert (summary.shoppers, summary.items, summary.moments) == (3, 1, 4)
    assert [piece["event_id"].to_pylist() for piece in log.days()] == [["2", "3", "1"], ["4", "5"]]


def test_the_files_of_the_old_version_are_gone(first: Path) -> None:
    migrate(first)
    assert sorted(path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file()) == [
        ".lock",
        "events/date=2017-01-02/00000001-0000.parquet",
        "events/date=2017-01-03/00000001-0000.parquet",
        "items/00000001.parquet",
        "manifest.json",
        "quarantine/00000001-000000.parquet",
    ]


def test_a_migration_that_was_killed_on_the_way_is_done_again_from_the_old_log(first: Path, tmp_path: Path) -> None:
    shutil.copytree(first, tmp_path / "other")
    migrate(tmp_path / "other")
    half = "events/date=2017-01-02/00000001-0000.parquet"
    shutil.copy(tmp_path / "other" / half, first / half)
    (first / "manifest.json.new").write_text("{")
    assert migrate(first) == (1, 2)
    assert EventLog(first).events().equals(EventLog(tmp_path / "other").events())


def test_a_migration_that_was_killed_between_the_manifest_and_tidying_is_complete(first: Path, tmp_path: Path) -> None:
    shutil.copytree(first, tmp_path / "old")
    migrate(first)
    shutil.copytree(tmp_path / "old", first, dirs_exist_ok=True)
    assert migrate(first) == (2, 2)
    assert EventLog(first).events().num_rows == 5
    assert sum(piece.num_rows for piece in EventLog(first).days()) == 5


def test_a_source_that_has_a_log_of_version_1_is_ingested_from_scratch(first: Path) -> None:
    told: list[str] = []
    write_log(Shop({"a": Part([sale("1", 0)])}), first, tell=told.append)
    assert told == ["shop-1234 is written from scratch: it was written by an earlier release (schema version 1)"]
    assert EventLog(first).events().num_rows == 1
    assert not (first / "events" / "date=2017-01-02").exists()


def test_a_version_1_log_that_does_not_add_up_stays_as_it_is(first: Path) -> None:
    shutil.rmtree(first / "events" / "date=2017-01-03")
    with pytest.raises(DataError, match="took in 9 rows and accounts for 7"):
        migrate(first)
    assert (first / "summary.json").exists()


def test_a_present_log_needs_no_migration(tmp_path: Path) -> None:
    write_log(Shop({"a": Part([sale("1", DAY)])}), tmp_path / "log")
    before = (tmp_path / "log" / "manifest.json").stat().st_mtime_ns
    assert migrate(tmp_path / "log") == (2, 2)
    assert (tmp_path / "log" / "manifest.json").stat().st_mtime_ns == before


def test_a_log_of_a_later_release_asks_for_that_release(tmp_path: Path) -> None:
    write_log(Shop({"a": Part([sale("1", DAY)])}), tmp_path / "log")
    path = tmp_path / "log" / "manifest.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 3', 1))
    for attempt in (EventLog, migrate):
        with pytest.raises(DataError, match=r"schema version 3, this release reads 2; .*pip install --upgrade"):
            attempt(tmp_path / "log")


def test_where_there_is_no_log_there_is_nothing_to_migrate(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no event log"):
        migrate(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_is_read_back_as_it_was_committed(tmp_path: Path) -> None:
    write_log(Shop({"a": Part([sale("1", DAY)])}), tmp_path / "log")
    manifest = read_manifest(tmp_path / "log")
    commit(tmp_path / "log", manifest)
    assert read_manifest(tmp_path / "log") == manifest
