"""A new day is a new part, and nothing else changes."""

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from recsys.clock import DAY, ManualClock, parse_instant
from recsys.data.chunk import chunks_of
from recsys.data.table import TableSource
from recsys.errors import SourceError
from recsys.log.reader import EventLog
from recsys.log.writer import write_log
from tests.recsys.data.small_logs import COLUMNS, NOW, events, refused, source, write, write_json

ROW = "2024-01-0{},buy,ann,i{},1,2,n{}"


def day(folder: Path, number: int) -> Path:
    folder.mkdir(exist_ok=True)
    return write(folder / f"day-{number}.csv", ROW.format(number, number, number), ROW.format(number, 9, number))


def told(table: TableSource) -> dict[str, tuple[str, list[str]]]:
    """Digest and event ids of every part."""
    return {
        part.name: (part.digest, [i for chunk in part.chunks() for i in chunk.events["event_id"].to_pylist()])
        for part in table.parts()
    }


@pytest.mark.parametrize("pattern", ["in/*.csv", "in/**/*.csv", "*/*.csv"])
def test_a_new_days_file_is_a_new_part_and_leaves_the_others_as_they_were(tmp_path: Path, pattern: str) -> None:
    day(tmp_path / "in", 2)
    before = told(source(tmp_path / pattern))
    day(tmp_path / "in", 1)
    day(tmp_path / "in", 3)
    after = told(source(tmp_path / pattern))
    assert len(after) == 3
    assert after | before == after
    assert source(tmp_path / pattern).fingerprint() == source(tmp_path / pattern).fingerprint()


def test_a_file_in_another_folder_leaves_the_parts_as_they_were(tmp_path: Path) -> None:
    files = [str(day(tmp_path / "web", 1))]
    before = told(source(files))
    files += [str(day(tmp_path / "app", 1)), str(day(tmp_path / "app", 2))]
    after = told(source(files))
    assert list(after) == ["day-1.csv", "app/day-1.csv", "day-2.csv"]
    assert after | before == after
    assert len({event_id for _, ids in after.values() for event_id in ids}) == 6


def test_a_file_that_grows_keeps_the_ids_of_its_rows_and_changes_its_digest(tmp_path: Path) -> None:
    path = day(tmp_path / "in", 1)
    ((digest, ids),) = told(source(path)).values()
    path.write_text(path.read_text() + ROW.format(1, 5, 5) + "\n")
    ((grown, more),) = told(source(path)).values()
    assert more[:2] == ids
    assert grown != digest


def test_neither_cutoff_nor_clock_is_a_setting_that_shapes_events(tmp_path: Path) -> None:
    path = day(tmp_path / "in", 1)
    table = source(path)
    for other in (source(path, cutoff="2024-02-02"), source(path, clock=ManualClock(NOW + DAY))):
        assert other.fingerprint() == table.fingerprint()
        assert told(other) == told(table)


def test_a_stamp_ahead_of_the_clock_is_refused_until_its_day_has_come(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", ROW.format(1, 1, 1), ROW.format(5, 1, 1))
    early = source(path, clock=ManualClock(parse_instant("2024-01-03T12:00:00Z")))
    late = source(path, clock=ManualClock(parse_instant("2024-01-04T00:00:01Z")))
    assert [(row, reason) for row, reason, _ in refused(early)] == [(3, "time is in the future")]
    assert [event["event_id"] for event in events(early)] == [event["event_id"] for event in events(late)][:1]
    assert len(events(late)) == 2


def test_parts_can_be_sent_to_another_process(tmp_path: Path) -> None:
    day(tmp_path / "in", 1)
    write_json(tmp_path / "in" / "day-2.jsonl", {"when": "2024-01-02", "what": "buy", "who": "ann", "item": "i"})
    table = source(tmp_path / "in" / "*")
    for part in table.parts():
        sent = pickle.loads(pickle.dumps(part))  # noqa: S301 - our own bytes
        assert [chunk.events for chunk in sent.chunks()] == [chunk.events for chunk in part.chunks()]
    assert pickle.loads(pickle.dumps(table)).items() == table.items()  # noqa: S301


def test_a_file_of_items_is_a_part_without_rows_so_that_a_log_notices_when_it_changes(tmp_path: Path) -> None:
    log = write(tmp_path / "l.csv", ROW.format(1, 1, 1))
    write(tmp_path / "items.csv", "i1,Tea", header="sku,name")
    settings = {"item_files": str(tmp_path / "items.csv"), "item_columns": {"item_id": "sku", "title": "name"}}
    events_part, items_part = source(log, **settings).parts()
    assert (events_part.name, items_part.name) == ("l.csv", "items: items.csv")
    assert list(items_part.chunks()) == []
    write(tmp_path / "items.csv", "i1,Green tea", header="sku,name")
    same, changed = source(log, **settings).parts()
    assert (same.digest == events_part.digest, changed.digest == items_part.digest) == (True, False)


def test_settings_that_shape_events_or_items_change_the_fingerprint() -> None:
    base = source("l.csv").fingerprint()
    assert source("other.csv").fingerprint() == base
    changed = [
        {"decimal": ","}, {"missing": ["NULL"]}, {"explode": "price", "columns": {"occurred_at": "w", "user_id": "u",
         "item_id": "price[]", "type": "t"}}, {"rules": [{"type": "view"}]}, {"type_values": {1: "view", "a": None}},
        {"item_columns": {"title": "note"}}, {"encoding": "cp1252"}, {"columns": {"occurred_at": {"column": "w",
         "zone": "Asia/Tokyo"}, "user_id": "u", "item_id": "i", "type": "t"}},
    ]  # fmt: skip
    assert len({base, *(source("l.csv", **settings).fingerprint() for settings in changed)}) == len(changed) + 1


def test_missing_columns_of_all_files_are_said_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "", header="when,what,who,item,price")
    write(tmp_path / "2.csv", "", header="when,what,user,item,units,price")
    write(tmp_path / "items.csv", "", header="id,name")
    settings = {"item_files": str(tmp_path / "items.csv"), "item_columns": {"item_id": "sku", "title": "Name"}}
    with pytest.raises(SourceError) as caught:
        source(tmp_path / "[12].csv", **settings).parts()
    assert [line.split(" has no column ")[1].split(";")[0] for line in str(caught.value).splitlines()] == [
        "'units'", "'who'", "'Name' (did you mean 'name'?), 'sku'",
    ]  # fmt: skip


def test_a_list_in_a_text_asks_for_its_separator(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "", header="when,what,who,shown")
    columns = {"occurred_at": "when", "type": "what", "user_id": "who", "item_id": "shown[]"}
    with pytest.raises(SourceError, match=r"'shown\[\]' \('shown' is a text; write data\.explode=\{column: shown"):
        source(path, columns=columns, explode="shown").parts()


def test_a_mapping_that_fits_no_row_is_warned_of_at_once_with_what_to_look_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list(chunks_of(source(write(tmp_path / "l.csv", "31.12.2023,buy,ann,i,1,2,"))))
    assert "none of the first 1 rows of l.csv became an event; row 2: time is unreadable: 31.12.2023" in caplog.text
    assert "data.time_format" in caplog.text


def test_numbers_as_times_are_told_before_reading_and_refused_among_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"when": 1704164645, "what": "buy", "who": "a", "item": "i"}
    with pytest.raises(SourceError, match=r"has int64 in 'when', which time_format 'iso' cannot read"):
        source(write_json(tmp_path / "l.jsonl", row)).parts()
    table = source(write_json(tmp_path / "l.jsonl", row | {"when": "2024-01-01"}, row))
    monkeypatch.setattr("recsys.data.tabular.lines.BLOCK_BYTES", 20)
    assert [(number, reason) for number, reason, _ in refused(table)] == [(2, "time is unreadable")]
    assert len(events(table)) == 1


def test_a_source_that_was_read_is_not_read_again_for_its_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day(tmp_path, 1)
    table = source(tmp_path / "*.csv", item_columns={"title": "note"})
    parts = table.parts()
    list(parts[0].chunks())
    (tmp_path / "day-1.csv").touch()
    stamp = (tmp_path / "day-1.csv").stat()
    opened: list[str] = []
    reading = pa.input_stream
    monkeypatch.setattr(pa, "input_stream", lambda path, **more: opened.append(path) or reading(path, **more))
    assert table.items()["title"].to_pylist() == ["n1", "n1"]
    assert len(opened) > 0, "it was touched since"
    opened.clear()
    assert table.items()["title"].to_pylist() == ["n1", "n1"]
    assert opened == [], "nothing happened since"
    assert stamp.st_size == (tmp_path / "day-1.csv").stat().st_size


def test_a_log_takes_in_the_new_day_alone_and_follows_a_file_of_items_that_changes(tmp_path: Path) -> None:
    day(tmp_path / "in", 1)
    write(tmp_path / "items.csv", "i1,Tea", "i9,Cup", header="sku,name")
    settings = {
        "item_files": str(tmp_path / "items.csv"),
        "item_columns": {"item_id": "sku", "title": "name"},
        "explode": {"column": "note", "separator": "/"},
        "columns": COLUMNS | {"query": "note[]"},
    }

    def written() -> tuple[int, int, list[str], list[str]]:
        told: list[str] = []
        summary = write_log(source(tmp_path / "in" / "*.csv", **settings), tmp_path / "log", tell=told.append)
        return summary.rows_in, summary.unfolded, EventLog(tmp_path / "log").items()["title"].to_pylist(), told

    assert written() == (2, 0, ["Tea", "Cup"], [])
    write(tmp_path / "in" / "day-2.csv", ROW.format(2, 2, "a/b/c"))
    assert written() == (3, 2, ["Tea", "i2", "Cup"], [])
    write(tmp_path / "items.csv", "i1,Green tea", "i9,Cup", header="sku,name")
    rows_in, unfolded, titles, told = written()
    assert (rows_in, unfolded, titles) == (3, 2, ["Green tea", "i2", "Cup"])
    assert told == ["log is written from scratch: the part 'items: items.csv' changed"]


def test_long_lists_do_not_make_long_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "l.csv", *(ROW.format(1, number, "a/b/c") for number in range(10)), "torn")
    settings = {"explode": {"column": "note", "separator": "/"}, "columns": COLUMNS | {"query": "note[]"}}
    whole = events(source(path, **settings))
    monkeypatch.setattr("recsys.data.tabular.events._ROWS_WITH_LISTS", 4)
    table = source(path, **settings)
    assert [chunk.events.num_rows for chunk in chunks_of(table)] == [12, 12, 6]
    assert events(table) == whole
    assert [row for row, _, _ in refused(table)] == [12]
